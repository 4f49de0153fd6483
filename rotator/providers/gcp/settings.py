"""A credential in Google Cloud: a service account whose key file Northflank holds, or one that needs no key."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

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

_ACCOUNT = Form(
    r"^[a-z0-9][a-z0-9-]{0,62}@[a-z0-9.:-]{1,200}\.gserviceaccount\.com$",
    "a service account's address, like northflank@my-project.iam.gserviceaccount.com",
)
_DOMAIN = Form(r"^[a-z0-9.-]{1,253}$", "a domain in small letters, like googleapis.com")
_KEY = Form(r"^[0-9a-f]{40}$", "a key's id: 40 digits and letters from a to f, as `private_key_id` in its file")


class OwnGcpCredentials(Section):
    """Where rotator's own credentials in Google Cloud are."""

    file: AbsolutePath | None = Field(
        None, description="A credentials file (a key, workload identity federation); null: the SDK's default chain."
    )


class GcpSection(Section):
    """How keys are made, and how rotator itself reaches Google Cloud."""

    key_origin: Literal["upload", "google"] = Field(
        "upload", description="upload: the key pair is made here, Google gets its certificate; google: Google makes it."
    )
    credentials: OwnGcpCredentials = Field(
        default_factory=OwnGcpCredentials, description="Where rotator's own credentials are."
    )
    endpoint: Endpoint | None = Field(None, description="An IAM endpoint other than the SDK's.")
    token_uri: Endpoint | None = Field(None, description="Where a fresh key is proved; null: Google's own.")
    universe_domain: Annotated[str, _DOMAIN] = Field(
        "googleapis.com", description="The domain of a sovereign cloud's services."
    )
    evidence: Evidence = Field(
        "auto",
        description="Ask the policy analyzer when a key was last used, a day late. auto: where rotator has the right; "
        "true: rotator must have it; false: never.",
    )
    analyzer_url: Endpoint | None = Field(None, description="Where the policy analyzer is asked; null: Google's own.")
    ca_file: AbsolutePath | None = Field(None, description="The CA of the endpoints; null: those of the machine.")


class GcpSettings(ProviderSettings):
    """A service account whose key file Northflank holds."""

    # https://cloud.google.com/iam/quotas: ten keys a service account.
    slots: ClassVar[int | None] = 10
    draft: ClassVar[str] = "    service_account: {service_account}\n"

    service_account: Annotated[str, _ACCOUNT] = Field(description="The service account's e-mail address.")
    current_key: Annotated[str, or_unmanaged(_KEY)] | None = key_in_use(
        "The id of the key that Northflank holds now (private_key_id)"
    )
    gcp: GcpSection = Field(
        default_factory=GcpSection, description="How keys are made, and how rotator reaches Google Cloud."
    )

    @property
    def shows_use(self) -> bool:
        """The policy analyzer is asked; with auto not where Google's own address may be out of reach or another's."""
        own = self.gcp.endpoint is None and self.gcp.universe_domain == "googleapis.com"
        return self.gcp.evidence is True or (self.gcp.evidence == "auto" and (own or self.gcp.analyzer_url is not None))

    @property
    def principal(self) -> tuple[str | None, ...]:
        """The service account: its address is unique in its universe."""
        return self.service_account, self.gcp.universe_domain


class GcpKeylessSettings(ProviderSettings):
    """An integration with Google Cloud that impersonates a service account: there is no key to rotate."""

    slots: ClassVar[int | None] = None
    draft: ClassVar[str] = "    service_account: {service_account}\n"
    keyless: ClassVar[bool] = True

    service_account: Annotated[str, _ACCOUNT] = Field(description="The service account's e-mail address.")

    @property
    def principal(self) -> tuple[str | None, ...]:
        """The service account, keyless."""
        return (self.service_account,)


def project_of(email: str) -> str | None:
    """The id of its project; None for the accounts that Google makes, and of projects that are named after a domain."""
    domain = email.partition("@")[2].removesuffix(".gserviceaccount.com")
    project, _, kind = domain.rpartition(".")
    return project if kind == "iam" and project and "." not in project else None
