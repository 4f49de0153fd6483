"""Six records, the file that they make, and what the outbox does with a sink."""

from __future__ import annotations

from datetime import UTC, datetime

from rotator.audit.chain import Record, genesis, link
from rotator.audit.event import Event, EventName
from rotator.audit.sinks import Resumed, Sink
from rotator.audit.verify import Report

RECORDS = link(
    genesis("7f3a91c2"),
    [Event(event=EventName.FINDING, reason=f"number {number} ünï") for number in range(1, 7)],
    at=datetime(2026, 11, 23, tzinfo=UTC),
    fence=1,
)


def upto(sequence: int) -> bytes:
    """The file with this record as the last one."""
    return b"".join(record.line + b"\n" for record in RECORDS[:sequence])


WHOLE = upto(6)


def find(sequence: int) -> Record | None:
    """What the store answers."""
    return RECORDS[sequence - 1] if 0 < sequence <= len(RECORDS) else None


def deliver(sink: Sink, cursor: int) -> Resumed:
    """What the outbox does."""
    resumed = sink.resume(cursor, find)
    sink.write(RECORDS[resumed.cursor :])
    return resumed


def is_intact(report: Report) -> bool:
    """Nothing bad was found, neither in the store nor in the file."""
    return all(walk is None or walk.finding is None for walk in (report.store, report.file))
