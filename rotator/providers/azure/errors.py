"""What an answer of Microsoft's says about a call: of its login, of Graph, or of Azure Resource Manager.

Sources: "Microsoft Entra authentication and authorization error codes"; "Microsoft Graph error responses"; and, for the
codes of app management policies and of Directory_ConcurrencyViolation, the issue trackers of azurerator, azure-cli and
microsoft-365-agents-toolkit, where whole answers are quoted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from rotator.errors import CallFailed, Verdict
from rotator.http.answers import Answer, is_refusal, json_object
from rotator.http.calls import Vendor
from rotator.http.outside_text import outside_text

MICROSOFT = Vendor("Microsoft", ids=("request-id", "x-ms-request-id"))
"""Graph and Resource Manager."""

CONCURRENT = "Directory_ConcurrencyViolation"
NOT_FOUND = "Request_ResourceNotFound"
BAD_REQUEST = "Request_BadRequest"
DENIED = "Authorization_RequestDenied"

_CONCURRENT_WAIT = timedelta(seconds=10)  # where the answer doesn't say; "wait briefly", it says in words
_POLICY = re.compile(r"policy '([^']{1,80})'")
_REMEDIES = {
    DENIED: "`rotator policy` prints the permission and the ownership that rotator needs, and how to grant them.",
    NOT_FOUND: "Check `client_id` and `tenant_id`: there is no such application in that tenant.",
}
_CHECK = "Check the addresses in `azure`, and give rotator the rights that `rotator policy NAME` prints."


@dataclass(frozen=True, slots=True)
class OAuthError:
    """How the login refuses.

    Args:
        code: Microsoft's own, e.g. `AADSTS7000215`, or OAuth's where there is none.
        description: one line.
        is_passing: it says itself that it is a matter of time.
    """

    code: str
    description: str
    is_passing: bool

    @classmethod
    def found_in(cls, answer: Answer) -> OAuthError | None:
        """None if the answer is no refusal in the login's form (RFC 6749, 5.2)."""
        said = json_object(answer.body) or {}
        error, description = said.get("error"), said.get("error_description")
        if not is_refusal(answer.status) or not isinstance(error, str) or not isinstance(description, str):
            return None
        number = re.search(r"AADSTS\d+", description)
        # Trace and correlation ids follow, and fill the line.
        shown = outside_text(description.partition("Trace ID")[0])
        return cls(number[0] if number else outside_text(error), shown, error == "temporarily_unavailable")


@dataclass(frozen=True, slots=True)
class ODataError:
    """How Graph and Resource Manager refuse."""

    code: str
    message: str

    @classmethod
    def found_in(cls, answer: Answer) -> ODataError | None:
        """None if the answer has no error in their form, or no id of the request: a gateway's hasn't."""
        error = (json_object(answer.body) or {}).get("error")
        if not isinstance(error, dict) or MICROSOFT.request_id(answer) is None:
            return None
        code, message = error.get("code"), error.get("message")
        if not isinstance(code, str) or not isinstance(message, str):
            return None
        return cls(outside_text(code), outside_text(message))


def refusal(what: str, answer: Answer) -> CallFailed:
    """What an answer that is no success means.

    Args:
        what: names the call.
        answer: Graph's or Resource Manager's, or a proxy's.
    """
    error = ODataError.found_in(answer)
    wait = answer.retry_after
    if error is not None and error.code == CONCURRENT:
        wait = wait or _CONCURRENT_WAIT
    elif answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        pass
    elif error is None or not is_refusal(answer.status):
        return MICROSOFT.unclear(what, answer)
    else:
        return _refused(what, answer, error)
    code = error.code if error is not None else str(answer.status)
    message = f": {error.message}" if error is not None else ""
    return CallFailed(
        f"{what}: {code}{message}",
        verdict=Verdict.NOT_APPLIED,
        code=code,
        request_id=MICROSOFT.request_id(answer),
        retry_after=wait,
    )


def _refused(what: str, answer: Answer, error: ODataError) -> CallFailed:
    permanent = answer.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
    return CallFailed(
        f"{what}: {error.code}: {error.message}",
        verdict=Verdict.REFUSED,
        code=error.code,
        request_id=MICROSOFT.request_id(answer),
        permanent=permanent,
        remedy=_of_a_policy(error) or _REMEDIES.get(error.code, _CHECK),
    )


def _of_a_policy(error: ODataError) -> str:
    if not error.code.endswith("AsPerAppPolicy"):
        return ""
    named = _POLICY.search(error.message)
    policy = f"the app management policy {named[1]}" if named else "the tenant's app management policy"
    if "Lifetime" in error.code:
        return (
            f"Shorten `max_age` or `grace`: their sum is over what {policy} allows. Or let it exempt the application."
        )
    return f"Let {policy} exempt this application: the policy forbids client secrets."
