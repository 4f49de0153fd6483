"""What stands around every provider, a plugin's too.

No word of its cloud gets in that repeats a secret, and no error but `CallFailed` gets out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from pydantic import SecretStr

from rotator.errors import CallFailed, RotatorError, Verdict
from rotator.http.answers import believable
from rotator.http.gate import Gate, gated, unbelievable
from rotator.material import Material
from rotator.model import Key, LastUse, Proof, Reply
from rotator.providers.base import (
    AGES_AGO,
    Draft,
    Listing,
    Minted,
    Provider,
    Right,
    TellsUse,
)
from rotator.settings.changes import Seen, seen

Value = TypeVar("Value")

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("rotator.providers.gated")

_LONGEST_WORD = 1000  # characters of an id or a mark; the longest known id is OCI's, with some 250


class _Door:
    """Makes one provider's calls, and opens it anew when what it was opened with has changed. Thread-safe.

    Args:
        open_provider: opens the provider, as the config says.
        gate: compares the words.
    """

    def __init__(self, open_provider: Callable[[], Provider], gate: Gate) -> None:
        self.gate = gate
        self._open = open_provider
        self._lock = threading.Lock()
        self._provider = open_provider()
        self._seen = self._look()

    @property
    def provider(self) -> Provider:
        """The provider, made of what its files hold now.

        Raises:
            CallFailed: they lead to another identity: it has another row in the journal.
        """
        with self._lock:
            now = self._look()
            if now != self._seen:
                self._renew(now)
            return self._provider

    def _look(self) -> Seen:
        return seen(self._provider.abilities.files())

    def _renew(self, now: Seen) -> None:
        identity = self._provider.identity
        try:
            opened = self._open()
        except Exception as error:  # noqa: BLE001  # what was read before may serve for long; a plugin may raise anything
            why = self.gate.text(error.message) if isinstance(error, RotatorError) else type(error).__name__
            log.warning(
                "a file of rotator's own was replaced and can't be used; the old one is", identity=identity, why=why
            )
            self._seen = now
            return
        if opened.identity != identity:
            raise CallFailed(
                f"rotator's own files now lead to {self.gate.text(opened.identity)}, not {identity}; nothing was sent",
                verdict=Verdict.NOT_APPLIED,
                code="AnotherIdentity",
                remedy="Put the files back as they were, or change the config and reload.",
            )
        log.info("what rotator gets in with was replaced; it uses the new one", identity=identity)
        self._provider = opened
        self._seen = self._look()

    def call(self, what: str, make: Callable[[Provider], Value]) -> Value:
        """What the call gives. Raises CallFailed."""
        provider = gated(self.gate, what, lambda: self.provider)
        return gated(self.gate, what, lambda: make(provider), own=provider.abilities.own_secrets)

    def change(self, what: str, make: Callable[[Provider], Reply]) -> Reply:
        """The reply. Raises CallFailed."""
        reply = self.call(what, make)
        self.learn()
        return replace(reply, request_id=self.id(reply.request_id))

    def id(self, request_id: str | None) -> str | None:
        """The vendor's id of a request; None where it repeats a secret."""
        return None if self.gate.repeats(request_id) else request_id

    def own_secrets(self) -> Iterable[SecretStr]:
        """Of the provider as it is now."""
        return self._provider.abilities.own_secrets()

    def drafted(self, draft: Draft) -> Draft:
        """The draft, whose material no answer may repeat from now on."""
        if draft.material is not None:
            self.gate.remember_key(draft.material)
        return draft

    def learn(self) -> None:
        """Have the gate know the secrets by which the last call was made: they may have been renewed for it."""
        self.gate.remember(*self.own_secrets())

    def believe(self, what: str, keys: Iterable[Key], *words: str | None) -> None:
        """Raises CallFailed where a word repeats a secret: rotator acts on these."""
        self.learn()
        if self.gate.repeats(*words, *(word for key in keys for word in (key.key_id, key.mark, key.odd))):
            raise unbelievable(what)


