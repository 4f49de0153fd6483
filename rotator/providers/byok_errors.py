"""What an answer of a Kubernetes API server, or the want of one, says about a request.

Sources: the Status object in apimachinery's `meta/v1/types.go` and the reasons there; the API server's own filters, of
which priority and fairness answers 429 in plain text with Retry-After, and an unknown path 404 in plain text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from rotator.errors import CallFailed, Verdict, outside_text
from rotator.northflank.exchange import Answer, NoAnswer
from rotator.northflank.limits import retry_after

UNAUTHORIZED, FORBIDDEN, NOT_FOUND, ALREADY_EXISTS = "Unauthorized", "Forbidden", "NotFound", "AlreadyExists"

_REMEDIES = {
    UNAUTHORIZED: "The cluster doesn't know rotator's own token or certificate: renew it.",
    FORBIDDEN: "`rotator policy NAME` prints the Role that rotator's own account needs.",
    NOT_FOUND: "Check `namespace`, `service_account` and `context`.",
    "BadRequest": "Check the credential's `byok` section.",
    "Invalid": "Check the credential's `byok` section; a bound token lives ten minutes at least.",
}
"""The refusals that only a person can clear, and how."""

_UNSURE = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, 499})
"""Something in between gave up waiting; the request may still be under way."""


def judged(what: str, answer: Answer | NoAnswer, now: datetime) -> Answer | CallFailed:
    """The answer, if it says in Kubernetes's own words that the request was carried out; else the failure.

    Args:
        what: names the request in the error, e.g. `create secrets`.
        answer: what came, or didn't.
        now: the wall clock (aware UTC).
    """
    if isinstance(answer, NoAnswer):
        return _no_answer(what, answer)
    said = _object(answer.body)
    if answer.status in {HTTPStatus.OK, HTTPStatus.CREATED} and "kind" in said and "apiVersion" in said:
        return answer
    code = str(answer.status)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return CallFailed(
            f"{what}: the cluster has too many requests",
            verdict=Verdict.NOT_APPLIED,
            code=code,
            request_id=request_id(answer),
            retry_after=retry_after(answer, now),
        )
    reason = said.get("reason")
    if not _refuses(answer, said) or not isinstance(reason, str):
        return CallFailed(
            f"{what}: an answer ({code}) that isn't the API server's",
            verdict=Verdict.UNKNOWN,
            code=code,
            retry_after=retry_after(answer, now),
            remedy="If it stays so, look at what stands between rotator and the cluster. Kubernetes 1.28 is needed.",
        )
    return CallFailed(
        f"{what}: {outside_text(reason)}: {outside_text(said.get('message', ''))}",
        verdict=Verdict.REFUSED,
        code=outside_text(reason),
        request_id=request_id(answer),
        permanent=reason in _REMEDIES,
        remedy=_REMEDIES.get(reason, ""),
    )


def request_id(answer: Answer) -> str | None:
    """The id under which the cluster's audit log has the request."""
    return outside_text(answer.headers.get("audit-id", ""), 64) or None


def date_of(answer: Answer) -> datetime:
    """The answer's Date header (aware UTC).

    Raises:
        ValueError: it has none.
    """
    date = parsedate_to_datetime(answer.headers.get("date", ""))
    if date.tzinfo is None:
        raise ValueError("a time without a zone")
    return date.astimezone(UTC)


def _object(body: bytes) -> Mapping[str, object]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _refuses(answer: Answer, said: Mapping[str, object]) -> bool:
    """A whole Status object that says no, about a request that can't be under way any more."""
    return (
        400 <= answer.status < 500  # noqa: PLR2004  # HTTP's class of refusals
        and answer.status not in _UNSURE
        and (said.get("kind"), said.get("status"), said.get("code")) == ("Status", "Failure", answer.status)
    )


def _no_answer(what: str, answer: NoAnswer) -> CallFailed:
    if answer.sent:
        return CallFailed(f"{what}: {answer.reason}", verdict=Verdict.UNKNOWN, code="no-answer")
    return CallFailed(
        f"{what} was not sent: {answer.reason}",
        verdict=Verdict.NOT_APPLIED,
        code="not-sent",
        remedy="If it stays so, check the kubeconfig's server and CA, DNS, proxies and the firewall.",
    )
