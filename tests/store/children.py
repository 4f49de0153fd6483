"""Processes of their own, for the tests that kill, limit or race one. A fork server imports rotator only once."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from rotator.audit.sinks import FileSink
from rotator.audit.verify import verify
from rotator.errors import AuditError, StoreError
from rotator.store.backup import back_up
from tests.audit.lines import RECORDS, WHOLE, deliver, find, is_intact, upto
from tests.store.stores import START, audit_file, open_journal, told, url

_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])


class Child:
    """A process, and what it says."""

    def __init__(self, target: Callable[..., None], *arguments: object) -> None:
        self._ear, mouth = _CONTEXT.Pipe(duplex=False)
        self._process = _CONTEXT.Process(target=target, args=(mouth, *arguments))
        self._process.start()
        mouth.close()

    def hear(self) -> Any:
        """What it says next. EOFError once it is dead."""
        return self._ear.recv()

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> int:
        """Its exit code, negative for a signal."""
        self._process.join()
        self._ear.close()
        return self._process.exitcode or 0


@contextmanager
def child(target: Callable[..., None], *arguments: object) -> Iterator[Child]:
    """A process that ends with the block at the latest."""
    started = Child(target, *arguments)
    try:
        yield started
    finally:
        started.kill()
        started.end()


def _room(limit: int = resource.RLIM_INFINITY) -> None:
    """No file of this process can be longer than this: to it, the disk is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def commit_for_ever(mouth: Connection, directory: Path) -> None:
    journal = open_journal(directory)
    state = journal.load("prod")
    for attempts in count(state.attempts + 1):
        events = [told(f"attempt {attempts}, part {part}") for part in range(3)]
        journal.commit("prod", replace(state, attempts=attempts), events=events, next_at=None)
        mouth.send(("committed", attempts))
        journal.flush(required_only=True)
        mouth.send(("flushed", attempts))


def record_for_ever(mouth: Connection, directory: Path) -> None:
    journal = open_journal(directory)
    mouth.send("ready")
    while True:
        journal.record([told("busy")] * 3)
        journal.flush(required_only=True)


def die_in_the_migration(mouth: Connection, directory: Path) -> None:
    @event.listens_for(Engine, "before_cursor_execute")
    def _die_at_the_last_table(*arguments: Any) -> None:
        if "CREATE TABLE outbox" in arguments[2]:
            mouth.send("dying")
            os.kill(os.getpid(), signal.SIGKILL)

    open_journal(directory)


def back_up_on_a_full_disk(mouth: Connection, directory: Path, destination: Path) -> None:
    _room(50_000)  # enough for SQLite's index of the WAL
    try:
        back_up(url(directory), destination, at=START)
    except StoreError as error:
        mouth.send(error)


def back_up_and_die(mouth: Connection, directory: Path, destination: Path, event: str) -> None:
    """Die right before the first such thing (an audit event of Python's) is done to the copy."""

    def _die(happening: str, arguments: tuple[object, ...]) -> None:
        if happening == event and destination.name in str(arguments[0]):
            mouth.send("dying")
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(_die)
    back_up(url(directory), destination, at=START)


def modes_without_a_umask(mouth: Connection, directory: Path) -> None:
    os.umask(0)
    open_journal(directory).flush(required_only=False)
    data = directory / "data"
    mouth.send({path.name: path.stat().st_mode & 0o7777 for path in (data, *data.iterdir())})


def commit_on_a_full_disk(mouth: Connection, directory: Path) -> None:
    """Each commit finds a few bytes more room than the last one: the disk is full at another place each time."""
    journal = open_journal(directory)
    wal = directory / "data" / "rotator.db-wal"
    state, refused = journal.load("prod"), []
    for attempts in range(1, 40):
        _room(wal.stat().st_size + attempts * 1000)
        try:
            journal.commit("prod", replace(state, attempts=attempts), events=[told("x" * 900)] * 3, next_at=None)
        except StoreError as error:
            _room()
            refused.append((bool(error.remedy), journal.load("prod") == state))
        else:
            state = replace(state, attempts=attempts)
    _room()
    journal.commit("prod", replace(state, attempts=99), events=[told("there is room again")], next_at=None)
    journal.flush(required_only=True)
    mouth.send(refused)


def touch_on_a_full_disk(mouth: Connection, directory: Path) -> None:
    """What the journal says of itself before the disk is full, while it is, and after."""
    journal = open_journal(directory)
    journal.touch()
    seen = [journal.writable]
    _room((directory / "data" / "rotator.db-wal").stat().st_size)
    try:
        journal.touch()
    except StoreError:
        seen.append(journal.writable)
    _room()
    journal.touch()
    mouth.send([*seen, journal.writable])


def deliver_on_a_full_disk(mouth: Connection, path: Path) -> None:
    sink = FileSink(path)
    sink.write(RECORDS[: sink.resume(0, find).cursor + 3])
    for room in range(len(upto(3)), len(WHOLE), 100):
        _room(room)
        try:
            deliver(sink, 3)
        except AuditError as error:
            mouth.send((error.message, path.read_bytes()))
    _room()
    deliver(sink, 3)
    mouth.send(None)


def verify_a_long_log(mouth: Connection, directory: Path) -> None:
    """20,000 records of 1.2 kB: 24 MB in the store, and as much in the file."""
    journal = open_journal(directory)
    for _ in range(20):
        journal.record([told("x" * 900)] * 1000)
    journal.flush(required_only=True)
    progress: list[int] = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    intact = is_intact(verify(journal.reader, audit_file(directory), progress=progress.append))
    mouth.send((intact, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, progress))
