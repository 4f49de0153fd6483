"""Time as a test moves it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

MONDAY = datetime(2026, 11, 23, 10, tzinfo=UTC)
"""When every test begins."""


class Clock:
    """Time that runs as fast as the machine's, from `MONDAY` on, and ahead as a test says.

    `now` and `monotonic` are what rotator reads; `world` is what everybody else does.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._ahead = timedelta(0)
        self._wrong_by = timedelta(0)
        self.lag = timedelta(0)
        """How much time passes at each look at the clock: a machine under load."""

    def now(self) -> datetime:
        self.advance(self.lag)
        return self.world() + self._wrong_by

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead.total_seconds()

    def world(self) -> datetime:
        return MONDAY + timedelta(seconds=time.monotonic() - self._began) + self._ahead

    def advance(self, by: timedelta) -> None:
        """Let time pass, for everybody."""
        self._ahead += by

    def jump(self, by: timedelta) -> None:
        """Move the wall clock of rotator's machine, and nothing else."""
        self._wrong_by += by


class Seconds:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now
