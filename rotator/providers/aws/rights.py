"""What rotator's own AWS identity must be allowed, to rotate the access keys of one IAM user."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from rotator.providers.aws.partitions import of_region
from rotator.providers.aws.settings import AwsUserSettings

READS = ("iam:ListAccessKeys", "iam:GetAccessKeyLastUsed")
CHANGES = ("iam:CreateAccessKey", "iam:UpdateAccessKey", "iam:DeleteAccessKey")

_PLACEHOLDER = "ACCOUNT"


def rights(settings: AwsUserSettings) -> str:
    """The policy document, after comments that say where it goes.

    The account and the partition are those of `assume_role`, or the partition is the `region`'s.
    """
    user, role = settings.user, settings.aws.assume_role or ""
    where = re.match(r"arn:([\w-]+):iam::(\d+):", role)
    partition, account = (where[1], where[2]) if where else (of_region(settings.aws.region or ""), _PLACEHOLDER)
    holder = f"the role {role}" if where else "rotator's own user or role"
    lines = [f"# Attach this policy to {holder}. If {user} has a path, it stands before the name: user/PATH/{user}."]
    if where:
        lines.append("# The identity that assumes that role needs sts:AssumeRole on it, and the role's trust.")
    else:
        lines.append(f"# Replace {_PLACEHOLDER} by the twelve digits of the account in which {user} is.")
    return "\n".join((*lines, json.dumps(document(account, user, partition=partition), indent=2), ""))


def document(account: str, user: str, *, partition: str) -> Mapping[str, object]:
    """The policy itself: the keys of this user, and of no other."""
    resource = f"arn:{partition}:iam::{account}:user/{user}"
    statement = {"Effect": "Allow", "Action": [*READS, *CHANGES], "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [statement]}
