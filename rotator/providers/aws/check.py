"""What rotator needs of AWS for one IAM user, and whether it has it. Looks, and changes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rotator.errors import CallFailed
from rotator.providers._shared import apart, met, tried, unmet
from rotator.providers.aws.clients import Arn, AwsClients
from rotator.providers.aws.errors import AwsAnswer, ask
from rotator.providers.aws.rights import CHANGES, READS, document
from rotator.providers.base import Right

if TYPE_CHECKING:
    from rotator.providers.aws.provider import AwsUser

DENIED = frozenset({"AccessDenied"})
"""The code with which AWS says that a right is missing."""

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
    if aws.named_region is None:
        yield Right(
            f"no region is named, so rotator goes to AWS's commercial partition, by way of {aws.region}",
            holds=None,
            remedy="Set `aws.region`. GovCloud, China and the European Sovereign Cloud need a region of their own.",
        )
    if not aws.region_is_one:
        yield Right(
            f"{aws.region} is a region of AWS", holds=False, remedy="Correct `region`: regions look like eu-west-1."
        )
    known = "AWS knows rotator's own credentials"
    try:
        own = is_own()
    except CallFailed as failure:
        yield unmet(known, failure)
        return False
    yield met(known)
    yield apart(own=own, remedy=alike)
    return True


def needed(policy: Mapping[str, object]) -> str:
    """What to grant, on one line."""
    return f"Grant this policy: {json.dumps(policy)}"


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
    return Right(action, None, f"rotator can't try this without changing something. {grant}")


def _each(provider: AwsUser, aws: AwsClients, user: str, grant: str) -> Iterator[Right]:
    try:
        keys = provider.list_keys().keys
    except CallFailed as failure:
        keys = ()
        yield unmet(_LIST, failure, grant=grant, denied=DENIED)
    else:
        yield met(_LIST)
    actions = [*CHANGES]
    if not keys:
        actions.insert(0, _LAST_USED)
    else:
        newest = keys[0].key_id
        yield tried(_LAST_USED, lambda: provider.last_used(newest), grant=grant, denied=DENIED)
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
