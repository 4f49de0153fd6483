"""Where each request of the operator is allowed, and what it does to the journal. Pure, like `decide`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rotator.attention import Hold, HoldReason
from rotator.model import Asked, KeyRecord, Origin, Phase, State
from rotator.rotation.commands import Command, Kind, Ruling, accepted, refused, standing
from rotator.rotation.contact import adopt, in_use_is_none_of, shown_in_use, stamped_integrations, without_key
from rotator.rotation.decide import HANDS_OFF
from rotator.rotation.facts import Facts, may_be_there, theirs
from rotator.rotation.forward import confirmed
from rotator.rotation.others import CURRENT_LOST
from rotator.rotation.resume import resume
from rotator.rotation.step import added, enter, give_up_candidate, is_lost, listed_as, names, removed_integrations


def answer(state: State, request: Command, facts: Facts) -> Ruling:
    """Decide on a request. A refusal says what is allowed instead."""
    in_doubt = state.hold is not None and state.hold.reason in HANDS_OFF
    if in_doubt and request.kind not in {Kind.ADOPT, Kind.PAUSE, Kind.UNPAUSE}:
        return refused(state, f"this credential is {standing(state)}: only `rotator adopt` ends that")
    return _ANSWERS[request.kind](state, request, facts)


# adopt


_OR_NONE = " If Northflank holds none of the listed keys, `rotator adopt --unmanaged` goes on without a key in use"


def _adopt(state: State, request: Command, facts: Facts) -> Ruling:
    key_id = request.key_id
    if facts.keys is None or facts.readings is None:
        return refused(state, "rotator can't read the keys and the integrations now; nothing was changed")
    reason = state.hold.reason if state.hold is not None else None
    in_doubt = reason in {HoldReason.TWO_ROTATORS, HoldReason.JOURNAL_BEHIND}
    new = state.phase is Phase.NEW
    if request.unmanaged:
        return _adopt_none(state, request, facts, in_doubt=in_doubt)
    if key_id is None or not facts.listed(key_id):
        return refused(
            state,
            f"name one of the credential's keys: {listed_as(sorted(facts.keys))}.{_OR_NONE if new else ''}",
        )
    if not facts.enabled(key_id):
        return refused(state, f"key {key_id} is disabled: it can't be the one in use.{_OR_NONE if new else ''}")
    record = state.record(key_id)
    if record is not None and record.deleting:
        return refused(state, f"rotator has begun to delete key {key_id}")
    if any(reading.strange for reading in facts.readings) and not request.take_over:
        return refused(state, "an integration carries another store's stamp; `--take-over` overrules it")
    if reason is HoldReason.JOURNAL_BEHIND and not request.take_over:
        return refused(state, "the journal is older than the stamps; `--take-over` overrules it")
    if not new and not in_doubt and (why := _why_not_now(state, facts)):
        return refused(state, why)
    return accepted(adopt(state, facts, key_id), f"{key_id} is the current key")


def _why_not_now(state: State, facts: Facts) -> str | None:
    """Where the key in use may be named: when idle, when it was lost, and in minting while nothing was begun."""
    reason = state.hold.reason if state.hold is not None else None
    idle = state.phase is Phase.IDLE and state.hold is None
    nothing_begun = state.phase is Phase.MINTING and state.mint is None and state.candidate is None
    if not (idle or reason in CURRENT_LOST or (nothing_begun and reason in {None, HoldReason.SLOTS_FULL})):
        return (
            "adopt a key at first contact, when idle, when the current key was lost, or in minting while nothing was "
            f"minted; this credential is {standing(state)}"
        )
    if not facts.moment.settled or state.to_delete or state.mint is not None or state.candidate is not None:
        return "a call or a clean-up isn't settled yet; try again in a minute"
    return None


def _adopt_none(state: State, request: Command, facts: Facts, *, in_doubt: bool) -> Ruling:
    """The operator states that the integrations hold none of the listed keys, or a dead one.

    An integration that shows a working key of the list proves otherwise; a stamp says that it may.
    """
    new = state.phase is Phase.NEW
    if not (new or in_doubt):
        return refused(
            state,
            "--unmanaged is for first contact and for a credential that is held as two_rotators or journal_behind; "
            f"this credential is {standing(state)}: {_fresh_key(state)}",
        )
    if (in_doubt or stamped_integrations(facts)) and not request.take_over:
        return refused(state, "an integration carries a rotator's stamp; `--take-over --unmanaged` overrules it")
    if new and (shown := shown_in_use(facts)):
        holds = "; ".join(f"integration {integration} holds key {key_id}" for integration, key_id in shown)
        return refused(state, f"Northflank shows a working key of the list: {holds}. Adopt that key")
    if not facts.moment.settled:
        return refused(state, "a call isn't settled yet; try again in a minute")
    text = in_use_is_none_of(facts) if new else "rotator pushes a fresh key; what is there stays alive"
    return accepted(without_key(state, facts), text)


def _fresh_key(state: State) -> str:
    """Which request has a fresh key pushed, where first contact was made."""
    if state.hold is not None:
        return "`rotator resume` goes on"
    if state.phase is Phase.IDLE:
        return "`rotator rotate --now` pushes a fresh key"
    return "the rotation in flight pushes a fresh key"


# rotate


def _rotate(state: State, request: Command, facts: Facts) -> Ruling:
    if request.leaked:
        return _leaked(state, request, facts)
    if state.phase is not Phase.IDLE or state.hold is not None:
        return refused(state, f"a rotation begins when idle; this credential is {standing(state)}")
    if rotated := _rotated_already(state, facts):
        return refused(state, rotated)
    pending = state.asked
    if pending is not None and pending.emergency:
        return accepted(
            state, f"an emergency rotation is already asked for ({pending.reason}){_in_the_way(state, facts)}"
        )
    due = "the rotation begins when the operator has made a new key" if facts.key_wanted else "the rotation is due now"
    now = request.now or (pending is not None and pending.now)
    asked = replace(state, asked=Asked("the operator asked for it", now=now, key_id=state.current))
    return accepted(asked, due + _in_the_way(state, facts))


def _rotated_already(state: State, facts: Facts) -> str | None:
    """Where the operator makes the keys: that the last one was rotated. The request would wait for the next one."""
    record = state.record(state.current)
    if not facts.key_wanted or record is None or record.origin is not Origin.MINTED:
        return None
    when = f" at {state.current_since:%Y-%m-%d %H:%M} UTC" if state.current_since is not None else ""
    return (
        f"key {state.current}, which the operator supplied last, is rotated already{when}. Make a new key and put it "
        "where the config says: rotator then rotates by itself"
    )


def _in_the_way(state: State, facts: Facts) -> str:
    """What an operator did that keeps an accepted request from being carried out; nothing where nothing does."""
    if facts.moment.frozen:
        return "; but every change is frozen: it begins after `rotator unfreeze`"
    return "; but this credential is paused: it begins after `rotator unpause`" if state.paused else ""


def _leaked(state: State, request: Command, facts: Facts) -> Ruling:
    if state.phase is Phase.NEW:
        return refused(state, "no key is adopted yet: `rotator adopt` names the key in use")
    key_id = request.key_id or state.current or state.candidate
    if key_id is None:
        return refused(state, "rotator knows of no key in use: name the leaked key, and disable it in the cloud")
    if why := _not_to_revoke(state, facts, key_id):
        return refused(state, why)
    idle = state.phase is Phase.IDLE and state.hold is None
    if idle and request.key_id is None and (rotated := _rotated_already(state, facts)):
        return refused(state, f"{rotated}. If that very key leaked: `rotator rotate --leaked {key_id}`")
    follow_up = Asked(f"key {key_id} leaked", now=True, emergency=True, key_id=key_id)
    if idle and facts.key_wanted:
        text = f"rotator replaces key {key_id} when the operator has made a new key{_in_the_way(state, facts)}"
        return accepted(replace(state, asked=follow_up), text)
    if idle:
        text = f"rotator replaces key {key_id} now, without grace{_in_the_way(state, facts)}"
        return accepted(replace(state, asked=follow_up), text)
    revoking = state.phase in {Phase.GRACE, Phase.DISABLING, Phase.QUARANTINE, Phase.DELETING}
    again = key_id == state.candidate or (key_id == state.current and revoking)
    hurried = replace(
        state,
        rotation=replace(state.rotation, emergency=True) if state.rotation is not None else None,
        asked=follow_up if again else state.asked,
        not_before=None,
    )
    if state.hold is None:
        text = f"rotator finishes this rotation without grace and quarantine, to revoke key {key_id}"
        return accepted(hurried, text + _in_the_way(state, facts))
    resumed = resume(hurried, Command(kind=Kind.RESUME), facts)
    return replace(resumed, state=resumed.state if resumed.accepted else state)


def _not_to_revoke(state: State, facts: Facts, key_id: str) -> str | None:
    """Why a leaked key is not rotator's to revoke: it is gone, or another's."""
    record = state.record(key_id)
    if record is not None and record.gone_at is not None:
        return f"key {key_id} is already deleted, since {record.gone_at:%Y-%m-%d %H:%M} UTC"
    unlisted = facts.keys is not None and key_id != state.current and not may_be_there(state, facts, key_id)
    if unlisted and record is None:
        return (
            f"the cloud lists no key {key_id} of this credential, and rotator never touches a foreign key: if it is "
            "another identity's, disable it in the cloud"
        )
    if unlisted:
        return f"the cloud lists no key {key_id} any more: nothing is left of it to revoke"
    if record is None or record.origin not in {Origin.MINTED, Origin.ADOPTED}:
        return f"rotator doesn't manage key {key_id} and never touches a foreign key: disable it in the cloud"
    return None


# abandon


def _abandon(state: State, _request: Command, facts: Facts) -> Ruling:
    if state.phase in {Phase.NEW, Phase.IDLE}:
        return refused(state, "no rotation is in flight")
    if gone := removed_integrations(state, facts):
        return refused(
            state, f"integration {listed_as(gone)} left the config but may hold a key: put it back, or `resume --cut`"
        )
    if state.call is not None or state.mint is not None or state.to_delete:
        return refused(state, "a call or a clean-up isn't settled yet; try again in a minute")
    pushed_by_all = state.phase in {Phase.GRACE, Phase.DISABLING, Phase.QUARANTINE, Phase.DELETING}
    if not pushed_by_all and (state.maybe_held or state.current is None):
        return refused(
            state, "integrations may hold several keys, and only a confirmed push ends that safely: `rotator resume`"
        )
    match state.phase:
        case Phase.MINTING:
            return accepted(_idle(state, facts), "abandoned; nothing was minted")
        case Phase.PROVING:
            return accepted(
                _idle(give_up_candidate(state), facts), f"abandoned; rotator deletes candidate {state.candidate}"
            )
        case Phase.PUSHING | Phase.CONFIRMING:
            return _abandon_push(state, facts)
        case Phase.GRACE | Phase.DISABLING | Phase.QUARANTINE:
            return _release(state, facts)
        case _:
            return refused(state, "the deletion has begun; rotator finishes it")


def _abandon_push(state: State, facts: Facts) -> Ruling:
    candidate = state.candidate
    if candidate is None:
        return accepted(_idle(state, facts), "abandoned")
    record = state.record(candidate)
    if record is None or not record.sent:
        return accepted(
            _idle(give_up_candidate(state), facts), f"abandoned; rotator deletes candidate {state.candidate}"
        )
    if not facts.moment.settled or not facts.readings:
        return refused(state, "the push isn't settled yet; try again in a minute")
    if all(names(state, facts, r, candidate) for r in facts.readings):
        taken = confirmed(state, facts, candidate)
        return _release(taken, facts)
    if any(names(state, facts, r, candidate) or is_lost(state, facts, r, candidate) for r in facts.readings):
        return refused(state, f"some integrations may hold key {candidate}: `rotator resume` goes on")
    return accepted(
        _idle(give_up_candidate(state), facts),
        f"abandoned; no integration took the push, and rotator deletes candidate {candidate}",
    )


def _release(state: State, facts: Facts) -> Ruling:
    """Leave the old keys to the operator: foreign from now on."""
    if any(_is_being_deleted(state, key_id) for key_id in state.to_revoke):
        return refused(state, "the deletion has begun; rotator finishes it")
    half = [k for k in state.to_revoke if facts.listed(k) and not facts.enabled(k) and not theirs(state, facts, k)]
    if facts.keys is None:
        return refused(state, "rotator can't read the keys now; nothing was changed")
    if half:
        return refused(
            state, f"old key {listed_as(half)} is disabled: `rotator undo` first, so that no key is left half revoked"
        )
    released = state
    for key_id in state.to_revoke:
        record = state.record(key_id) or KeyRecord(key_id, Origin.MINTED)
        released = released.with_record(replace(record, origin=Origin.RELEASED))
    return accepted(
        _idle(replace(released, to_revoke=(), undone=()), facts),
        f"abandoned; rotator no longer manages: {listed_as(state.to_revoke)}",
    )


def _idle(state: State, facts: Facts) -> State:
    return replace(enter(state, Phase.IDLE, facts), rotation=None, attempts=0, roll_forwards=0, not_before=None)


# undo, pause


def _undo(state: State, _request: Command, facts: Facts) -> Ruling:
    if state.suspects:
        return _undo_suspects(state)
    if state.phase not in {Phase.DISABLING, Phase.QUARANTINE} or not facts.can.can_disable:
        return refused(
            state,
            f"there is nothing to undo: undo is for disabling and quarantine, this credential is {standing(state)}",
        )
    back = tuple(
        key_id
        for key_id in state.to_revoke
        if not _is_being_deleted(state, key_id) and not theirs(state, facts, key_id)
    )
    if not back:
        return refused(
            state, "the deletion has begun, or another than rotator disabled the key: nothing is rotator's to undo"
        )
    reason = Hold(
        HoldReason.UNDONE, f"the operator asked for key {listed_as(back)} back; it stays enabled until `rotator resume`"
    )
    return accepted(replace(state, hold=reason, undone=back), f"rotator enables key {listed_as(back)}")


def _is_being_deleted(state: State, key_id: str) -> bool:
    record = state.record(key_id)
    return record is not None and record.deleting


def _undo_suspects(state: State) -> Ruling:
    ids = tuple(suspect.key_id for suspect in state.suspects)
    freed = replace(state, suspects=(), undone=added(state.undone, ids))
    for key_id in ids:
        record = state.record(key_id) or KeyRecord(key_id, Origin.SUSPECT)
        freed = freed.with_record(replace(record, origin=Origin.FOREIGN))
    return accepted(freed, f"key {listed_as(ids)} is foreign from now on; rotator enables it")


def _pause(state: State, _request: Command, _facts: Facts) -> Ruling:
    return accepted(replace(state, paused=True), "paused; rotator still finishes a push that was sent")


def _unpause(state: State, _request: Command, _facts: Facts) -> Ruling:
    return accepted(replace(state, paused=False), "no longer paused")


_ANSWERS: dict[Kind, Callable[[State, Command, Facts], Ruling]] = {
    Kind.ADOPT: _adopt,
    Kind.ROTATE: _rotate,
    Kind.RESUME: resume,
    Kind.ABANDON: _abandon,
    Kind.UNDO: _undo,
    Kind.PAUSE: _pause,
    Kind.UNPAUSE: _unpause,
}
