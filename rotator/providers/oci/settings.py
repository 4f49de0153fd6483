"""A credential in Oracle Cloud: a user whose API signing key Northflank holds."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from rotator.settings.section import AbsolutePath, Endpoint, Form, ProviderSettings, Section, key_in_use, or_unmanaged


def _ocid(*kinds: str) -> Form:
    kind = kinds[0] if len(kinds) == 1 else f"({'|'.join(kinds)})"
    pattern = rf"^ocid1\.{kind}\.[a-z0-9]+\.[a-z0-9-]*\.[a-z0-9.]{{1,200}}$"
    return Form(pattern, f"an OCID of a {' or '.join(kinds)}, like ocid1.{kinds[0]}.oc1..aaaaexample")


def _in_home(path: str) -> str:
    if not path.startswith(("/", "~/")) or "\0" in path:
        raise ValueError("a path begins with / or ~/ here")
    return path


_REGION = Form(r"^[a-z]{2,}(-[a-z0-9]+)+$", "a region by its identifier, like eu-frankfurt-1")
_PROFILE = Form(r"^[^\[\]\s]{1,100}$", "a profile's name without brackets and blanks, like DEFAULT")
_FINGERPRINT = Form(
    r"^[0-9a-f]{2}(:[0-9a-f]{2}){15}$",
    "a fingerprint: 16 pairs of digits and letters from a to f, with colons, like 20:3b:97:13:55:1c:5b:0d:...",
)


class OciAdmin(Section):
    """Who rotator is in OCI: a profile of the SDK's config file."""

    config_file: Annotated[str, AfterValidator(_in_home)] = Field("~/.oci/config", description="The SDK's config file.")
    profile: Annotated[str, _PROFILE] = Field("DEFAULT", description="The profile in it.")


class OciSection(Section):
    """The user, how keys are made, and how rotator itself reaches OCI."""

    tenancy: Annotated[str, _ocid("tenancy")] = Field(description="The tenancy's OCID.")
    user: Annotated[str, _ocid("user")] = Field(description="The user's OCID.")
    compartment: Annotated[str, _ocid("compartment", "tenancy")] = Field(description="The compartment's OCID.")
    region: Annotated[str, _REGION] = Field(description="The region that the integration works in.")
    home_region: Annotated[str, _REGION] | None = Field(
        None, description="Where keys are made: the tenancy's home region; null: the region above."
    )
    admin: OciAdmin = Field(default_factory=OciAdmin, description="Who rotator is in OCI.")
    passphrase: bool = Field(
        default=False, strict=True, description="Encrypt each private key with a passphrase of its own."
    )
    pem: Literal["traditional", "pkcs8"] = Field(
        "traditional", description="How private keys are written; older clients read only the traditional form."
    )
    endpoint: Endpoint | None = Field(None, description="An Identity endpoint other than the home region's.")
    ca_file: AbsolutePath | None = Field(None, description="The CA of the endpoint; null: those of the machine.")


class OciSettings(ProviderSettings):
    """A user whose API signing key Northflank holds."""

    # https://docs.oracle.com/en-us/iaas/Content/API/Concepts/apisigningkey.htm: three API keys a user.
    slots: ClassVar[int | None] = 3
    draft: ClassVar[str] = """\
    oci:
      tenancy: ocid1.tenancy.oc1..todo  # TODO: the tenancy's OCID
      user: ocid1.user.oc1..todo{number}  # TODO: the OCID of the user whose API key Northflank holds
      compartment: ocid1.compartment.oc1..todo  # TODO: the compartment's OCID
      region: eu-frankfurt-1  # TODO: the region that the integration works in
"""

    current_key: Annotated[str, or_unmanaged(_FINGERPRINT)] | None = key_in_use(
        "The fingerprint of the key that Northflank holds now"
    )
    oci: OciSection = Field(description="The user, how keys are made, and how rotator itself reaches OCI.")

    @property
    def principal(self) -> tuple[str | None, ...]:
        """The user: OCIDs are unique."""
        return (self.oci.user,)
