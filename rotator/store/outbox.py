"""The outbox: what each sink has of the audit log, and the delivery of the rest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from rotator.audit.chain import Record
from rotator.audit.sinks import Sink
from rotator.errors import AuditError

_BATCH = 256
_KEPT = 64


class AuditLog(Protocol):
    """The audit log in the store."""

    def record(self, sequence: int) -> Record | None:
        """The record of this sequence, or None."""

    def records(self, *, after: int, limit: int) -> Sequence[Record]:
        """The records after this sequence, in order, at most `limit`."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last sequence that a sink has taken, and why it took no more, if it failed."""

    delivered: int = 0
    error: str | None = None


@dataclass(slots=True)
class _Lane:
    sink: Sink
    cursor: Cursor
    saved: Cursor
    lock: threading.Lock = field(default_factory=threading.Lock)


class Outbox:
    """Delivers to each sink on its own: one that fails or blocks holds up no other. Thread-safe.

    Cursors are saved now and then, not with each delivery. So after a crash a sink may be further than its cursor: the
    file sink sees that for itself, to others the last records are delivered again.
    """

    def __init__(
        self,
        sinks: Sequence[Sink],
        cursors: Mapping[str, Cursor],
        log: AuditLog,
        *,
        head: int,
        report: Callable[[str], None],
    ) -> None:
        self._lanes = tuple(_Lane(sink, cursors[sink.name], cursors[sink.name]) for sink in sinks)
        self._log = log
        self._head = head
        self._report = report
        self._recent: tuple[Record, ...] = ()

    def offer(self, records: Sequence[Record]) -> None:
        """Take note of records that have been committed. The caller sees to it that they come in order."""
        if records:
            follows = records[0].sequence == self._head + 1  # not after a commit that succeeded, but seemed to fail
            self._recent = (*(self._recent if follows else ()), *records)[-_KEPT:]
            self._head = records[-1].sequence

    def unsaved(self) -> dict[str, Cursor]:
        """The cursors that the store doesn't have yet, by the sink's name."""
        return {lane.sink.name: lane.cursor for lane in self._lanes if lane.cursor != lane.saved}

    def refusing(self) -> Mapping[str, str]:
        """The required sinks that did not take what they were last offered, and why."""
        return {lane.sink.name: lane.cursor.error for lane in self._lanes if lane.sink.required and lane.cursor.error}

    def saved(self, cursors: Mapping[str, Cursor]) -> None:
        """Take note of cursors that have been committed."""
        for lane in self._lanes:
            lane.saved = cursors.get(lane.sink.name, lane.saved)

    def flush(self, *, required_only: bool) -> None:
        """Deliver all that has been committed.

        Raises:
            AuditError: a required sink could not take it. Others that fail are tried again at the next flush.
        """
        failures: list[AuditError] = []
        for lane in self._lanes:
            if lane.sink.required or not required_only:
                try:
                    self._deliver(lane)
                except AuditError as error:
                    failures += [error] if lane.sink.required else []
        if failures:
            raise failures[0]

    def _deliver(self, lane: _Lane) -> None:
        with lane.lock:
            if lane.cursor.delivered >= self._head:
                return
            try:
                resumed = lane.sink.resume(lane.cursor.delivered, self._log.record)
                lane.cursor = Cursor(resumed.cursor)
                if resumed.note:
                    self._report(resumed.note)
                while batch := self._behind(lane.cursor.delivered):
                    lane.sink.write(batch)
                    lane.cursor = Cursor(batch[-1].sequence)
            except AuditError as error:
                lane.cursor = replace(lane.cursor, error=error.message)
                raise

    def _behind(self, sequence: int) -> Sequence[Record]:
        recent = self._recent
        if recent and recent[0].sequence <= sequence + 1:
            return [record for record in recent if record.sequence > sequence]
        return self._log.records(after=sequence, limit=_BATCH) if sequence < self._head else ()
