"""What rotator needs of OCI for one user, and whether it has it. Looks, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from rotator.errors import CallFailed
from rotator.providers._shared import met, tried, unmet
from rotator.providers.base import Listing, Right
from rotator.providers.oci.answers import NOT_AUTHORIZED
from rotator.providers.oci.rights import statements
from rotator.providers.oci.signing import Signer

_CHANGES = ("UploadApiKey", "DeleteApiKey")


class Looks(Protocol):
    """What of the provider is used here."""

    @property
    def addresses(self) -> Sequence[str]:
        """Where the Identity service is looked for."""

    @property
    def user(self) -> str:
        """The OCID of the user whose keys they are."""

    def signer(self) -> Signer:
        """Rotator's own."""

    def look_up(self) -> Mapping[str, object]:
        """GetUser, in rotator's own name."""

    def list_keys(self) -> Listing:
        """ListApiKeys."""


def rights(provider: Looks) -> Iterator[Right]:
    """The lines of `rotator check`; they end early where rotator has no identity, or OCI doesn't know it."""
    for address in provider.addresses:
        yield met(f"Identity at {address}")
    try:
        own = provider.signer()
    except CallFailed as failure:
        yield unmet("rotator has an identity of its own", failure)
        return
    yield Right(f"rotator has an identity of its own, {own.user}", holds=True)
    grant = f"Grant these statements: {' ; '.join(statements(provider.user))}"
    try:
        user = provider.look_up()
    except CallFailed as failure:
        yield unmet("GetUser", failure, grant=grant, denied=NOT_AUTHORIZED)
        if failure.code not in NOT_AUTHORIZED:
            return
    else:
        yield met("GetUser")
        yield _usable(user)
    yield tried("ListApiKeys", provider.list_keys, grant=grant, denied=NOT_AUTHORIZED)
    for operation in _CHANGES:
        yield Right(operation, None, f"rotator can't try this without changing something. {grant}")


def _usable(user: Mapping[str, object]) -> Right:
    can = user.get("capabilities")
    barred = isinstance(can, Mapping) and can.get("canUseApiKeys") is False
    active = user.get("lifecycleState") == "ACTIVE"
    remedy = "" if active and not barred else "Activate the user, and allow API keys in the user's capabilities."
    return Right("the user may use API keys", active and not barred, remedy)
