"""A rotation begins only if it can be finished (rule 21): so many are in hand at a time, between mint and confirm.

What is in hand is held in memory alone until Northflank has it: the end of the process loses it.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass

from rotator.model import Phase, State
from rotator.rotation.managed import Managed
from rotator.rotation.moment import Moment
from rotator.rotation.shares import Shares, Ways

FULL = "as many rotations are in hand as `in_hand` allows; this one waits for its turn"
NO_CALLS = "Northflank's rate limit leaves too few calls for the push and its confirmation; this rotation waits"


def would_mint(state: State, moment: Moment) -> bool:
    """The next step may be the begin of a rotation, or its mint."""
    if state.hold is not None or state.mint is not None or state.candidate is not None:
        return False
    idle = state.phase is Phase.IDLE and (state.asked is not None or moment.due is not None)
    return idle or state.phase is Phase.MINTING


@dataclass(frozen=True, slots=True)
class _Waiting:
    name: str
    ways: Ways


class Admission:
    """The rotations in hand, by the identity of their credentials. Thread-safe.

    Args:
        places: how many may be in hand at a time. An emergency takes no place.
    """

    def __init__(self, places: int) -> None:
        self._shares = Shares(places)
        self._lock = threading.Lock()
        self._in_hand: dict[str, Ways] = {}
        self._waiting: dict[str, _Waiting] = {}  # by identity, in the order of their coming

    def serve(self, fleet: Collection[Managed]) -> None:
        """The credentials that there are: a cloud that is slow must not take every place from the others."""
        with self._lock:
            self._shares.serve([managed.ways for managed in fleet])

    def enter(self, managed: Managed) -> str | None:
        """Take a place, and set the calls to Northflank aside that push and confirm need.

        Returns:
            None if the credential has them now, else why its rotation has to wait.
        """
        identity = managed.provider.identity
        with self._lock:
            if identity in self._in_hand:
                return None
            if not self._shares.allow(managed.ways):
                self._waiting[identity] = _Waiting(managed.name, managed.ways)
                return FULL
            self._take(managed)
        if all(target.set_aside() for target in managed.targets):
            return None
        self._leave(managed)
        return NO_CALLS

    def settle(self, managed: Managed, *, in_hand: bool) -> None:
        """Keep the place where the rotation is in hand; else leave it."""
        if not in_hand:
            self._leave(managed)
            return
        with self._lock:
            if managed.provider.identity not in self._in_hand:
                self._take(managed)

    def may_try(self) -> tuple[str, ...]:
        """The names of those that waited and for which a place is free now. Each is named once.

        Of several, those whose cloud has the fewest in hand come first, and then those that came first.
        """
        with self._lock:
            chosen: list[_Waiting] = []
            while ready := [i for i, one in self._waiting.items() if self._shares.allow(one.ways)]:
                next_one = min(ready, key=lambda i: self._shares.taken(self._waiting[i].ways))
                chosen.append(self._waiting.pop(next_one))
                self._shares.take(chosen[-1].ways)
            for one in chosen:  # it takes its place when it enters
                self._shares.leave(one.ways)
            return tuple(one.name for one in chosen)

    def _take(self, managed: Managed) -> None:
        self._in_hand[managed.provider.identity] = managed.ways
        self._shares.take(managed.ways)

    def _leave(self, managed: Managed) -> None:
        for target in managed.targets:
            target.release()
        with self._lock:
            ways = self._in_hand.pop(managed.provider.identity, None)
            if ways is not None:
                self._shares.leave(ways)
