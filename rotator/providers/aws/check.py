"""What rotator needs of AWS for one IAM user, and whether it has it. Looks, and changes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rotator.errors import CallFailed, Verdict
from rotator.providers.aws.clients import Arn, AwsClients
from rotator.providers.aws.errors import AwsAnswer, ask
from rotator.providers.aws.rights import CHANGES, READS, document
from rotator.providers.base import Right

if TYPE_CHECKING:
    from rotator.providers.aws.provider import AwsUser

_LIST, _LAST_USED = READS


def rights(provider: AwsUser, aws: AwsClients, user: str) -> Iterator[Right]:
    """The lines of `rotator check`; they end early where AWS doesn't know us."""
    alike = f"Give rotator an identity of its own: it would revoke its own key with {user}'s."
    if not (yield from identity(aws, lambda: aws.is_own(user), alike)):
        return
    acting = Arn.found_in(aws.acting_as)
    grant = needed(document(acting.account, user, partition=acting.partition)) if acting is not None else ""
    yield from _each(provider, aws, user, grant)


def identity(aws: AwsClients, is_own: Callable[[], bool], alike: str) -> Generator[Right, None, bool]:
    """The lines about who rotator is. Returns whether AWS knows that.

    Args:
        aws: the way into AWS.
        is_own: what is rotated is rotator's own identity; may raise CallFailed.
        alike: what to do if it is.
    """
    for endpoint in aws.endpoints:
        yield met(endpoint)
    known = "AWS knows rotator's own credentials"
    try:
        own = is_own()
    except CallFailed as failure:
        yield unmet(known, failure)
        return False
    yield met(known)
    yield Right("rotator's own identity is another one", holds=not own, remedy=alike if own else "")
    return True


def needed(policy: Mapping[str, object]) -> str:
    """What to grant, on one line."""
    return f"The policy needed: {json.dumps(policy)}"


def simulated(aws: AwsClients, actions: Sequence[str], resource: str) -> Mapping[str, bool]:
    """Whether rotator may do this, by IAM's policy simulator; nothing where that isn't allowed."""
    # A role's session is no policy source, its role is. Where that has a path, AWS doesn't know it by this name.
    source = re.sub(r":sts::(\d+):assumed-role/([^/]+)/.*", r":iam::\1:role/\2", aws.acting_as)
    try:
        return ask(
            "SimulatePrincipalPolicy",
            lambda: aws.iam.simulate_principal_policy(
                PolicySourceArn=source, ActionNames=actions, ResourceArns=[resource]
            ),
            _decisions,
        )
    except CallFailed:
        return {}


def untried(action: str, allowed: Mapping[str, bool], grant: str) -> Right:
    """A right that can't be tried without changing something, as the simulator judged it."""
    if action in allowed:
        return Right(action, allowed[action], "" if allowed[action] else grant)
    return Right(action, None, f"It can't be tried harmlessly. {grant}")


def met(name: str) -> Right:
    """It holds."""
    return Right(name, holds=True)


def unmet(name: str, failure: CallFailed, grant: str = "") -> Right:
    """It doesn't hold, or can't be told: a refusal alone tells that something is missing, a dead network nothing."""
    holds = False if failure.verdict is Verdict.REFUSED else None
    remedy = grant if failure.code == "AccessDenied" else failure.remedy
    return Right(name, holds, f"{failure.message}. {remedy}".strip())


def _each(provider: AwsUser, aws: AwsClients, user: str, grant: str) -> Iterator[Right]:
    try:
        keys = provider.list_keys().keys
    except CallFailed as failure:
        keys = ()
        yield unmet(_LIST, failure, grant)
    else:
        yield met(_LIST)
    actions = [*CHANGES]
    if not keys:
        actions.insert(0, _LAST_USED)
    else:
        try:
            provider.last_used(keys[0].key_id)
        except CallFailed as failure:
            yield unmet(_LAST_USED, failure, grant)
        else:
            yield met(_LAST_USED)
    allowed = _simulated(aws, user, actions)
    for action in actions:
        yield untried(action, allowed, grant)


def _simulated(aws: AwsClients, user: str, actions: Sequence[str]) -> Mapping[str, bool]:
    try:
        arn = ask("GetUser", lambda: aws.iam.get_user(UserName=user), lambda answer: str(answer["User"]["Arn"]))
    except CallFailed:
        return {}
    return simulated(aws, actions, arn)


def _decisions(answer: AwsAnswer) -> Mapping[str, bool]:
    return {result["EvalActionName"]: result["EvalDecision"] == "allowed" for result in answer["EvaluationResults"]}
