"""When is it due, may it be done now, and how long to wait after a failure: pure functions of their arguments.

Two replicas that ask the same question get the same answer. Nothing here reads a clock or draws a random number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from hashlib import sha256
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rotator.model import State
from rotator.policy import Policy

_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EVERY_DAY = frozenset(range(len(_DAYS)))
_SHAPE = re.compile(
    r"(?P<days>\S+)\s+(?P<start>[0-9]{1,2}:[0-5][0-9])-(?P<end>[0-9]{1,2}:[0-5][0-9])\s+(?P<zone>\S+)", re.ASCII
)
_ALLOWED = (
    'a window is written like "Mon-Fri 08:00-16:00 Europe/London", "Sat,Sun 00:00-24:00 UTC", "* 22:00-04:00 UTC"'
)

# Every rule in force moves the clocks on a fixed weekday, a few by the lunar calendar: ten years show each of them.
_SURVEY_START = date(2025, 1, 1)
_SURVEY_DAYS = 3653


@dataclass(frozen=True, slots=True)
class Window:
    """The hours in which keys may be minted, disabled and deleted.

    Each of `days` has one opening, from `start` to `end` by the wall clock of `zone`. Where that clock is moved, a time
    that it leaves out counts as that much later, and a time that it shows twice means the first of the two: both are
    what `fold=0` says in PEP 495.

    Args:
        days: the weekdays on which the window opens; Monday is 0.
        start: the wall time of the opening, counted from midnight.
        end: the wall time of the close, after `start`; beyond 24 hours where the window crosses midnight.
        zone: the IANA time zone of both.
    """

    days: frozenset[int]
    start: timedelta
    end: timedelta
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str | None) -> Window:
        """Read `DAYS HH:MM-HH:MM ZONE`; None is the window that never closes.

        DAYS are names and ranges with commas between (`Mon-Fri`, `Sat,Sun`, `Fri-Mon`), or `*` or `daily`. An end
        before the start is on the next day; 24:00 is the midnight at the end of the day.

        Raises:
            ValueError: the text isn't a window; the message says what is.
        """
        if text is None:
            return cls(_EVERY_DAY, timedelta(0), _DAY, ZoneInfo("UTC"))
        found = _SHAPE.fullmatch(text.strip())
        if not found:
            raise ValueError(_ALLOWED)
        start, end = _wall_time(found["start"]), _wall_time(found["end"])
        if start in {end, _DAY}:
            raise ValueError("a window begins before 24:00, and not where it ends; a whole day is written 00:00-24:00")
        return cls(_weekdays(found["days"]), start, end if end > start else end + _DAY, _zone(found["zone"]))

    def next_open(self, now: datetime) -> datetime:
        """The first moment from `now` (aware UTC) on at which the window is open: `now` itself if it is."""
        if self.days == _EVERY_DAY and self.end - self.start == _DAY:
            return now
        today = now.astimezone(self.zone).date()
        # An opening of the day before yesterday may still last: it crosses midnight, and its end may have moved.
        openings = _openings(self, today - 2 * _DAY, days=12)
        return next(max(start, now) for start, end in openings if now < end)

    def is_open(self, now: datetime) -> bool:
        """Whether the window is open at `now` (aware UTC)."""
        return self.next_open(now) == now

    def longest_closed(self) -> timedelta:
        """The longest time, by a clock that is never set, for which the window is ever closed."""
        return _longest_closed(self)


def _openings(window: Window, first: date, days: int) -> Iterator[tuple[datetime, datetime]]:
    """Begin and end (aware UTC) of the opening of each of the window's weekdays among `days` days, in order."""
    for day in (first + n * _DAY for n in range(days)):
        if day.weekday() in window.days:
            midnight = datetime.combine(day, time(), window.zone)
            start, end = (midnight + window.start).astimezone(UTC), (midnight + window.end).astimezone(UTC)
            # Where hours are left out, a start that moves past its end takes the end along.
            yield start, end if end > start else start + (window.end - window.start)


