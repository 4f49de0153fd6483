"""`rotator audit`: verify the chain, and show the events."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from rotator.audit.chain import Record
from rotator.audit.verify import Walk, verify, verify_rotated
from rotator.cli.options import ConfigPath, JsonOption
from rotator.cli.render import progress, say, show_json
from rotator.cli.session import begin, read_store
from rotator.cli.timeline import fields_of, line_of
from rotator.errors import ExitCode

_POLL = 0.5  # seconds

audit = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@audit.command("verify", help="Verify the chain in the store and in the file. Names the first bad record of each.")
def audit_verify(
    rotated: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="Files moved away.", show_default=False),
    ] = None,
    path: ConfigPath = None,
    as_json: JsonOption = False,
) -> ExitCode:
    """Walk the store and the file, and files that were moved away. ERROR names the first bad record of each."""
    config = begin(path).config
    file = Path(config.audit.file) if config.audit.file is not None else None
    with read_store(config) as reader:
        report = verify(reader, file, progress=_progress)
        walks = [walk for walk in (report.store, report.file) if walk is not None]
        walks += [verify_rotated(reader, moved, progress=_progress) for moved in rotated or ()]
    intact = all(walk.finding is None for walk in walks)
    if as_json:
        show_json({"intact": intact, "walks": [_document(walk) for walk in walks]})
    else:
        for walk in walks:
            say(_sentence(walk))
    return ExitCode.FINE if intact else ExitCode.ERROR


def _progress(records: int) -> None:
    progress(f"{records} records checked ...")


def _sentence(walk: Walk) -> str:
    if walk.finding is not None:
        return f"{walk.where}: BROKEN at {walk.finding}"
    pending = f", {walk.pending} not yet delivered" if walk.pending else ""
    begin = f" from record {walk.first} on" if walk.records and walk.first != 1 else ""
    return f"{walk.where}: intact, {walk.records} records{begin}{pending}"


def _document(walk: Walk) -> dict[str, object]:
    finding = walk.finding
    found = {"record": finding.record, "line": finding.line, "problem": finding.problem} if finding else None
    return {
        "where": walk.where,
        "records": walk.records,
        "first": walk.first,
        "pending": walk.pending,
        "finding": found,
    }


@audit.command("tail", help="Show the newest audit events.")
def audit_tail(
    path: ConfigPath = None,
    count: Annotated[int, typer.Option("-n", min=1, help="How many events to show.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show new events too, until Ctrl-C.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the records as the file has them, a line each.")
    ] = False,
) -> ExitCode:
    """The last events, and with `follow` those that come, until Ctrl-C."""
    with read_store(begin(path).config) as reader:
        records = reader.newest(count)
        while True:
            _print(records, as_json=as_json)
            if not follow:
                return ExitCode.FINE
            last = records[-1].sequence if records else 0
            while not (records := reader.records(after=last)):
                time.sleep(_POLL)


def _print(records: Iterable[Record], *, as_json: bool) -> None:
    for record in records:
        say(record.line.decode() if as_json else line_of(fields_of(record)))
