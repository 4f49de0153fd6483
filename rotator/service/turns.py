"""Which credential a free worker takes next: what is in hand before what isn't, then the more urgent (rule 21)."""

from __future__ import annotations

import itertools
import queue
from datetime import datetime
from enum import IntEnum

from rotator.model import Phase, State
from rotator.rotation.managed import Managed
from rotator.rotation.moment import overdue

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


class Turns:
    """The credentials that are to be looked at now. Thread-safe."""

    def __init__(self) -> None:
        self._order = itertools.count()
        self._ready: queue.PriorityQueue[tuple[Rank, int, str]] = queue.PriorityQueue()

    def offer(self, name: str, rank: Rank) -> None:
        """This credential is ready for a worker."""
        self._ready.put((rank, next(self._order), name))

    def take(self) -> str:
        """The most urgent one; among equals, the one that came first. One must have been offered."""
        return self._ready.get_nowait()[2]
