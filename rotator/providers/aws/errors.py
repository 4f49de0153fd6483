"""What an answer of AWS, or the want of one, says about a call.

Sources: the common errors and those of each action in the IAM and STS API references; botocore 1.44
(`parsers.QueryParser`). Whether a request was sent, `carrier` knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.utils import parse_timestamp

from rotator.errors import CallFailed, Verdict
from rotator.http.answers import NoAnswer, http_date, is_refusal
from rotator.http.calls import no_answer
from rotator.http.outside_text import outside_text
from rotator.providers.aws.own import fault_of
from rotator.providers.base import AGES_AGO

AwsAnswer = Mapping[str, Any]
Value = TypeVar("Value")

NO_SUCH_ENTITY = "NoSuchEntity"
_SLOTS_FULL = "LimitExceeded"
_THROTTLED = frozenset({"RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequestsException"})

_REMEDIES = {
    "AccessDenied": "Give rotator's own AWS identity the policy that `rotator policy NAME` prints.",
    "MalformedPolicyDocument": "Open the role's trust policy in the AWS console and correct it: AWS refuses to store "
    "the policy with another external id added. Most often the policy names a deleted principal.",
    "UnmodifiableEntity": "Only an AWS service may change this role: let Northflank assume a role of your own.",
    "InvalidClientTokenId": "Renew rotator's own credentials: AWS doesn't know them.",
    "SignatureDoesNotMatch": "Check rotator's own AWS secret key; or a proxy changes rotator's requests.",
    NO_SUCH_ENTITY: "Check `user` or `role_arn`, and that rotator's own AWS identity is in the same account.",
    "OptInRequired": "Activate the AWS account.",
    "ValidationError": "Check `user` or `role_arn`.",
}
"""The refusals that only an operator can clear, and how."""

_HIGHER_UP = re.compile(r"(service control|resource control|session) policy|(permissions boundary)")
"""What may deny beside the policy of the identity itself, in the words of IAM's AccessDenied (IAM user guide)."""

_CLOCK_TEXTS = ("RequestExpired", "RequestTimeTooSkewed", "Signature expired", "Signature not yet current")
"""The clock shows as a code, or as the message of a SignatureDoesNotMatch."""

_MISCONFIGURED = (NoCredentialsError, ParamValidationError, PartialCredentialsError)
"""botocore finds these before it makes a request."""

_CHECK_CONFIG = (
    "Check the credential's `aws` section, `user` or `role_arn`, and the AWS variables in rotator's environment."
)


def attempt(what: str, make: Callable[[], Value]) -> Value:
    """Do something with the SDK.

    Args:
        what: names it in the error, e.g. `ListAccessKeys`.
        make: does it.

    Raises:
        CallFailed: with a verdict that is true of a change as well. Nothing of the SDK's exception hangs on to it:
            botocore's ResponseParserError quotes the whole body, which may hold a secret.
    """
    try:
        return make()
    except Exception as error:  # noqa: BLE001  # a foreign body makes the SDK's parser raise anything; none may get out
        failure = _read(what, error)
    raise failure  # outside of the handler: inside, the exception with the body would be its __context__


def ask(what: str, call: Callable[[], AwsAnswer], read: Callable[[AwsAnswer], Value]) -> Value:
    """Make one call and take out of its answer what is wanted; what isn't there makes the answer unreadable.

    Raises:
        CallFailed: as `attempt`.
    """
    return attempt(what, lambda: read(from_aws(call())))


def from_aws(answer: AwsAnswer) -> AwsAnswer:
    """The answer, if it has AWS's request id. A proxy's page hasn't.

    Raises:
        ValueError: it hasn't.
    """
    # Without this, botocore takes any XML with status 200 for the success of a call that returns nothing.
    if request_id(answer) is None:
        raise ValueError("the answer has no request id")
    return answer


def request_id(answer: AwsAnswer) -> str | None:
    """AWS's id of the request, as it stands in the answer's body."""
    found = answer.get("ResponseMetadata", {}).get("RequestId")
    return outside_text(found) if isinstance(found, str) and found else None


def date_of(answer: AwsAnswer) -> datetime | None:
    """What time it was at AWS, by the answer's Date header; None if there is none that can be read."""
    return http_date(answer["ResponseMetadata"]["HTTPHeaders"].get("date"))


def readable_time(text: str) -> datetime:
    """What botocore makes of a time in an answer; `AGES_AGO` where it can't, for one time must not cost the answer."""
    try:
        return utc(parse_timestamp(text))
    except Exception:  # noqa: BLE001  # whatever the text makes it raise, there is no time in it
        return AGES_AGO


def utc(at: datetime) -> datetime:
    """The same moment in UTC: botocore's are in the host's zone.

    Raises:
        ValueError: it has no zone.
    """
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    return at.astimezone(UTC)


def about_the_clock(failure: CallFailed) -> bool:
    """The signature was refused because of its time: this says nothing about the key."""
    return failure.verdict is Verdict.REFUSED and any(text in failure.message for text in _CLOCK_TEXTS)


def _read(what: str, error: Exception) -> CallFailed:
    if isinstance(error, ClientError):
        return _refused(what, error.response)
    kind = type(error).__name__
    if isinstance(error, EndpointConnectionError | ConnectionClosedError):
        # As `carrier` raises them; the reason is its own words.
        return no_answer(what, NoAnswer(str(error.kwargs["error"]), sent=isinstance(error, ConnectionClosedError)))
    if isinstance(error, _MISCONFIGURED):
        problem = outside_text(error)
        return CallFailed(
            f"{what} was not sent: {problem}", verdict=Verdict.REFUSED, code=kind, permanent=True, remedy=_CHECK_CONFIG
        )
    fault = fault_of(error)
    if fault is not None:
        text = f"{what} was not sent: {fault.text}"
        return CallFailed(text, verdict=Verdict.NOT_APPLIED, code=kind, remedy=fault.remedy)
    return CallFailed(f"{what} had no readable answer: {kind}", verdict=Verdict.UNKNOWN, code=kind)


def _refused(what: str, answer: AwsAnswer) -> CallFailed:
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    said = answer.get("Error")
    code = said.get("Code") if isinstance(said, dict) else None
    if not isinstance(said, dict) or not isinstance(code, str) or request_id(answer) is None:
        return CallFailed(
            f"{what}: no readable answer from AWS (HTTP {status})", verdict=Verdict.UNKNOWN, code=str(status)
        )
    # Only the first line: after it AWS quotes the request, with the session token among its headers.
    message = str(said.get("Message") or "").partition("\n")[0]
    text = outside_text(message)
    failure = CallFailed(
        f"{what}: {outside_text(code)}: {text}",
        verdict=_verdict(code, status),
        code=outside_text(code),
        request_id=request_id(answer),
        slots_full=code == _SLOTS_FULL,
    )
    if about_the_clock(failure):
        failure.remedy = "Set this host's clock: AWS allows a difference of five minutes."
    elif failure.verdict is Verdict.REFUSED and code in _REMEDIES:
        failure.permanent = True
        failure.remedy = _of_a_policy_higher_up(message) or _REMEDIES[code]
    return failure


def _of_a_policy_higher_up(message: str) -> str:
    """What helps where a policy denies that no grant to rotator's own identity overrides; empty for others."""
    found = _HIGHER_UP.search(message)
    return (
        f"Let the {found[0]} allow this to rotator's own AWS identity: it overrides what is granted." if found else ""
    )


def _verdict(code: str, status: int) -> Verdict:
    if not is_refusal(status):
        return Verdict.UNKNOWN
    return Verdict.NOT_APPLIED if code in _THROTTLED else Verdict.REFUSED
