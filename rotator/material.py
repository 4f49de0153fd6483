"""The secret half of a key. It lives in memory only and prints as asterisks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class Material:
    """The complete credential set of one key, as Northflank's update endpoint takes it.

    Args:
        fields: Northflank's field names and their values, each in a type that hides itself.
    """

    fields: Mapping[str, SecretStr]

    def reveal(self) -> dict[str, str]:
        """The plain values. Call it where the request body or the signature is made, and nowhere else."""
        return {name: value.get_secret_value() for name, value in self.fields.items()}

    def __reduce__(self) -> str:
        raise TypeError("material is never serialised")
