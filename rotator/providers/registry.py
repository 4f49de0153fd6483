"""Which class a credential of the config is, by its `provider` and `mode`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Discriminator, Tag

from rotator.config.credential import CredentialSection
from rotator.config.plugin import PluginCredential
from rotator.providers.aws.settings import AwsCredential, AwsRoleCredential
from rotator.providers.azure.settings import AzureCredential
from rotator.providers.byok.settings import ByokCredential
from rotator.providers.civo.settings import CivoCredential
from rotator.providers.gcp.settings import GcpCredential, GcpKeyless
from rotator.providers.oci.settings import OciCredential

PLUGIN = "plugin"
CLASSES: Mapping[str, type[CredentialSection]] = {
    "aws": AwsCredential,
    "aws crossAccountRole": AwsRoleCredential,
    "gcp": GcpCredential,
    "gcp crossAccountRole": GcpKeyless,
    "azure": AzureCredential,
    "oci": OciCredential,
    "civo": CivoCredential,
    "byok": ByokCredential,
    PLUGIN: PluginCredential,
}
"""By tag. pydantic writes the tag into the place of an error; a person doesn't see it there."""

BUILT_IN = tuple(sorted({tag.partition(" ")[0] for tag in CLASSES} - {PLUGIN}))


def tag_of(credential: object) -> str | None:
    """The tag of a credential as it stands in the config; None where it names no provider."""
    if isinstance(credential, CredentialSection):
        return next(tag for tag, of_tag in CLASSES.items() if type(credential) is of_tag)
    if not isinstance(credential, dict) or not isinstance(credential.get("provider"), str):
        return None
    provider = credential["provider"]
    if provider not in BUILT_IN:
        return PLUGIN
    with_mode = f"{provider} {credential.get('mode')}"
    return with_mode if with_mode in CLASSES else provider


AnyCredential = Annotated[
    Annotated[AwsCredential, Tag("aws")]
    | Annotated[AwsRoleCredential, Tag("aws crossAccountRole")]
    | Annotated[GcpCredential, Tag("gcp")]
    | Annotated[GcpKeyless, Tag("gcp crossAccountRole")]
    | Annotated[AzureCredential, Tag("azure")]
    | Annotated[OciCredential, Tag("oci")]
    | Annotated[CivoCredential, Tag("civo")]
    | Annotated[ByokCredential, Tag("byok")]
    | Annotated[PluginCredential, Tag(PLUGIN)],
    Discriminator(tag_of),
]
