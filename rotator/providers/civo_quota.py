"""Whose is this API key? Civo's answer to GET /v2/quota, or the want of one.

Sources: Civo's API reference on /v2/quota; the errors that its client civogo knows (errors.go); and what api.civo.com
was seen to say in September 2026: to an unknown key 404 `database_account_not_found`, to none at all 403
`authentication_access_denied`, to an unknown path 404 in plain text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx
from pydantic import SecretStr

from rotator import __version__
from rotator.clock import Clock
from rotator.errors import CallFailed, Verdict, outside_text
from rotator.northflank.exchange import Answer, NoAnswer, Span, exchange
from rotator.northflank.limits import retry_after

_UNKNOWN_KEY = frozenset({"authentication_invalid_key", "database_account_not_found"})
_CODE = re.compile("[a-z][a-z0-9_]{0,79}")
_UNSURE = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, 499})
"""Something in between gave up waiting; it says nothing of what Civo would have said."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account of Civo's, as the quota shows it."""

    email: str
    id: str

    def __str__(self) -> str:
        return f"{self.email} ({self.id})" if self.id else self.email

    def is_called(self, name: str) -> bool:
        """It is this e-mail address, or this id."""
        return name.casefold() in {self.email.casefold(), self.id.casefold()}


@dataclass(frozen=True, slots=True)
class Taken:
    """The key works, for this account. `date` is the answer's Date header (aware UTC)."""

    account: Account
    date: datetime


@dataclass(frozen=True, slots=True)
class Refused:
    """Civo knows no such key: it was never made, or has been regenerated. `code` is Civo's word for it."""

    code: str


class Quota:
    """Asks for the quota of whoever's key it is given. Changes nothing. Thread-safe.

    Args:
        http: shared by the whole process.
        api_url: without a slash at its end.
        deadline: for one question, repetitions included.
        clock: both its clocks are used.
    """

    def __init__(self, http: httpx.Client, api_url: str, deadline: timedelta, clock: Clock) -> None:
        self._http = http
        self._url = f"{api_url}/v2/quota"
        self._deadline = deadline
        self._clock = clock

    def ask(self, key: SecretStr) -> Taken | Refused:
        """Send one request with this key.

        Raises:
            CallFailed: neither was answered. REFUSED and permanent where Civo itself says something else.
        """
        read = self._ask(key)
        if isinstance(read, CallFailed):
            raise read
        return read

    def _ask(self, key: SecretStr) -> Taken | Refused | CallFailed:
        result = exchange(
            self._http,
            "GET",
            self._url,
            headers={
                "Authorization": f"bearer {key.get_secret_value()}",
                "Accept": "application/json",
                "User-Agent": f"rotator/{__version__}",
            },
            content=None,
            span=Span(self._clock, self._deadline),
        )
        return _no_answer(result) if isinstance(result, NoAnswer) else _read(result, key, self._clock.now())


def _read(answer: Answer, key: SecretStr, now: datetime) -> Taken | Refused | CallFailed:
    said = _object(answer.body)
    if answer.status == HTTPStatus.OK:
        return _taken(answer, said) or _foreign(answer, now)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return CallFailed(
            "Civo has had too many requests",
            verdict=Verdict.NOT_APPLIED,
            code=str(answer.status),
            retry_after=retry_after(answer, now),
        )
    code, reason = said.get("code"), said.get("reason")
    if not 400 <= answer.status < 500 or answer.status in _UNSURE:  # noqa: PLR2004  # HTTP's class of refusals
        return _foreign(answer, now)
    if not (isinstance(code, str) and _CODE.fullmatch(code) and isinstance(reason, str)):
        return _foreign(answer, now)
    if code in _UNKNOWN_KEY:
        return Refused(code)
    told = outside_text(reason.replace(key.get_secret_value(), "**********"))
    return CallFailed(
        f"Civo doesn't tell the quota: {code}: {told}",
        verdict=Verdict.REFUSED,
        code=code,
        permanent=True,
        remedy="Look at the account in Civo's dashboard, and check `api_url`.",
    )


def _taken(answer: Answer, said: Mapping[str, object]) -> Taken | None:
    email, own_id = said.get("default_user_email_address"), said.get("id")
    date = _date(answer)
    if date is None or not isinstance(email, str) or not email:
        return None
    return Taken(Account(outside_text(email), outside_text(own_id) if isinstance(own_id, str) else ""), date)


def _object(body: bytes) -> Mapping[str, object]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _date(answer: Answer) -> datetime | None:
    try:
        date = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return None
    return date.astimezone(UTC) if date.tzinfo is not None else None


def _no_answer(result: NoAnswer) -> CallFailed:
    if result.sent:
        return CallFailed(f"Civo's quota: {result.reason}", verdict=Verdict.UNKNOWN, code="no-answer")
    return CallFailed(
        f"Civo was not asked: {result.reason}",
        verdict=Verdict.NOT_APPLIED,
        code="not-sent",
        remedy="If it stays so, check `api_url`, DNS, proxies and the firewall.",
    )


def _foreign(answer: Answer, now: datetime) -> CallFailed:
    return CallFailed(
        f"Civo's quota: an answer ({answer.status}) that isn't Civo's",
        verdict=Verdict.UNKNOWN,
        code=str(answer.status),
        retry_after=retry_after(answer, now),
        remedy="If it stays so, look at what stands between rotator and Civo, and check `api_url`.",
    )
