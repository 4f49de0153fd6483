"""`rotator resume`: what ends each hold, and what it does to the journal. Pure, like `decide`."""

from __future__ import annotations

from dataclasses import replace

from rotator.attention import HoldReason
from rotator.model import KeyRecord, Origin, Phase, State
from rotator.rotation.commands import Command, Ruling, accepted, refused, standing
from rotator.rotation.facts import Facts
from rotator.rotation.others import ROLL_FORWARDS_ALLOWED, without_current
from rotator.rotation.room import may_go_unseen
from rotator.rotation.step import (
    added,
    give_up_candidate,
    held_key,
    is_lost,
    keep_candidate_alive,
    listed_as,
    removed_integrations,
    vouch,
    without,
)

_UNCONFIRMED = frozenset({Phase.MINTING, Phase.PROVING, Phase.PUSHING, Phase.CONFIRMING})


def resume(state: State, request: Command, facts: Facts) -> Ruling:
    """Let a held rotation go on. It goes on by looking: where the cause remains, it holds again."""
    if request.still_holds is not None:
        return _still_holds(state, request.still_holds, facts)
    if state.hold is None:
        return refused(state, f"nothing is held; this credential is {standing(state)}")
    reason = state.hold.reason
    if request.cut is not None:
        return _cut(state, request, request.cut, facts)
    if request.accept_use and reason is not HoldReason.STILL_USED:
        return refused(state, "--accept-use is for a rotation that is held as still_used")
    if request.accept_silence and reason not in {HoldReason.NOT_TAKEN_UP, HoldReason.SLOTS_FULL}:
        return refused(state, "--accept-silence is for a rotation that is held as not_taken_up or slots_full")
    if (request.ours or request.foreign) and reason is not HoldReason.UNATTRIBUTED:
        return refused(state, "--ours and --foreign are for a rotation that is held as unattributed")
    fresh = replace(
        state,
        hold=None,
        attempts=0,
        failures=0,
        not_before=None,
        since=facts.moment.now,
        since_vendor=facts.moment.vendor_now,
    )
    if request.accept_silence and fresh.rotation is not None:
        fresh = replace(fresh, rotation=replace(fresh.rotation, silence_accepted=True))
    old = listed_as(state.to_revoke)
    match reason:
        case HoldReason.SLOTS_FULL:
            # A key that the operator asked back may fill the last slot: a resume gives it up (rule 11).
            return accepted(replace(_no_longer_undone(fresh), phase=Phase.MINTING), "back to minting")
        case HoldReason.MAX_ATTEMPTS | HoldReason.MINT_REFUSED:
            return accepted(replace(fresh, phase=Phase.MINTING), "back to minting")
        case HoldReason.UNATTRIBUTED:
            return _attribute(state, fresh, request, facts)
        case HoldReason.PUSH_REFUSED | HoldReason.PARTIAL_PUSH | HoldReason.STAMP_LOST:
            return accepted(_push_on(fresh), "rotator reads the stamps again")
        case HoldReason.STILL_USED:
            if request.accept_use:
                return accepted(_revoking(fresh, facts), f"rotator revokes old key {old} although it is used")
            return accepted(fresh, "max_grace starts again")
        case HoldReason.NOT_TAKEN_UP:
            if request.accept_silence:
                return accepted(
                    _revoking(fresh, facts),
                    f"rotator revokes old key {old} although new key {state.current} seems unused",
                )
            return accepted(fresh, "max_grace starts again")
        case HoldReason.CURRENT_DISABLED | HoldReason.CURRENT_GONE:
            return _replace(state, facts)
        case HoldReason.ENABLED_AGAIN:
            return accepted(_no_longer_wanted(fresh), f"rotator disables again: {old}")
        case HoldReason.DEPENDENTS_DEGRADED:
            return accepted(replace(fresh, baseline=facts.dependents), "the dependents' present state counts as good")
        case HoldReason.CONTENDED:
            return accepted(replace(fresh, roll_forwards=0), "back to where it was held")
        case HoldReason.UNDONE:
            return accepted(_no_longer_undone(_no_longer_wanted(fresh)), f"rotator revokes old key {old} after all")
        case HoldReason.REFUSED_TO_REVOKE:
            return accepted(_without_what_is_in_use(fresh, facts), "rotator looks again")
        case _:
            return accepted(fresh, "back to where it was held")


def _revoking(state: State, facts: Facts) -> State:
    return replace(state, phase=Phase.DISABLING if facts.can.can_disable else Phase.DELETING)


def _replace(state: State, facts: Facts) -> Ruling:
    """Mint and push a fresh key at once."""
    if facts.keys is None or facts.readings is None:
        return refused(state, "rotator can't read the keys and the integrations now; nothing was changed")
    if not facts.moment.settled:
        return refused(state, "a call isn't settled yet; try again in a minute")
    why = f"the operator asked for a fresh key in the place of {state.current}"
    rolled = replace(state, roll_forwards=min(state.roll_forwards, ROLL_FORWARDS_ALLOWED - 1))
    return accepted(without_current(rolled, facts, why), "rotator mints and pushes a fresh key at once")


