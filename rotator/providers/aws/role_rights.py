"""What rotator's own AWS identity must be allowed, to rotate the external id of one role."""

from __future__ import annotations

import json
from collections.abc import Mapping

from rotator.providers.aws.settings import AwsRoleSettings

READ, CHANGE, USE = "iam:GetRole", "iam:UpdateAssumeRolePolicy", "sts:AssumeRole"


def rights(settings: AwsRoleSettings) -> str:
    """The policy document, after comments that say where it goes."""
    role_arn, probe, own = settings.role_arn, settings.aws.probe, settings.aws.assume_role
    holder = f"the role {own}" if own else "rotator's own user or role, in the same account"
    lines = [f"# Attach this policy to {holder}."]
    if own:
        lines.append("# The identity that assumes that role needs sts:AssumeRole on it, and the role's trust.")
    if probe:
        lines += [
            f"# For `probe`, name the same user or role in the trust policy of {role_arn}:",
            '# as one more "AWS" principal of the statement with the external ids, and in no other statement.',
        ]
    return "\n".join((*lines, json.dumps(document(role_arn, probe=probe), indent=2), ""))


def document(role_arn: str, *, probe: bool) -> Mapping[str, object]:
    """The policy itself: this role's trust policy, and nothing else of it."""
    actions = [READ, CHANGE, *([USE] if probe else [])]
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": role_arn}]}
