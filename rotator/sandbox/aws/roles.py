"""The trust policies of the AWS stand-in's roles: which ones are taken, and which one STS goes by at a moment."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from moto.iam.exceptions import MalformedPolicyDocument
from moto.iam.policy_validation import IAMTrustPolicyDocumentValidator

from rotator.sandbox.aws.auth import AwsRefusal, IamPolicy, several

CHARACTERS = 2048
"""Of a trust policy, white space apart: the default quota."""


def checked(document: str) -> IamPolicy:
    """Read a trust policy as IAM does before it takes one.

    Raises:
        Refused: MalformedPolicyDocument or LimitExceeded.
    """
    if re.search(r"[^\t\n\r\x20-\xff]", document):
        raise AwsRefusal("ValidationError", "The specified value for policyDocument is invalid.", 400)
    try:
        IAMTrustPolicyDocumentValidator(document).validate()
    except MalformedPolicyDocument as malformed:
        raise AwsRefusal("MalformedPolicyDocument", str(malformed.message), 400) from None
    policy: IamPolicy = json.loads(document)
    if not all(statement.get("Principal") for statement in several(policy["Statement"])):
        raise AwsRefusal("MalformedPolicyDocument", "Missing required field Principal", 400)
    if len(re.sub(r"\s", "", document)) > CHARACTERS:
        raise AwsRefusal("LimitExceeded", f"Cannot exceed quota for ACLSizePerRole: {CHARACTERS}", 409)
    return policy


def external_ids(policy: IamPolicy) -> Iterator[str]:
    """All external ids that stand in it, by whatever condition."""
    for statement in several(policy["Statement"]):
        for tests in statement.get("Condition", {}).values():
            for key, values in tests.items():
                if key.casefold() == "sts:externalid":
                    yield from map(str, several(values))


class Propagation:
    """For some time after a change, STS goes by the policy from before it. Not thread-safe."""

    def __init__(self) -> None:
        self._before: defaultdict[str, list[tuple[datetime, IamPolicy]]] = defaultdict(list)

    def begins(self, role_arn: str, before: IamPolicy, until: datetime) -> None:
        """A change was made; the policy from before it is in force until then."""
        self._before[role_arn].append((until, before))

    def ends(self, role_arn: str) -> None:
        """The latest policy is in force from now on."""
        self._before.pop(role_arn, None)

    def in_force(self, role_arn: str, latest: IamPolicy, now: datetime) -> IamPolicy:
        """The policy that STS goes by now."""
        waiting = [(until, policy) for until, policy in self._before[role_arn] if until > now]
        self._before[role_arn] = waiting
        return waiting[0][1] if waiting else latest
