"""`rotator run`: the service, and one pass of it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import structlog

from rotator.cli.session import CLOCK, Session
from rotator.cli.wiring import fleet_of, own_store
from rotator.clock import new_id
from rotator.config.satisfiable import warnings
from rotator.errors import ExitCode
from rotator.host.systemd import Notifier
from rotator.rotation.engine import Engine
from rotator.service.daemon import WORKERS, Daemon
from rotator.service.once import run_once
from rotator.store.journal import Journal

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("rotator.service")


def serve(session: Session) -> NoReturn:
    """Run until a signal ends it.

    Raises:
        OtherOwner: another process owns the store.
        RotatorError: the store or a provider can't be opened.
    """
    for warning in warnings(session.config):
        log.warning(warning)
    fleet = fleet_of(session.config)
    with own_store(session.config, fleet, stdout=True) as journal:
        notifier = Notifier(os.environ)
        daemon = Daemon(session.path, session.config, fleet, journal, CLOCK, notifier=notifier, new_id=new_id)
        code = daemon.run()
    end_now(code)


def once(session: Session) -> NoReturn:
    """One pass; see `once.run_once`."""
    fleet = fleet_of(session.config)
    with own_store(session.config, fleet, stdout=True) as journal, engine_of(journal) as (engine, stop):
        code = run_once(fleet, journal, engine, clock=CLOCK, stop=stop)
    end_now(code)


@contextmanager
def engine_of(journal: Journal) -> Iterator[tuple[Engine, threading.Event]]:
    """An engine that begins no new change after SIGTERM or SIGINT, and the event that such a signal sets."""
    engine = Engine(journal, CLOCK, new_id=new_id, threads=2 * WORKERS)
    stop = threading.Event()

    def end(*_: object) -> None:
        engine.drain()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    yield engine, stop


def end_now(code: ExitCode) -> NoReturn:
    """Without waiting for the threads of calls that were given up: the journal has them as unknown."""
    sys.stderr.flush()  # not stdout: the audit sink has flushed what it wrote, and is waiting if nobody reads it
    os._exit(code)
