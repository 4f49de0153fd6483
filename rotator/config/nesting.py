"""Names with `__` in them as nested mappings, by pydantic-settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource

from rotator.config.environment import NESTED, PREFIX
from rotator.config.models import Config


def nested(values: Mapping[str, object]) -> dict[str, object]:
    """Put values, already read, under variables' names in lower case, into the mappings that the names spell."""
    return _Variables(values)()


class _Variables(EnvSettingsSource):
    """A source of pydantic-settings that reads no environment, and no value."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values
        # Of the settings class it reads what every model has: a class made for it would be validated for nothing.
        super().__init__(cast("type[BaseSettings]", Config), env_prefix=PREFIX, env_nested_delimiter=NESTED)

    def _load_env_vars(self) -> Any:
        return self._values

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:  # noqa: ARG002  # theirs
        return value