@cache
def _longest_closed(window: Window) -> timedelta:
    openings = pairwise(_openings(window, _SURVEY_START, _SURVEY_DAYS))
    return max(timedelta(0), *(start - closed_since for (_, closed_since), (start, _) in openings))


def _wall_time(text: str) -> timedelta:
    hours, minutes = map(int, text.split(":"))
    wall = timedelta(hours=hours, minutes=minutes)
    if wall > _DAY:
        raise ValueError(f"{text} is no time of day; those are 00:00 to 24:00")
    return wall


def _weekdays(text: str) -> frozenset[int]:
    if text.lower() in {"*", "daily"}:
        return _EVERY_DAY
    return frozenset(day for part in text.split(",") for day in _weekday_range(part))


def _weekday_range(text: str) -> Iterator[int]:
    first, _, last = text.lower().partition("-")
    if first not in _DAYS or (last or first) not in _DAYS or text.endswith("-"):
        raise ValueError(f"{text!r} is no weekday; those are Mon Tue Wed Thu Fri Sat Sun, ranges of them, * and daily")
    begin = _DAYS.index(first)
    length = (_DAYS.index(last or first) - begin) % len(_DAYS)
    return ((begin + n) % len(_DAYS) for n in range(length + 1))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # the last: `Europe` is a directory
        raise ValueError(f"{name!r} is no IANA time zone; those are named like Europe/London or UTC") from None


def jitter(identity: str, generation: int, limit: timedelta) -> timedelta:
    """A delay from 0 up to but without `limit`, always the same for one credential and generation."""
    drawn = int.from_bytes(sha256(f"{identity}\n{generation}".encode()).digest()[:8])
    return timedelta(microseconds=(limit // _MICROSECOND) * drawn >> 64)


def due_at(current_since: datetime, policy: Policy, identity: str, generation: int) -> datetime:
    """When the next rotation is due, windows apart (aware UTC).

    Args:
        current_since: when the current key was confirmed; for an adopted one, when the cloud made it (aware UTC).
        policy: gives `every` and the limit of the jitter.
        identity: the credential's cloud identity.
        generation: the current key's generation.
    """
    return current_since + policy.every + jitter(identity, generation, policy.jitter)


def backoff(first: timedelta, limit: timedelta, failures: int, fraction: float) -> timedelta:
    """How long to wait after the `failures`-th failure in a row: doubling, with full jitter.

    Args:
        first: the most to wait after one failure.
        limit: the most to wait ever.
        failures: how many calls failed in a row, 1 or more.
        fraction: drawn by the caller, from 0 up to 1; the share of the present most that is waited.
    """
    doubled = (first // _MICROSECOND) << min(failures - 1, 64)
    return timedelta(microseconds=min(doubled, limit // _MICROSECOND)) * fraction


@dataclass(frozen=True, slots=True)
class Schedule:
    """The calendar of one credential.

    Args:
        policy: the credential's times and limits.
        identity: its cloud identity, which moves it off the times of the others.
        window: the parsed `policy.window`.
        draw: a fresh random number from 0 up to 1, for the backoff.
    """

    policy: Policy
    identity: str
    window: Window
    draw: Callable[[], float]

    def due_at(self, state: State) -> datetime | None:
        """When the next rotation is due, windows apart; None while the current key's age is not known."""
        if state.current_since is None:
            return None
        return due_at(state.current_since, self.policy, self.identity, state.generation)

    def window_open(self, now: datetime) -> bool:
        """Whether keys may be minted, disabled and deleted at `now`."""
        return self.window.is_open(now)

    def window_opens(self, now: datetime) -> datetime:
        """The first moment from `now` on at which they may."""
        return self.window.next_open(now)

    def backoff(self, failures: int) -> timedelta:
        """How long to wait after this many failures in a row."""
        return backoff(self.policy.backoff_first, self.policy.backoff_max, failures, self.draw())
