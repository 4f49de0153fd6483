"""A clock that a test moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Stepped:
    """Both clocks, together; they stand still until `step` is called."""

    def __init__(self) -> None:
        self._passed = timedelta()

    def step(self, **by: float) -> None:
        self._passed += timedelta(**by)

    def now(self) -> datetime:
        return datetime(2026, 11, 23, 12, tzinfo=UTC) + self._passed

    def monotonic(self) -> float:
        return 1000.0 + self._passed.total_seconds()
