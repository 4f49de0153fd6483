"""What people may ask for, where it is allowed, and what it does to the journal. Pure, like `decide`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from rotator.model import Asked, Hold, HoldReason, KeyRecord, Origin, Phase, State
from rotator.rotation.contact import adopt
from rotator.rotation.decide import HANDS_OFF
from rotator.rotation.facts import Facts
from rotator.rotation.forward import confirmed
from rotator.rotation.step import (
    added,
    drop_candidate,
    enter,
    held_key,
    is_lost,
    keep_candidate_alive,
    listed_as,
    names,
    removed,
    without,
)


class Kind(StrEnum):
    """The requests that concern one credential."""

    ADOPT = "adopt"
    ROTATE = "rotate"
    RESUME = "resume"
    ABANDON = "abandon"
    UNDO = "undo"
    PAUSE = "pause"
    UNPAUSE = "unpause"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One request of a person.

    Args:
        kind: what is asked for.
        key_id: adopt: the key in use. rotate with `leaked`: the leaked key, None for the current one.
        take_over: adopt: another store's stamp, or a newer journal's, is known and overruled.
        now: rotate: don't wait for the window.
        leaked: rotate: an emergency.
        accept_use: resume: the old key's use is known, revoke it all the same.
        cut: resume: the integration whose loss of access is accepted.
        ours, foreign: resume of unattributed keys: what they are.
    """

    kind: Kind
    key_id: str | None = None
    take_over: bool = False
    now: bool = False
    leaked: bool = False
    accept_use: bool = False
    cut: str | None = None
    ours: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ruling:
    """Whether the request is accepted, why, and the journal after it (unchanged where refused)."""

    accepted: bool
    text: str
    state: State


def answer(state: State, request: Command, facts: Facts) -> Ruling:
    """Decide on a request. Refusals say what would be allowed instead."""
    in_doubt = state.hold is not None and state.hold.reason in HANDS_OFF
    if in_doubt and request.kind not in {Kind.ADOPT, Kind.PAUSE, Kind.UNPAUSE}:
        return _no(state, f"this credential is {_where(state)}: `rotator adopt` is the way")
    return _ANSWERS[request.kind](state, request, facts)


def _yes(state: State, text: str) -> Ruling:
    return Ruling(accepted=True, text=text, state=state)


def _no(state: State, text: str) -> Ruling:
    return Ruling(accepted=False, text=text, state=state)


def _where(state: State) -> str:
    return f"held ({state.hold.reason.value})" if state.hold is not None else state.phase.value


# adopt


def _adopt(state: State, request: Command, facts: Facts) -> Ruling:
    key_id = request.key_id
    if facts.keys is None or facts.readings is None:
        return _no(state, "the keys and the integrations can't be read now; nothing was changed")
    if key_id is None or not facts.listed(key_id):
        return _no(state, f"name one of the credential's keys: {listed_as(sorted(facts.keys))}")
    if not facts.enabled(key_id):
        return _no(state, f"{key_id} is disabled: it can't be the one in use")
    record = state.record(key_id)
    if record is not None and record.deleting:
        return _no(state, f"{key_id} is being deleted")
    reason = state.hold.reason if state.hold is not None else None
    if any(reading.strange for reading in facts.readings) and not request.take_over:
        return _no(state, "an integration carries another store's stamp; `--take-over` overrules it")
    if reason is HoldReason.JOURNAL_BEHIND and not request.take_over:
        return _no(state, "the journal is older than the stamps; `--take-over` overrules it")
    if state.phase is Phase.NEW or reason in {HoldReason.TWO_ROTATORS, HoldReason.JOURNAL_BEHIND}:
        return _yes(adopt(state, facts, key_id), f"{key_id} is the current key")
    if state.phase is not Phase.IDLE or state.hold is not None:
        return _no(state, f"a key is adopted at first contact or when idle, not when {_where(state)}")
    if any(reading.names is not None for reading in facts.readings) and key_id != state.current:
        return _no(state, f"the stamps say that {listed_as(sorted(facts.named))} is in use")
    return _yes(adopt(state, facts, key_id), f"{key_id} is the current key")


# rotate


