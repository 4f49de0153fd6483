"""All the clouds of the sandbox."""

from __future__ import annotations

from rotator.sandbox.civo_scene import CivoScene
from rotator.sandbox.scene import OpenScene

BESIDE_AWS: tuple[OpenScene, ...] = (CivoScene,)
"""AWS with an IAM user is on every stage."""
