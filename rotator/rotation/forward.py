"""Rows 13-39: mint, prove, push, confirm."""

from __future__ import annotations

from dataclasses import replace

from rotator.attention import FindingKind, HoldReason
from rotator.model import Call, Change, KeyRecord, LostMint, MintIntent, Origin, Phase, Proof, State, Suspect
from rotator.rotation.facts import Facts, Reading, inferred_keys, unknown_keys
from rotator.rotation.room import make_room, slots_full
from rotator.rotation.rows import Row
from rotator.rotation.step import (
    Step,
    added,
    alert,
    call,
    disable,
    enter,
    give_up_candidate,
    hold,
    is_lost,
    keep_candidate_alive,
    later,
    listed_as,
    may_be_held,
    names,
    note,
    wait,
)


def forward(state: State, facts: Facts) -> Step:
    """The next step of a rotation whose push isn't confirmed yet."""
    match state.phase:
        case Phase.MINTING:
            return _minting(state, facts) if state.mint is None else _unanswered(state, facts)
        case Phase.PROVING:
            return _proving(state, facts)
        case Phase.PUSHING:
            return _pushing(state, facts)
        case _:
            return _confirming(state, facts)


def _minting(state: State, facts: Facts) -> Step:
    if facts.keys is None or facts.readings is None:
        return wait(state, Row.MINT, "the keys and descriptions are not read yet")
    if not facts.moment.settled:
        return wait(state, Row.MINT, "an earlier call may still be under way")
    if state.paused:
        return wait(state, Row.MINT, "paused")
    if facts.key_wanted:
        return wait(state, Row.MINT, "waiting for the operator to make a new key")
    if not (facts.moment.window or state.emergency or (state.rotation is not None and state.rotation.now)):
        return wait(state, Row.MINT, "the window is closed")
    if facts.moment.blocked is not None:
        return wait(state, Row.MINT, facts.moment.blocked, note(FindingKind.NOT_ADMITTED, facts.moment.blocked))
    if not facts.slot:
        return make_room(state, facts) or slots_full(state, facts)
    if state.attempts >= facts.moment.max_attempts:
        return hold(
            state, Row.MAX_ATTEMPTS, HoldReason.MAX_ATTEMPTS, f"{state.attempts} mints in a row came to nothing"
        )
    intent = replace(
        state,
        generation=state.generation + 1,
        attempts=state.attempts + 1,
        mint=MintIntent(
            listed=frozenset(facts.keys),
            at=facts.moment.vendor_now or facts.moment.now,
            by_cloud=facts.cloud_time is not None,
        ),
        since=facts.moment.now,
    )
    return call(intent, Row.MINT, "mint a fresh key", Call(Change.CREATE))


def _unanswered(state: State, facts: Facts) -> Step:
    intent = state.mint
    if intent is None or not facts.moment.settled or facts.keys is None:
        return wait(state, Row.MINT_UNSETTLED, "the unanswered mint may still be under way")
    # Unknown ones only: with a journal restored from a backup, a generation, and so a mark, may come twice.
    unknown = unknown_keys(state, facts)
    found = next((key for key in unknown if intent.mark is not None and key.mark == intent.mark), None)
    closed = replace(state, mint=None)
    if found is not None:
        known = closed.with_record(KeyRecord(found.key_id, Origin.MINTED, state.generation))
        if facts.moment.has_material:
            return Step(
                Row.MINT_FOUND,
                f"the unanswered mint made key {found.key_id}",
                enter(replace(known, candidate=found.key_id), Phase.PROVING, facts),
            )
        return Step(
            Row.MINT_FOUND,
            f"the unanswered mint made key {found.key_id}, but its material is gone; deleting it",
            replace(known, to_delete=added(state.to_delete, (found.key_id,))),
        )
    return _infer(state, closed, intent, facts)


def _infer(state: State, closed: State, intent: MintIntent, facts: Facts) -> Step:
    probable = () if facts.can.exact else inferred_keys(state, facts)
    if not probable:
        lost = LostMint(state.rotation.rotation_id if state.rotation else "", intent.at, intent.mark)
        return Step(
            Row.MINT_LEFT_NOTHING,
            "the unanswered mint made no key",
            replace(closed, lost_mints=(*state.lost_mints, lost)),
        )
    # A key is only taken for ours if it was never used, and only disabled if that can be undone.
    # One that is disabled already was acted on by another.
    # One that can't be read may be anybody's.
    guessable = len(probable) == 1 and probable[0].enabled and facts.shows_use and facts.can.can_disable
    guessable = guessable and probable[0].odd is None
    if not (guessable and intent.by_cloud) or facts.moment.hold_unattributed:
        ids = listed_as(key.key_id for key in probable)
        return hold(
            state,
            Row.UNATTRIBUTED,
            HoldReason.UNATTRIBUTED,
            f"key {ids} appeared around an unanswered mint; rotator doesn't know which of them the mint made",
        )
    key_id = probable[0].key_id
    suspected = replace(
        closed.with_record(KeyRecord(key_id, Origin.SUSPECT, state.generation)),
        suspects=(
            *state.suspects,
            Suspect(key_id, facts.moment.quarantine_until, facts.moment.quarantine_until_vendor),
        ),
    )
    reason = f"an unanswered mint probably made key {key_id}"
    return disable(
        suspected,
        Row.MINT_INFERRED,
        key_id,
        reason,
        alert(
            FindingKind.SUSPECT,
            f"{reason}: disabling it now, and deleting it at {facts.moment.quarantine_until:%Y-%m-%d %H:%M} UTC "
            "unless it is used; if it is yours, `rotator undo` enables it",
        ),
    )


