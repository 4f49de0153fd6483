"""When a key was used, for a cloud that reports it late: the latest use that the report has by now."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime

_GRAIN = 10.0
"""Seconds of which only the first and the last use are kept: a consumer uses its key all the time, for days."""


class Uses:
    """The uses of one key. Not thread-safe."""

    def __init__(self) -> None:
        self._seen: OrderedDict[int, tuple[datetime, datetime]] = OrderedDict()

    def note(self, at: datetime) -> None:
        """It was used now (aware UTC)."""
        grain = int(at.timestamp() // _GRAIN)
        first, _ = self._seen.get(grain, (at, at))
        self._seen[grain] = (first, at)

    def latest(self, until: datetime) -> datetime | None:
        """The last use up to this moment, which never goes back; None if there was none."""
        while len(self._seen) > 1 and self._second() <= until:
            self._seen.popitem(last=False)
        uses = next(iter(self._seen.values()), ())
        return max((at for at in uses if at <= until), default=None)

    def _second(self) -> datetime:
        grains = iter(self._seen.values())
        next(grains)
        return next(grains)[0]
