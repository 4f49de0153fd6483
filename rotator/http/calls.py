"""HTTP for the providers that speak it themselves, over httpx: an answer, or a CallFailed whose verdict is true.

A call looks so, with one `Span` for all that it takes:

    answer = send(http, "POST", url, what="addPassword", headers=headers, content=body, span=span)
    said = json_object(answer.body)     # None: not JSON, so not the cloud's
    at = date_of(answer)                # None: no Date header, so not the cloud's

What only reads may be repeated: that goes through `patiently`. A change is one `send`. The request itself is that of
`rotator.http.exchange`: on a connection of its own, cut at the deadline however slowly the answer drips in,
without redirects, and with no more of a body than its `LARGEST_BODY`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeVar

import httpx
import stamina

from rotator import __version__
from rotator.clock import Clock
from rotator.errors import CallFailed, Verdict
from rotator.http.exchange import Answer, NoAnswer, Span, exchange

__all__ = ["Answer", "Span", "date_of", "is_refusal", "json_object", "patiently", "send"]

Value = TypeVar("Value")

_ATTEMPTS = 2
_SHARE = 0.45  # of the deadline, for each attempt: what is left is for the pause in between
_PAUSE, _LONGEST_PAUSE = 0.05, timedelta(seconds=0.2)  # of the deadline, but no longer than that
_UNSURE = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, 499})
"""Something in between gave up waiting; the request may still be under way."""


def send(
    http: httpx.Client,
    method: str,
    url: str,
    *,
    what: str,
    headers: Mapping[str, str],
    content: bytes | None = None,
    span: Span,
) -> Answer:
    """Send one request, once, and read its whole answer, whatever its status.

    Args:
        http: shared by the process; `tools.http.trusting(ca_file)`.
        method: e.g. `GET`.
        url: where to.
        what: names the call in the error.
        headers: beside rotator's own User-Agent.
        content: the body; None without one.
        span: what is left of the call's time.

    Raises:
        CallFailed: no complete answer. NOT_APPLIED only if nothing of the request was sent. Nothing of the request or
            the answer hangs on to it.
    """
    named = {"User-Agent": f"rotator/{__version__}", **headers}
    result = exchange(http, method, url, headers=named, content=content, span=span)
    if isinstance(result, Answer):
        return result
    raise _no_answer(what, result)


def _no_answer(what: str, result: NoAnswer) -> CallFailed:
    if result.sent:
        return CallFailed(f"{what}: {result.reason}", verdict=Verdict.UNKNOWN, code="NoAnswer")
    return CallFailed(
        f"{what} was not sent: {result.reason}",
        verdict=Verdict.NOT_APPLIED,
        code="NotSent",
        remedy="If it stays so, check the endpoint, DNS, proxies and the firewall.",
    )


def patiently(read: Callable[[Span], Value], *, clock: Clock, deadline: timedelta) -> Value:
    """Do something that only reads, once more if it fails, within the deadline in total.

    What was refused isn't asked again, nor is whoever asks to be left alone for a while.

    Args:
        read: does it, within the span that it is given.
        clock: measures the spans.
        deadline: for all attempts.

    Raises:
        CallFailed: the last attempt's.
    """
    pause = min(_PAUSE * deadline, _LONGEST_PAUSE) / 2
    attempts = stamina.retry_context(
        on=_may_pass, attempts=_ATTEMPTS, timeout=None, wait_initial=pause, wait_max=2 * pause, wait_jitter=pause
    )
    for attempt in attempts:
        with attempt:
            return read(Span(clock, _SHARE * deadline))
    raise AssertionError  # the last attempt returns or raises


def _may_pass(error: Exception) -> bool:
    return isinstance(error, CallFailed) and error.verdict is not Verdict.REFUSED and error.retry_after is None


def is_refusal(status: int) -> bool:
    """A status by which a cloud refuses. Whether the cloud said it, and not a proxy, only the body's form can tell."""
    return 400 <= status < 500 and status not in _UNSURE  # noqa: PLR2004  # HTTP's class of refusals


def json_object(body: bytes) -> Mapping[str, Any] | None:
    """The body, if it is one JSON object."""
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def date_of(answer: Answer) -> datetime | None:
    """The Date header (aware UTC), if there is a readable one."""
    try:
        date = parsedate_to_datetime(answer.headers.get("date", ""))
    except (ValueError, OverflowError):
        return None
    return date.astimezone(UTC) if date.tzinfo is not None else None
