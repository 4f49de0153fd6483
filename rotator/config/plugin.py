"""A credential of a provider that somebody else wrote, and that the config names under `plugins`."""

from __future__ import annotations

import json
from typing import ClassVar

from pydantic import Field

from rotator.config.credential import CredentialSection


class PluginCredential(CredentialSection):
    """What rotator knows of a credential whose provider it doesn't know: its settings are the provider's to judge."""

    slots: ClassVar[int | None] = None

    provider: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", description="The provider's name under `plugins`.")
    integration_provider: str | None = Field(
        None, min_length=1, description="What Northflank calls the integrations' provider; null: as it is called here."
    )
    settings_: dict[str, object] = Field(
        default_factory=dict, alias="settings", description="What the provider is opened with."
    )

    @property
    def northflank_provider(self) -> str:
        """As the config says."""
        return self.integration_provider or self.provider

    @property
    def principal(self) -> tuple[str | None, ...]:
        """Its settings: what an identity is there, only the provider knows."""
        return self.provider, json.dumps(self.settings_, sort_keys=True, default=str)

    def settings(self) -> dict[str, object]:
        """What the config says, as it stands there."""
        return dict(self.settings_)