def _rotate(state: State, request: Command, facts: Facts) -> Ruling:
    if request.leaked:
        return _leaked(state, request, facts)
    if state.phase is not Phase.IDLE or state.hold is not None:
        return _no(state, f"a rotation begins when idle; this credential is {_where(state)}")
    due = (
        "it begins when a new key is brought: only a person can make one"
        if facts.key_wanted
        else "the rotation is due now"
    )
    return _yes(replace(state, asked=Asked("asked for by a person", now=request.now)), due)


def _leaked(state: State, request: Command, facts: Facts) -> Ruling:
    if state.phase is Phase.NEW:
        return _no(state, "first contact isn't done: `rotator adopt` names the key in use")
    key_id = request.key_id or state.current or state.candidate
    record = state.record(key_id)
    if key_id is None or record is None or record.origin not in {Origin.MINTED, Origin.ADOPTED}:
        return _no(
            state, f"{key_id} is not a key of rotator's; foreign keys are never touched: disable it in the cloud"
        )
    if record.gone_at is not None:
        return _no(state, f"{key_id} is already deleted")
    follow_up = Asked(f"{key_id} leaked", now=True, emergency=True)
    if state.phase is Phase.IDLE and state.hold is None:
        return _yes(replace(state, asked=follow_up), f"{key_id} is being replaced now, without grace")
    revoking = state.phase in {Phase.GRACE, Phase.DISABLING, Phase.QUARANTINE, Phase.DELETING}
    again = key_id == state.candidate or (key_id == state.current and revoking)
    hurried = replace(
        state,
        rotation=replace(state.rotation, emergency=True) if state.rotation is not None else None,
        asked=follow_up if again else state.asked,
        not_before=None,
    )
    if state.hold is None:
        return _yes(hurried, f"{key_id} goes as fast as it safely can")
    resumed = _resume(hurried, Command(kind=Kind.RESUME), facts)
    return replace(resumed, state=resumed.state if resumed.accepted else state)


# resume


def _resume(state: State, request: Command, facts: Facts) -> Ruling:
    if state.hold is None:
        return _no(state, f"nothing is held; this credential is {_where(state)}")
    reason = state.hold.reason
    if request.cut is not None:
        return _cut(state, request.cut, facts)
    if request.accept_use and reason is not HoldReason.STILL_USED:
        return _no(state, "--accept-use is for a rotation held because the old key is still used")
    if (request.ours or request.foreign) and reason is not HoldReason.UNATTRIBUTED:
        return _no(state, "--ours and --foreign are for keys that a lost mint left in doubt")
    fresh = replace(state, hold=None, attempts=0, failures=0, not_before=None, since=facts.moment.now)
    match reason:
        case HoldReason.SLOTS_FULL:
            # A key that a person asked back may fill the last slot: a resume ends that wish (rule 11).
            return _yes(replace(_no_longer_undone(fresh), phase=Phase.MINTING), "back to minting")
        case HoldReason.MAX_ATTEMPTS | HoldReason.MINT_REFUSED:
            return _yes(replace(fresh, phase=Phase.MINTING), "back to minting")
        case HoldReason.UNATTRIBUTED:
            return _attribute(state, fresh, request, facts)
        case HoldReason.PUSH_REFUSED | HoldReason.PARTIAL_PUSH | HoldReason.STAMP_LOST:
            return _yes(_push_on(fresh), "the stamps are read again")
        case HoldReason.STILL_USED:
            if request.accept_use:
                disabling = Phase.DISABLING if facts.can.can_disable else Phase.DELETING
                return _yes(replace(fresh, phase=disabling), "the old key is revoked although it is used")
            return _yes(fresh, "max_grace starts again")
        case HoldReason.DEPENDENTS_DEGRADED:
            return _yes(replace(fresh, baseline=facts.dependents), "the present state of the dependents is accepted")
        case HoldReason.CONTENDED:
            return _yes(replace(fresh, roll_forwards=0), "back to where it was held")
        case HoldReason.UNDONE:
            return _yes(_no_longer_undone(fresh), "the revocation goes on")
        case _:
            return _yes(fresh, "back to where it was held")


