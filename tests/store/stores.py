"""What the tests of the store and of the audit log share: a store in a directory, and a clock that ticks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from rotator.audit.event import Event, EventName, Result
from rotator.audit.sinks import FileSink, Sink
from rotator.store.journal import Journal
from rotator.store.registry import Registration

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


class TickingClock:
    """A second passes at each look."""

    def __init__(self) -> None:
        self._seconds = count()

    def __call__(self) -> datetime:
        return START + timedelta(seconds=next(self._seconds))


def url(directory: Path) -> str:
    return f"sqlite:///{directory / 'data' / 'rotator.db'}"


def audit_file(directory: Path) -> Path:
    return directory / "data" / "audit.jsonl"


def open_journal(directory: Path, *sinks: Sink, credentials: Sequence[str] = ("prod",)) -> Journal:
    """The journal of the store in `directory`, with its audit file unless other sinks are given."""
    journal = Journal.open(url(directory), sinks=sinks or (FileSink(audit_file(directory)),), clock=TickingClock())
    journal.register([Registration(name, "aws", f"aws:user/{name}") for name in credentials])
    return journal


def told(reason: str, name: EventName = EventName.ROTATION_PHASE, credential: str = "prod") -> Event:
    return Event(event=name, outcome=Result.FACT, credential=credential, provider="aws", reason=reason)
