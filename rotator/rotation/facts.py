"""From an observation to the facts that `decide` reads: which stamp names which key, which keys are unknown.

Pure. What depends on time is in `Surroundings`, which `times.py` computes; here nothing reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rotator.model import (
    Capabilities,
    IntegrationView,
    Key,
    LastUse,
    MintIntent,
    Observation,
    Origin,
    Proof,
    Stamp,
    State,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What time, the process and the config say about this moment.

    Args:
        now: the wall clock, aware UTC.
        new_rotation_id: the id that a rotation begun now will have.
        integrations: the ids of the integrations that the config names for this credential.
        named_key: the key that the config names as the one in use; read at first contact only.
        mem: the candidate's material is in this process.
        settled: `settle` has passed since the last thing that might still land.
        waiting: the backoff or a vendor's Retry-After isn't over.
        window: changes that the window gates are allowed now (not counting `now` and emergency).
        frozen: a person stopped every change of this store.
        clock_ok: our clock agrees with the cloud's Date header to 2 minutes.
        due: why a rotation is due, or None. `expiring` means that it can't wait for the window.
        brought: a person brought a new key, where that is how keys are made.
        grace_over, quiet, overstayed: `grace` is over; the old keys are silent; `max_grace` is over.
        quarantine_over, proving_over: the respective time is over.
        retry_at: when a call that fails now may be tried again.
        quarantine_until: when a quarantine that begins now ends.
        attempts_spared: transport errors, throttling and 5xx don't count as attempts (max_age isn't near).
        max_attempts, proofs_wanted, settle, hold_unattributed: from the policy.
    """

    now: datetime
    new_rotation_id: str
    integrations: frozenset[str]
    retry_at: datetime
    quarantine_until: datetime
    named_key: str | None = None
    mem: bool = False
    settled: bool = True
    waiting: bool = False
    window: bool = True
    frozen: bool = False
    clock_ok: bool = True
    due: str | None = None
    expiring: bool = False
    brought: bool = False
    grace_over: bool = False
    quiet: bool = True
    overstayed: bool = False
    quarantine_over: bool = False
    proving_over: bool = False
    attempts_spared: bool = True
    max_attempts: int = 12
    proofs_wanted: int = 3
    settle: timedelta = timedelta(seconds=60)
    hold_unattributed: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What one integration's description says, seen from the journal.

    Args:
        integration: its id.
        description: the text itself.
        generation: of the stamp, ours or a strange one; None for any other text.
        names: the key of ours that the stamp (store, generation and, where shown, key) or the echoed id names.
        strange: the stamp is another store's; `store` then is that store's id.
        before: the text is exactly the one recorded before the candidate's push, or at the adoption.
        blind: its connection has `stamp: false`; evidence of use speaks in the stamp's place.
        echoed: the key id in the answer's credentials, known to the journal or not.
        ours: the stamp is this very store's, not an accepted one's: its generation is one of ours.
    """

    integration: str
    description: str | None
    generation: int | None = None
    names: str | None = None
    strange: bool = False
    store: str | None = None
    before: bool = False
    blind: bool = False
    echoed: str | None = None
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """All that `decide` looks at beside the journal. Keys and readings are None where they weren't read.

    `named` holds the keys of ours that integrations hold by their descriptions; an integration whose loss a person
    accepted (`cut`) doesn't count.
    """

    times: Surroundings
    can: Capabilities
    keys: dict[str, Key] | None
    cloud_time: datetime | None
    readings: tuple[Reading, ...] | None
    named: frozenset[str]
    last_used: dict[str, LastUse | None]
    proof: Proof | None
    proofs: int
    dependents: tuple[tuple[str, str], ...]
    worse: tuple[str, ...] = ()

    @property
    def key_wanted(self) -> bool:
        """Only a person can make the next key, and none was brought."""
        return self.can.supplied and not self.times.brought

    @property
    def slot(self) -> bool:
        """A key can be minted without passing the cloud's limit. Only asked where the keys were read."""
        return self.can.slots is None or (self.keys is not None and len(self.keys) < self.can.slots)

    def enabled(self, key_id: str) -> bool:
        """The cloud lists the key as enabled."""
        return self.keys is not None and key_id in self.keys and self.keys[key_id].enabled

    def listed(self, key_id: str) -> bool:
        """The cloud lists the key."""
        return self.keys is not None and key_id in self.keys


