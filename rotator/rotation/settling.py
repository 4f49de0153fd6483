"""When `settle` is over for each credential, by the monotonic clock: no jump of the wall clock can cut it short."""

from __future__ import annotations

from datetime import timedelta


class Settling:
    """Since when a late effect of this process's own calls can still come, for each credential. Times in seconds."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def begin(self, name: str, monotonic: float) -> None:
        """A call was left without an answer: `settle` begins now."""
        self._since[name] = monotonic

    def left(self, name: str, settle: timedelta, monotonic: float) -> timedelta:
        """How much of `settle` is left; zero once it is over."""
        since = self._since.get(name)
        if since is None:
            return timedelta(0)
        return max(timedelta(0), settle - timedelta(seconds=monotonic - since))
