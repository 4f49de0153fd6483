"""One list of all integrations, shared by all pollers: one call for 100 integrations."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

from rotator.clock import Clock
from rotator.northflank.answers import Item


@dataclass(frozen=True, slots=True)
class _Listing:
    asked_at: float
    items: Future[Mapping[str, Item]] = field(default_factory=Future)

    def failed(self) -> bool:
        return self.items.done() and self.items.exception() is not None


class SharedPoll:
    """The latest list of one connection. Thread-safe.

    Args:
        read: reads all integrations; may raise CallFailed.
        clock: its monotonic clock dates the lists.
    """

    def __init__(self, read: Callable[[], Iterable[Item]], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()
        self._latest: _Listing | None = None

    def since(self, moment: float) -> Mapping[str, Item]:
        """All integrations by id, from a list that was asked for at `moment` (monotonic seconds) or later.

        Those who need a new list at the same time share one, or its failure.

        Raises:
            CallFailed: the list could not be read.
        """
        with self._lock:
            latest = self._latest
            mine = latest is None or latest.asked_at < moment or latest.failed()
            if latest is None or mine:
                latest = self._latest = _Listing(self._clock.monotonic())
        if mine:
            try:
                latest.items.set_result({item.id: item for item in self._read()})
            except BaseException as failure:
                latest.items.set_exception(failure)  # whatever it is, no other thread may wait for ever
                raise
        return latest.items.result()