def look(
    state: State,
    seen: Observation,
    times: Surroundings,
    can: Capabilities,
    store_id: str,
    *,
    blind: frozenset[str] = frozenset(),
    worse: tuple[str, ...] = (),
) -> Facts:
    """Interpret an observation in the light of the journal.

    Args:
        state: the journal's row.
        seen: what was read.
        times: what time, process and config say.
        can: the cloud's capabilities.
        store_id: our own store's id.
        blind: the integrations whose connection has `stamp: false`.
        worse: dependents that are worse off than before the push.
    """
    readings = None
    if seen.integrations is not None:
        readings = tuple(
            replace(_read(state, view, store_id, blind=view.integration in blind), echoed=view.echoed_key)
            for view in seen.integrations
        )
    return Facts(
        times=times,
        can=can,
        keys=None if seen.keys is None else {key.key_id: key for key in seen.keys},
        cloud_time=seen.cloud_time,
        readings=readings,
        named=frozenset(
            reading.names
            for reading in readings or ()
            if reading.names is not None and reading.integration not in state.cut
        ),
        last_used=dict(seen.last_used),
        proof=seen.proof,
        proofs=seen.proofs,
        dependents=seen.dependents,
        worse=worse,
    )


def _read(state: State, view: IntegrationView, store_id: str, *, blind: bool) -> Reading:
    if blind:
        return Reading(view.integration, view.description, names=_echoed(state, view), blind=True)
    before = (view.integration, view.description) in state.before
    stamp = view.stamp
    if stamp is None:
        return Reading(view.integration, view.description, names=_echoed(state, view), before=before)
    if stamp.store != store_id and stamp.store not in state.stores:
        return Reading(
            view.integration,
            view.description,
            generation=stamp.generation,
            strange=True,
            store=stamp.store,
            before=before,
        )
    # Another store's generations count from their own beginning: only our own store's stamps name our keys.
    ours = stamp.store == store_id
    named = _stamped(state, stamp) if ours else None
    echoed = _echoed(state, view)
    if echoed is not None and echoed != named:
        # Somebody changed the credential and kept the text: the key that is really there counts, the stamp doesn't.
        return Reading(view.integration, view.description, names=echoed)
    # A stamp of ours is judged by what it names; the text from before may be that of a push that landed late.
    before = before and not ours
    return Reading(view.integration, view.description, stamp.generation, named, before=before, ours=ours)


def _stamped(state: State, stamp: Stamp) -> str | None:
    """Rule 9: the key of ours whose generation and, where both show one, hint equal the stamp's."""
    return next(
        (
            record.key_id
            for record in state.keys
            if record.origin in {Origin.MINTED, Origin.ADOPTED}
            and record.generation == stamp.generation
            and (stamp.hint is None or record.hint is None or record.hint == stamp.hint)
        ),
        None,
    )


def _echoed(state: State, view: IntegrationView) -> str | None:
    return view.echoed_key if view.echoed_key is not None and state.record(view.echoed_key) is not None else None


def created_by(intent: MintIntent, key: Key, settle: timedelta) -> bool:
    """The key's creation falls between the intent and the end of `settle`, both by the cloud's own clock."""
    return intent.at <= key.created_at <= intent.at + settle


def unknown_keys(state: State, facts: Facts) -> tuple[Key, ...]:
    """Listed keys that the journal has no row for, in a stable order."""
    known = {record.key_id for record in state.keys}
    return tuple(sorted((k for i, k in (facts.keys or {}).items() if i not in known), key=lambda key: key.key_id))


def marked_keys(state: State, facts: Facts) -> tuple[Key, ...]:
    """Unknown keys that carry the mark of a mint of ours that was given up."""
    marks = {lost.mark for lost in state.lost if lost.mark is not None}
    return tuple(key for key in unknown_keys(state, facts) if key.mark is not None and key.mark in marks)


def inferred_keys(state: State, facts: Facts) -> tuple[Key, ...]:
    """Rule 2: keys that the open mint may have made, where nothing marks them as ours."""
    intent = state.mint
    if intent is None:
        return ()
    return tuple(
        key
        for key in unknown_keys(state, facts)
        if key.key_id not in intent.listed
        and created_by(intent, key, facts.times.settle)
        and facts.last_used.get(key.key_id) is None
    )