def _no_longer_undone(state: State) -> State:
    """Former suspects stay: they are other people's, and only wait to be enabled."""
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
        return _no(
            state, f"{listed_as(sorted(named - unknown))} is not in doubt; in doubt: {listed_as(sorted(unknown))}"
        )
    if set(request.ours) & set(request.foreign):
        return _no(state, "a key can't be both ours and foreign")
    for key_id in request.ours:
        fresh = fresh.with_record(KeyRecord(key_id, Origin.MINTED, state.generation))
    for key_id in request.foreign:
        fresh = fresh.with_record(KeyRecord(key_id, Origin.FOREIGN))
    return _yes(
        replace(fresh, phase=Phase.MINTING, to_delete=added(state.to_delete, request.ours)),
        f"ours, to be deleted: {listed_as(request.ours)}; foreign: {listed_as(request.foreign)}",
    )


def _cut(state: State, integration: str, facts: Facts) -> Ruling:
    reason = state.hold.reason if state.hold is not None else None
    if reason is HoldReason.INTEGRATION_REMOVED:
        if integration not in removed(state, facts):
            return _no(state, f"{integration} is not among those that were removed from the config")
        let_go = replace(
            state,
            hold=None,
            confirmed_in=state.confirmed_in - {integration},
            accepted_loss=state.accepted_loss | {integration},
        )
        return _yes(let_go, f"{integration} may lose access")
    if reason is not HoldReason.PARTIAL_PUSH:
        return _no(state, "--cut is for a push that only some integrations took")
    holds = {reading.integration: held_key(state, reading) for reading in facts.readings or ()}
    if integration not in holds:
        return _no(state, f"{integration} is none of {listed_as(sorted(holds))}")
    del holds[integration]
    unclear = sorted(other for other, held in holds.items() if held is None)
    if unclear:
        return _no(state, f"what {listed_as(unclear)} holds isn't known: it could lose access too")
    # What the others hold stays alive; everything else that was kept for the sake of the one that is cut can go.
    kept = {held for held in holds.values() if held is not None}
    alive = added(state.maybe_held, (key_id for key_id in (state.current, state.candidate) if key_id is not None))
    freed_ids = without(alive, kept)
    if not freed_ids:
        return _no(state, f"the others hold {listed_as(sorted(kept))} too: cutting {integration} frees nothing")
    rest = keep_candidate_alive(state) if state.candidate in kept else drop_candidate(state)
    freed = replace(
        rest,
        current=rest.current if rest.current in kept else None,
        maybe_held=without(rest.maybe_held, freed_ids),
        undone=without(rest.undone, freed_ids),
        to_delete=added(rest.to_delete, freed_ids),
    )
    return _yes(
        replace(
            freed,
            hold=None,
            phase=Phase.MINTING,
            accepted_loss=state.accepted_loss | {integration},
            confirmed_in=state.confirmed_in - {integration},
            attempts=0,
            not_before=None,
        ),
        f"{integration} loses access until the next push; to be deleted: {listed_as(freed_ids)}",
    )


# abandon


def _abandon(state: State, _request: Command, facts: Facts) -> Ruling:
    if state.phase in {Phase.NEW, Phase.IDLE}:
        return _no(state, "no rotation is in flight")
    if gone := removed(state, facts):
        return _no(state, f"{listed_as(gone)} may hold a key and is not in the config: put it back, or `resume --cut`")
    if state.call is not None or state.mint is not None or state.to_delete:
        return _no(state, "a call or a clean-up isn't settled yet; try again when `status` shows it done")
    pushed_by_all = state.phase in {Phase.GRACE, Phase.DISABLING, Phase.QUARANTINE, Phase.DELETING}
    if not pushed_by_all and (state.maybe_held or state.current is None):
        return _no(state, "integrations may hold several keys; only a confirmed push ends this safely: resume instead")
    match state.phase:
        case Phase.MINTING:
            return _yes(_idle(state, facts), "abandoned; nothing was minted")
        case Phase.PROVING:
            return _yes(_idle(drop_candidate(state), facts), "abandoned; the candidate is deleted")
        case Phase.PUSHING | Phase.CONFIRMING:
            return _abandon_push(state, facts)
        case Phase.GRACE | Phase.DISABLING | Phase.QUARANTINE:
            return _release(state, facts)
        case _:
            return _no(state, "the deletion has begun; it is finished")


