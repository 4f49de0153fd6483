"""A credential as the config names it: what is common to all clouds."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from rotator.config.policy import PolicySection
from rotator.northflank.stamp import DESCRIPTION_LIMIT
from rotator.settings.section import Section

DependentKind = Literal["clusters", "registries", "workload_identity"]


class IntegrationSection(Section):
    """One Northflank integration that a credential feeds."""

    id: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$", description="The integration's id, as Northflank's API shows it."
    )
    connection: str = Field("default", description="The connection through which it is reached.")
    description: str | None = Field(
        None,
        min_length=1,
        max_length=DESCRIPTION_LIMIT,
        # Northflank's API reference, on the description of an integration.
        pattern=r"""^[a-zA-Z0-9.,?\t\n\r \\/'"()\[\];`%^&*_:!-]+$""",
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


class CredentialSection(Section):
    """One rotated identity in one cloud. Each provider has a subclass with what it needs beside."""

    slots: ClassVar[int | None]
    """How many keys the cloud allows at a time, disabled ones included; None without a limit."""

    keyless: ClassVar[bool] = False
    """Northflank holds no secret for it: it is shown, and there is nothing to rotate."""

    supplied: ClassVar[bool] = False
    """A person makes its keys."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="What commands and logs call it.")
    provider: str = Field(description="The cloud.")
    current_key: str | None = Field(
        None, description="The id of the key that Northflank holds now; read at first contact only."
    )
    integrations: tuple[AnyIntegration, ...] = Field(min_length=1, description="The integrations that it feeds.")
    policy: PolicySection = Field(
        default_factory=PolicySection, description="Any policy key, for this credential alone."
    )

    @property
    def opener(self) -> str:
        """The entry point of its provider."""
        return self.provider

    @property
    def northflank_provider(self) -> str:
        """What Northflank must show as the provider of its integrations."""
        return self.provider

    @property
    @abstractmethod
    def principal(self) -> tuple[str | None, ...]:
        """What tells one cloud identity from another, as far as the config knows."""

    @abstractmethod
    def settings(self) -> dict[str, object]:
        """What its provider is opened with, as plain values."""
