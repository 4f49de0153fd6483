"""Rows 9-11: first contact, and the adoption of a key that existed before rotator (rule 13)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from rotator.attention import FindingKind, HoldReason
from rotator.model import UNMANAGED, KeyRecord, LostMint, Origin, Phase, State
from rotator.rotation.facts import Facts
from rotator.rotation.rows import Row
from rotator.rotation.step import Step, added, frozen, hold, listed_as, note, vouch, wait, without


def first_contact(state: State, facts: Facts) -> Step:
    """Observe only, until the config, the operator or an integration names the key in use."""
    if facts.keys is None or facts.readings is None:
        return wait(state, Row.ADOPT_WHICH, "the keys and descriptions are not read yet")
    strange = [reading for reading in facts.readings if reading.strange]
    if strange:
        if state.hold is not None and state.hold.reason is HoldReason.TWO_ROTATORS:
            return wait(state, Row.STRANGE_AT_CONTACT, state.hold.detail)
        return hold(
            state,
            Row.STRANGE_AT_CONTACT,
            HoldReason.TWO_ROTATORS,
            f"integration {strange[0].integration} carries the stamp of another store ({strange[0].store}): another "
            "rotator pushes to it, or did so before its journal was lost",
        )
    if facts.moment.frozen:
        return frozen(state)
    stamped = stamped_integrations(facts)
    if facts.moment.named_key == UNMANAGED and not stamped and not shown_in_use(facts):
        why = f"`current_key` is unmanaged: {in_use_is_none_of(facts)}"
        return Step(Row.ADOPT, why, without_key(state, facts), finding=note(FindingKind.UNMANAGED, why))
    named = sorted(_named_as_in_use(facts))
    if len(named) == 1 and facts.enabled(named[0]) and not stamped:
        return Step(Row.ADOPT, f"the key in use is named: {named[0]}", adopt(state, facts, named[0]))
    detail = _why_not_adopted(facts, named, stamped)
    if state.hold is not None and state.hold.detail == detail:
        return wait(state, Row.ADOPT_WHICH, detail)
    return hold(state, Row.ADOPT_WHICH, HoldReason.ADOPT_WHICH, detail)


def stamped_integrations(facts: Facts) -> list[str]:
    """The integrations that carry a stamp of a rotator, this one or another: some rotator pushed a key there."""
    return [reading.integration for reading in facts.readings or () if reading.generation is not None]


def shown_in_use(facts: Facts) -> list[tuple[str, str]]:
    """The integrations whose own answers show that they hold a working key of the list; each with that key."""
    echoed = [(reading.integration, reading.echoed) for reading in facts.readings or ()]
    return [(integration, key) for integration, key in echoed if key is not None and facts.enabled(key)]


def in_use_is_none_of(facts: Facts) -> str:
    """What follows where an operator states that Northflank holds none of the listed keys."""
    listed = listed_as(sorted(facts.keys or {}))
    if facts.can.supplied:
        return f"Northflank does not hold the key that the operator supplied ({listed}); rotator pushes that key"
    return (
        f"the key in use is none of the listed keys ({listed}); rotator leaves those alone and pushes a fresh key into "
        "every integration"
    )


def _named_as_in_use(facts: Facts) -> set[str]:
    """The keys that the config and the integrations' own answers say are in use."""
    echoed = {reading.echoed for reading in facts.readings or ()}
    return {key_id for key_id in (facts.moment.named_key, *echoed) if key_id is not None}


def _why_not_adopted(facts: Facts, named: list[str], stamped: list[str]) -> str:
    listed = listed_as(sorted(facts.keys or {}))
    if stamped:
        shown = listed_as(stamped)
        return f"the journal doesn't know the credential, but integration {shown} carries its stamp; keys: {listed}"
    if not named:
        return f"neither the config nor an integration names the key in use; keys: {listed}"
    if facts.moment.named_key == UNMANAGED:
        holds = "; ".join(f"integration {integration} holds key {key}" for integration, key in shown_in_use(facts))
        return f"`current_key` is unmanaged, but Northflank shows a working key of the list: {holds}; keys: {listed}"
    if len(named) > 1:
        return f"config and integrations name several keys as the one in use: {listed_as(named)}; keys: {listed}"
    state = "disabled" if facts.listed(named[0]) else "not among the credential's keys"
    return f"key {named[0]} is named as the one in use, but is {state}; keys: {listed}"


def adopt(state: State, facts: Facts, key_id: str) -> State:
    """Make a listed key the current one, and vouch for the texts seen now: they stand for it.

    Keys of ours that were in flight stay alive until the next confirm retires them: any of them may be held.
    """
    readings = facts.readings or ()
    known = state.record(key_id)
    if known is None or known.origin not in {Origin.MINTED, Origin.ADOPTED}:
        # Only a stamp of our own store names it from now on; under another's, its text is vouched for.
        ours = [r.generation for r in readings if r.ours and r.generation is not None]
        known = KeyRecord(key_id, Origin.ADOPTED, max(ours, default=0))
    created_at: datetime | None = facts.keys[key_id].created_at if facts.keys and key_id in facts.keys else None
    adopted = replace(
        _taken_over(state, facts).with_record(replace(known, sent=True)),
        current=key_id,
        current_since=created_at,
        confirmed_in=facts.moment.integrations,
    )
    return vouch(replace(adopted, maybe_held=without(adopted.maybe_held, (key_id,))), readings, key_id)


def without_key(state: State, facts: Facts) -> State:
    """No key is known to be held: everything of ours stays alive, and the first rotation is due at once."""
    before = tuple((reading.integration, reading.description) for reading in facts.readings or ())
    return replace(_taken_over(state, facts), texts_before=before)


def _taken_over(state: State, facts: Facts) -> State:
    """Idle, with no current key, and every key of ours that was in flight on `maybe_held`."""
    readings = facts.readings or ()
    in_flight = added(
        added(state.maybe_held, state.to_revoke), (*state.to_delete, *((state.candidate,) if state.candidate else ()))
    )
    former = in_flight if state.current is None else added(in_flight, (state.current,))
    generations = [reading.generation for reading in readings if reading.generation is not None]
    lost = state.lost_mints
    if state.mint is not None:
        # An unanswered mint is not resolved while the journal is in doubt: its key is looked for from now on.
        rotation_id = state.rotation.rotation_id if state.rotation is not None else ""
        lost = (*lost, LostMint(rotation_id, state.mint.at, state.mint.mark))
    return State(
        phase=Phase.IDLE,
        generation=max((state.generation, *generations)),
        since=facts.moment.now,
        since_vendor=facts.moment.vendor_now,
        maybe_held=former,
        undone=state.undone,
        suspects=state.suspects,
        lost_mints=lost,
        keys=state.keys,
        stores=state.stores | {r.store for r in readings if r.store is not None},
        unsettled_since=state.unsettled_since,
        changed_at=state.changed_at,
        paused=state.paused,
    )
