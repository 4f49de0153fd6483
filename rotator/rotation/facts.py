"""From an observation to the facts that `decide` reads: which stamp names which key, which keys are unknown.

Pure. What depends on time is in `Moment`; here nothing reads a clock.
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
from rotator.rotation.moment import Moment


@dataclass(frozen=True, slots=True)
class Reading:
    """What one integration's description says, seen from the journal.

    Args:
        integration: its id.
        description: the text itself.
        generation: of the stamp, this store's or a strange one; None for any other text.
        names: the key of ours that it holds: by the echoed id, else by a text that is vouched for, else by the stamp
            (store, generation and, where shown, key).
        strange: the stamp is another store's, and its text was not accepted; `store` then is that store's id.
        before: the text is exactly the one recorded before the candidate's push.
        blind: its connection has `stamp: false`; evidence of use speaks in the stamp's place.
        echoed: the key id in the answer's credentials, known to the journal or not.
        ours: the stamp is this very store's, not an accepted one's: only such a stamp shows a push of ours.
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

    `named` holds the keys of ours that integrations hold by their descriptions; an integration whose loss the
    operator accepted (`accepted_loss`) doesn't count. `taken` is how many slots are taken: a key just deleted takes
    none, though lists may still show it. `use_untold` is why the cloud shows no use, where the config leaves it open.
    `exposed` names files of rotator's own that others can write.
    """

    moment: Moment
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
    taken: int = 0
    use_untold: str | None = None
    exposed: tuple[str, ...] = ()

    @property
    def key_wanted(self) -> bool:
        """Only the operator can make the next key, and has not made it yet."""
        return self.can.supplied and not self.moment.key_supplied

    @property
    def slot(self) -> bool:
        """A key can be minted without passing the cloud's limit. Only asked where the keys were read."""
        return self.can.slots is None or (self.keys is not None and self.taken < self.can.slots)

    @property
    def shows_use(self) -> bool:
        """The cloud shows when keys were used."""
        return self.can.has_evidence and self.use_untold is None

    def enabled(self, key_id: str) -> bool:
        """The cloud lists the key as enabled."""
        return self.keys is not None and key_id in self.keys and self.keys[key_id].enabled

    def listed(self, key_id: str) -> bool:
        """The cloud lists the key."""
        return self.keys is not None and key_id in self.keys


def look(
    state: State,
    seen: Observation,
    moment: Moment,
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
        moment: what time, process and config say.
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
        moment=moment,
        can=can,
        keys=None if seen.keys is None else {key.key_id: key for key in seen.keys},
        cloud_time=seen.cloud_time,
        readings=readings,
        named=frozenset(
            reading.names
            for reading in readings or ()
            if reading.names is not None and reading.integration not in state.accepted_loss
        ),
        last_used=dict(seen.last_used),
        proof=seen.proof,
        proofs=seen.proofs,
        dependents=seen.dependents,
        worse=worse,
        taken=_taken(state, seen, moment),
        use_untold=seen.use_untold,
        exposed=seen.exposed,
    )


def _taken(state: State, seen: Observation, moment: Moment) -> int:
    """Slots that are taken. While a list may lag, the answers count: what was made is there, what was deleted isn't."""
    listed = {key.key_id for key in seen.keys or ()}
    if moment.lag_over:
        return len(listed)
    ours = [record for record in state.keys if record.origin not in {Origin.FOREIGN, Origin.RELEASED}]
    gone = {record.key_id for record in ours if record.gone_at is not None}
    return len((listed | {record.key_id for record in ours}) - gone)


def _read(state: State, view: IntegrationView, store_id: str, *, blind: bool) -> Reading:
    echoed, stamp = _echoed(state, view), view.stamp
    if blind:
        return Reading(view.integration, view.description, names=echoed, blind=True)
    before = (view.integration, view.description) in state.texts_before
    vouched = _vouched_for(state, view)
    # What was accepted of another store is the text that it had written; a fresh one is a fresh act of that store.
    accepted = stamp is not None and stamp.store in state.stores and (before or vouched is not None)
    if stamp is not None and stamp.store != store_id and not accepted:
        return Reading(
            view.integration,
            view.description,
            generation=stamp.generation,
            strange=True,
            store=stamp.store,
            before=before,
        )
    # Another store's generations count from their own beginning: only our own store's stamps name our keys.
    ours = stamp if stamp is not None and stamp.store == store_id else None
    named = vouched or (_stamped(state, ours) if ours is not None else None)
    if echoed is not None and echoed != named:
        # Another than rotator changed the credential and kept the text: the key that is really there counts.
        return Reading(view.integration, view.description, names=echoed)
    # A stamp of ours is judged by what it names; the text from before may be that of a push that landed late.
    return Reading(
        view.integration,
        view.description,
        ours.generation if ours is not None else None,
        named,
        before=before and ours is None,
        ours=ours is not None,
    )


def _vouched_for(state: State, view: IntegrationView) -> str | None:
    return next(
        (v.key_id for v in state.vouched if (v.integration, v.description) == (view.integration, view.description)),
        None,
    )


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
    """The key's creation falls between the intent and the end of `settle`, both by the cloud's own clock.

    An intent that the cloud's clock did not date may be of any time: every key may be its own.
    """
    return not intent.by_cloud or intent.at <= key.created_at <= intent.at + settle


def loss(state: State, facts: Facts, key_id: str) -> str | None:
    """How another than rotator took this key away, by this look; None where it works, or the list proves nothing.

    A list may lag behind a change of ours. A key that rotator disabled or deleted is not meant.
    """
    record = state.record(key_id)
    if facts.keys is None or not facts.moment.lag_over or (record is not None and record.gone_at is not None):
        return None
    if not facts.listed(key_id):
        return None if record is not None and record.deleting else "gone"
    return "disabled" if theirs(state, facts, key_id) else None


def may_be_there(state: State, facts: Facts, key_id: str) -> bool:
    """The cloud lists the key, or may not list it yet."""
    record = state.record(key_id)
    known = record is not None and record.gone_at is None and not facts.moment.lag_over
    return facts.listed(key_id) or known


def theirs(state: State, facts: Facts, key_id: str) -> bool:
    """The key is disabled, and not by rotator (rule 14): rotator never enables it."""
    record = state.record(key_id)
    return facts.listed(key_id) and not facts.enabled(key_id) and not (record is not None and record.disabling)


def unknown_keys(state: State, facts: Facts) -> tuple[Key, ...]:
    """Listed keys that the journal has no row for, in a stable order."""
    known = {record.key_id for record in state.keys}
    return tuple(sorted((k for i, k in (facts.keys or {}).items() if i not in known), key=lambda key: key.key_id))


def marked_keys(state: State, facts: Facts) -> tuple[Key, ...]:
    """Unknown keys that carry the mark of a mint of ours that was given up."""
    marks = {lost.mark for lost in state.lost_mints if lost.mark is not None}
    return tuple(key for key in unknown_keys(state, facts) if key.mark is not None and key.mark in marks)


def inferred_keys(state: State, facts: Facts) -> tuple[Key, ...]:
    """Rule 2: unmarked keys that the open mint may have made. One that can't be read may be such a key."""
    intent = state.mint
    if intent is None:
        return ()
    return tuple(
        key
        for key in unknown_keys(state, facts)
        if key.key_id not in intent.listed
        and (key.odd is not None or created_by(intent, key, facts.moment.settle))
        and facts.last_used.get(key.key_id) is None
    )
