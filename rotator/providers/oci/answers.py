"""What an answer of OCI, or the want of one, says about a call.

Source: "API Errors" in OCI's API documentation. Every answer of OCI's has the header opc-request-id; every error a JSON
body with `code` and `message`.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from http import HTTPStatus

from rotator.errors import CallFailed, Verdict
from rotator.http.calls import Answer, date_of, is_refusal, json_object
from rotator.http.outside_text import outside_text
from rotator.northflank.budget import retry_after

CLOCK_SKEW = "ClockSkew"
"""Our own word: OCI has one code for all that it doesn't authenticate."""

NOT_AUTHENTICATED = "NotAuthenticated"
NOT_AUTHORIZED = frozenset({"NotAuthorized", "NotAuthorizedOrNotFound"})
"""Who asks is known, and may not; or there is no such thing."""

_DONE = frozenset({HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT})
_SKEW = timedelta(minutes=5)  # what OCI allows for
_SKEW_TEXT = "clock skew"
_LIMIT = "LimitExceeded"
_ALREADY_EXISTS = "ResourceAlreadyExists"

_CHECK_RIGHTS = "`rotator policy` prints the statements that rotator's own user needs; check the user's OCID as well."
_REMEDIES = {
    NOT_AUTHENTICATED: "OCI doesn't know rotator's own key: check `fingerprint`, `user` and `tenancy` in the SDK's "
    "config file, and that `region` and `home_region` are subscribed to.",
    "NotAllowed": "Keys are made in the tenancy's home region alone: name it in `home_region`.",
    "NotAuthorizedOrNotFound": _CHECK_RIGHTS,
    "NotAuthorized": _CHECK_RIGHTS,
    "NotAuthorizedOrResourceAlreadyExists": _CHECK_RIGHTS,
    "SignUpRequired": "Activate the tenancy.",
}


def done(what: str, answer: Answer, now: datetime) -> Answer:
    """The answer, if it is OCI's and says that it was done.

    Args:
        what: names the call in the error, e.g. `ListApiKeys`.
        answer: complete.
        now: the wall clock (aware UTC).

    Raises:
        CallFailed: with a verdict that is true of a change as well.
    """
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise CallFailed(
            f"{what}: OCI has had too many requests",
            verdict=Verdict.NOT_APPLIED,
            code=str(answer.status),
            request_id=request_id(answer),
            retry_after=retry_after(answer, now),
        )
    if request_id(answer) is None:
        raise unreadable(what, answer)
    if answer.status not in _DONE:
        raise _refused(what, answer, now)
    return answer


def listed(answer: Answer) -> list[object] | None:
    """The body, if it is a JSON list."""
    try:
        read = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, list) else None


def request_id(answer: Answer) -> str | None:
    """OCI's id of the request."""
    return outside_text(answer.headers.get("opc-request-id", ""), 100) or None


def unreadable(what: str, answer: Answer) -> CallFailed:
    """An answer that isn't OCI's, or isn't what it should be."""
    return CallFailed(
        f"{what}: an answer ({answer.status}) that can't be read as OCI's",
        verdict=Verdict.UNKNOWN,
        code=str(answer.status),
        request_id=request_id(answer),
        remedy="If it stays so, look at what stands between rotator and OCI, and check `endpoint`.",
    )


def _refused(what: str, answer: Answer, now: datetime) -> CallFailed:
    code, message = _code_and_message(answer)
    if not code or not is_refusal(answer.status):
        return unreadable(what, answer)
    # Of a key that was made just now this says that it is there: something in between sent the request twice.
    there_already, full = code.endswith(_ALREADY_EXISTS), code.endswith(_LIMIT)
    failure = CallFailed(
        f"{what}: {code}: {message}",
        verdict=Verdict.UNKNOWN if there_already else Verdict.REFUSED,
        code=code,
        request_id=request_id(answer),
        permanent=not (there_already or full or code == "IncorrectState"),
        slots_full=full,
        remedy=_REMEDIES.get(code, "Check the credential's `oci` section."),
    )
    if answer.status == HTTPStatus.UNAUTHORIZED and _is_about_the_clock(message, answer, now):
        failure.code = CLOCK_SKEW
        failure.permanent = False
        failure.remedy = "Set this host's clock: OCI allows for five minutes."
    return failure


def _code_and_message(answer: Answer) -> tuple[str, str]:
    error = json_object(answer.body) or {}
    code, message = error.get("code"), error.get("message")
    if not isinstance(code, str) or not isinstance(message, str):
        return "", ""
    return outside_text(code, 80), outside_text(message)


def _is_about_the_clock(message: str, answer: Answer, now: datetime) -> bool:
    there = date_of(answer)
    return _SKEW_TEXT in message or (there is not None and abs(there - now) > _SKEW)
