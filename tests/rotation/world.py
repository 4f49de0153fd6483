"""The world that the exploration turns against the state machine: clouds, integrations, requests under way, budgets.

Everything is a small immutable value, so that two situations that look the same are one state of the search.
Times are reduced to what the rules can tell apart: a key is old, was created within the window of the open mint, or
after it; `settle` has passed or it hasn't. Waits never end by themselves: their end is a choice of the search.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from rotator.attention import Hold
from rotator.model import (
    Asked,
    Capabilities,
    Change,
    IntegrationView,
    Key,
    LastUse,
    LostMint,
    Observation,
    Rotation,
    Stamp,
    State,
    Suspect,
)

T0 = datetime(2026, 11, 23, 12, tzinfo=UTC)
SETTLE = timedelta(seconds=60)
STORE = "7f3a"
TEXT = "text"
OTHER_STORE = "beef:1:f0"
EDITED = "edited|"  # followed by what stood there before

OLD, WITHIN, AFTER = "old", "within", "after"
SINCE = T0 + timedelta(hours=1)  # a use after the first push of a key, which is at T0
BORN = {OLD: T0 - timedelta(days=30), WITHIN: T0 + timedelta(seconds=1), AFTER: T0 + timedelta(days=1)}

ANY = "as it is"  # a tick without any fault in what it sees

READY, INTENT, GUARDED = "ready", "intent", "guarded"
DECIDED = "decided"  # only in an engine that lacks the fence: decided and guarded, not yet journalled


class CloudKey(NamedTuple):
    """A key as it really is. `stray`: the documents say that rotator can't know that it is ours.

    `theirs`: it is disabled, by another than rotator. `insisted`: another enabled it after rotator had disabled it.
    """

    key_id: str
    enabled: bool = True
    theirs: bool = False
    insisted: bool = False
    born: str = OLD
    mark: str | None = None
    used: bool = False
    ours: bool = True
    stray: bool = False
    in_window: bool = False  # of a mint, when someone created it


class Flight(NamedTuple):
    """A request that was sent (or is about to be, by a paused owner past its guard) and may still be applied."""

    change: Change
    key_id: str | None = None
    integration: int = 0
    text: str = ""
    mark: str | None = None
    stuck: bool = False  # it will outlive `settle`


class Budget(NamedTuple):
    """How often the adversary may still act.

    `late`: requests that outlive `settle`. `others`: others disable or delete a key. `clings`: an integration takes a
    push, shows it, and goes on using its former key. `lies`: a list that is wrong, or a deletion without effect.
    """

    rotations: int = 1
    faults: int = 0
    late: int = 0
    people: int = 0
    others: int = 0
    clings: int = 0
    lies: int = 0


class World(NamedTuple):
    """One situation: the journal (by its number in the search), the outside, the process, and what is remembered."""

    journal: int
    keys: tuple[CloudKey, ...]
    holds: tuple[tuple[str, str], ...]  # per integration: the key it really holds, its description
    budget: Budget
    flying: tuple[Flight, ...] = ()
    pc: str = READY
    material: int = 0  # the generation whose material is in this process
    minted: int = 0
    created: bool = False  # a CREATE of the open mint intent was sent
    doomed: frozenset[str] = frozenset()  # keys with a DELETE intent
    wanted: frozenset[str] = frozenset()  # keys that the operator asked back
    accepted_loss: frozenset[int] = frozenset()  # integrations whose loss the operator accepted
    backup: int | None = None  # a copy of the journal that the operator keeps
    paused: tuple[int, Flight | None] | None = None  # an unfenced former owner: the journal it is about to write
    pending: tuple[int, Flight | None] | None = None  # the same, of the present owner
    former: tuple[CloudKey, ...] | None = None  # the keys before the last answered change: a list may still show these
    clinging: bool = False  # some integration did not take up what it shows
    silence_accepted: bool = False  # the operator took silence for proof, or the rotation is an emergency

    def clung(self, number: int) -> bool:
        """The integration took a push, shows it, and goes on using its former key."""
        held, text = self.holds[number]
        shown = shown_by(text)
        return self.clinging and shown is not None and shown != held

    def key(self, key_id: str | None) -> CloudKey | None:
        """The key, if the cloud has it."""
        return next((key for key in self.keys if key.key_id == key_id), None)


class Move(NamedTuple):
    """One move: what it is called in a story, the situation after it, and whether it needs no fault and no person."""

    label: tuple[object, ...]
    world: World
    benign: bool = True


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of cloud, and how far the search goes with it."""

    name: str
    can: Capabilities
    budget: Budget
    integrations: int = 1
    hinted: bool = True  # stamps show the key
    local: bool = False  # the material is made here, before the call
    late_pushes: bool = False
    named: str | None = "k0"  # the key that the config names
    person_at_start: bool = False
    unlisted: bool = False  # what the integrations hold at first contact is none of the listed keys
    reads_fail: bool = False
    hold_unattributed: bool = False
    doubt: bool = False  # another store's push, and a restored backup of the journal, are among what may happen
    lags: bool = False  # lists may show the keys as they were before the last answered change
    replaces: bool = False  # `on_lost: replace`
    uses: bool = False  # the old keys were in use before the push, and the cloud shows use

    @property
    def names(self) -> frozenset[str]:
        """The integrations' ids."""
        return frozenset(f"i{number}" for number in range(self.integrations))

    def begin(self, journal: int) -> World:
        """First contact: every integration holds k0, a key that was made by hand; the cloud may list it no more."""
        keys: tuple[CloudKey, ...] = (CloudKey("k0", ours=False, mark="k0" if self.can.supplied else None),)
        if self.person_at_start:
            keys = (CloudKey("h", used=True, ours=False), *keys)
        if self.unlisted:
            keys = tuple(key for key in keys if key.key_id != "k0")
        return World(journal, keys, (("k0", TEXT),) * self.integrations, self.budget)


