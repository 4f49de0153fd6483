"""The contract between rotator and a cloud: a small core, and a Protocol for each ability that not every cloud has.

One cloud is one folder; the class that implements the core is in its `provider.py` (AWS has a second in `role.py`).

A provider keeps no state between calls but its client, and may be called from several threads at once. It never
retries a call that creates, never logs, and never puts a secret into an exception. Each call ends within the `deadline`
that it was opened with, or is given up by its caller, who then takes its outcome as unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from pydantic import SecretStr

from rotator.clock import Clock
from rotator.material import Material
from rotator.model import ByHand, Capabilities, Key, LastUse, Proof, Reply
from rotator.settings.section import Section

if TYPE_CHECKING:
    # httpx takes 0.15 s to load, and the config, which each command reads, needs only this module's names.
    from rotator.http.clients import HttpClients

AGES_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""When a key was created that does not show it: no key is taken for rotator's by such a time."""

Settings_contra = TypeVar("Settings_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Listing:
    """The credential's keys, all pages, with the answer's Date header (aware UTC), if it has one that can be read.

    An entry that can't be read whole costs only itself: with an id it is listed, and says what is `odd` about it; one
    without an id is left out. What has no time of creation was created at `AGES_AGO`.
    """

    keys: tuple[Key, ...]
    cloud_time: datetime | None


@dataclass(frozen=True, slots=True)
class Draft:
    """What is prepared before a mint's intent is journalled: its mark, and material that is made here, if any."""

    mark: str | None = None
    material: Material | None = None


@dataclass(frozen=True, slots=True)
class Minted:
    """A fresh key, its material, and what a stamp may show of it (None where the id itself is secret)."""

    key: Key
    material: Material
    hint: str | None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Right:
    """One line of `rotator check`: a right or a precondition, whether it holds (None: not known), the remedy."""

    name: str
    holds: bool | None
    remedy: str = ""


class Proves(Protocol):
    """A candidate can be used by rotator itself before it is pushed."""

    def prove(self, material: Material) -> Proof:
        """Use the candidate against the cloud once. Raises CallFailed if the cloud could not be asked."""


class Disables(Protocol):
    """Keys can be disabled, and enabled again."""

    def disable(self, key_id: str) -> Reply:
        """Make the key unusable, reversibly. Disabling a disabled key is success."""

    def enable(self, key_id: str) -> Reply:
        """Make a disabled key usable again. Enabling an enabled key is success."""


class TellsUse(Protocol):
    """The cloud records when a key was last used."""

    @property
    def use_resolution(self) -> timedelta:
        """How coarse the time of a use is: a day where the cloud tells only the date. Its source is in the provider."""

    @property
    def use_lag(self) -> timedelta:
        """How long after a use the cloud may still not tell it. Its source is in the provider."""

    @property
    def use_is_certain(self) -> bool:
        """A use that the cloud shows was of that very key. False where it may have been of another key of the same."""

    def last_used(self, key_id: str) -> LastUse | None:
        """When the key was last used, None if never. Read-only. Raises CallFailed, `untold` as said there."""


class Supplied(Protocol):
    """The operator makes the keys and puts each into its place; a new one ends the one before at once."""

    def supplied_key(self) -> Draft:
        """The key that lies in its place now: its mark and its material. Read-only. Raises CallFailed if none does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What a cloud can do, and the objects that do it; None where it can't.

    Args:
        slots: how many keys a credential may have, disabled ones included; None without a limit.
        exact: a key made by a lost call can be recognised by its mark.
        proves, disables, tells_use, supplied: as the Protocols say.
        by_hand: the cloud's own commands for its keys, to show to an operator.
        own_secrets: the secrets by which rotator itself gets in, where the process's HTTP clients don't send them: a
            key that signs, what an SDK sends by itself. Asked after each call; it makes none.
        files: the files that were read when the provider was opened. Once one of them has changed, the next call opens
            the provider anew.
    """

    slots: int | None
    exact: bool
    proves: Proves | None = None
    disables: Disables | None = None
    tells_use: TellsUse | None = None
    supplied: Supplied | None = None
    by_hand: ByHand | None = None
    own_secrets: Callable[[], Iterable[SecretStr]] = tuple
    files: Callable[[], Iterable[str]] = tuple

    @property
    def capabilities(self) -> Capabilities:
        """The same as plain facts, for `decide`."""
        return Capabilities(
            slots=self.slots,
            exact=self.exact,
            provable=self.proves is not None,
            can_disable=self.disables is not None,
            has_evidence=self.tells_use is not None,
            use_resolution=self.tells_use.use_resolution if self.tells_use is not None else timedelta(0),
            use_lag=self.tells_use.use_lag if self.tells_use is not None else timedelta(0),
            use_is_certain=self.tells_use is None or self.tells_use.use_is_certain,
            supplied=self.supplied is not None,
            by_hand=self.by_hand,
        )


class Provider(Protocol):
    """One credential in one cloud: what every cloud can do.

    Every method, those of the abilities too, may raise `CallFailed`, with a verdict that is true whatever the SDK
    thought: UNKNOWN whenever the request may have reached the cloud and no complete answer came back. Any other
    exception is a bug.
    """

    @property
    def identity(self) -> str:
        """Provider and cloud identity, e.g. `aws:user/northflank-byoc`. What makes a credential the same one."""

    @property
    def abilities(self) -> Abilities:
        """What this cloud can do, as configured. Constant for the life of the object."""

    def list_keys(self) -> Listing:
        """All keys of the credential. Read-only; the SDK may retry."""

    def draft(self, store_id: str, generation: int) -> Draft:
        """Prepare a mint without touching the outside."""

    def mint(self, draft: Draft) -> Minted:
        """Create a key: exactly one attempt on the wire. A lost or unreadable reply is UNKNOWN."""

    def delete(self, key_id: str) -> Reply:
        """Delete this key and no other. Deleting an absent key is success."""

    def check(self) -> Sequence[Right]:
        """Look, changing nothing, whether the daemon has the rights that it needs."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What a provider is given to work with.

    Args:
        deadline: how long any one call may take.
        lifetime: how long a key with an end of its own must live: `max_age` and `grace` together.
        clock: what time it is. No provider reads another clock.
        http: the process's HTTP clients. A provider neither closes them nor makes its own.
    """

    deadline: timedelta
    lifetime: timedelta
    clock: Clock
    http: HttpClients


class OpenProvider(Protocol[Settings_contra]):
    """How a provider is opened: `open_provider` of its module."""

    def __call__(self, settings: Settings_contra, tools: Tools) -> Provider:
        """Open the provider for one credential. No call is made.

        Args:
            settings: what the credential says for it. A secret by reference is read at each use
                (`SecretRef.read`, may raise RotatorError).
            tools: what to work with.

        Raises:
            RotatorError: it can't be opened as configured.
        """


class Rights(Protocol[Settings_contra]):
    """The text of the rights that rotator needs: `rights` of a module of its own.

    It imports no SDK and makes no call: `rotator policy NAME` works before anything else does.
    """

    def __call__(self, settings: Settings_contra) -> str:
        """The least rights that rotator needs for this credential, in the cloud's own language, to paste.

        Args:
            settings: as for `OpenProvider`.
        """


Settings = TypeVar("Settings", bound=Section)


@dataclass(frozen=True, slots=True)
class Plugin(Generic[Settings]):
    """What an entry point of the group `rotator.providers` names.

    Args:
        settings: what `settings:` of a credential must be. rotator reads it, and says what is wrong with it.
        open: opens the provider for one credential.
        rights: what `rotator policy NAME` prints. It runs without what the provider needs.
    """

    settings: type[Settings]
    open: OpenProvider[Settings]
    rights: Rights[Settings] | None = None
