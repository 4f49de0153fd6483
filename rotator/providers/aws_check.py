"""What rotator needs of AWS for one IAM user, and whether it has it. Looks, and changes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from rotator.errors import CallFailed, Verdict
from rotator.providers.aws_clients import Arn, AwsClients
from rotator.providers.aws_errors import Answer, ask
from rotator.providers.base import Provider, Right

_LIST, _LAST_USED = "iam:ListAccessKeys", "iam:GetAccessKeyLastUsed"
_CHANGES = ("iam:CreateAccessKey", "iam:UpdateAccessKey", "iam:DeleteAccessKey")


def policy(account: str, user: str, *, partition: str = "aws") -> str:
    """The least that rotator's own identity must be allowed, as one line of JSON."""
    resource = f"arn:{partition}:iam::{account}:user/{user}"
    statement = {"Effect": "Allow", "Action": [_LIST, _LAST_USED, *_CHANGES], "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def rights(provider: Provider, aws: AwsClients, user: str) -> Iterator[Right]:
    """The lines of `rotator check`; they end early where AWS doesn't know us."""
    for endpoint in aws.endpoints:
        yield _met(endpoint)
    known = "AWS knows rotator's own credentials"
    try:
        apart = not aws.is_own(user)
    except CallFailed as failure:
        yield _unmet(known, failure)
        return
    yield _met(known)
    yield Right(
        "rotator's own identity is another one",
        holds=apart,
        remedy="" if apart else f"Give rotator an identity of its own: it would revoke its own key with {user}'s.",
    )
    acting = Arn.found_in(aws.acting_as)
    grant = (
        f"The policy needed: {policy(acting.account, user, partition=acting.partition)}" if acting is not None else ""
    )
    yield from _each(provider, aws, user, grant)


def _each(provider: Provider, aws: AwsClients, user: str, grant: str) -> Iterator[Right]:
    try:
        keys = provider.list_keys().keys
    except CallFailed as failure:
        keys = ()
        yield _unmet(_LIST, failure, grant)
    else:
        yield _met(_LIST)
    untried = [*_CHANGES]
    if not keys:
        untried.insert(0, _LAST_USED)
    else:
        try:
            provider.last_used(keys[0].key_id)
        except CallFailed as failure:
            yield _unmet(_LAST_USED, failure, grant)
        else:
            yield _met(_LAST_USED)
    allowed = _simulated(aws, user, untried)
    for action in untried:
        if action in allowed:
            yield Right(action, allowed[action], "" if allowed[action] else grant)
        else:
            yield Right(action, None, f"It can't be tried harmlessly. {grant}")


def _simulated(aws: AwsClients, user: str, actions: Sequence[str]) -> Mapping[str, bool]:
    # A role's session is no policy source, its role is. Where that has a path, AWS doesn't know it by this name.
    source = re.sub(r":sts::(\d+):assumed-role/([^/]+)/.*", r":iam::\1:role/\2", aws.acting_as)
    try:
        arn = ask("GetUser", lambda: aws.iam.get_user(UserName=user), lambda answer: str(answer["User"]["Arn"]))
        return ask(
            "SimulatePrincipalPolicy",
            lambda: aws.iam.simulate_principal_policy(PolicySourceArn=source, ActionNames=actions, ResourceArns=[arn]),
            _decisions,
        )
    except CallFailed:
        return {}


def _decisions(answer: Answer) -> Mapping[str, bool]:
    return {result["EvalActionName"]: result["EvalDecision"] == "allowed" for result in answer["EvaluationResults"]}


def _met(name: str) -> Right:
    return Right(name, holds=True)


def _unmet(name: str, failure: CallFailed, grant: str = "") -> Right:
    # A refusal alone tells that something is missing; a network that is down tells nothing.
    holds = False if failure.verdict is Verdict.REFUSED else None
    remedy = grant if failure.code == "AccessDenied" else failure.remedy
    return Right(name, holds, f"{failure.message}. {remedy}".strip())