def stamp_text(generation: int, hint: str | None) -> str:
    """A description with a stamp of ours."""
    return f"{STORE}:{generation}:{hint or ''}"


def shown_by(text: str) -> str | None:
    """The key that a stamp of ours shows."""
    stamp = _stamp(text)
    return stamp.hint if stamp is not None and stamp.store == STORE else None


def _stamp(text: str) -> Stamp | None:
    if ":" not in text or text.startswith(EDITED):
        return None
    store, generation, hint = text.split(":")
    return Stamp(store, int(generation), hint or None)


def observe(world: World, can: Capabilities) -> Observation:
    """What one complete look shows. The integrations use what they hold, and the cloud shows it."""
    return Observation(
        keys=tuple(Key(k.key_id, BORN[k.born], enabled=k.enabled, mark=k.mark) for k in world.keys),
        cloud_time=T0,
        integrations=tuple(
            IntegrationView(f"i{number}", text, _stamp(text)) for number, (_, text) in enumerate(world.holds)
        ),
        last_used=tuple((k.key_id, _last_use(world, k)) for k in world.keys) if can.has_evidence else (),
    )


def _last_use(world: World, key: CloudKey) -> LastUse | None:
    if key.enabled and any(held == key.key_id for held, _ in world.holds):
        return LastUse(SINCE)
    return LastUse(T0) if key.used else None


def canonical(state: State, *, exact: bool, lags: bool) -> State:
    """The journal without what no rule reads, or what the search decides itself (when waits end).

    Where lists don't lag, every change shows at once.
    """
    rotation, asked, mint = state.rotation, state.asked, state.mint
    marks = sorted({lost.mark for lost in state.lost_mints if lost.mark is not None}) if exact else ()
    return replace(
        state,
        hold=Hold(state.hold.reason, "") if state.hold else None,
        rotation=Rotation(
            "r",
            "",
            T0,
            now=True,
            emergency=rotation.emergency,
            silence_accepted=rotation.silence_accepted,
        )
        if rotation
        else None,
        asked=Asked("", now=True, emergency=asked.emergency) if asked else None,
        mint=replace(mint, at=T0) if mint else None,
        attempts=0,
        failures=0,
        not_before=None,
        waits=None,
        since=None,
        since_vendor=None,
        current_since=None,
        lost_since=T0 if state.lost_since else None,
        changed_at=T0 if state.changed_at and lags else None,
        clock_off_since=None,
        error=None,
        unread=None,
        findings=(),
        # Rule 3 asks whether another push was sent. A push and its 429 undo each other, so 3 stands for all above 2.
        pushes_sent=min(state.pushes_sent, 3),
        pushed_at=T0 if state.pushed_at else None,
        unsettled_since=T0 if state.unsettled_since else None,
        texts_before=tuple(sorted(state.texts_before, key=str)),
        vouched=tuple(sorted(state.vouched, key=str)),
        suspects=tuple(sorted((Suspect(s.key_id, T0) for s in state.suspects), key=lambda s: s.key_id)),
        lost_mints=tuple(LostMint("", T0, mark) for mark in marks),
        keys=tuple(
            sorted(
                (
                    replace(r, gone_at=T0 if r.gone_at else None, pushed_at=T0 if r.pushed_at else None)
                    for r in state.keys
                ),
                key=lambda r: r.key_id,
            )
        ),
    )


def adopted(keys: tuple[CloudKey, ...], key_id: str | None) -> tuple[CloudKey, ...]:
    """The keys after the operator named one as the key in use, ours to rotate."""
    return tuple(key._replace(ours=True) if key.key_id == key_id else key for key in keys)


def changed(keys: tuple[CloudKey, ...], changed: CloudKey) -> tuple[CloudKey, ...]:
    return tuple(changed if key.key_id == changed.key_id else key for key in keys)


def replaced(holds: tuple[tuple[str, str], ...], number: int, held: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (*holds[:number], held, *holds[number + 1 :])


def in_order(flights: tuple[Flight, ...]) -> tuple[Flight, ...]:
    """Requests under way have no order of their own."""
    return tuple(sorted(flights, key=repr))