class Gated:
    """A provider behind the gate. Implements `base.Provider`.

    Args:
        open_provider: opens it, now and whenever the files have changed that it was opened with.
        gate: compares the words of its cloud with rotator's secrets.

    Raises:
        RotatorError: it can't be opened.
    """

    def __init__(self, open_provider: Callable[[], Provider], gate: Gate) -> None:
        self._door = door = _Door(open_provider, gate)
        opened = door.provider
        able = opened.abilities
        self.identity = opened.identity
        self.abilities = replace(
            able,
            proves=None if able.proves is None else _GatedProof(door),
            disables=None if able.disables is None else _GatedSwitch(door),
            tells_use=None if able.tells_use is None else _GatedUse(able.tells_use, door),
            supplied=None if able.supplied is None else _GatedPlace(door),
            own_secrets=door.own_secrets,
        )

    def list_keys(self) -> Listing:
        """As `base.Provider`."""
        what = "the list of keys"

        def read(provider: Provider) -> Listing:
            listing = provider.list_keys()
            self._door.believe(what, listing.keys)
            return Listing(tuple(_sound(key) for key in listing.keys if _is_text(key.key_id)), _utc(listing.cloud_time))

        return self._door.call(what, read)

    def draft(self, store_id: str, generation: int) -> Draft:
        """As `base.Provider`."""
        what = "the preparation of a key"
        return self._door.drafted(self._door.call(what, lambda provider: provider.draft(store_id, generation)))

    def mint(self, draft: Draft) -> Minted:
        """As `base.Provider`."""
        what = "the making of a key"

        def make(provider: Provider) -> Minted:
            minted = provider.mint(draft)
            self._door.gate.remember_key(minted.material)
            self._door.believe(what, [minted.key], minted.hint)
            if not _is_text(minted.key.key_id):
                raise ValueError("the new key's id is no text")  # a lost mint: found again by looking
            return replace(minted, request_id=self._door.id(minted.request_id))

        return self._door.call(what, make)

    def delete(self, key_id: str) -> Reply:
        """As `base.Provider`."""
        return self._door.change("the deletion of a key", lambda provider: provider.delete(key_id))

    def check(self) -> Sequence[Right]:
        """As `base.Provider`."""
        text = self._door.gate.text

        def look(provider: Provider) -> tuple[Right, ...]:
            rights = tuple(provider.check())
            self._door.learn()
            return tuple(Right(text(right.name), right.holds, text(right.remedy)) for right in rights)

        return self._door.call("the check of rights", look)


class _GatedProof:
    """Implements `base.Proves`."""

    def __init__(self, door: _Door) -> None:
        self._door = door

    def prove(self, material: Material) -> Proof:
        """As `base.Proves`."""
        self._door.gate.remember_key(material)
        return self._door.call(
            "the proof of the candidate", lambda provider: _of(provider.abilities.proves).prove(material)
        )


class _GatedSwitch:
    """Implements `base.Disables`."""

    def __init__(self, door: _Door) -> None:
        self._door = door

    def disable(self, key_id: str) -> Reply:
        """As `base.Disables`."""
        return self._door.change(
            "the disabling of a key", lambda provider: _of(provider.abilities.disables).disable(key_id)
        )

    def enable(self, key_id: str) -> Reply:
        """As `base.Disables`."""
        return self._door.change(
            "the enabling of a key", lambda provider: _of(provider.abilities.disables).enable(key_id)
        )


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

        def ask(provider: Provider) -> LastUse | None:
            used = _of(provider.abilities.tells_use).last_used(key_id)
            self._door.learn()
            if used is None:
                return None
            at = _utc(used.at)
            if at is None:
                raise ValueError("no time of a use")
            return replace(used, at=at, service=text(used.service), region=text(used.region))

        return self._door.call("the last use of a key", ask)


class _GatedPlace:
    """Implements `base.Supplied`."""

    def __init__(self, door: _Door) -> None:
        self._door = door

    def supplied_key(self) -> Draft:
        """As `base.Supplied`."""
        what = "the key in its place"
        return self._door.drafted(
            self._door.call(what, lambda provider: _of(provider.abilities.supplied).supplied_key())
        )


def _of(ability: Value | None) -> Value:
    """An ability that the provider had when it was first opened: the config, which decides on it, is the same."""
    if ability is None:
        raise TypeError("the provider has lost an ability")
    return ability


def _sound(key: Key) -> Key:
    """The key without what no journal could hold; that is said."""
    marked, made = key.mark is None or _is_text(key.mark), _utc(key.created_at)
    unread = [*([] if made is not None else ["the time of creation"]), *([] if marked else ["the mark"])]
    odd = " and ".join(filter(None, (key.odd, *unread))) or None
    return replace(
        key,
        created_at=made or AGES_AGO,
        expires_at=_utc(key.expires_at),
        mark=key.mark if marked else None,
        odd=odd,
    )


def _is_text(word: str) -> bool:
    """It can be stored and shown: no half characters, none that moves a cursor, and no novel."""
    return 0 < len(word) <= _LONGEST_WORD and word.isprintable()


def _utc(at: datetime | None) -> datetime | None:
    """The same moment in UTC; None where no cloud can mean it.

    Raises:
        ValueError: it has no zone.
    """
    if at is not None and at.tzinfo is None:
        raise ValueError("a time without a zone")
    try:
        return None if at is None else believable(at)
    except OverflowError:
        return None
