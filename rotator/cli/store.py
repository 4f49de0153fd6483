"""`rotator store`: what an operator does with the store itself."""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rotator.cli.options import ConfigPath, JsonOption
from rotator.cli.render import note, progress_if_slow, say, show_json
from rotator.cli.session import CLOCK, begin
from rotator.config.models import Config
from rotator.errors import ExitCode, UsageError
from rotator.store import backup

_GUIDE = "docs/upgrade.md#put-a-backup-back"
_STOPPED = 128 + signal.SIGTERM


store = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@store.callback()
def _store() -> None:
    """A family, though it has one command as yet."""


@store.command(
    "backup", help="Copy the store while it is in use. Checks the copy before it gets its name; overwrites nothing."
)
def store_backup(
    destination: Annotated[
        Path, typer.Argument(metavar="DEST", help="A new file, a directory, or - for standard output.")
    ],
    path: ConfigPath = None,
    as_json: JsonOption = False,
) -> ExitCode:
    """Copy the store to a new file."""
    config = begin(path).config
    # As at Ctrl-C, what was begun is taken away: a timer's unit or `timeout` ends its commands so.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_STOPPED))
    if str(destination) == "-":
        return _send(config, as_json=as_json)
    with progress_if_slow("copying and checking the store ..."):
        made = backup.back_up(config.store.url, destination, at=CLOCK.now())
    if as_json:
        show_json(asdict(made))
        return ExitCode.FINE
    say(f"{made.path}: {_described(made)}")
    note(f"The copy is the journal of this moment. Before you put it back after later rotations, read {_GUIDE}.")
    return ExitCode.FINE


def _send(config: Config, *, as_json: bool) -> ExitCode:
    """To standard output, which a shell or another machine has opened. What is said goes to standard error."""
    if sys.stdout.isatty():
        raise UsageError(
            "a backup is no text for a terminal.", remedy="write `rotator store backup - >FILE`; FILE must not exist."
        )
    with progress_if_slow("copying and checking the store ..."):
        made = backup.send(config.store.url, sys.stdout.buffer, at=CLOCK.now())
    note(json.dumps(asdict(made), default=str) if as_json else f"standard output: {_described(made)}")
    return ExitCode.FINE


def _described(made: backup.Backup) -> str:
    return f"{made.records} audit records, schema {made.schema}, {made.size} bytes, checked"
