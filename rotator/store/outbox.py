"""The outbox: what each sink has of the audit log, and the delivery of the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from rotator.audit.chain import Record
from rotator.audit.sinks import Sink
from rotator.errors import AuditError
from rotator.store.lane import Cursor, Lane

_BATCH = 256
_KEPT = 64


class AuditLog(Protocol):
    """The audit log in the store."""

    def record(self, sequence: int) -> Record | None:
        """The record of this sequence, or None."""

    def records(self, *, after: int, limit: int) -> Sequence[Record]:
        """The records after this sequence, in order, at most `limit`."""


class Outbox:
    """Delivers to each sink on its own: one that fails or is stuck holds up no other. Thread-safe.

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
        self._log = log
        self._head = head
        self._report = report
        self._recent: tuple[Record, ...] = ()
        self._lanes = tuple(Lane(sink, cursors[sink.name], self._deliver) for sink in sinks)

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
        return self._failing(required=True)

    def lagging(self) -> Mapping[str, str]:
        """The other sinks that did not: nothing waits for them."""
        return self._failing(required=False)

    def _failing(self, *, required: bool) -> Mapping[str, str]:
        lanes = (lane for lane in self._lanes if lane.sink.required is required)
        return {lane.sink.name: error for lane in lanes if (error := lane.cursor.error)}

    def saved(self, cursors: Mapping[str, Cursor]) -> None:
        """Take note of cursors that have been committed."""
        for lane in self._lanes:
            lane.saved = cursors.get(lane.sink.name, lane.saved)

    def flush(self, *, required_only: bool) -> None:
        """Deliver all that has been committed. A sink that is stuck is waited for once, `lane.PATIENCE` long.

        Raises:
            AuditError: a required sink could not take it, or is stuck. Others are tried again at the next flush.
            StoreError: the records can't be read.
        """
        failures: list[AuditError] = []
        asked = [(lane, lane.ask()) for lane in self._lanes if lane.sink.required or not required_only]
        for lane, number in asked:
            try:
                lane.wait(number)
            except AuditError as error:
                failures += [error] if lane.sink.required else []
        if failures:
            raise failures[0]

    def close(self) -> None:
        """Deliver nothing any more."""
        for lane in self._lanes:
            lane.end()

    def _deliver(self, lane: Lane) -> None:
        delivered = lane.cursor.delivered
        if delivered >= self._head:
            return
        resumed = lane.sink.resume(delivered, self._log.record)
        lane.moved(resumed.cursor)
        if resumed.note:
            self._report(resumed.note)
        while batch := self._behind(lane.cursor.delivered):
            lane.sink.write(batch)
            lane.moved(batch[-1].sequence)

    def _behind(self, sequence: int) -> Sequence[Record]:
        recent = self._recent
        if recent and recent[0].sequence <= sequence + 1:
            return [record for record in recent if record.sequence > sequence]
        return self._log.records(after=sequence, limit=_BATCH) if sequence < self._head else ()
