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

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import httpx
import stamina

from rotator import __version__
from rotator.clock import Clock
from rotator.errors import CallFailed, Verdict
from rotator.http.answers import Answer, NoAnswer
from rotator.http.exchange import Span, exchange

Value = TypeVar("Value")

_ATTEMPTS = 2
_SHARE = 0.45  # of the deadline, for each attempt: what is left is for the pause in between
_PAUSE, _LONGEST_PAUSE = 0.05, timedelta(seconds=0.2)  # of the deadline, but no longer than that


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
    raise no_answer(what, result)


def no_answer(what: str, result: NoAnswer, *, address: str = "the endpoint") -> CallFailed:
    """What it means that no complete answer came: UNKNOWN, or NOT_APPLIED where nothing of the request was sent.

    Args:
        what: names the call.
        result: why, and whether the request was sent.
        address: where the config has the server's address.
    """
    if result.sent:
        return CallFailed(f"{what}: {result.reason}", verdict=Verdict.UNKNOWN, code="no-answer")
    return CallFailed(
        f"{what} was not sent: {result.reason}",
        verdict=Verdict.NOT_APPLIED,
        code="not-sent",
        remedy=f"If this repeats, check {address}, DNS, proxies and the firewall.",
    )


def beforehand(prepare: Callable[[], Value]) -> Value:
    """Do what a change needs before its own request. If that fails, the change itself was not sent.

    Raises:
        CallFailed: the failure of `prepare`; NOT_APPLIED where that is UNKNOWN.
    """
    try:
        return prepare()
    except CallFailed as failure:
        failed = never_sent(failure)
    raise failed.with_traceback(None)  # the frames of `prepare` may hold a token


def never_sent(failure: CallFailed) -> CallFailed:
    """What the failure of a step before a change means for the change."""
    if failure.verdict is not Verdict.UNKNOWN:
        return failure
    return CallFailed(
        failure.message,
        verdict=Verdict.NOT_APPLIED,
        code=failure.code,
        request_id=failure.request_id,
        retry_after=failure.retry_after,
        remedy=failure.remedy,
    )


@dataclass(frozen=True, slots=True)
class Vendor:
    """Whose answers are expected, and what an answer means that does not say what was done.

    Args:
        name: as messages call the vendor.
        ids: the headers with the vendor's id of a request.
        remedy: what to check if others answer in the vendor's place.
    """

    name: str
    ids: tuple[str, ...] = ()
    remedy: str = ""

    def request_id(self, answer: Answer) -> str | None:
        """The vendor's id of the request."""
        return answer.id_under(*self.ids)

    def throttled(self, what: str, answer: Answer) -> CallFailed:
        """A 429: nothing was done, and later it may be."""
        return CallFailed(
            f"{what}: {self.name} has too many requests",
            verdict=Verdict.NOT_APPLIED,
            code=str(answer.status),
            request_id=self.request_id(answer),
            retry_after=answer.retry_after,
        )

    def unclear(self, what: str, answer: Answer) -> CallFailed:
        """An answer that is not the vendor's, or is not what was asked for, or says that something broke there."""
        return CallFailed(
            f"{what}: no readable answer from {self.name} (HTTP {answer.status})",
            verdict=Verdict.UNKNOWN,
            code=str(answer.status),
            request_id=self.request_id(answer),
            retry_after=answer.retry_after,
            remedy=self.remedy,
        )


def patiently(read: Callable[[Span], Value], *, clock: Clock, deadline: timedelta) -> Value:
    """Do something that only reads, once more if it fails, within the deadline in total.

    A refused call is not repeated, nor a call whose answer asks to wait.

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
