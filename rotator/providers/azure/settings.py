"""A credential in Azure: an app registration whose client secret Northflank holds."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from rotator.settings.secret import SecretRef
from rotator.settings.section import (
    AbsolutePath,
    Endpoint,
    Evidence,
    Form,
    ProviderSettings,
    Section,
    key_in_use,
    or_unmanaged,
)

_GUID = Form(
    r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$", "a GUID, like 11111111-1111-1111-1111-111111111111"
)


class AzureAdmin(Section):
    """Who rotator is in Azure. All null: the workload or managed identity, as azure-identity finds it."""

    client_id: Annotated[str, _GUID] | None = Field(None, description="rotator's own application (client) id.")
    secret: SecretRef | None = Field(None, description="Where its client secret is.")
    certificate: AbsolutePath | None = Field(
        None, description="Its certificate and private key, a PEM or PKCS#12 file."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.secret is not None and self.certificate is not None:
            raise ValueError("secret and certificate are two ways to say who rotator is; allowed is one")
        if self.client_id is None and (self.secret is not None or self.certificate is not None):
            raise ValueError("a secret or certificate belongs to a client_id")
        return self


class AzureSection(Section):
    """The application, and how rotator itself reaches Azure."""

    tenant_id: Annotated[str, _GUID] = Field(description="The tenant's id.")
    client_id: Annotated[str, _GUID] = Field(description="The application (client) id.")
    object_id: Annotated[str, _GUID] = Field(description="The object id that the integration is given.")
    subscription_id: Annotated[str, _GUID] = Field(description="The subscription that the integration works in.")
    admin: AzureAdmin = Field(default_factory=AzureAdmin, description="Who rotator is in Azure.")
    evidence: Evidence = Field(
        "auto",
        description="Ask Graph's beta reports when a secret was last used, a day late. auto: where rotator has "
        "AuditLog.Read.All; true: rotator must have it; false: never.",
    )
    authority: Endpoint | None = Field(
        None, description="Where tokens come from, https; null: AZURE_AUTHORITY_HOST, or the public cloud's."
    )
    graph_url: Endpoint | None = Field(None, description="Microsoft Graph; null: that of the authority's cloud.")
    management_url: Endpoint | None = Field(
        None, description="Azure Resource Manager; null: that of the authority's cloud."
    )
    ca_file: AbsolutePath | None = Field(None, description="The CA of the endpoints; null: those of the machine.")

    @field_validator("authority")
    @classmethod
    def _encrypted(cls, authority: str | None) -> str | None:
        if authority is not None and not authority.startswith("https://"):
            raise ValueError("tokens come by https, from loopback as well: azure-identity refuses anything else")
        return authority

    @model_validator(mode="after")
    def _not_itself(self) -> Self:
        if self.admin.client_id is not None and self.admin.client_id.lower() == self.client_id.lower():
            raise ValueError("admin.client_id is the application itself: rotator would revoke its own secret")
        return self


class AzureSettings(ProviderSettings):
    """An app registration whose client secret Northflank holds."""

    slots: ClassVar[int | None] = None
    draft: ClassVar[str] = """\
    azure:
      tenant_id: 00000000-0000-0000-0000-{number:012d}  # TODO: the tenant's id
      client_id: 00000000-0000-0000-0000-{number:012d}  # TODO: the application (client) id
      object_id: 00000000-0000-0000-0000-{number:012d}  # TODO: the object id that the integration was given
      subscription_id: 00000000-0000-0000-0000-{number:012d}  # TODO: the subscription's id
"""

    current_key: Annotated[str, or_unmanaged(_GUID)] | None = key_in_use(
        "The keyId of the secret that Northflank holds now"
    )
    azure: AzureSection = Field(description="The application, and how rotator itself reaches Azure.")

    @field_validator("current_key")
    @classmethod
    def _as_graph_writes_it(cls, key_id: str | None) -> str | None:
        return key_id.lower() if key_id is not None else None

    @property
    def shows_use(self) -> bool:
        """Graph's report is asked for."""
        return self.azure.evidence is not False

    @property
    def principal(self) -> tuple[str | None, ...]:
        """The application in its tenant."""
        return self.azure.tenant_id.lower(), self.azure.client_id.lower()
