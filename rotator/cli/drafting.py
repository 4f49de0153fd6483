"""`rotator init`: a config to begin with, written from what Northflank shows. Secrets stay where they are."""

from __future__ import annotations

import os
from pathlib import Path

from rotator.cli.draft import draft
from rotator.cli.inventory import from_environment
from rotator.cli.render import progress_if_slow, say
from rotator.cli.wiring import connections_of
from rotator.errors import CallFailed, ExitCode, UsageError
from rotator.northflank.answers import Item
from rotator.northflank.client import Connection


def init(output: Path, *, team: str | None, force: bool) -> ExitCode:
    """Write the config.

    Args:
        output: the file.
        team: the team's id, for a token of an organisation.
        force: replace the file if it exists.

    Raises:
        UsageError: there is no token, nothing to rotate, or the file exists or can't be written.
        CallFailed: Northflank can't be asked.
    """
    if output.exists() and not force:
        raise _exists(output)
    section = from_environment(team, os.environ)
    connection = connections_of({"default": section})["default"]
    with progress_if_slow("asking Northflank for its integrations ..."):
        items = [_in_full(connection, item) for item in connection.list_integrations()]
    made = draft(section, items)
    if not made.credentials:
        raise UsageError(
            f"of {len(items)} integrations none is one that rotator can rotate; nothing was written.",
            remedy="`rotator discover` lists them. Is it the right team?",
        )
    try:
        with output.open("w" if force else "x", encoding="utf-8") as file:
            file.write(made.text)
    except FileExistsError:
        raise _exists(output) from None
    except OSError as error:
        raise UsageError(f"{output} can't be written: {error.strerror}.", remedy="--output names another.") from None
    say(f"{output} is written: credentials: {made.credentials}, integrations left alone: {len(made.left)}.")
    say(f"Replace what is marked TODO in it, then: rotator check --config {output}")
    return ExitCode.FINE


def _exists(output: Path) -> UsageError:
    return UsageError(f"{output} exists; nothing was written.", remedy="--output names another, --force replaces it.")


def _in_full(connection: Connection, item: Item) -> Item:
    """With the service account, which Northflank shows of one integration and not in its list."""
    if item.project is None or item.service_account is not None:
        return item
    try:
        return connection.integration(item.id, urgent=False)
    except CallFailed:
        return item
