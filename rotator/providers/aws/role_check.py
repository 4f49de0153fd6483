"""What rotator needs of AWS for one role, and whether it has it. Looks, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pydantic import SecretStr

from rotator.errors import CallFailed
from rotator.providers._shared import met, unmet
from rotator.providers.aws.check import DENIED, identity, needed, simulated, untried
from rotator.providers.aws.clients import Arn, AwsClients
from rotator.providers.aws.role_rights import CHANGE, READ, USE, document
from rotator.providers.aws.trust import CHARACTERS, ID_LENGTH, Trust
from rotator.providers.aws.trust_policy import RolePolicy
from rotator.providers.base import Right

Use = Callable[[SecretStr | None], bool]
"""Assumes the role with this external id, or with none, and says whether STS allows it."""


def rights(policy: RolePolicy, aws: AwsClients, role: Arn, arn: str, use: Use | None) -> Iterator[Right]:
    """The lines of `rotator check`; they end early where AWS doesn't know us, or the policy can't be read.

    Args:
        policy: the role's trust policy.
        aws: how AWS is asked.
        role: its ARN, in parts.
        arn: its ARN.
        use: None: rotator isn't to assume the role.
    """
    alike = "Give rotator an identity of its own: it would change who may be rotator."
    if not (yield from identity(aws, lambda: aws.is_own_role(role), alike)):
        return
    grant = needed(document(arn, probe=use is not None))
    try:
        trust = policy.look().trust
    except CallFailed as failure:
        yield unmet(READ, failure, grant=grant, denied=DENIED)
        return
    yield met(READ)
    yield untried(CHANGE, simulated(aws, [CHANGE], arn), grant)
    yield from _trusted(trust)
    if use is not None:
        yield from _used(trust, use, grant)
        return
    yield Right(
        "a new external id is proved before it is pushed",
        None,
        "Set `probe`. Without `probe`, AWS may refuse Northflank for the seconds until AWS applies the changed policy.",
    )


def _trusted(trust: Trust) -> Iterator[Right]:
    anyone = "*" in trust.principals
    yield Right(
        f"the trust policy lets in {', '.join(trust.principals)} with {len(trust.ids)} external id"
        f"{'s' if len(trust.ids) > 1 else ''} ({', '.join(trust.keys)})",
        holds=not anyone,
        remedy="Name Northflank's account instead of *." if anyone else "",
    )
    room = trust.with_id("x" * ID_LENGTH).length <= CHARACTERS
    yield Right(
        f"the trust policy ({trust.length} characters) has room for one more external id",
        holds=room or None,  # the quota may have been raised
        remedy=""
        if room
        else f"Shorten the policy, or have AWS raise the quota: the usual quota is {CHARACTERS} characters.",
    )


def _used(trust: Trust, use: Use, grant: str) -> Iterator[Right]:
    allowed, needs_id = f"{USE}, for `probe`", "STS refuses a caller without an external id"
    try:
        taken, open_to_all = use(SecretStr(trust.ids[0])), use(None)
    except CallFailed as failure:
        yield unmet(allowed, failure, grant=grant, denied=DENIED)
        return
    yield Right(
        allowed,
        holds=taken,
        remedy=""
        if taken
        else f"Name rotator's own ARN beside {', '.join(trust.principals)} in that statement. {grant}",
    )
    yield Right(
        needs_id,
        holds=not open_to_all,
        remedy="Remove the other statement of the trust policy: it lets rotator in without an external id."
        if open_to_all
        else "",
    )
