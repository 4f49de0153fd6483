"""Time and ids, injected wherever they are needed."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from ulid import ULID


class Clock(Protocol):
    """The wall clock, and one that never jumps."""

    def now(self) -> datetime:
        """The wall clock, aware UTC."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment of this process."""


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The clocks of this machine."""

    def now(self) -> datetime:
        """The wall clock, aware UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some fixed moment of this process."""
        return time.monotonic()


def new_id() -> str:
    """A fresh id that sorts by time (a ULID)."""
    return str(ULID())


def fraction() -> float:
    """A random number in [0, 1), for the jitter of a backoff."""
    return random.random()  # noqa: S311  # spreads retries, protects nothing
