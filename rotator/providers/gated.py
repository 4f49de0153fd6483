"""What stands around every provider, a plugin's too.

No word of its cloud gets in that repeats a secret, and no error but `CallFailed` gets out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from rotator.http.gate import Gate, gated, unbelievable
from rotator.material import Material
from rotator.model import Key, LastUse, Proof, Reply
from rotator.providers.base import (
    Disables,
    Draft,
    Listing,
    Minted,
    Proves,
    Provider,
    Right,
    Supplied,
    TellsUse,
)

Value = TypeVar("Value")


class _Door:
    """Makes one provider's calls."""

    def __init__(self, provider: Provider, gate: Gate) -> None:
        self.gate = gate
        self._own = provider.abilities.own_secrets

    def call(self, what: str, make: Callable[[], Value]) -> Value:
        """What the call gives. Raises CallFailed."""
        return gated(self.gate, what, make, own=self._own)

    def change(self, what: str, make: Callable[[], Reply]) -> Reply:
        """The reply. Raises CallFailed."""
        reply = self.call(what, make)
        self.learn()
        return replace(reply, request_id=self.id(reply.request_id))

    def id(self, request_id: str | None) -> str | None:
        """The vendor's id of a request; None where it repeats a secret."""
        return None if self.gate.repeats(request_id) else request_id

    def learn(self) -> None:
        """Have the gate know the secrets by which the last call was made: they may have been renewed for it."""
        self.gate.remember(*self._own())

    def believe(self, what: str, keys: Iterable[Key], *words: str | None) -> None:
        """Raises CallFailed where a word repeats a secret: rotator acts on these."""
        self.learn()
        if self.gate.repeats(*words, *(word for key in keys for word in (key.key_id, key.mark, key.odd))):
            raise unbelievable(what)


class Gated:
    """A provider behind the gate. Implements `base.Provider`."""

    def __init__(self, provider: Provider, gate: Gate) -> None:
        self._provider = provider
        self._door = _Door(provider, gate)
        able = provider.abilities
        self.identity = provider.identity
        self.abilities = replace(
            able,
            proves=None if able.proves is None else _GatedProof(able.proves, self._door),
            disables=None if able.disables is None else _GatedSwitch(able.disables, self._door),
            tells_use=None if able.tells_use is None else _GatedUse(able.tells_use, self._door),
            supplied=None if able.supplied is None else _GatedPlace(able.supplied, self._door),
        )

    def list_keys(self) -> Listing:
        """As `base.Provider`."""
        what = "the list of keys"

        def read() -> Listing:
            listing = self._provider.list_keys()
            self._door.believe(what, listing.keys)
            return listing

        return self._door.call(what, read)

    def draft(self, store_id: str, generation: int) -> Draft:
        """As `base.Provider`."""
        draft = self._door.call("the preparation of a key", lambda: self._provider.draft(store_id, generation))
        self._know(draft)
        return draft

    def mint(self, draft: Draft) -> Minted:
        """As `base.Provider`."""
        what = "the making of a key"

        def make() -> Minted:
            minted = self._provider.mint(draft)
            self._door.gate.remember_key(minted.material)
            self._door.believe(what, [minted.key], minted.hint)
            return replace(minted, request_id=self._door.id(minted.request_id))

        return self._door.call(what, make)

    def delete(self, key_id: str) -> Reply:
        """As `base.Provider`."""
        return self._door.change("the deletion of a key", lambda: self._provider.delete(key_id))

    def check(self) -> Sequence[Right]:
        """As `base.Provider`."""
        text = self._door.gate.text

        def look() -> tuple[Right, ...]:
            rights = tuple(self._provider.check())
            self._door.learn()
            return tuple(Right(text(right.name), right.holds, text(right.remedy)) for right in rights)

        return self._door.call("the check of rights", look)

    def _know(self, draft: Draft) -> None:
        if draft.material is not None:
            self._door.gate.remember_key(draft.material)


class _GatedProof:
    """Implements `base.Proves`."""

    def __init__(self, proves: Proves, door: _Door) -> None:
        self._proves = proves
        self._door = door

    def prove(self, material: Material) -> Proof:
        """As `base.Proves`."""
        self._door.gate.remember_key(material)
        return self._door.call("the proof of the candidate", lambda: self._proves.prove(material))


class _GatedSwitch:
    """Implements `base.Disables`."""

    def __init__(self, disables: Disables, door: _Door) -> None:
        self._disables = disables
        self._door = door

    def disable(self, key_id: str) -> Reply:
        """As `base.Disables`."""
        return self._door.change("the disabling of a key", lambda: self._disables.disable(key_id))

    def enable(self, key_id: str) -> Reply:
        """As `base.Disables`."""
        return self._door.change("the enabling of a key", lambda: self._disables.enable(key_id))


class _GatedUse:
    """Implements `base.TellsUse`."""

    def __init__(self, tells_use: TellsUse, door: _Door) -> None:
        self._tells_use = tells_use
        self._door = door

    @property
    def use_resolution(self) -> timedelta:
        """As `base.TellsUse`."""
        return self._tells_use.use_resolution

    @property
    def use_lag(self) -> timedelta:
        """As `base.TellsUse`."""
        return self._tells_use.use_lag

    @property
    def use_is_certain(self) -> bool:
        """As `base.TellsUse`."""
        return self._tells_use.use_is_certain

    def last_used(self, key_id: str) -> LastUse | None:
        """As `base.TellsUse`."""
        text = self._door.gate.text

        def ask() -> LastUse | None:
            used = self._tells_use.last_used(key_id)
            self._door.learn()
            return None if used is None else replace(used, service=text(used.service), region=text(used.region))

        return self._door.call("the last use of a key", ask)


class _GatedPlace:
    """Implements `base.Supplied`."""

    def __init__(self, supplied: Supplied, door: _Door) -> None:
        self._supplied = supplied
        self._door = door

    def supplied_key(self) -> Draft:
        """As `base.Supplied`."""
        draft = self._door.call("the key in its place", self._supplied.supplied_key)
        if draft.material is not None:
            self._door.gate.remember_key(draft.material)
        return draft
