"""All the clouds of the sandbox."""

from __future__ import annotations

from rotator.sandbox.aws.role_scene import AwsRoleScene
from rotator.sandbox.azure.scene import AzureScene
from rotator.sandbox.byok.scene import ByokScene
from rotator.sandbox.civo.scene import CivoScene
from rotator.sandbox.gcp.scene import GcpScene
from rotator.sandbox.oci.scene import OciScene
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