def _proving(state: State, facts: Facts) -> Step:
    if not facts.can.provable:
        return Step(
            Row.UNPROVABLE, "this kind of key can't be proved before its push", enter(state, Phase.PUSHING, facts)
        )
    if not facts.moment.has_material:
        return Step(Row.NEVER_ALIVE, "the candidate's material is gone", _back_off(give_up_candidate(state), facts))
    if facts.proof is Proof.CLOCK:
        why = f"the cloud refuses the signature of candidate {state.candidate} because of the clock"
        if facts.moment.proving_over:
            return hold(state, Row.NEVER_ALIVE, HoldReason.CLOCK, why)
        return wait(state, Row.NEVER_ALIVE, why, alert(FindingKind.CLOCK, why))
    if facts.proof is Proof.DEAD or (facts.moment.proving_over and facts.proof is not Proof.ALIVE):
        return Step(Row.NEVER_ALIVE, "the candidate never worked", _back_off(give_up_candidate(state), facts))
    if facts.proofs >= facts.moment.proofs_wanted:
        return Step(Row.PROVED, f"{facts.proofs} successes in a row", enter(state, Phase.PUSHING, facts))
    return wait(state, Row.PROVED, f"{facts.proofs} of {facts.moment.proofs_wanted} successes")


def _back_off(state: State, facts: Facts) -> State:
    return later(state, facts.moment.retry_at, facts.moment.now)


def _pushing(state: State, facts: Facts) -> Step:
    candidate = state.candidate
    if candidate is None:
        return Step(Row.NOTHING_SENT, "there is no candidate", enter(state, Phase.MINTING, facts))
    if facts.moment.has_material and not state.stopped:
        if step := _unfit(state, facts, candidate):
            return step
        missing = sorted(facts.moment.integrations - state.accepted)
        if not missing:
            return Step(Row.PUSHED, "every integration accepted the push", enter(state, Phase.CONFIRMING, facts))
        return _push(state, facts, candidate, missing[0])
    record = state.record(candidate)
    if not facts.moment.has_material and (record is None or not record.sent):
        return Step(
            Row.NOTHING_SENT, "the candidate's material is gone, and no push was sent", give_up_candidate(state)
        )
    return _judge(state, facts, candidate)


def _unfit(state: State, facts: Facts, candidate: str) -> Step | None:
    """A push needs its candidate listed and enabled in the same look: another may have disabled or deleted it."""
    if facts.can.supplied or state.accepted >= facts.moment.integrations:
        return None
    if facts.keys is None:
        return wait(state, Row.UNFIT, "the keys are not read yet")
    if facts.enabled(candidate):
        return None
    if not facts.moment.lag_over:
        return wait(state, Row.UNFIT, f"the cloud does not list key {candidate} yet")
    how = "disabled" if facts.listed(candidate) else "gone"
    why = f"key {candidate} is {how}: another than rotator acted on it; it is not pushed"
    record = state.record(candidate)
    if record is not None and record.sent:
        return Step(Row.UNFIT, why, replace(state, stopped=True))
    return Step(Row.UNFIT, why, _back_off(give_up_candidate(state), facts))


def _push(state: State, facts: Facts, candidate: str, integration: str) -> Step:
    texts_before = state.texts_before
    if not state.pushes_sent:
        # All of them, before the first is pushed: a crash between two pushes is judged by the texts of both.
        seen = {reading.integration: reading.description for reading in facts.readings or ()}
        unseen = facts.moment.integrations - seen.keys()
        if unseen:
            return wait(state, Row.PUSH, f"the description of integration {listed_as(sorted(unseen))} is not read yet")
        texts_before = tuple(seen.items())
    record = state.record(candidate) or KeyRecord(candidate, Origin.MINTED, state.generation)
    intent = replace(
        state.with_record(
            replace(record, sent=True, pushed_at=record.pushed_at or facts.moment.vendor_now or facts.moment.now)
        ),
        pushes_sent=state.pushes_sent + 1,
        pushed_at=state.pushed_at or facts.moment.now,
        texts_before=texts_before,
        accepted_loss=state.accepted_loss - {integration},
        baseline=state.baseline if state.pushes_sent else facts.dependents,
    )
    return call(
        intent,
        Row.PUSH,
        f"push key {candidate} into integration {integration}",
        Call(Change.PUSH, key_id=candidate, integration=integration),
    )


