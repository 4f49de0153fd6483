"""One thread at a time for each credential (P6), seen to be alive while it waits for its turn and while it works."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from rotator.rotation.pulse import Pulse

_SIGN_EVERY = 5.0
"""Seconds between signs of life of a thread that waits."""


class Turns:
    """Gives each credential to one thread at a time."""

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Wait until nobody else works at this credential; nobody else does in the `with` block."""
        lock = self._locks[name]
        while not lock.acquire(timeout=_SIGN_EVERY):
            self._pulse.beat()  # for what else this thread is at: whoever has the turn gives signs of its own
        try:
            with self._pulse.working(name):
                yield
        finally:
            lock.release()
