"""The pure function at the heart: journal and facts in, one step out, with its reason.

It does no I/O and reads no clock. The rows (`rows.py`, docs/state-machine.md) are tried in order; the first that
matches wins. Here are the rows that hold in any phase, and of an idle credential; what others did is in `others.py`,
first contact in `contact.py`, the way forward (minting to confirming) in `forward.py`, the old key's way in
`retiring.py`, and a held rotation in `holds.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rotator.attention import FindingKind, HoldReason
from rotator.model import Change, KeyRecord, Origin, Phase, Rotation, State
from rotator.rotation.contact import first_contact
from rotator.rotation.facts import Facts, may_be_there
from rotator.rotation.forward import forward
from rotator.rotation.holds import held
from rotator.rotation.others import current_lost, enabled_again, seen_enabled
from rotator.rotation.retiring import retiring
from rotator.rotation.rows import Row
from rotator.rotation.step import (
    Step,
    added,
    alert,
    delete,
    disable,
    enable,
    enter,
    frozen,
    hold,
    is_lost,
    listed_as,
    may_be_held,
    note,
    removed_integrations,
    wait,
    without,
)
from rotator.rotation.unplaced import classify, late_creates, reappeared, suspects

Try = Callable[[State, Facts], Step | None]
"""One row, or two: its step where it matches, else None."""

_BY_THE_CLOCK = frozenset({Change.CREATE, Change.DISABLE, Change.DELETE})

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
    step = _next(state, facts)
    return _clock_off(state, facts) if _stopped_by_the_clock(state, facts, step) else step


def _next(state: State, facts: Facts) -> Step:
    if state.phase is Phase.NEW:
        return first_contact(state, facts)
    for match in _ANY_PHASE:
        if step := match(state, facts):
            return step
    if state.hold is not None:
        return held(state, facts)
    match state.phase:
        case Phase.IDLE:
            return retiring(state, facts) or _idle(state, facts)
        case Phase.MINTING | Phase.PROVING | Phase.PUSHING | Phase.CONFIRMING:
            return forward(state, facts)
        case _:
            return retiring(state, facts) or wait(state, Row.BACKOFF, "waiting")


# Row 46: nothing is minted, confirmed or revoked by a clock that is off. A push once begun is finished.


def _stopped_by_the_clock(state: State, facts: Facts, step: Step) -> bool:
    if facts.moment.clock_ok or state.emergency or facts.can.supplied:
        return False
    change = step.call.change if step.call is not None else None
    return change in _BY_THE_CLOCK or step.row is Row.CONFIRMED


def _clock_off(state: State, facts: Facts) -> Step:
    why = "this machine's clock and the vendor's are more than 2 minutes apart"
    if facts.moment.clock_off_long and state.hold is None:
        return hold(state, Row.CLOCK, HoldReason.CLOCK, why)
    return wait(state, Row.CLOCK, f"{why}; waiting")


# Rows 1-8, 12 and 53: in any phase but new, held rotations included.


def _journal_behind(state: State, facts: Facts) -> Step | None:
    ahead = [r for r in facts.readings or () if r.ours and r.generation is not None and r.generation > state.generation]
    if not ahead or _held_for(state, HoldReason.JOURNAL_BEHIND):
        return None
    return hold(
        state,
        Row.JOURNAL_BEHIND,
        HoldReason.JOURNAL_BEHIND,
        f"integration {ahead[0].integration} shows generation {ahead[0].generation} of this store, but the journal "
        f"stops at {state.generation}: the journal is an old copy, such as a restored backup",
    )


def _two_rotators(state: State, facts: Facts) -> Step | None:
    strange = [reading for reading in facts.readings or () if reading.strange]
    if not strange or _held_for(state, *HANDS_OFF):
        return None
    return hold(
        state,
        Row.TWO_ROTATORS,
        HoldReason.TWO_ROTATORS,
        f"integration {strange[0].integration} carries the stamp of another store ({strange[0].store}): another "
        "rotator pushes to it, or did so before its journal was lost",
    )


def _hands_off(state: State, _facts: Facts) -> Step | None:
    if state.hold is not None and state.hold.reason in HANDS_OFF:
        return wait(state, Row.HELD, state.hold.detail)
    return None


def _enable_named(state: State, facts: Facts) -> Step | None:
    for key_id in sorted(facts.named):
        record = state.record(key_id)
        ours = record is not None and record.origin in {Origin.MINTED, Origin.ADOPTED} and not record.deleting
        if ours and _may_enable(state, facts, key_id):
            return enable(
                state,
                Row.ENABLE_NAMED,
                key_id,
                f"an integration holds key {key_id}, which rotator disabled",
                alert(FindingKind.LOCKOUT, f"lockout: Northflank holds the disabled key {key_id}; enabling it"),
            )
    return None


def _may_enable(state: State, facts: Facts, key_id: str) -> bool:
    """The key is disabled, by rotator alone (rule 14), and no list that lags behind an ENABLE says so."""
    record = state.record(key_id)
    ours = record is not None and record.disabling and (record.disabled or facts.moment.lag_over)
    return ours and facts.listed(key_id) and not facts.enabled(key_id)


def _give_back(state: State, facts: Facts) -> Step | None:
    """Row 53: a key that the operator asked back is enabled, and stays so; a former suspect needs it only once."""
    for key_id in state.undone:
        if _may_enable(state, facts, key_id):
            return enable(state, Row.GIVE_BACK, key_id, f"the operator asked for key {key_id} back")
        record = state.record(key_id)
        if facts.keys is not None and record is not None and record.origin is Origin.FOREIGN and facts.moment.settled:
            left = replace(state, undone=without(state.undone, (key_id,)))
            return Step(Row.GIVE_BACK, f"rotator leaves the foreign key {key_id} alone", left)
    return None


def _frozen(state: State, facts: Facts) -> Step | None:
    return frozen(state) if facts.moment.frozen else None


def _integration_removed(state: State, facts: Facts) -> Step | None:
    """Going on would revoke or delete what an integration out of sight may hold. An idle credential has time."""
    gone = removed_integrations(state, facts)
    if not gone or state.hold is not None or not (state.in_flight or state.to_delete):
        return None
    return _hold_for_removed(state, gone)


def _hold_for_removed(state: State, gone: list[str]) -> Step:
    return hold(
        state,
        Row.BEGIN,
        HoldReason.INTEGRATION_REMOVED,
        f"integration {listed_as(gone)} left the config but may hold key {listed_as(may_be_held(state))}; going on "
        "could cut it off",
    )


def _delete_given_up(state: State, facts: Facts) -> Step | None:
    free = [k for k in state.to_delete if not _must_stay(state, facts, k)]
    if not free or facts.keys is None:
        return None
    key_id = free[0]
    record = state.record(key_id)
    if record is not None and record.sent and not record.deleting:
        if facts.readings is None or removed_integrations(state, facts):
            return None
        if key_id in facts.named:
            why = f"an integration holds key {key_id} after all; rotator keeps it alive"
            kept = replace(
                state, to_delete=without(state.to_delete, (key_id,)), maybe_held=added(state.maybe_held, (key_id,))
            )
            return Step(Row.DELETE_GIVEN_UP, why, kept, finding=note(FindingKind.STILL_HELD, why))
        doubtful = [
            r.integration
            for r in facts.readings
            if is_lost(state, facts, r, key_id) and r.integration not in state.accepted_loss
        ]
        if doubtful:
            return _doubtful_deletion(state, doubtful, key_id)
        if facts.can.can_disable and not facts.moment.lag_over and _contradicts(facts, record):
            return wait(state, Row.DELETE_GIVEN_UP, f"a list may not show yet whether key {key_id} works")
        if facts.can.can_disable and facts.enabled(key_id):
            return disable(
                state,
                Row.DELETE_GIVEN_UP,
                key_id,
                f"no integration holds key {key_id}; disabling it before its deletion",
            )
    return delete(state, Row.DELETE_GIVEN_UP, key_id, f"no integration holds key {key_id}")


def _contradicts(facts: Facts, record: KeyRecord) -> bool:
    """The list shows another key than the last answered changes of it left."""
    return facts.enabled(record.key_id) if record.disabled else not facts.listed(record.key_id)


def _must_stay(state: State, facts: Facts, key_id: str) -> bool:
    """Others enabled it again; or a push that landed late installed it after its deletion was begun."""
    record = state.record(key_id)
    if record is None:
        return False
    return key_id in facts.named if record.deleting else record.enabled_again and facts.listed(key_id)


def _doubtful_deletion(state: State, doubtful: list[str], key_id: str) -> Step | None:
    if state.hold is not None:
        return None
    return hold(
        state,
        Row.DELETE_GIVEN_UP,
        HoldReason.STAMP_LOST,
        f"the description of integration {listed_as(doubtful)} was edited: it no longer proves that the integration "
        f"doesn't hold key {key_id}",
    )


def _backoff(state: State, facts: Facts) -> Step | None:
    return wait(state, Row.BACKOFF, "backing off") if facts.moment.waiting and state.hold is None else None


_ANY_PHASE: tuple[Try, ...] = (
    _journal_behind,
    _two_rotators,
    _hands_off,
    _enable_named,
    seen_enabled,
    enabled_again,
    current_lost,
    _frozen,
    _give_back,
    _integration_removed,
    _delete_given_up,
    suspects,
    late_creates,
    classify,
    reappeared,
    _backoff,
)


def _held_for(state: State, *reasons: HoldReason) -> bool:
    return state.hold is not None and state.hold.reason in reasons


# Row 13a: idle.


def _idle(state: State, facts: Facts) -> Step:
    if facts.readings is None:
        return wait(state, Row.BEGIN, "the descriptions are not read yet")
    if moot := _moot(state, facts):
        return Step(
            Row.BEGIN,
            moot,
            replace(state, asked=None),
            finding=note(FindingKind.REQUEST_MOOT, f"{moot}: nothing is due"),
        )
    why = state.asked.reason if state.asked is not None else facts.moment.due
    if why is None:
        return wait(state, Row.BEGIN, "not due")
    if facts.key_wanted:
        return wait(
            state,
            Row.BEGIN,
            f"{why}; the operator makes the key",
            alert(FindingKind.KEY_WANTED, f"{why}: make a new key and put it where the config says"),
        )
    if state.paused:
        return wait(state, Row.BEGIN, f"{why}, but paused")
    if not (facts.moment.window or facts.moment.expiring or (state.asked is not None and state.asked.now)):
        return wait(state, Row.BEGIN, f"{why}; the window is closed")
    if gone := removed_integrations(state, facts):
        return _hold_for_removed(state, gone)
    if facts.moment.blocked is not None:
        return wait(state, Row.BEGIN, facts.moment.blocked, note(FindingKind.NOT_ADMITTED, facts.moment.blocked))
    return Step(Row.BEGIN, why, _begin(state, facts, why))


def _moot(state: State, facts: Facts) -> str | None:
    """Why the rotation that the operator asked for has nothing to do any more: it would replace another key."""
    asked = state.asked
    if asked is None or asked.key_id in {None, state.current} or facts.keys is None:
        return None
    if not asked.emergency:
        return f"key {asked.key_id}, which the operator asked to rotate, was replaced meanwhile"
    record = state.record(asked.key_id)
    there = may_be_there(state, facts, asked.key_id or "") and (record is None or record.gone_at is None)
    return None if there else f"key {asked.key_id}, which the operator reported as leaked, is gone"


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
        keys=tuple(record for record in state.keys if record.gone_at is None or not _is_over(record.key_id, facts)),
    )


def _is_over(key_id: str, facts: Facts) -> bool:
    """A look has shown that a deleted key is gone: until then its record is needed (rule 19)."""
    return facts.keys is not None and facts.moment.lag_over and not facts.listed(key_id)
