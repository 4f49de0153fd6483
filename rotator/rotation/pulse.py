"""Signs of life: whether the work goes on, or some part of it has been stuck for too long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Pulse:
    """When each part of the work last gave a sign of life. Thread-safe.

    A part is whatever must not fall silent: a loop that comes round again and again, or a piece of work while it lasts.
    No silence counts once the work is over.

    Args:
        monotonic: seconds since some fixed moment.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._signs: dict[str, float] = {}
        self._lock = threading.Lock()
        self._mine = threading.local()

    def now(self) -> float:
        """Seconds since that moment."""
        return self._monotonic()

    def mark(self, part: str) -> None:
        """A sign of life of this part. From now on its silence counts."""
        with self._lock:
            self._signs[part] = self._monotonic()

    def beat(self) -> None:
        """A sign of life of whatever this thread works at."""
        now = self._monotonic()
        with self._lock:
            self._signs |= dict.fromkeys(self._parts(), now)

    @contextmanager
    def working(self, part: str) -> Iterator[None]:
        """This thread works at that part; its silence counts until it is done."""
        parts = self._parts()
        parts.append(part)
        self.mark(part)
        try:
            yield
        finally:
            parts.pop()
            with self._lock:
                self._signs.pop(part, None)

    def quietest(self) -> tuple[str, float]:
        """The part that has been silent for longest, and for how many seconds. Nothing at all has no silence."""
        with self._lock:
            part, sign = min(self._signs.items(), key=lambda each: each[1], default=("nothing", self._monotonic()))
            return part, self._monotonic() - sign

    def _parts(self) -> list[str]:
        parts: list[str] = self._mine.__dict__.setdefault("parts", [])
        return parts
