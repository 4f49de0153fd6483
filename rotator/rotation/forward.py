"""Rows 13-39: mint, prove, push, confirm."""

from __future__ import annotations

from dataclasses import replace

from rotator.model import (
    Call,
    Change,
    HoldReason,
    KeyRecord,
    LostMint,
    MintIntent,
    Origin,
    Phase,
    Proof,
    State,
    Suspect,
)
from rotator.rotation.facts import Facts, Reading, inferred_keys, unknown_keys
from rotator.rotation.step import (
    Step,
    added,
    call,
    drop_candidate,
    enter,
    held_key,
    hold,
    is_lost,
    keep_candidate_alive,
    listed_as,
    names,
    wait,
    without,
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
        return wait(state, "13", "not yet seen")
    if not facts.moment.settled:
        return wait(state, "13", "an earlier call may still be under way")
    if state.paused:
        return wait(state, "13", "paused")
    if facts.key_wanted:
        return wait(state, "13", "nobody has brought a new key")
    if not (facts.moment.window or state.emergency or (state.rotation is not None and state.rotation.now)):
        return wait(state, "13", "the window is closed")
    if not facts.slot:
        return _make_room(state, facts) or _slots_full(state, facts)
    if state.attempts >= facts.moment.max_attempts:
        return hold(state, "13c", HoldReason.MAX_ATTEMPTS, f"gave up after {state.attempts} attempts")
    cloud_time = facts.cloud_time
    if cloud_time is None:
        return wait(state, "13", "the cloud's time is not known")
    intent = replace(
        state,
        generation=state.generation + 1,
        attempts=state.attempts + 1,
        mint=MintIntent(listed=frozenset(facts.keys), at=cloud_time),
        since=facts.moment.now,
    )
    return call(intent, "13", "a fresh key", Call(Change.CREATE))


def _make_room(state: State, facts: Facts) -> Step | None:
    """Rule 8: where it is known what each integration holds, a key that none holds makes room for a fresh one."""
    held = {held_key(state, reading) for reading in facts.readings or ()}
    unclear = any(held_key(state, r) is None and r.generation is None for r in facts.readings or ())
    if not held or unclear:
        return None
    alive = added(state.maybe_held, (state.current,) if state.current is not None else ())
    unheld = tuple(key_id for key_id in alive if key_id not in held and key_id not in state.undone)
    if not unheld:
        return None
    rest = replace(
        state,
        current=None if state.current in unheld else state.current,
        maybe_held=without(state.maybe_held, unheld),
        to_delete=added(state.to_delete, unheld),
    )
    return Step("13b", f"{listed_as(unheld)} is held by nobody and makes room for a fresh key", rest)


def _slots_full(state: State, facts: Facts) -> Step:
    if state.suspects:
        until = min(suspect.until for suspect in state.suspects)
        return wait(state, "13b", f"a suspect key holds the slot until {until:%Y-%m-%d %H:%M} UTC")
    keys = "; ".join(
        f"{key.key_id} ({_origin(state, key.key_id)}, created {key.created_at:%Y-%m-%d}, {_use(facts, key.key_id)})"
        for key in sorted((facts.keys or {}).values(), key=lambda key: key.key_id)
    )
    return hold(state, "13b", HoldReason.SLOTS_FULL, f"no free slot: {keys}")


def _origin(state: State, key_id: str) -> str:
    if key_id == state.current:
        return "current"
    if key_id in state.undone:
        return "asked back by a person; a resume gives it up"
    record = state.record(key_id)
    return record.origin.value if record is not None else "unknown"


def _use(facts: Facts, key_id: str) -> str:
    if key_id not in facts.last_used:
        return "last use not known"
    use = facts.last_used[key_id]
    return f"last used {use.at:%Y-%m-%d %H:%M} UTC by {use.service or 'unknown'}" if use is not None else "never used"


def _unanswered(state: State, facts: Facts) -> Step:
    intent = state.mint
    if intent is None or not facts.moment.settled or facts.keys is None:
        return wait(state, "16", "a create may still be under way")
    # Unknown ones only: with a journal restored from a backup, a generation, and so a mark, may come twice.
    unknown = unknown_keys(state, facts)
    found = next((key for key in unknown if intent.mark is not None and key.mark == intent.mark), None)
    closed = replace(state, mint=None)
    if found is not None:
        known = closed.with_record(KeyRecord(found.key_id, Origin.MINTED, state.generation))
        if facts.moment.has_material:
            return Step(
                "18",
                "the key of the unanswered mint is there",
                enter(replace(known, candidate=found.key_id), Phase.PROVING, facts),
            )
        return Step(
            "18",
            f"{found.key_id} was minted, but its material is gone",
            replace(known, to_delete=added(state.to_delete, (found.key_id,))),
        )
    return _infer(state, closed, intent, facts)


def _infer(state: State, closed: State, intent: MintIntent, facts: Facts) -> Step:
    probable = () if facts.can.exact else inferred_keys(state, facts)
    if not probable:
        lost = LostMint(state.rotation.rotation_id if state.rotation else "", intent.at, intent.mark)
        return Step("17", "the unanswered mint left no key", replace(closed, lost_mints=(*state.lost_mints, lost)))
    # A key is only taken for ours if it was never used, and only disabled if that can be undone.
    guessable = len(probable) == 1 and facts.can.has_evidence and facts.can.can_disable
    if not guessable or facts.moment.hold_unattributed:
        ids = listed_as(key.key_id for key in probable)
        return hold(
            state,
            "20",
            HoldReason.UNATTRIBUTED,
            f"{ids} appeared around an unanswered mint; which of them is ours is not known",
        )
    key_id = probable[0].key_id
    suspected = replace(
        closed.with_record(KeyRecord(key_id, Origin.SUSPECT, state.generation)),
        suspects=(*state.suspects, Suspect(key_id, facts.moment.quarantine_until)),
    )
    reason = f"{key_id} is probably the key of an unanswered mint"
    return call(
        suspected,
        "19",
        reason,
        Call(Change.DISABLE, key_id=key_id),
        finding=f"{reason}: it is disabled, and deleted at {facts.moment.quarantine_until:%Y-%m-%d %H:%M} UTC unless "
        "it is used; `rotator undo` makes it yours",
    )


def _proving(state: State, facts: Facts) -> Step:
    if not facts.can.provable:
        return Step("21", "this kind of key can't be proved before its push", enter(state, Phase.PUSHING, facts))
    if not facts.moment.has_material:
        return Step("22", "the material is gone", _back_off(drop_candidate(state), facts))
    if facts.proof is Proof.CLOCK:
        return hold(state, "22", HoldReason.CLOCK, "the cloud refuses the candidate's signature because of the clock")
    if facts.proof is Proof.DEAD or (facts.moment.proving_over and facts.proof is not Proof.ALIVE):
        return Step("22", "the candidate never came alive", _back_off(drop_candidate(state), facts))
    if facts.proofs >= facts.moment.proofs_wanted:
        return Step("23", f"{facts.proofs} successes in a row", enter(state, Phase.PUSHING, facts))
    return wait(state, "23", f"{facts.proofs} of {facts.moment.proofs_wanted} successes")


def _back_off(state: State, facts: Facts) -> State:
    return replace(state, not_before=facts.moment.retry_at)


def _pushing(state: State, facts: Facts) -> Step:
    candidate = state.candidate
    if candidate is None:
        return Step("29", "there is no candidate", enter(state, Phase.MINTING, facts))
    if facts.moment.has_material and not state.stopped:
        missing = sorted(facts.moment.integrations - state.accepted)
        if not missing:
            return Step("28", "every integration accepted the push", enter(state, Phase.CONFIRMING, facts))
        return _push(state, facts, candidate, missing[0])
    record = state.record(candidate)
    if not facts.moment.has_material and (record is None or not record.sent):
        return Step("29", "the material is gone, and nothing was sent", drop_candidate(state))
    return _judge(state, facts, candidate)


def _push(state: State, facts: Facts, candidate: str, integration: str) -> Step:
    before = state.texts_before
    if not state.pushes_sent:
        # All of them, before the first is pushed: a crash between two pushes is judged by the texts of both.
        seen = {reading.integration: reading.description for reading in facts.readings or ()}
        unseen = facts.moment.integrations - seen.keys()
        if unseen:
            return wait(state, "27", f"{listed_as(sorted(unseen))} is not yet seen")
        before = tuple(seen.items())
    record = state.record(candidate) or KeyRecord(candidate, Origin.MINTED, state.generation)
    intent = replace(
        state.with_record(replace(record, sent=True)),
        pushes_sent=state.pushes_sent + 1,
        pushed_at=state.pushed_at or facts.moment.now,
        texts_before=before,
        accepted_loss=state.accepted_loss - {integration},
        baseline=state.baseline if state.pushes_sent else facts.dependents,
    )
    return call(
        intent,
        "27",
        f"push {candidate} into {integration}",
        Call(Change.PUSH, key_id=candidate, integration=integration),
    )


def _judge(state: State, facts: Facts, candidate: str) -> Step:
    """What the stamps say of a candidate whose pushes can't be repeated: rows 30-35."""
    if not facts.moment.settled or facts.readings is None or facts.keys is None:
        return wait(state, "30", "a push may still be under way")
    holding = [r.integration for r in facts.readings if names(state, facts, r, candidate)]
    lost = [r.integration for r in facts.readings if is_lost(state, facts, r, candidate)]
    if len(holding) == len(facts.readings):
        if state.phase is Phase.PUSHING:
            return Step("31", "every integration shows the push", enter(state, Phase.CONFIRMING, facts))
        return _confirm(state, facts, candidate)
    if lost:
        return hold(
            state,
            "32",
            HoldReason.STAMP_LOST,
            f"the description of {listed_as(lost)} doesn't tell whether {candidate} was pushed",
        )
    if not holding:
        return Step("33", "no integration took the push", drop_candidate(state))
    if facts.slot and not state.refused:
        return Step("34", f"only {listed_as(holding)} took the push", keep_candidate_alive(state))
    others = [r.integration for r in facts.readings if r.integration not in holding]
    return hold(
        state,
        "35",
        HoldReason.PARTIAL_PUSH,
        f"{listed_as(holding)} holds {candidate}, {listed_as(others)} does not; both keys are kept alive",
    )


def _confirming(state: State, facts: Facts) -> Step:
    candidate = state.candidate
    if candidate is None:
        return Step("29", "there is no candidate", enter(state, Phase.MINTING, facts))
    if not facts.moment.has_material or state.stopped:
        return _judge(state, facts, candidate)
    if not facts.moment.settled or facts.readings is None:
        return wait(state, "36", "a push may still be under way")
    missing = [r for r in facts.readings if not names(state, facts, r, candidate)]
    if not missing:
        return _confirm(state, facts, candidate)
    return _push_again(state, facts, missing)


def _push_again(state: State, facts: Facts, missing: list[Reading]) -> Step:
    blind = [r.integration for r in missing if r.blind]
    if blind and facts.moment.overstayed:
        return hold(
            state,
            "32",
            HoldReason.STAMP_LOST,
            f"no evidence that {listed_as(blind)} uses {state.candidate}, and no stamp to tell",
        )
    unshown = frozenset(r.integration for r in missing if not r.blind)
    if not unshown:
        return wait(state, "39", f"waiting for evidence that {listed_as(blind)} uses the new key")
    again = replace(state, accepted=state.accepted - unshown, not_before=facts.moment.retry_at)
    return Step("39", f"{listed_as(sorted(unshown))} does not show the push", enter(again, Phase.PUSHING, facts))


def _confirm(state: State, facts: Facts, candidate: str) -> Step:
    if facts.worse:
        return hold(
            state,
            "37",
            HoldReason.DEPENDENTS_DEGRADED,
            f"worse than before the push: {listed_as(facts.worse)}; the old key is untouched",
        )
    return Step("38", f"Northflank holds {candidate}", confirmed(state, facts, candidate))


def confirmed(state: State, facts: Facts, candidate: str) -> State:
    """The candidate is current; what is to be retired is recorded here, and never derived again (row 38)."""
    former = (state.current,) if state.current is not None else ()
    retire = tuple(key_id for key_id in added(added(state.to_revoke, former), state.maybe_held) if key_id != candidate)
    return replace(
        enter(state, Phase.GRACE, facts),
        current=candidate,
        current_since=facts.moment.now,
        candidate=None,
        to_revoke=retire,
        maybe_held=(),
        texts_before=(),
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
