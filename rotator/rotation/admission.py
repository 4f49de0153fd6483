"""A rotation begins only if it can be finished (rule 21): so many are in hand at a time, between mint and confirm.

What is in hand is held in memory alone until Northflank has it: the end of the process loses it.
"""

from __future__ import annotations

import threading

from rotator.model import Phase, State
from rotator.rotation.managed import Managed
from rotator.rotation.moment import Moment

FULL = "as many rotations are in hand as `in_hand` allows; this one waits for its turn"
NO_CALLS = "Northflank's rate limit leaves too few calls for the push and its confirmation; this rotation waits"


def would_mint(state: State, moment: Moment) -> bool:
    """The next step may be the begin of a rotation, or its mint."""
    if state.hold is not None or state.mint is not None or state.candidate is not None:
        return False
    idle = state.phase is Phase.IDLE and (state.asked is not None or moment.due is not None)
    return idle or state.phase is Phase.MINTING


class Admission:
    """The rotations in hand, by the identity of their credentials. Thread-safe.

    Args:
        places: how many may be in hand at a time. An emergency takes no place.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._lock = threading.Lock()
        self._in_hand: set[str] = set()
        self._waiting: dict[str, str] = {}  # identity: name, in the order of their coming

    def enter(self, managed: Managed) -> str | None:
        """Take a place, and set the calls to Northflank aside that push and confirm need.

        Returns:
            None if the credential has them now, else why its rotation has to wait.
        """
        identity = managed.provider.identity
        with self._lock:
            if identity in self._in_hand:
                return None
            if len(self._in_hand) >= self._places:
                self._waiting[identity] = managed.name
                return FULL
            self._in_hand.add(identity)
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
            self._in_hand.add(managed.provider.identity)

    def may_try(self) -> tuple[str, ...]:
        """The names of those that waited and for which a place is free now. Each is named once."""
        with self._lock:
            free = self._places - len(self._in_hand)
            chosen = tuple(self._waiting)[: max(free, 0)]
            return tuple(self._waiting.pop(identity) for identity in chosen)

    def _leave(self, managed: Managed) -> None:
        for target in managed.targets:
            target.release()
        with self._lock:
            self._in_hand.discard(managed.provider.identity)
