"""A workload that uses the key which Northflank holds, as production does: several times a second, all the time."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

import httpx

from rotator.sandbox.scene import Regenerated, Scene


@dataclass(frozen=True, slots=True)
class Tally:
    """How often the consumer called its cloud, how often it was refused, and what it heard the first time.

    Args:
        foreseen: refusals of a key that an operator ended before its successor could be pushed; not in `failed`.
    """

    calls: int = 0
    failed: int = 0
    foreseen: int = 0
    first_failure: str = ""

    def after(self, failure: str, *, foreseen: bool) -> Tally:
        """The tally with one more call in it."""
        if not failure:
            return replace(self, calls=self.calls + 1)
        if foreseen:
            return replace(self, calls=self.calls + 1, foreseen=self.foreseen + 1)
        first = self.first_failure or failure
        return replace(self, calls=self.calls + 1, failed=self.failed + 1, first_failure=first)


class Consumer:
    """Uses the held key on a thread of its own, between entering and leaving its `with` block.

    Args:
        northflank: the address of the Northflank stand-in.
        scene: the cloud, and how a key is used there.
        every: seconds between two calls.
    """

    def __init__(self, northflank: str, scene: Scene, *, every: float = 0.2) -> None:
        self._held_url = f"{northflank}/_sandbox/integrations/{scene.name}/held"
        self._scene = scene
        self._every = every
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._tally = Tally()
        self._thread = threading.Thread(target=self._work, name=f"consumer of {scene.name}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def tally(self) -> Tally:
        """What came of the calls so far."""
        with self._lock:
            return self._tally

    def _work(self) -> None:
        with httpx.Client(timeout=10) as http:
            while not self._stop.wait(self._every):
                held = http.get(self._held_url).json()
                failure = self._scene.use(held)
                foreseen = bool(failure) and isinstance(self._scene, Regenerated) and self._scene.awaiting(held)
                with self._lock:
                    self._tally = self._tally.after(failure, foreseen=foreseen)
