"""The pure function at the heart: journal and facts in, one step out, with its reason.

It does no I/O and reads no clock. The rows are those of STATE_MACHINE (docs/state-machine.md), tried in order; the
first that matches wins. Here are the rows that hold in any phase, of a held rotation and of an idle credential; first
contact is in `contact.py`, the way forward (minting to confirming) in `forward.py`, the old key's way in `retiring.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rotator.model import HoldReason, KeyRecord, Origin, Phase, Rotation, State
from rotator.rotation.contact import first_contact
from rotator.rotation.facts import Facts, marked_keys, unknown_keys
from rotator.rotation.forward import forward
from rotator.rotation.retiring import lost_key_named, retiring, roll_forward
from rotator.rotation.step import (
    Step,
    added,
    delete,
    disable,
    enable,
    enter,
    hold,
    is_lost,
    listed_as,
    removed,
    wait,
    without,
)

RowRule = Callable[[State, Facts], Step | None]

HANDS_OFF = frozenset({HoldReason.ADOPT_WHICH, HoldReason.TWO_ROTATORS, HoldReason.JOURNAL_BEHIND})
"""Holds in which the journal itself is in doubt: nothing is changed outside, not even to repair."""


def decide(state: State, facts: Facts) -> Step:
    """The next step for one credential.

    Args:
        state: what the journal says.
        facts: what was observed, and what time and policy make of it.

    Returns:
        One step. A step that leaves the state as it is and makes no call is a wait.
    """
    if state.phase is Phase.NEW:
        return first_contact(state, facts)
    for row in _ANY_PHASE:
        if step := row(state, facts):
            return step
    if state.hold is not None:
        return _held(state, facts)
    match state.phase:
        case Phase.IDLE:
            return retiring(state, facts) or _idle(state, facts)
        case Phase.MINTING | Phase.PROVING | Phase.PUSHING | Phase.CONFIRMING:
            return forward(state, facts)
        case _:
            return retiring(state, facts) or wait(state, "12", "waiting")


# Rows 1-8: in any phase but new, held rotations included.


def _journal_behind(state: State, facts: Facts) -> Step | None:
    ours = [reading for reading in facts.readings or () if not reading.strange]
    ahead = [r for r in ours if r.generation is not None and r.generation > state.generation]
    if not ahead or _held_for(state, HoldReason.JOURNAL_BEHIND):
        return None
    return hold(
        state,
        "1",
        HoldReason.JOURNAL_BEHIND,
        f"{ahead[0].integration} shows generation {ahead[0].generation} of this store, the journal only knows "
        f"{state.generation}: it is older than the world, as after a restored backup",
    )


def _two_rotators(state: State, facts: Facts) -> Step | None:
    strange = [reading for reading in facts.readings or () if reading.strange]
    if not strange or _held_for(state, *HANDS_OFF):
        return None
    return hold(
        state,
        "2",
        HoldReason.TWO_ROTATORS,
        f"{strange[0].integration} carries the stamp of another store ({strange[0].store}): two rotators, or a lost "
        "journal",
    )


def _hands_off(state: State, _facts: Facts) -> Step | None:
    if state.hold is not None and state.hold.reason in HANDS_OFF:
        return wait(state, "52", state.hold.detail)
    return None


def _enable_named(state: State, facts: Facts) -> Step | None:
    for key_id in sorted(facts.named):
        record = state.record(key_id)
        ours = record is not None and record.origin in {Origin.MINTED, Origin.ADOPTED} and not record.deleting
        if not ours or not facts.listed(key_id) or facts.enabled(key_id):
            continue
        return enable(
            state,
            "3",
            key_id,
            f"an integration holds the disabled key {key_id}",
            finding=f"lockout: Northflank holds {key_id}, which was disabled; it is being enabled",
        )
    return None


def _give_back(state: State, facts: Facts) -> Step | None:
    """Row 53: what a person asked for back is enabled, and stays so; a former suspect needs it only once."""
    for key_id in state.undone:
        if facts.listed(key_id) and not facts.enabled(key_id):
            return enable(state, "53", key_id, f"a person asked for {key_id} back")
        record = state.record(key_id)
        if facts.keys is not None and record is not None and record.origin is Origin.FOREIGN:
            return Step("53", f"{key_id} is left alone", replace(state, undone=without(state.undone, (key_id,))))
    return None


def _frozen(state: State, facts: Facts) -> Step | None:
    return wait(state, "4", "every change is frozen", finding="every change is frozen") if facts.moment.frozen else None


def _removed(state: State, facts: Facts) -> Step | None:
    """Rotating on would retire or drop what an integration out of sight may hold. An idle credential has time."""
    gone = removed(state, facts)
    if not gone or state.hold is not None or not (state.in_flight or state.to_delete):
        return None
    return _hold_for_removed(state, gone)


def _hold_for_removed(state: State, gone: list[str]) -> Step:
    return hold(
        state,
        "13a",
        HoldReason.INTEGRATION_REMOVED,
        f"{listed_as(gone)} may hold a key of this credential and is not in the config any more: it could be cut off",
    )


def _drop(state: State, facts: Facts) -> Step | None:
    if not state.to_delete or facts.keys is None:
        return None
    key_id = state.to_delete[0]
    record = state.record(key_id)
    if record is not None and record.sent and not record.deleting:
        if facts.readings is None or removed(state, facts):
            return None
        if key_id in facts.named:
            kept = replace(
                state, to_delete=without(state.to_delete, (key_id,)), maybe_held=added(state.maybe_held, (key_id,))
            )
            return hold(kept, "5", HoldReason.STAMP_LOST, f"an integration holds {key_id} after all; it is kept alive")
        doubtful = [
            r.integration
            for r in facts.readings
            if is_lost(state, facts, r, key_id) and r.integration not in state.accepted_loss
        ]
        if doubtful:
            return _doubtful_drop(state, doubtful, key_id)
        if facts.can.can_disable and facts.enabled(key_id):
            return disable(state, "5", key_id, f"{key_id} is not held by any integration; disabled before its deletion")
    return delete(state, "5", key_id, f"{key_id} is held by nobody")


def _doubtful_drop(state: State, doubtful: list[str], key_id: str) -> Step | None:
    if state.hold is not None:
        return None
    return hold(
        state,
        "5",
        HoldReason.STAMP_LOST,
        f"the description of {listed_as(doubtful)} was changed and no longer proves that {key_id} is unused",
    )


def _suspects(state: State, facts: Facts) -> Step | None:
    if facts.keys is None:
        return None
    for suspect in state.suspects:
        record = state.record(suspect.key_id) or KeyRecord(suspect.key_id, Origin.SUSPECT)
        rest = replace(state, suspects=tuple(s for s in state.suspects if s != suspect))
        if not facts.listed(suspect.key_id):
            gone = rest.with_record(replace(record, gone_at=facts.moment.now))
            return Step("6", f"the suspect {suspect.key_id} is gone", gone)
        used = facts.last_used.get(suspect.key_id) is not None
        if used or (record.disabled and facts.enabled(suspect.key_id)):
            why = f"{suspect.key_id} is somebody's: it was {'used' if used else 'enabled again'} while suspected"
            theirs = replace(rest, undone=added(rest.undone, (suspect.key_id,)))
            return Step("6", why, theirs.with_record(replace(record, origin=Origin.FOREIGN)), finding=why)
        if not record.disabled and facts.can.can_disable:
            return disable(state, "19", suspect.key_id, f"{suspect.key_id} is probably the key of an unanswered mint")
        if facts.moment.now >= suspect.until and suspect.key_id in facts.last_used:
            return Step(
                "6",
                f"nobody missed the suspect {suspect.key_id}",
                replace(
                    rest.with_record(replace(record, origin=Origin.MINTED)),
                    to_delete=added(state.to_delete, (suspect.key_id,)),
                ),
            )
    return None


def _late_creates(state: State, facts: Facts) -> Step | None:
    if state.mint is not None or not facts.can.exact:
        return None
    marked = marked_keys(state, facts)
    if not marked:
        return None
    key_id = marked[0].key_id
    known = state.with_record(KeyRecord(key_id, Origin.MINTED))
    return Step(
        "7",
        f"{key_id} is the late fruit of an unanswered mint",
        replace(known, to_delete=added(state.to_delete, (key_id,))),
        finding=f"{key_id} was created by a mint whose reply was lost; nobody holds it, it is being deleted",
    )


def _classify(state: State, facts: Facts) -> Step | None:
    if state.mint is not None or facts.can.supplied:
        return None
    unknown = unknown_keys(state, facts)
    if not unknown:
        return None
    key = unknown[0]
    after = next((lost for lost in reversed(state.lost_mints) if key.created_at >= lost.at), None)
    note = f", created after the unanswered mint of rotation {after.rotation_id}" if after else ""
    return Step(
        "8",
        f"{key.key_id} is foreign{note}",
        state.with_record(KeyRecord(key.key_id, Origin.FOREIGN)),
        finding=f"unknown key {key.key_id}{note}: it is left alone",
    )


def _reappeared(state: State, facts: Facts) -> Step | None:
    """A deletion that was answered but isn't seen: said again once the cloud's own lag can't explain it."""
    if facts.can.supplied:
        return None
    for record in state.keys:
        if record.gone_at is None or not facts.listed(record.key_id) or record.key_id in state.to_delete:
            continue
        if record.origin is Origin.MINTED and facts.moment.now - record.gone_at > facts.moment.settle:
            return Step(
                "5",
                f"{record.key_id} is still listed after its deletion",
                replace(state, to_delete=added(state.to_delete, (record.key_id,))),
            )
    return None


