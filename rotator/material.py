"""A key as Northflank takes it: its public fields, and its secret half, which lives in memory only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The complete credential set of one key, by the names of Northflank's update endpoint.

    Args:
        public: the fields that may be shown: ids, regions, addresses. A key's id is read here.
        secret: all others, each value in a type that prints as asterisks.
        parts: the secrets in `secret`, where its values hold more than that: the private key of a key file that names
            its account as well. None: each value is one.
    """

    public: Mapping[str, str] = field(default_factory=dict)
    secret: Mapping[str, SecretStr]
    parts: tuple[SecretStr, ...] | None = None

    @property
    def guarded(self) -> tuple[SecretStr, ...]:
        """What no message may repeat."""
        return tuple(self.secret.values()) if self.parts is None else self.parts

    def reveal(self) -> dict[str, str]:
        """All fields in the clear, for a request body. One field alone is read from `public` or `secret`."""
        return {**self.public, **{name: value.get_secret_value() for name, value in self.secret.items()}}

    def __reduce__(self) -> str:
        raise TypeError("material is never serialised")
