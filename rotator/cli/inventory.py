"""The integrations that Northflank has: of every connection of a config, or of the token in the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from rotator.config.models import ConnectionSection
from rotator.errors import CallFailed, UsageError
from rotator.host import logs
from rotator.northflank.answers import Item
from rotator.northflank.client import Connection
from rotator.settings.secret import SecretRef

# The names that Northflank's own clients read; the first of each that is set counts.
_TOKENS = ("NORTHFLANK_API_TOKEN", "NF_API_TOKEN")
_ADDRESSES = ("NORTHFLANK_API_BASE_URL", "NF_API_HOST")


@dataclass(frozen=True, slots=True)
class Inventory:
    """What the connections showed: each integration with its connection's name, and why a connection can't be read."""

    items: tuple[tuple[str, Item], ...]
    unread: Mapping[str, CallFailed]


def from_environment(team: str | None, environ: Mapping[str, str]) -> ConnectionSection:
    """The connection that a person has before there is a config, by the variables of Northflank's own clients.

    Args:
        team: the team's id, for a token of an organisation.
        environ: holds the token and, where it isn't the usual one, the address of the API.

    Raises:
        UsageError: there is no token, or a value can't be used.
    """
    logs.set_up("warning")
    variable = next((name for name in _TOKENS if environ.get(name)), None)
    if variable is None:
        raise UsageError(
            f"no config was named, and there is no token in {' or '.join(_TOKENS)}.",
            remedy=f"export {_TOKENS[0]}, which needs Account > Cloud > Integrations > Read.",
        )
    section = {"token": SecretRef(env=variable), "team": team}
    address = next((environ[name] for name in _ADDRESSES if environ.get(name)), None)
    try:
        return ConnectionSection.model_validate(section | ({} if address is None else {"api_url": address}))
    except ValidationError:
        wrong = f"--team or {' or '.join(_ADDRESSES)}"
        raise UsageError(f"the value of {wrong} can't be used.", remedy="https://api.northflank.com") from None


def list_all(connections: Mapping[str, Connection]) -> Inventory:
    """All integrations of all connections, all pages. A connection that fails doesn't keep the others from telling."""
    items: list[tuple[str, Item]] = []
    unread: dict[str, CallFailed] = {}
    for name, connection in connections.items():
        try:
            items += [(name, item) for item in connection.list_integrations()]
        except CallFailed as failure:
            unread[name] = failure
    return Inventory(tuple(items), unread)
