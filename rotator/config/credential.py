"""A credential as the config names it: what is common to all clouds."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from rotator.config.policy import PolicySection
from rotator.northflank.stamp import DESCRIPTION_LIMIT
from rotator.providers.base import Provider, Tools
from rotator.settings.section import Form, ProviderSettings, Section

_ID = Form(
    r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$",
    "an id: letters, digits, hyphens and underscores, at most 100, the first no hyphen or underscore, like prod-aws",
)
_NAME = Form(
    r"^[a-z0-9][a-z0-9-]{0,62}$",
    "a name: small letters, digits and hyphens, at most 63, the first no hyphen, like prod-aws",
)
_TEXT = Form(
    # Northflank's API reference, on the description of an integration.
    r"""^[a-zA-Z0-9.,?\t\n\r \\/'"()\[\];`%^&*_:!-]+$""",
    "a text that Northflank takes: plain ASCII without # @ + = { } < > | ~ $, like Owned by the platform team",
)

DependentKind = Literal["clusters", "registries", "workload_identity"]


class IntegrationSection(Section):
    """One Northflank integration that a credential feeds."""

    id: Annotated[str, _ID] = Field(description="The integration's id, as Northflank's API shows it.")
    connection: str = Field("default", description="The connection through which it is reached.")
    description: Annotated[str, Field(min_length=1, max_length=DESCRIPTION_LIMIT), _TEXT] | None = Field(
        None,
        description="The text before the stamp; null: whatever stands there. Shortened where room is short.",
    )
    dependents: tuple[DependentKind, ...] = Field(
        (), description="What is compared with its state before the push, once the push is confirmed."
    )


def _integration(value: object) -> object:
    return {"id": value} if isinstance(value, str) else value


AnyIntegration = Annotated[
    IntegrationSection, BeforeValidator(_integration, json_schema_input_type=str | IntegrationSection)
]


class CredentialSection(ProviderSettings):
    """One rotated identity in one cloud: what is common to all of them."""

    name: Annotated[str, _NAME] = Field(description="What commands and logs call it.")
    provider: str = Field(description="The cloud.")
    current_key: str | None = Field(
        None,
        description="The id of the key that Northflank holds now; unmanaged: Northflank holds none of the listed keys. "
        "Read at first contact only.",
    )
    integrations: tuple[AnyIntegration, ...] = Field(min_length=1, description="The integrations that it feeds.")
    policy: PolicySection = Field(
        default_factory=PolicySection, description="Any policy key, for this credential alone."
    )

    @property
    def northflank_provider(self) -> str:
        """What Northflank must show as the provider of its integrations."""
        return self.provider

    @abstractmethod
    def open(self, tools: Tools) -> Provider:
        """Open its provider. Nothing is asked of the cloud.

        Raises:
            ImportError: there is no such provider, or something that it needs isn't installed.
            RotatorError: it can't be opened as configured.
        """

    @abstractmethod
    def rights(self) -> str | None:
        """The least rights that rotator needs for it, to paste; None where there is no such text. Loads no SDK."""
