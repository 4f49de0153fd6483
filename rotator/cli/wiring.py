"""For commands that reach outside, or take the store over: the credentials wired, the store as its owner.

Apart from `session`, so that a command that only looks at the store need not load an HTTP client.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from rotator.audit.sinks import FileSink, JournalSink, Sink, StdoutSink
from rotator.cli.session import CLOCK, refuse_keyless
from rotator.config.models import Config, ConnectionSection
from rotator.errors import UsageError
from rotator.host import core_dumps, journald
from rotator.northflank.client import Connection
from rotator.service.fleet import Fleet, assemble, connect, register
from rotator.store.journal import Journal


def fleet_of(config: Config, names: Iterable[str] = ()) -> Fleet:
    """The config's credentials, wired: those named, or all. The secrets behind them are in memory from here on.

    Raises:
        UsageError: the config has no such credential, it is keyless, or its provider isn't installed.
    """
    core_dumps.forbid()
    wanted = frozenset(names)
    known = {section.name: section for section in config.credentials}
    if missing := sorted(wanted - known.keys()):
        raise UsageError(f"{', '.join(missing)} is not in the config.", remedy=f"it has: {', '.join(sorted(known))}.")
    refuse_keyless(config, wanted)
    chosen = tuple(section for name, section in known.items() if not wanted or name in wanted)
    return assemble(config.model_copy(update={"credentials": chosen}), CLOCK, httpx.Client())


def connections_of(sections: Mapping[str, ConnectionSection]) -> Mapping[str, Connection]:
    """The ways to Northflank alone, by name: no provider is opened. Tokens are in memory from here on."""
    core_dumps.forbid()
    return connect(sections, CLOCK, httpx.Client())


@contextmanager
def own_store(config: Config, fleet: Fleet, *, stdout: bool) -> Iterator[Journal]:
    """The store as its owner, with every credential of the config in it.

    Args:
        config: names the store and the audit log's sinks.
        fleet: all of the config's credentials.
        stdout: standard output may be an audit sink; else the next service's gets what is told now.

    Raises:
        OtherOwner: another process owns it.
        UsageError: the audit log must go to standard output, which has another use here.
        StoreError: it can't be used.
    """
    audit = config.audit
    if not stdout and "stdout" in audit.require:
        raise UsageError(
            "audit.require wants every event on standard output, where this command answers; nothing was changed.",
            remedy="let the service do it: `rotator run`.",
        )
    sinks: list[Sink] = []
    if audit.file is not None:
        sinks.append(FileSink(Path(audit.file), required="file" in audit.require))
    if stdout and audit.stdout:
        sinks.append(_stdout(required="stdout" in audit.require))
    with Journal.open(config.store.url, sinks=sinks, clock=CLOCK.now) as journal:
        register(fleet, journal)
        yield journal


def _stdout(*, required: bool) -> Sink:
    if journald.connected(sys.stdout.fileno()):
        return JournalSink(journald.JournalSocket(), required=required)
    return StdoutSink(sys.stdout.buffer, required=required)