def _abandon_push(state: State, facts: Facts) -> Ruling:
    candidate = state.candidate
    if candidate is None:
        return _yes(_idle(state, facts), "abandoned")
    record = state.record(candidate)
    if record is None or not record.sent:
        return _yes(_idle(drop_candidate(state), facts), "abandoned; the candidate is deleted")
    if not facts.moment.settled or not facts.readings:
        return _no(state, "the push isn't settled yet; try again in a minute")
    if all(names(state, facts, r, candidate) for r in facts.readings):
        taken = confirmed(state, facts, candidate)
        return _release(taken, facts)
    if any(names(state, facts, r, candidate) or is_lost(state, facts, r, candidate) for r in facts.readings):
        return _no(state, f"some integrations may hold {candidate}; `resume` is the way")
    return _yes(
        _idle(drop_candidate(state), facts), "abandoned; no integration took the push, the candidate is deleted"
    )


def _release(state: State, facts: Facts) -> Ruling:
    """Leave the old keys to people: foreign from now on."""
    if any(_is_being_deleted(state, key_id) for key_id in state.to_revoke):
        return _no(state, "the deletion has begun; it is finished")
    if facts.keys is None or any(facts.listed(k) and not facts.enabled(k) for k in state.to_revoke):
        return _no(state, "an old key is disabled; `rotator undo` first, so that nothing is left half revoked")
    released = state
    for key_id in state.to_revoke:
        record = state.record(key_id) or KeyRecord(key_id, Origin.MINTED)
        released = released.with_record(replace(record, origin=Origin.RELEASED))
    return _yes(
        _idle(replace(released, to_revoke=(), undone=()), facts),
        f"abandoned; no longer looked after: {listed_as(state.to_revoke)}",
    )


def _idle(state: State, facts: Facts) -> State:
    return replace(enter(state, Phase.IDLE, facts), rotation=None, attempts=0, roll_forwards=0, not_before=None)


# undo, pause


def _undo(state: State, _request: Command, facts: Facts) -> Ruling:
    if state.suspects:
        return _undo_suspects(state)
    if state.phase not in {Phase.DISABLING, Phase.QUARANTINE} or not facts.can.can_disable:
        return _no(state, f"there is nothing to undo when {_where(state)}; undo is for disabling and quarantine")
    back = tuple(key_id for key_id in state.to_revoke if not _is_being_deleted(state, key_id))
    if not back:
        return _no(state, "the deletion has begun; it is finished")
    reason = Hold(HoldReason.UNDONE, f"a person asked for {listed_as(back)} back; it stays enabled until a resume")
    return _yes(replace(state, hold=reason, undone=back), f"{listed_as(back)} is being enabled")


def _is_being_deleted(state: State, key_id: str) -> bool:
    record = state.record(key_id)
    return record is not None and record.deleting


def _undo_suspects(state: State) -> Ruling:
    ids = tuple(suspect.key_id for suspect in state.suspects)
    freed = replace(state, suspects=(), undone=added(state.undone, ids))
    for key_id in ids:
        record = state.record(key_id) or KeyRecord(key_id, Origin.SUSPECT)
        freed = freed.with_record(replace(record, origin=Origin.FOREIGN))
    return _yes(freed, f"{listed_as(ids)} is foreign from now on, and is being enabled")


def _pause(state: State, _request: Command, _facts: Facts) -> Ruling:
    return _yes(replace(state, paused=True), "paused; a push once sent is still finished")


def _unpause(state: State, _request: Command, _facts: Facts) -> Ruling:
    return _yes(replace(state, paused=False), "no longer paused")


_ANSWERS: dict[Kind, Callable[[State, Command, Facts], Ruling]] = {
    Kind.ADOPT: _adopt,
    Kind.ROTATE: _rotate,
    Kind.RESUME: _resume,
    Kind.ABANDON: _abandon,
    Kind.UNDO: _undo,
    Kind.PAUSE: _pause,
    Kind.UNPAUSE: _unpause,
}
