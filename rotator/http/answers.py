"""A complete HTTP answer, or none, and what any server's answer says: its JSON, its date, how long it asks to wait."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx

from rotator.http.outside_text import outside_text

_LONGEST_WAIT = timedelta(hours=1)
"""A server that asks for more is asked again after this: it costs one call."""

_LONGEST_ID = 100  # characters; OCI's have 98
_YEARS = (1970, 3000)
_UNTOLD_WAIT = timedelta(seconds=60)
_UNSURE = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, 499})
"""Something in between gave up waiting; the request may still be under way."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer.

    Args:
        status: HTTP's.
        headers: as received.
        body: at most `exchange.LARGEST_BODY`. It may echo credentials: it isn't shown.
        received_at: when it was complete, by our wall clock (aware UTC).
    """

    status: int
    headers: httpx.Headers
    body: bytes = field(repr=False)
    received_at: datetime

    @property
    def request_id(self) -> str | None:
        """The vendor's id of the request, if the answer has one under the usual name."""
        return self.id_under("x-request-id")

    def id_under(self, *names: str) -> str | None:
        """The vendor's id of the request, from the first of these headers that has one."""
        found = (outside_text(self.headers.get(name, ""), _LONGEST_ID) for name in names)
        return next(filter(None, found), None)

    @property
    def retry_after(self) -> timedelta | None:
        """How long the answer asks us to wait, at most an hour; None if it doesn't.

        A 429 without it means the time until the limit's reset; without that too, a minute.
        """
        text = self.headers.get("retry-after")
        moment = http_date(text)
        asked = _seconds(text) if moment is None else moment - (date_of(self) or self.received_at)
        if asked is not None and asked > timedelta(0):
            return min(asked, _LONGEST_WAIT)
        return until_reset(self.headers) if self.status == HTTPStatus.TOO_MANY_REQUESTS else None


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No complete answer. `sent` is False only if no byte of the request has left."""

    reason: str
    sent: bool


def is_refusal(status: int) -> bool:
    """A status by which a cloud refuses. Whether the cloud said it, and not a proxy, only the body's form shows."""
    return 400 <= status < 500 and status not in _UNSURE  # noqa: PLR2004  # HTTP's class of refusals


def json_of(body: bytes) -> object:
    """The body as JSON; None if it isn't JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def json_object(body: bytes) -> Mapping[str, Any] | None:
    """The body, if it is one JSON object."""
    read = json_of(body)
    return read if isinstance(read, dict) else None


def date_of(answer: Answer) -> datetime | None:
    """The Date header (aware UTC), if there is a readable one."""
    return http_date(answer.headers.get("date"))


def http_date(text: str | None) -> datetime | None:
    """The moment (aware UTC) that a header names; None if it names none, or none with a zone."""
    try:
        moment = parsedate_to_datetime(text or "")
        return believable(moment) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def believable(moment: datetime) -> datetime | None:
    """The same moment in UTC; None where no server can mean it: by year 9999 no wait could be reckoned.

    Raises:
        OverflowError: it is none in UTC.
    """
    there = moment.astimezone(UTC)
    return there if _YEARS[0] <= there.year < _YEARS[1] else None


def until_reset(headers: Mapping[str, str]) -> timedelta:
    """How long until the rate limit's reset, at most an hour; a minute without `x-ratelimit-reset`."""
    return min(_seconds(headers.get("x-ratelimit-reset")) or _UNTOLD_WAIT, _LONGEST_WAIT)


def number_in(text: str | None) -> int | None:
    """A whole number of at most nine digits, as headers have them; None for anything else."""
    return int(text) if text is not None and re.fullmatch("[0-9]{1,9}", text) else None


def _seconds(text: str | None) -> timedelta | None:
    number = number_in(text)
    return None if number is None else timedelta(seconds=number)
