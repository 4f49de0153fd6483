"""The rate limit: one budget per token, shared by all that use it. Nothing here waits; it says how long to wait.

Northflank allows 1000 requests an hour and says in each answer how many are left (`x-ratelimit-limit`, `-remaining`,
`-reset`, the last in seconds from then).
"""

from __future__ import annotations

import threading
from datetime import timedelta
from http import HTTPStatus

from pydantic import SecretStr

from rotator.clock import Clock
from rotator.http.answers import Answer, NoAnswer, number_in, until_reset

_RESERVED = 20
"""One call of this many is kept for pushes and confirms."""


class RateLimits:
    """The budgets of all tokens of this process. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._budgets: dict[SecretStr, Budget] = {}

    def of(self, token: SecretStr) -> Budget:
        """The budget of this token."""
        with self._lock:
            return self._budgets.setdefault(token, Budget(self._clock))


class Budget:
    """What is left of one token's calls. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._limit = 0
        self._left: int | None = None  # by the latest answer; None before an answer has one
        self._resets_at = 0.0
        self._blocked_until = 0.0
        self._under_way = 0
        self._set_aside: dict[str, int] = {}

    def set_aside(self, purpose: str, calls: int) -> bool:
        """Keep so many calls for a purpose until `release`; only urgent calls may use them.

        Returns:
            False if the limit does not leave them now; nothing is kept then.
        """
        with self._lock:
            self._set_aside.pop(purpose, None)
            known = self._left is not None and self._clock.monotonic() < self._resets_at
            if known and (self._left or 0) - self._under_way - self._kept() < calls:
                return False
            self._set_aside[purpose] = calls
            return True

    def release(self, purpose: str) -> None:
        """Keep nothing for it any more."""
        with self._lock:
            self._set_aside.pop(purpose, None)

    def _kept(self) -> int:
        return self._limit // _RESERVED + sum(self._set_aside.values())

    def admit(self, *, urgent: bool) -> timedelta | None:
        """Ask to make one call; `finished` must follow if it is allowed.

        Args:
            urgent: a push, or a read that a push waits for. Others leave a reserve for these.

        Returns:
            None if the call may be made, else how long to wait before asking again.
        """
        with self._lock:
            now = self._clock.monotonic()
            if now < self._blocked_until:
                return timedelta(seconds=self._blocked_until - now)
            if self._left is not None and now < self._resets_at:
                reserve = 0 if urgent else self._kept()
                if self._left - self._under_way <= reserve:
                    return timedelta(seconds=self._resets_at - now)
            self._under_way += 1
            return None

    def finished(self, result: Answer | NoAnswer) -> None:
        """Learn from what came of the call."""
        with self._lock:
            self._under_way -= 1
            if isinstance(result, NoAnswer):
                return
            now = self._clock.monotonic()
            left = number_in(result.headers.get("x-ratelimit-remaining"))
            if left is not None:
                self._left = left
                self._limit = number_in(result.headers.get("x-ratelimit-limit")) or 0
                self._resets_at = now + until_reset(result.headers).total_seconds()
            wait = result.retry_after
            if result.status == HTTPStatus.TOO_MANY_REQUESTS and wait is not None:
                self._blocked_until = max(self._blocked_until, now + wait.total_seconds())
