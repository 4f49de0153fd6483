"""What there is little of is shared out: no cloud, and no token of Northflank's, takes all of it from the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

Ways = frozenset[str]
"""What a credential's calls go through, each of which may become slow: its cloud, and tokens of Northflank."""


class Shares:
    """Who has how much of a limited number. Not thread-safe: its user holds a lock.

    A way that only a part of the fleet takes gets three quarters at most, so that a quarter is left for the others at
    any time. What the whole fleet takes has no others to leave anything for.

    Args:
        total: how much there is.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._most = max(1, total * 3 // 4)
        self._limited: Ways = frozenset()
        self._taken: Counter[str] = Counter()
        self._count = 0

    def serve(self, fleet: Collection[Ways]) -> None:
        """The ways of all credentials that there are."""
        everywhere = frozenset.intersection(*fleet) if fleet else frozenset()
        self._limited = frozenset().union(*fleet) - everywhere

    @property
    def left(self) -> int:
        """How much nothing has; below zero where more was taken than there is."""
        return self._total - self._count

    def allow(self, ways: Ways) -> bool:
        """Something that goes these ways may take one."""
        return self.left > 0 and all(self._taken[way] < self._most for way in ways & self._limited)

    def taken(self, ways: Ways) -> int:
        """How many the busiest of these ways has, of those that not the whole fleet takes."""
        return max((self._taken[way] for way in ways & self._limited), default=0)

    def take(self, ways: Ways) -> None:
        """One is taken, whether or not there was one."""
        self._count += 1
        self._taken.update(ways)

    def leave(self, ways: Ways) -> None:
        """One is given back."""
        self._count -= 1
        self._taken.subtract(ways)
