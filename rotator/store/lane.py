"""One sink's way out of the store, on a thread of its own: a sink that blocks holds up that thread alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from rotator.audit.sinks import Sink
from rotator.errors import AuditError, RotatorError, StoreError

PATIENCE = 5.0
"""Seconds without any progress after which a sink is stuck. A disk or a pipe takes milliseconds."""

_LAST = 1.0
"""Seconds that a delivery under way gets at the end."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last sequence that a sink has taken, and why it took no more, if it failed."""

    delivered: int = 0
    error: str | None = None


class Lane:
    """Has one sink brought up to date whenever that is asked for, one delivery after the other. Thread-safe.

    Args:
        sink: the sink.
        cursor: what the store says that it has.
        deliver: brings the sink up to date and moves the lane's cursor; raises RotatorError if it can't.

    Attributes:
        saved: the cursor as the store has it.
    """

    def __init__(self, sink: Sink, cursor: Cursor, deliver: Callable[[Lane], None]) -> None:
        self.sink = sink
        self.saved = self._cursor = cursor
        self._deliver = deliver
        self._changed = threading.Condition()
        self._asked = self._begun = self._done = 0
        self._failure: RotatorError | None = None
        self._stuck = self._ended = False
        threading.Thread(target=self._run, name=f"audit sink {sink.name}", daemon=True).start()

    @property
    def cursor(self) -> Cursor:
        """What the sink has taken; where it is stuck, that is its error."""
        with self._changed:
            return replace(self._cursor, error=_stuck(self.sink).message) if self._stuck else self._cursor

    def moved(self, delivered: int) -> None:
        """Take note of what the sink has taken."""
        with self._changed:
            self._cursor = replace(self._cursor, delivered=delivered)
            self._stuck = False

    def ask(self) -> int:
        """Ask for a delivery of all that is in the store now. Returns its number, to wait for."""
        with self._changed:
            self._asked += 1
            self._changed.notify_all()
            return self._asked

    def wait(self, number: int) -> None:
        """Wait until this delivery is over; not at all where the sink is known to be stuck.

        Raises:
            AuditError: the sink could not take it, is stuck, or has too much to take.
            StoreError: the records can't be read.
        """
        with self._changed:
            before = self._cursor.delivered
            if not self._changed.wait_for(lambda: self._done >= number, 0.0 if self._stuck else PATIENCE):
                self._stuck = self._cursor.delivered == before
                raise _stuck(self.sink) if self._stuck else _behind(self.sink)
            if self._failure is not None:
                raise type(self._failure)(self._failure.message, remedy=self._failure.remedy)

    def end(self) -> None:
        """Begin no further delivery, and give one that is under way a moment to end."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
            if not self._stuck:
                self._changed.wait_for(lambda: self._done == self._begun, _LAST)

    def _run(self) -> None:
        while self._next():
            failure: RotatorError | None = None
            try:
                self._deliver(self)
            except RotatorError as error:
                failure = error
            except Exception as bug:  # noqa: BLE001  # a broken sink must not end its thread, on which others wait
                broke = f"the audit sink {self.sink.name} broke in an unforeseen way: {type(bug).__name__}"
                failure = AuditError(broke, remedy="report it; rotator tries again.")
            with self._changed:
                self._done, self._failure, self._stuck = self._begun, failure, False
                if not isinstance(failure, StoreError):  # which says nothing about the sink
                    self._cursor = replace(self._cursor, error=None if failure is None else failure.message)
                self._changed.notify_all()

    def _next(self) -> bool:
        """Wait until a delivery is asked for. False where there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._asked > self._begun or self._ended)
            self._begun = self._done if self._ended else self._asked
            return not self._ended


def _stuck(sink: Sink) -> AuditError:
    return AuditError(
        f"the audit sink {sink.name} takes nothing: what it was given {PATIENCE:.0f} s ago is not taken yet",
        remedy="look at what reads it, or at its disk; rotator goes on by itself once it takes records again.",
    )


def _behind(sink: Sink) -> AuditError:
    return AuditError(
        f"the audit sink {sink.name} is still taking earlier records", remedy="wait: rotator goes on when it has them."
    )
