"""Which credential a free worker takes next: what is in hand before what isn't, then the more urgent (rule 21)."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from rotator.model import Phase, State
from rotator.rotation.managed import Managed
from rotator.rotation.moment import overdue
from rotator.rotation.shares import Shares, Ways

_RETIRING = frozenset({Phase.GRACE, Phase.DISABLING, Phase.QUARANTINE, Phase.DELETING})


class Rank(IntEnum):
    """How urgent a look at a credential is; the lowest goes first."""

    IN_HAND = 0  # a candidate exists in memory alone, or may
    EMERGENCY = 1  # a key leaked, or no key is confirmed to be held
    OVERDUE = 2
    DUE = 3  # a rotation, or a step of an old key's way out
    LOOK = 4


def rank(managed: Managed, state: State, now: datetime) -> Rank:
    """How urgent a look is, as far as the journal says."""
    if state.mint is not None or state.candidate is not None:
        return Rank.IN_HAND
    leaked = state.emergency or (state.asked is not None and state.asked.emergency)
    if leaked or (state.in_flight and state.current is None):
        return Rank.EMERGENCY
    if overdue(state, managed.policy, now):
        return Rank.OVERDUE
    due_at = managed.calendar.due_at(state)
    due = state.asked is not None or (due_at is not None and due_at <= now)
    return Rank.DUE if due or state.phase in _RETIRING or state.phase is Phase.MINTING else Rank.LOOK


@dataclass(frozen=True, slots=True)
class Turn:
    """A credential that a worker has taken, until the worker is done with it."""

    name: str
    ways: Ways


_Waiting = tuple[Rank, int, str]
"""Its rank, its place in the order of coming, and its name."""


class Turns:
    """The credentials that are to be looked at now, and those that are looked at. Thread-safe.

    Args:
        workers: how many there are.
    """

    def __init__(self, workers: int) -> None:
        self._order = itertools.count()
        self._lock = threading.Lock()
        self._shares = Shares(workers)
        self._ready: dict[Ways, list[_Waiting]] = {}
        self._at_work: set[str] = set()
        self._again: dict[str, tuple[Rank, Ways]] = {}

    def serve(self, fleet: Iterable[Managed]) -> None:
        """The credentials that there are."""
        with self._lock:
            self._shares.serve([managed.ways for managed in fleet])

    def offer(self, name: str, rank: Rank, ways: Ways) -> None:
        """This credential is ready for a worker; one that a worker has already, once that worker is done."""
        with self._lock:
            if name in self._at_work:
                self._again[name] = (rank, ways)
            else:
                heapq.heappush(self._ready.setdefault(ways, []), (rank, next(self._order), name))

    def take(self) -> Turn | None:
        """The most urgent one; among equals, of the cloud that is worked at least, and then the one that came first.

        Returns:
            None if none is ready, or if what is ready has its share of the workers: one of these takes it when done.
        """
        with self._lock:
            while (ways := self._next()) is not None:
                _, _, name = heapq.heappop(self._ready[ways])
                if not self._ready[ways]:
                    del self._ready[ways]
                if name not in self._at_work:
                    self._at_work.add(name)
                    self._shares.take(ways)
                    return Turn(name, ways)
            return None

    def done(self, turn: Turn) -> None:
        """The worker is done with it."""
        with self._lock:
            self._at_work.discard(turn.name)
            self._shares.leave(turn.ways)
            again = self._again.pop(turn.name, None)
        if again is not None:
            self.offer(turn.name, *again)

    def _next(self) -> Ways | None:
        """The ways of the most urgent one that may be taken now."""
        open_ = [ways for ways in self._ready if self._shares.allow(ways)]
        return min(
            open_, key=lambda w: (self._ready[w][0][0], self._shares.taken(w), self._ready[w][0][1]), default=None
        )
