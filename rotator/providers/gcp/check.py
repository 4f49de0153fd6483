"""What rotator needs in Google Cloud for one service account, and whether it has it. Looks, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rotator.errors import CallFailed, Verdict
from rotator.model import Key
from rotator.providers.base import Provider, Right, TellsUse
from rotator.providers.gcp.evidence import PERMISSION as ANALYSE

PERMISSIONS = (
    *(f"iam.serviceAccountKeys.{action}" for action in ("create", "delete", "disable", "enable", "get", "list")),
    "iam.serviceAccounts.get",
)
"""What is needed on the account itself. An upload needs `create` too; it also reads the account."""

_GRANT = "`rotator policy` prints the role and the commands that grant it."


def rights(
    provider: Provider, where: str, own_email: Callable[[], str | None], granted: Callable[[], Sequence[str]]
) -> Iterator[Right]:
    """The lines of `rotator check`; they end early where Google doesn't know us.

    Args:
        provider: whose credential it is.
        where: IAM's address, and where that came from.
        own_email: asks who rotator is.
        granted: asks IAM which of PERMISSIONS rotator has on the account.
    """
    yield Right(where, holds=True)
    known = "Google Cloud knows rotator's own credentials"
    try:
        email = own_email()
        yield Right(known, holds=True)
        having = frozenset(granted())
    except CallFailed as failure:
        yield _unmet(known, failure)
        return
    apart = email is None or not provider.identity.endswith(f"/{email}")
    yield Right(
        "rotator's own identity is another one",
        holds=apart,
        remedy="" if apart else "Give rotator a service account of its own: it would revoke its own key.",
    )
    for permission in PERMISSIONS:
        yield Right(permission, holds=permission in having, remedy="" if permission in having else _GRANT)
    tells_use = provider.abilities.tells_use
    if tells_use is not None and apart:
        yield _evidence(provider, tells_use)


def _evidence(provider: Provider, tells_use: TellsUse) -> Right:
    try:
        keys: Sequence[Key] = provider.list_keys().keys
        if not keys:
            return Right(ANALYSE, holds=None, remedy="There is no key yet to ask about.")
        tells_use.last_used(keys[0].key_id)
    except CallFailed as failure:
        return _unmet(ANALYSE, failure)
    return Right(ANALYSE, holds=True)


def _unmet(name: str, failure: CallFailed) -> Right:
    # A refusal alone tells that something is missing; a network that is down tells nothing.
    holds = False if failure.verdict is Verdict.REFUSED else None
    return Right(name, holds, f"{failure.message}. {failure.remedy}".strip())
