"""Who may do what at the AWS stand-in: signatures and policies, with AWS's own codes and words.

moto's own checks stay off: they let disabled keys work, know no Resource but `*`, and put no request id into an error.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, Literal

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from werkzeug.wrappers import Request

_CLOCK_SKEW = timedelta(minutes=5)
_STAMP = "%Y%m%dT%H%M%SZ"

IamPolicy = Mapping[str, Any]


class AwsRefusal(Exception):
    """AWS's answer to a request that it doesn't carry out."""

    def __init__(self, code: str, message: str, status: int = 403) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class Signed:
    """What the Authorization header of a request claims."""

    key_id: str
    region: str
    service: str
    headers: tuple[str, ...]
    signature: str


def signed(request: Request) -> Signed:
    """Read the Authorization header.

    Raises:
        Refused: MissingAuthenticationToken or IncompleteSignature.
    """
    header = request.headers.get("Authorization")
    if header is None:
        raise AwsRefusal("MissingAuthenticationToken", "Request is missing Authentication Token")
    parts = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request, "
        r"SignedHeaders=([^,]+), Signature=([0-9a-f]{64})",
        header,
    )
    if parts is None or "X-Amz-Date" not in request.headers:
        raise AwsRefusal("IncompleteSignature", "Authorization header is not a complete signature, version 4.", 400)
    return Signed(parts[1], parts[2], parts[3], tuple(parts[4].split(";")), parts[5])


def verify(request: Request, claim: Signed, secret: str, now: datetime) -> None:
    """Check the signature.

    Raises:
        Refused: SignatureDoesNotMatch: it was made with another secret, or at another time.
    """
    stamp = request.headers["X-Amz-Date"]
    made = AWSRequest(
        request.method,
        request.url,
        headers={name: request.headers.get(name, "") for name in claim.headers},
        data=request.get_data(),
    )
    made.context["timestamp"] = stamp
    auth = SigV4Auth(Credentials(claim.key_id, secret), claim.service, claim.region)
    expected = auth.signature(auth.string_to_sign(made, auth.canonical_request(made)), made)
    if not hmac.compare_digest(expected, claim.signature):
        raise AwsRefusal(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method. Consult the service documentation for details.",
        )
    _check_time(stamp, now)


def _check_time(stamp: str, now: datetime) -> None:
    at = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    earliest, latest, shown = now - _CLOCK_SKEW, now + _CLOCK_SKEW, now.strftime(_STAMP)
    if at < earliest:
        raise AwsRefusal(
            "SignatureDoesNotMatch",
            f"Signature expired: {stamp} is now earlier than {earliest.strftime(_STAMP)} ({shown} - 5 min.)",
        )
    if at > latest:
        raise AwsRefusal(
            "SignatureDoesNotMatch",
            f"Signature not yet current: {stamp} is still later than {latest.strftime(_STAMP)} ({shown} + 5 min.)",
        )


def allows(policies: Iterable[IamPolicy], action: str, resource: str) -> bool:
    """What identity policies say: a Deny wins, and silence is a no. Conditions aren't understood."""
    effects = {
        statement["Effect"]
        for policy in policies
        for statement in several(policy["Statement"])
        if _matches(statement["Action"], action) and _matches(statement["Resource"], resource)
    }
    return effects == {"Allow"}


def trusts(
    policy: IamPolicy, principal: str, account: str, external_id: str | None
) -> Literal["by name", "by account"] | None:
    """Whether a role's trust policy lets this principal of this account in, and what it was let in by.

    The only condition understood is StringEquals on sts:ExternalId. As in AWS, an absent ExternalId equals nothing.
    """
    for statement in several(policy["Statement"]):
        wanted = statement.get("Condition", {}).get("StringEquals", {}).get("sts:ExternalId")
        if statement["Effect"] != "Allow" or (wanted is not None and external_id not in several(wanted)):
            continue
        named = several(statement["Principal"]["AWS"] if isinstance(statement["Principal"], dict) else "*")
        if principal in named or "*" in named:
            return "by name"
        if account in named or f"arn:aws:iam::{account}:root" in named:
            return "by account"
    return None


def _matches(patterns: object, value: str) -> bool:
    return any(fnmatchcase(value.casefold(), str(pattern).casefold()) for pattern in several(patterns))


def several(one_or_more: Any) -> list[Any]:
    """A list, whether the policy has one or its only element."""
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]
