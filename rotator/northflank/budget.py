"""The rate limit: one budget per token, shared by all that use it. Nothing here waits; it says how long to wait.

Northflank allows 1000 requests an hour and tells with each answer how many are left (`x-ratelimit-limit`, `-remaining`,
`-reset`, the last in seconds from then).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from pydantic import SecretStr

from rotator.clock import Clock
from rotator.http.exchange import Answer, NoAnswer

_RESERVED = 20
"""One call of this many is kept for pushes and confirms."""
_UNTOLD = timedelta(seconds=60)
_LONGEST = timedelta(hours=1)
"""The limit's own period. Told to wait longer, we ask again after this: it costs one call."""


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
        self._left: int | None = None  # by the latest answer; None where no answer has told
        self._resets_at = 0.0
        self._blocked_until = 0.0
        self._under_way = 0

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
                reserve = 0 if urgent else self._limit // _RESERVED
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
            left = _number(result.headers.get("x-ratelimit-remaining"))
            if left is not None:
                self._left = left
                self._limit = _number(result.headers.get("x-ratelimit-limit")) or 0
                self._resets_at = now + _until_reset(result.headers).total_seconds()
            wait = retry_after(result, self._clock.now())
            if result.status == HTTPStatus.TOO_MANY_REQUESTS and wait is not None:
                self._blocked_until = max(self._blocked_until, now + wait.total_seconds())


def retry_after(answer: Answer, now: datetime) -> timedelta | None:
    """How long the answer asks us to wait, at most an hour; None if it doesn't.

    A 429 that doesn't say means the time until the limit's reset, and if that isn't told either, a minute.

    Args:
        answer: the answer.
        now: the wall clock (aware UTC), for an answer that names a moment but has no Date.
    """
    text = answer.headers.get("retry-after")
    moment = _date(text)
    asked = _seconds(text) if moment is None else moment - (_date(answer.headers.get("date")) or now)
    if asked is not None and asked > timedelta(0):
        return min(asked, _LONGEST)
    return _until_reset(answer.headers) if answer.status == HTTPStatus.TOO_MANY_REQUESTS else None


def _until_reset(headers: Mapping[str, str]) -> timedelta:
    return min(_seconds(headers.get("x-ratelimit-reset")) or _UNTOLD, _LONGEST)


def _seconds(text: str | None) -> timedelta | None:
    number = _number(text)
    return None if number is None else timedelta(seconds=number)


def _number(text: str | None) -> int | None:
    """A whole number of at most nine digits, as these headers have them; None for anything else."""
    return int(text) if text is not None and re.fullmatch("[0-9]{1,9}", text) else None


def _date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
