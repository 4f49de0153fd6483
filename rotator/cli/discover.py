"""`rotator discover`: every integration that Northflank has, and which credential of the config names it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from rotator.cli.options import ConfigPath, JsonOption, Team
from rotator.cli.render import note, progress_if_slow, say, show_json, show_table
from rotator.cli.session import CLOCK, begin, read_store
from rotator.cli.wiring import connections_of, from_environment
from rotator.config.credential import CredentialSection
from rotator.config.models import Config
from rotator.errors import CallFailed, ExitCode, StoreError, UsageError
from rotator.model import State
from rotator.northflank.answers import Item
from rotator.northflank.client import Connection
from rotator.northflank.stamp import pushed_on

_HEADINGS = ("INTEGRATION", "NAME", "PROVIDER", "MODE", "KEY AGE", "MANAGED BY", "CONNECTION")
_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Inventory:
    """What the connections showed: each integration with its connection's name, and why a connection can't be read."""

    items: tuple[tuple[str, Item], ...]
    unread: Mapping[str, CallFailed]


@dataclass(frozen=True, slots=True)
class Discovered:
    """One integration, and what rotator has to do with it.

    Args:
        connection: the name of the way to it.
        item: what Northflank shows.
        section: the credential of the config that names it, if one does.
        age: of the key that it is known to hold, if it is.
    """

    connection: str
    item: Item
    section: CredentialSection | None
    age: timedelta | None

    def document(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "connection": self.connection,
            "id": self.item.id,
            "name": self.item.name,
            "provider": self.item.provider,
            "mode": self.item.mode,
            "age_seconds": self.age,
            "managed": self.section is not None,
            "credential": self.section.name if self.section is not None else None,
        }

    def cells(self) -> tuple[object, ...]:
        """For the table, in the order of its headings."""
        item, section = self.item, self.section
        by = None if section is None else f"{section.name} (keyless)" if section.keyless else section.name
        return (
            item.id,
            item.name,
            item.provider,
            item.mode or _UNKNOWN,
            _UNKNOWN if self.age is None else self.age,
            by,
            self.connection,
        )


def discover(path: ConfigPath = None, team: Team = None, as_json: JsonOption = False) -> ExitCode:
    """List the integrations of every connection. ERROR if one can't be read.

    Raises:
        UsageError: there is neither a config nor a token, or a team beside a config.
    """
    config = begin(path).config if path is not None else None
    if config is not None and team is not None:
        raise UsageError("the config says which team each connection is for.", remedy="remove --team or --config.")
    sections = {"default": from_environment(team, os.environ)} if config is None else config.northflank
    with progress_if_slow(f"asking Northflank for the integrations of {', '.join(sections)} ..."):
        inventory = _list_all(connections_of(sections))
    discovered = _discovered(inventory, config)
    if as_json:
        unread = {name: str(failure) for name, failure in inventory.unread.items()}
        show_json({"integrations": [one.document() for one in discovered], "unread": unread})
    else:
        _show(discovered, inventory)
    return ExitCode.ERROR if inventory.unread else ExitCode.FINE


def _show(discovered: list[Discovered], inventory: Inventory) -> None:
    show_table(_HEADINGS, [one.cells() for one in discovered])
    left = sum(one.section is None for one in discovered)
    if left:
        say(f"\n{left} of {len(discovered)} are not managed. `rotator init` writes a config for those it can manage.")
    for name, failure in inventory.unread.items():
        note(f"\n{name}: {failure}")


def _discovered(inventory: Inventory, config: Config | None) -> list[Discovered]:
    sections: Mapping[tuple[str, str], CredentialSection] = {}
    states: Mapping[str, State] = {}
    if config is not None:
        sections = {(one.connection, one.id): section for section in config.credentials for one in section.integrations}
        states = _states(config)
    now = CLOCK.now()
    found: list[Discovered] = []
    for connection, item in inventory.items:
        section = sections.get((connection, item.id))
        since = _held_since(item, states.get(section.name) if section is not None else None)
        age = max(now - since, timedelta(0)) if since is not None else None
        found.append(Discovered(connection, item, section, age))
    return found


def _states(config: Config) -> dict[str, State]:
    """What the journal knows; nothing where there is none yet, or none that this user may read."""
    try:
        with read_store(config) as reader:
            return {row.name: row.state for row in reader.credentials()}
    except StoreError:
        return {}


def _held_since(item: Item, state: State | None) -> datetime | None:
    """How old the key in it is: by the journal, else by the stamp, which is from the day of its push."""
    if state is not None and state.current_since is not None and item.id in state.confirmed_in:
        return state.current_since
    day = pushed_on(item.description)
    return datetime.combine(day, time(tzinfo=UTC)) if day is not None else None


def _list_all(connections: Mapping[str, Connection]) -> Inventory:
    """All integrations of all connections, all pages. A connection that fails leaves the others readable."""
    items: list[tuple[str, Item]] = []
    unread: dict[str, CallFailed] = {}
    for name, connection in connections.items():
        try:
            items += [(name, item) for item in connection.list_integrations()]
        except CallFailed as failure:
            unread[name] = failure
    return Inventory(tuple(items), unread)