def _backoff(state: State, facts: Facts) -> Step | None:
    return wait(state, "12", "backing off") if facts.moment.waiting and state.hold is None else None


_ANY_PHASE: tuple[RowRule, ...] = (
    _journal_behind,
    _two_rotators,
    _hands_off,
    _enable_named,
    _frozen,
    _give_back,
    _removed,
    _drop,
    _suspects,
    _late_creates,
    _classify,
    _reappeared,
    _backoff,
)


def _held_for(state: State, *reasons: HoldReason) -> bool:
    return state.hold is not None and state.hold.reason in reasons


# Row 52: held.


def _held(state: State, facts: Facts) -> Step:
    locked_out = lost_key_named(state, facts)
    confirmed = state.phase in {Phase.IDLE, Phase.GRACE, Phase.DISABLING, Phase.QUARANTINE, Phase.DELETING}
    finding = f"lockout: {listed_as(locked_out)} holds a deleted key" if locked_out else None
    if locked_out and confirmed and (step := roll_forward(state, facts, "52", finding=finding)):
        return step
    return wait(state, "52", state.hold.detail if state.hold else "", finding=finding)


# Row 13a: idle.


def _idle(state: State, facts: Facts) -> Step:
    if facts.readings is None:
        return wait(state, "13a", "not yet seen")
    finding = None
    current = state.record(state.current)
    if current is not None and current.origin is Origin.MINTED:
        changed = [r.integration for r in facts.readings if is_lost(state, facts, r, current.key_id)]
        if changed:
            finding = f"the stamp of {listed_as(changed)} is gone or was edited; the next push writes it again"
    why = state.asked.reason if state.asked is not None else facts.moment.due
    if why is None:
        return wait(state, "13a", "not due", finding)
    if facts.key_wanted:
        return wait(state, "13a", f"{why}; the key is a person's to make", f"{why}: make a new key and bring it")
    if state.paused:
        return wait(state, "13a", f"{why}, but paused", finding)
    if not (facts.moment.window or facts.moment.expiring or (state.asked is not None and state.asked.now)):
        return wait(state, "13a", f"{why}; the window is closed", finding)
    if gone := removed(state, facts):
        return _hold_for_removed(state, gone)
    return Step("13a", why, _begin(state, facts, why), finding=finding)


def _begin(state: State, facts: Facts, why: str) -> State:
    asked = state.asked
    return replace(
        enter(state, Phase.MINTING, facts),
        rotation=Rotation(
            rotation_id=facts.moment.new_rotation_id,
            reason=why,
            started_at=facts.moment.now,
            now=asked.now if asked is not None else facts.moment.expiring,
            emergency=asked.emergency if asked is not None else False,
        ),
        asked=None,
        attempts=0,
        keys=tuple(record for record in state.keys if record.gone_at is None),
    )
