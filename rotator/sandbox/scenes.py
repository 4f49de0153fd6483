"""All the clouds of the sandbox."""

from __future__ import annotations

from rotator.sandbox.aws_role_scene import AwsRoleScene
from rotator.sandbox.azure_scene import AzureScene
from rotator.sandbox.byok_scene import ByokScene
from rotator.sandbox.civo_scene import CivoScene
from rotator.sandbox.gcp_scene import GcpScene
from rotator.sandbox.oci_scene import OciScene
from rotator.sandbox.scene import OpenScene

BESIDE_AWS: tuple[OpenScene, ...] = (
    AwsRoleScene,
    AzureScene,
    ByokScene,
    CivoScene,
    GcpScene,
    OciScene,
)
"""AWS with an IAM user is on every stage."""
