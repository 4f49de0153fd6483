"""A credential of a provider that third parties wrote, and that the config names under `plugins`."""

from __future__ import annotations

import json
from typing import Annotated, ClassVar

from pydantic import Field, ValidationInfo, field_validator

from rotator.config.credential import CredentialSection
from rotator.providers.base import Provider, Tools
from rotator.providers.registry import plugin
from rotator.settings.section import Form

PLUGINS = "plugins"
"""In the context of a validation: the plugins that the config names. No other is loaded to judge its settings."""


PLUGIN_NAME = Form(
    r"^[a-z0-9][a-z0-9_-]{0,62}$",
    "a name: small letters, digits, hyphens and underscores, the first no hyphen or underscore, like acme",
)


class PluginCredential(CredentialSection):
    """What rotator knows of a credential whose provider it doesn't know: the settings are as the plugin says."""

    slots: ClassVar[int | None] = None

    provider: Annotated[str, PLUGIN_NAME] = Field(description="The provider's name under `plugins`.")
    integration_provider: str | None = Field(
        None, min_length=1, description="What Northflank calls the integrations' provider; null: as it is called here."
    )
    settings: dict[str, object] = Field(default_factory=dict, description="What the provider is opened with.")

    @field_validator("settings")
    @classmethod
    def _as_the_plugin_has_them(cls, settings: dict[str, object], info: ValidationInfo) -> dict[str, object]:
        provider = info.data.get("provider")
        if isinstance(provider, str) and info.context is not None and provider in info.context[PLUGINS]:
            found = plugin(provider)
            if found is not None:  # else it is reported where it is opened
                found.settings.model_validate(settings)
        return settings

    @property
    def shows_use(self) -> bool:
        """Only the provider knows, once it is opened: nothing is refused for it before."""
        return True

    @property
    def northflank_provider(self) -> str:
        """As the config says."""
        return self.integration_provider or self.provider

    @property
    def principal(self) -> tuple[str | None, ...]:
        """Its settings: what an identity is there, only the provider knows."""
        return (json.dumps(self.settings, sort_keys=True, default=str),)

    def open(self, tools: Tools) -> Provider:
        """As the plugin does."""
        found = plugin(self.provider)
        if found is None:
            raise ImportError(self.provider)
        return found.open(found.settings.model_validate(self.settings), tools)

    def rights(self) -> str | None:
        """As the plugin states them."""
        found = plugin(self.provider)
        if found is None or found.rights is None:
            return None
        return found.rights(found.settings.model_validate(self.settings))
