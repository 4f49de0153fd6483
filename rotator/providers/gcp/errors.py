"""What an answer of Google Cloud's IAM, or the want of one, says about a call.

Sources: gRPC's doc/statuscodes.md (which codes its library never makes up) and doc/http-grpc-status-mapping.md (what it
makes of a proxy's answer); AIP-193 (what Google puts into an error); google-api-core 2.44, `exceptions.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from google.api_core.exceptions import GoogleAPICallError
from google.rpc.error_details_pb2 import ErrorInfo, PreconditionFailure, RetryInfo
from grpc import StatusCode

from rotator.errors import CallFailed, Verdict
from rotator.http.calls import Vendor
from rotator.http.outside_text import outside_text

Value = TypeVar("Value")

GOOGLE = Vendor("Google Cloud", remedy="If this repeats, check what stands between rotator and Google Cloud.")

NOT_FOUND = StatusCode.NOT_FOUND.name
PERMISSION_DENIED = StatusCode.PERMISSION_DENIED.name
BARE_PRECONDITION = StatusCode.FAILED_PRECONDITION.name
ORG_POLICY = "OrgPolicy"
"""The code of a refusal by an organisation's constraint."""

_OF_THE_SERVICE = frozenset(
    {
        StatusCode.INVALID_ARGUMENT,
        StatusCode.NOT_FOUND,
        StatusCode.ALREADY_EXISTS,
        StatusCode.FAILED_PRECONDITION,
        StatusCode.OUT_OF_RANGE,
    }
)
"""gRPC never makes these up: with one of these, the service has answered."""

_OF_A_PROXY_AS_WELL = frozenset({StatusCode.PERMISSION_DENIED, StatusCode.UNAUTHENTICATED})
"""gRPC makes these of a proxy's 403 and 401. Google's own carry an ErrorInfo."""

_ONLY_TIME = frozenset({StatusCode.ABORTED, StatusCode.RESOURCE_EXHAUSTED})
"""Nothing was done, and later it may be. The second is also gRPC's word for an answer that is too long."""

_NEVER_SENT = ("failed to connect to all addresses", "DNS resolution failed", "errors resolving")
"""How gRPC's message begins where no connection could be made. Should it ever say it in other words, the call is taken
as unknown, which is safe."""

_PERMISSION = "`rotator policy` prints the role that rotator's own identity needs, and how to grant it."
_REMEDIES = {
    StatusCode.PERMISSION_DENIED: _PERMISSION,
    StatusCode.UNAUTHENTICATED: "Renew rotator's own credentials: Google Cloud refuses them.",
    StatusCode.NOT_FOUND: "Check `service_account`.",
    StatusCode.INVALID_ARGUMENT: "Check `service_account` and the `gcp` section.",
}
"""The refusals that only an operator can clear, and how."""

_CONSTRAINT = re.compile(r"(?:(?:constraints|customConstraints)/|\bcustom\.)[\w.]*\w")
_OF_A_POLICY = re.compile(r"(?:\b|_)org(?:ani[sz]ation)?(?: |_)polic", re.IGNORECASE)
"""Google's words where a refusal by a constraint doesn't name the constraint, and the reason in the details."""


def attempt(what: str, make: Callable[[], Value]) -> Value:
    """Make one call of the SDK.

    Args:
        what: names it in the error, e.g. `ListServiceAccountKeys`.
        make: makes it.

    Raises:
        CallFailed: with a verdict that is true of a change as well. Nothing of the SDK's exception hangs on to it: it
            holds the call, and so the access token.
    """
    try:
        return make()
    except GoogleAPICallError as error:
        failure = _read(what, error)
    except Exception as error:  # noqa: BLE001  # a foreign body makes the SDK raise anything; none may get out
        kind = type(error).__name__
        failure = CallFailed(f"{what} had no readable answer: {kind}", verdict=Verdict.UNKNOWN, code=kind)
    raise failure  # outside of the handler: inside, the SDK's exception would be its __context__


def _read(what: str, error: GoogleAPICallError) -> CallFailed:
    code = error.grpc_status_code or StatusCode.UNKNOWN
    message = str(error.message or "")
    if code is StatusCode.UNAVAILABLE and message.startswith(_NEVER_SENT):
        return CallFailed(
            f"{what} was not sent: {outside_text(message)}",
            verdict=Verdict.NOT_APPLIED,
            code=code.name,
            remedy="Check the network, `gcp.endpoint`, and the proxy variables in rotator's environment.",
        )
    answered = bool(error.domain)
    if code in _OF_THE_SERVICE or (code in _OF_A_PROXY_AS_WELL and answered):
        return _refused(what, code, message, error)
    only_time = code is StatusCode.ABORTED or (code in _ONLY_TIME and answered)
    return CallFailed(
        # A foreign body may be quoted in what isn't Google's.
        f"{what}: {code.name}: {outside_text(message)}" if answered else f"{what} had no readable answer: {code.name}",
        verdict=Verdict.NOT_APPLIED if only_time else Verdict.UNKNOWN,
        code=code.name,
        retry_after=_retry_after(error),
    )


def _refused(what: str, code: StatusCode, message: str, error: GoogleAPICallError) -> CallFailed:
    constraint = _constraint(message, error)
    if constraint is not None:
        named = (
            f"the organisation policy {constraint}" if constraint else "an organisation policy that Google doesn't name"
        )
        return CallFailed(
            f"{what}: {named} forbids it: {outside_text(message)}",
            verdict=Verdict.REFUSED,
            code=ORG_POLICY,
            permanent=True,
            remedy=_exemption(constraint or "that policy"),
        )
    return CallFailed(
        f"{what}: {code.name}: {outside_text(message)}",
        verdict=Verdict.REFUSED,
        code=code.name,
        permanent=code in _REMEDIES,
        remedy=_REMEDIES.get(code, ""),
    )


def _constraint(message: str, error: GoogleAPICallError) -> str | None:
    """The constraint that forbids it; empty where one does that isn't named; None where none does."""
    violations = [
        violation.type
        for detail in error.details
        if isinstance(detail, PreconditionFailure)
        for violation in detail.violations
    ]
    infos = [detail for detail in error.details if isinstance(detail, ErrorInfo)]
    named = [value for info in infos for value in info.metadata.values()]
    found = _CONSTRAINT.search(" ".join([*violations, *named, message]))
    if found is not None:
        return found[0]
    return "" if any(_OF_A_POLICY.search(text) for text in [*(info.reason for info in infos), message]) else None


def _exemption(constraint: str) -> str:
    if constraint.endswith("serviceAccountKeyExpiryHours"):
        return f"Shorten `max_age` or `grace`: the sum of both is over {constraint}."
    other = ""
    if constraint.endswith("KeyUpload"):
        other = ", or set `key_origin: google`"
    elif constraint.endswith("KeyCreation"):
        other = ", or set `key_origin: upload`"
    return (
        f"Let the organisation policy administrator exempt the project from {constraint}{other}; or let "
        "Northflank impersonate the account without a key (crossAccountRole)."
    )


def _retry_after(error: GoogleAPICallError) -> timedelta | None:
    for detail in error.details:
        if isinstance(detail, RetryInfo):
            return timedelta(seconds=detail.retry_delay.seconds)
    return None
