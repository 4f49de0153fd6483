"""What rotator needs in Google Cloud for one service account, and whether it has it. Looks, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rotator.errors import CallFailed
from rotator.model import Key
from rotator.providers._shared import apart, met, unmet, unseen
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
    yield met(where)
    known = "Google Cloud knows rotator's own credentials"
    try:
        email = own_email()
        yield met(known)
        having = frozenset(granted())
    except CallFailed as failure:
        yield unmet(known, failure)
        return
    own = email is not None and provider.identity.endswith(f"/{email}")
    yield apart(own=own, remedy="Give rotator a service account of its own: it would revoke its own key.")
    for permission in PERMISSIONS:
        yield Right(permission, holds=permission in having, remedy="" if permission in having else _GRANT)
    tells_use = provider.abilities.tells_use
    if tells_use is not None and not own:
        yield _evidence(provider, tells_use)


def _evidence(provider: Provider, tells_use: TellsUse) -> Right:
    try:
        keys: Sequence[Key] = provider.list_keys().keys
        if not keys:
            return Right(ANALYSE, holds=None, remedy="The account has no key yet to ask about.")
        tells_use.last_used(keys[0].key_id)
    except CallFailed as failure:
        return unseen(ANALYSE, failure, _GRANT) if failure.untold else unmet(ANALYSE, failure)
    return met(ANALYSE)
