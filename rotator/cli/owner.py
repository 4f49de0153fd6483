"""Processes that own the store: the service, one pass of it, and one request carried out in the owner's place.

Apart from the commands, which load this file only when they need an engine and an HTTP client.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import structlog

from rotator.audit.sinks import FileSink, JournalSink, Sink, StdoutSink
from rotator.cli.options import Manner
from rotator.cli.request import NewRequest, show_answer, submit
from rotator.cli.session import CLOCK, Session
from rotator.cli.wiring import fleet_of
from rotator.clock import new_id
from rotator.config.models import Config
from rotator.config.satisfiable import warnings
from rotator.errors import ExitCode, UsageError
from rotator.host import journald, logs
from rotator.host.systemd import Notifier
from rotator.rotation.engine import Engine
from rotator.service.daemon import Daemon
from rotator.service.exposure import refuse_exposed
from rotator.service.fleet import Fleet, register
from rotator.service.once import run_once
from rotator.store.journal import Journal

_LAST_LINES = 1.0
"""Seconds that the last log lines get to be written."""

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("rotator.service")


def serve(session: Session) -> NoReturn:
    """Run until a signal ends it.

    Raises:
        OtherOwner: another process owns the store.
        RotatorError: the store or a provider can't be opened.
    """
    for warning in warnings(session.config):
        log.warning(warning)
    fleet = _fleet(session)
    with _own_store(session.config, fleet, stdout=True) as journal:
        notifier = Notifier(os.environ)
        daemon = Daemon(session.path, session.config, fleet, journal, CLOCK, notifier=notifier, new_id=new_id)
        code = daemon.run()
    _end_now(code)


def one_pass(session: Session) -> NoReturn:
    """Make one pass; see `once.run_once`. Raises what `serve` does."""
    fleet = _fleet(session)
    with (
        _own_store(session.config, fleet, stdout=True) as journal,
        _engine_of(session.config, journal) as (engine, stop),
    ):
        code = run_once(fleet, journal, engine, clock=CLOCK, stop=stop, workers=session.config.workers)
    _end_now(code)


def carry_out(session: Session, request: NewRequest, manner: Manner) -> NoReturn:
    """Own the store, answer the request, take its credential as far as it goes without a long wait, and end.

    Raises:
        OtherOwner: the store has an owner; ask that one.
        RotatorError: the store or a provider can't be opened.
    """
    fleet = _fleet(session)
    with (
        _own_store(session.config, fleet, stdout=False) as journal,
        _engine_of(session.config, journal) as (engine, stop),
    ):
        row = submit(session, request, manner)
        names = [name for name in fleet.managed if name == request.credential]
        code = run_once(fleet, journal, engine, clock=CLOCK, stop=stop, workers=session.config.workers, names=names)
        answered = show_answer(journal.reader.request(row.request_id) or row, manner)
    _end_now(answered if answered is not ExitCode.FINE else code)


def _fleet(session: Session) -> Fleet:
    """The config's credentials, wired. Raises UsageError where others can write what they go by."""
    beside = (str(session.path),)
    fleet = fleet_of(session.config, beside=beside)
    refuse_exposed(session.config, fleet.managed.values(), beside)
    return fleet


@contextmanager
def _own_store(config: Config, fleet: Fleet, *, stdout: bool) -> Iterator[Journal]:
    """The store as its owner, with every credential of the config in it.

    Args:
        config: names the store and the audit log's sinks.
        fleet: all of the config's credentials.
        stdout: standard output may be an audit sink; else the next service writes these events to it.

    Raises:
        OtherOwner: another process owns it.
        UsageError: the audit log must go to standard output, which has another use here.
        StoreError: it can't be used.
    """
    audit = config.audit
    if not stdout and "stdout" in audit.require:
        raise UsageError(
            "audit.require names stdout, where this command prints its answer; nothing was changed.",
            remedy="start the service (`rotator run`), then give the command without --standalone.",
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


@contextmanager
def _engine_of(config: Config, journal: Journal) -> Iterator[tuple[Engine, threading.Event]]:
    """An engine that begins no new change after SIGTERM or SIGINT, and the event that such a signal sets."""
    engine = Engine(journal, CLOCK, new_id=new_id, threads=config.workers, in_hand=config.in_hand)
    stop = threading.Event()

    def end(*_: object) -> None:
        engine.drain()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    yield engine, stop


def _end_now(code: ExitCode) -> NoReturn:
    """Without waiting for the threads of calls that were given up: the journal has them as unknown."""
    logs.drain(_LAST_LINES)  # no stream is flushed: that would wait for one that is stuck
    os._exit(code)
