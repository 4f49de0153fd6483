"""What an answer of OCI, or the want of one, says about a call.

Source: "API Errors" in OCI's API documentation. Every answer of OCI's has the header opc-request-id; every error a JSON
body with `code` and `message`.
"""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus

from rotator.errors import CallFailed, Verdict
from rotator.http.answers import Answer, date_of, is_refusal, json_object, json_of
from rotator.http.calls import Vendor
from rotator.http.outside_text import outside_text

OCI = Vendor(
    "OCI",
    ids=("opc-request-id",),
    remedy="If this repeats, check `endpoint`, and what stands between rotator and OCI.",
)

CLOCK_SKEW = "ClockSkew"
"""Our own word: OCI has one code for all that it doesn't authenticate."""

NOT_AUTHENTICATED = "NotAuthenticated"
NOT_AUTHORIZED = frozenset({"NotAuthorized", "NotAuthorizedOrNotFound"})
"""The caller is known but may not do this; or the object does not exist."""

_DONE = frozenset({HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT})
_SKEW = timedelta(minutes=5)  # what OCI allows for
_SKEW_TEXT = "clock skew"
_LIMIT = "LimitExceeded"
_ALREADY_EXISTS = "ResourceAlreadyExists"

_CHECK_RIGHTS = "`rotator policy` prints the statements that rotator's own user needs; check the user's OCID as well."
_REMEDIES = {
    NOT_AUTHENTICATED: "Check `fingerprint`, `user` and `tenancy` in the SDK's config file, and that the tenancy is "
    "subscribed to `region` and `home_region`: OCI doesn't know rotator's own key.",
    "NotAllowed": "Set `home_region` to the tenancy's home region: OCI makes keys only there.",
    "NotAuthorizedOrNotFound": _CHECK_RIGHTS,
    "NotAuthorized": _CHECK_RIGHTS,
    "NotAuthorizedOrResourceAlreadyExists": _CHECK_RIGHTS,
    "SignUpRequired": "Activate the tenancy.",
}


def done(what: str, answer: Answer) -> Answer:
    """The answer, if it is OCI's and says that it was done.

    Args:
        what: names the call in the error, e.g. `ListApiKeys`.
        answer: complete.

    Raises:
        CallFailed: with a verdict that is true of a change as well.
    """
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise OCI.throttled(what, answer)
    if OCI.request_id(answer) is None:
        raise OCI.unclear(what, answer)
    if answer.status not in _DONE:
        raise _refused(what, answer)
    return answer


def listed(answer: Answer) -> list[object] | None:
    """The body, if it is a JSON list."""
    read = json_of(answer.body)
    return read if isinstance(read, list) else None


def _refused(what: str, answer: Answer) -> CallFailed:
    code, message = _code_and_message(answer)
    if not code or not is_refusal(answer.status):
        return OCI.unclear(what, answer)
    # Of a key that was made just now this says that it is there: something in between sent the request twice.
    there_already, full = code.endswith(_ALREADY_EXISTS), code.endswith(_LIMIT)
    failure = CallFailed(
        f"{what}: {code}: {message}",
        verdict=Verdict.UNKNOWN if there_already else Verdict.REFUSED,
        code=code,
        request_id=OCI.request_id(answer),
        permanent=not (there_already or full or code == "IncorrectState"),
        slots_full=full,
        remedy=_REMEDIES.get(code, "Check the credential's `oci` section."),
    )
    if answer.status == HTTPStatus.UNAUTHORIZED and _is_about_the_clock(message, answer):
        failure.code = CLOCK_SKEW
        failure.permanent = False
        failure.remedy = "Set this host's clock: OCI allows a difference of five minutes."
    return failure


def _code_and_message(answer: Answer) -> tuple[str, str]:
    error = json_object(answer.body) or {}
    code, message = error.get("code"), error.get("message")
    if not isinstance(code, str) or not isinstance(message, str):
        return "", ""
    return outside_text(code, 80), outside_text(message)


def _is_about_the_clock(message: str, answer: Answer) -> bool:
    there = date_of(answer)
    return _SKEW_TEXT in message or (there is not None and abs(there - answer.received_at) > _SKEW)