def _still_holds(state: State, integrations: tuple[str, ...], facts: Facts) -> Ruling:
    """The operator states what the integrations hold: their texts as they are now stand for the current key."""
    current = state.current
    if current is None or state.phase in {Phase.NEW, *_UNCONFIRMED}:
        return refused(
            state, f"--still-holds is for an idle credential or one after its confirm; this one is {standing(state)}"
        )
    if facts.readings is None or not facts.moment.settled:
        return refused(state, "the descriptions can't be read, or a call isn't settled yet; try again in a minute")
    lost = {r.integration: r for r in facts.readings if not r.strange and is_lost(state, facts, r, current)}
    wrong = sorted(set(integrations) - lost.keys())
    if wrong or not lost:
        return refused(
            state,
            f"the stamp of integration {listed_as(wrong or sorted(facts.moment.integrations))} isn't lost; lost: "
            f"{listed_as(sorted(lost))}",
        )
    chosen = [lost[integration] for integration in integrations or sorted(lost)]
    vouched = vouch(state, chosen, current)
    if state.hold is not None and state.hold.reason is HoldReason.STAMP_LOST:
        vouched = replace(vouched, hold=None)
    named = listed_as(reading.integration for reading in chosen)
    return accepted(vouched, f"the present description of integration {named} stands for key {current}")


def _no_longer_wanted(state: State) -> State:
    """What others enabled again may be disabled again."""
    return replace(state, keys=tuple(replace(record, enabled_again=False) for record in state.keys))


def _without_what_is_in_use(state: State, facts: Facts) -> State:
    in_use = {state.current, state.candidate, *facts.named} - {None}
    out = tuple(key_id for key_id in in_use if key_id is not None)
    return replace(
        state,
        to_revoke=without(state.to_revoke, out),
        to_delete=without(state.to_delete, out),
        suspects=tuple(suspect for suspect in state.suspects if suspect.key_id not in in_use),
    )


def _no_longer_undone(state: State) -> State:
    """Former suspects stay: they are foreign, and only wait to be enabled."""
    foreign = {record.key_id for record in state.keys if record.origin is Origin.FOREIGN}
    return replace(state, undone=tuple(key_id for key_id in state.undone if key_id in foreign))


def _push_on(state: State) -> State:
    """Back to the push; where the candidate was given up, to the phase that held."""
    return replace(state, phase=Phase.PUSHING, stopped=False) if state.candidate is not None else state


def _attribute(state: State, fresh: State, request: Command, facts: Facts) -> Ruling:
    known = {record.key_id for record in state.keys}
    unknown = {key_id for key_id in facts.keys or {} if key_id not in known}
    named = {*request.ours, *request.foreign}
    if not named <= unknown:
        return refused(
            state, f"key {listed_as(sorted(named - unknown))} is not in doubt; in doubt: {listed_as(sorted(unknown))}"
        )
    if set(request.ours) & set(request.foreign):
        return refused(state, "name a key with --ours or with --foreign, not with both")
    for key_id in request.ours:
        fresh = fresh.with_record(KeyRecord(key_id, Origin.MINTED, state.generation))
    for key_id in request.foreign:
        fresh = fresh.with_record(KeyRecord(key_id, Origin.FOREIGN))
    return accepted(
        replace(fresh, phase=Phase.MINTING, to_delete=added(state.to_delete, request.ours)),
        f"rotator deletes: {listed_as(request.ours)}; foreign, left alone: {listed_as(request.foreign)}",
    )


def _cut(state: State, request: Command, integration: str, facts: Facts) -> Ruling:
    reason = state.hold.reason if state.hold is not None else None
    if reason is HoldReason.INTEGRATION_REMOVED:
        gone = removed_integrations(state, facts)
        if integration not in gone:
            return refused(
                state,
                f"integration {integration} did not leave the config; --cut is for: {listed_as(gone)}",
            )
        let_go = replace(
            state,
            hold=None,
            confirmed_in=state.confirmed_in - {integration},
            accepted_loss=state.accepted_loss | {integration},
        )
        return accepted(let_go, f"integration {integration} may lose access")
    if reason is not HoldReason.PARTIAL_PUSH:
        return refused(state, "--cut is for a rotation that is held as partial_push or integration_removed")
    holds = {reading.integration: held_key(state, reading) for reading in facts.readings or ()}
    if integration not in holds:
        return refused(state, f"the credential has no integration {integration}; it has: {listed_as(sorted(holds))}")
    del holds[integration]
    unclear = sorted(other for other, held in holds.items() if held is None)
    if unclear:
        return refused(
            state, f"rotator doesn't know which key integration {listed_as(unclear)} holds: it could lose access too"
        )
    # What the others hold stays alive; everything else that was kept for the sake of the one that is cut can go.
    kept = {held for held in holds.values() if held is not None}
    if not request.accept_silence and not may_go_unseen(state, facts, kept):
        return refused(
            state,
            f"the other integrations show key {listed_as(sorted(kept))}, but no use of it was seen: they may still use "
            "another. Wait for a use of it, or add --accept-silence",
        )
    alive = added(state.maybe_held, (key_id for key_id in (state.current, state.candidate) if key_id is not None))
    freed_ids = without(alive, kept)
    if not freed_ids:
        return refused(
            state, f"the other integrations hold {listed_as(sorted(kept))}: cutting {integration} off frees no key"
        )
    rest = keep_candidate_alive(state) if state.candidate in kept else give_up_candidate(state)
    freed = replace(
        rest,
        current=rest.current if rest.current in kept else None,
        maybe_held=without(rest.maybe_held, freed_ids),
        undone=without(rest.undone, freed_ids),
        to_delete=added(rest.to_delete, freed_ids),
    )
    return accepted(
        replace(
            freed,
            hold=None,
            phase=Phase.MINTING,
            accepted_loss=state.accepted_loss | {integration},
            confirmed_in=state.confirmed_in - {integration},
            attempts=0,
            not_before=None,
        ),
        f"integration {integration} loses access until the next push; rotator deletes: {listed_as(freed_ids)}",
    )