def _judge(state: State, facts: Facts, candidate: str) -> Step:
    """What the stamps say of a candidate whose pushes can't be repeated: rows 30-35."""
    if not facts.moment.settled or facts.readings is None or facts.keys is None:
        return wait(state, Row.PUSH_UNSETTLED, "a push may still be under way")
    holding = [r.integration for r in facts.readings if names(state, facts, r, candidate)]
    lost = [r.integration for r in facts.readings if is_lost(state, facts, r, candidate)]
    if len(holding) == len(facts.readings):
        if state.phase is Phase.PUSHING:
            return Step(Row.SHOWN_BY_ALL, "every integration shows the push", enter(state, Phase.CONFIRMING, facts))
        return _confirm(state, facts, candidate)
    if lost:
        return hold(
            state,
            Row.STAMP_LOST,
            HoldReason.STAMP_LOST,
            f"the description of integration {listed_as(lost)} was edited: it doesn't show whether the integration "
            f"took the push of key {candidate}",
        )
    if not holding:
        return Step(Row.SHOWN_BY_NONE, "no integration took the push", give_up_candidate(state))
    if facts.slot and not state.refused:
        return Step(
            Row.SHOWN_BY_SOME, f"only integration {listed_as(holding)} took the push", keep_candidate_alive(state)
        )
    others = [r.integration for r in facts.readings if r.integration not in holding]
    return hold(
        state,
        Row.PARTIAL_PUSH,
        HoldReason.PARTIAL_PUSH,
        f"integration {listed_as(holding)} holds key {candidate}, integration {listed_as(others)} doesn't; rotator "
        f"keeps key {listed_as(may_be_held(state))} alive",
    )


def _confirming(state: State, facts: Facts) -> Step:
    candidate = state.candidate
    if candidate is None:
        return Step(Row.NOTHING_SENT, "there is no candidate", enter(state, Phase.MINTING, facts))
    if not facts.moment.has_material or state.stopped:
        return _judge(state, facts, candidate)
    if not facts.moment.settled or facts.readings is None:
        return wait(state, Row.CONFIRM_UNSETTLED, "a push may still be under way")
    missing = [r for r in facts.readings if not names(state, facts, r, candidate)]
    if not missing:
        return _confirm(state, facts, candidate)
    return _push_again(state, facts, missing)


def _push_again(state: State, facts: Facts, missing: list[Reading]) -> Step:
    blind = [r.integration for r in missing if r.blind]
    if blind and facts.moment.overstayed:
        return hold(
            state,
            Row.STAMP_LOST,
            HoldReason.STAMP_LOST,
            f"no evidence shows that integration {listed_as(blind)} uses key {state.candidate}, and its connection "
            "writes no stamp",
        )
    unshown = frozenset(r.integration for r in missing if not r.blind)
    if not unshown:
        return wait(state, Row.PUSH_AGAIN, f"waiting for evidence that integration {listed_as(blind)} uses the new key")
    unaccepted = replace(state, accepted=state.accepted - unshown)
    again = later(unaccepted, facts.moment.retry_at, facts.moment.now)
    return Step(
        Row.PUSH_AGAIN,
        f"integration {listed_as(sorted(unshown))} doesn't show the push",
        enter(again, Phase.PUSHING, facts),
    )


def _confirm(state: State, facts: Facts, candidate: str) -> Step:
    if facts.worse:
        return hold(
            state,
            Row.DEPENDENTS_DEGRADED,
            HoldReason.DEPENDENTS_DEGRADED,
            f"worse than before the push: {listed_as(facts.worse)}; key {state.current or 'none'}, from before, still "
            "works",
        )
    return Step(Row.CONFIRMED, f"Northflank holds key {candidate}", confirmed(state, facts, candidate))


def confirmed(state: State, facts: Facts, candidate: str) -> State:
    """The candidate is current; what is to be revoked is recorded here, and never derived again (row 38)."""
    former = (state.current,) if state.current is not None else ()
    to_revoke = tuple(
        key_id for key_id in added(added(state.to_revoke, former), state.maybe_held) if key_id != candidate
    )
    return replace(
        enter(state, Phase.GRACE, facts),
        current=candidate,
        current_since=facts.moment.now if facts.moment.clock_ok else facts.moment.vendor_now,
        lost_since=None,
        candidate=None,
        to_revoke=to_revoke,
        maybe_held=(),
        texts_before=(),
        vouched=(),
        baseline=(),
        accepted=frozenset(),
        refused=frozenset(),
        stopped=False,
        pushes_sent=0,
        pushed_at=None,
        attempts=0,
        failures=0,
        confirmed_in=facts.moment.integrations,
        accepted_loss=frozenset(),
    )
