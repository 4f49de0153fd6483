"""Rows 40-51: grace, disabling, quarantine, deleting; and rolling forward when a stamp names another push of ours."""

from __future__ import annotations

from dataclasses import replace

from rotator.model import HoldReason, Origin, Phase, Rotation, State
from rotator.rotation.facts import Facts
from rotator.rotation.rows import Row
from rotator.rotation.step import (
    Step,
    added,
    delete,
    disable,
    enter,
    held_key,
    hold,
    is_lost,
    is_other,
    listed_as,
    wait,
    without,
)

ROLL_FORWARDS_ALLOWED = 2
"""How often in a row a rotation rolls forward; the next time, it is held (row 41)."""


def retiring(state: State, facts: Facts) -> Step | None:
    """The next step while the old keys are on their way out; in idle, only the watch over the stamps."""
    if state.phase is not Phase.IDLE and not state.to_revoke:
        return Step(Row.FINISHED, "the old keys are gone", _finished(state, facts))
    if state.phase is Phase.DISABLING and all(_disabled(state, key_id) for key_id in state.to_revoke):
        return Step(Row.DISABLED, "every old key is disabled", enter(state, Phase.QUARANTINE, facts))
    if facts.readings is None:
        return wait(state, Row.STAMP_EDITED, "the descriptions are not read yet")
    if any(is_other(state, facts, reading, state.current) for reading in facts.readings):
        return _other(state, facts)
    if state.phase is Phase.IDLE:
        return None
    lost = [r.integration for r in facts.readings if state.current and is_lost(state, facts, r, state.current)]
    if lost:
        why = f"the stamp of integration {listed_as(lost)} is gone or was edited; the revocation waits"
        return wait(state, Row.STAMP_EDITED, why, finding=why)
    wanted = [key_id for key_id in state.to_revoke if key_id in state.undone]
    if wanted and state.phase is not Phase.GRACE:
        return hold(
            state,
            Row.GIVE_BACK,
            HoldReason.UNDONE,
            f"the operator asked for key {listed_as(wanted)} back; it stays enabled",
        )
    match state.phase:
        case Phase.GRACE:
            return _grace(state, facts)
        case Phase.DISABLING:
            return _disabling(state, facts)
        case Phase.QUARANTINE:
            return _quarantine(state, facts)
        case _:
            return _deleting(state, facts)


def _other(state: State, facts: Facts) -> Step | None:
    shown = [r.integration for r in facts.readings or () if is_other(state, facts, r, state.current)]
    finding = f"integration {listed_as(shown)} shows another push than the confirmed one"
    if not facts.moment.settled:
        return wait(state, Row.OTHER_UNSETTLED, finding, finding=finding)
    return roll_forward(state, facts, Row.ROLL_FORWARD, finding=finding) or wait(
        state, Row.ROLL_FORWARD, "the keys are not read yet", finding=finding
    )


def roll_forward(state: State, facts: Facts, row: Row, finding: str | None = None) -> Step | None:
    """Mint anew, because an integration holds something else than the current key (rule 8)."""
    if facts.keys is None or facts.readings is None:
        return None
    if state.roll_forwards >= ROLL_FORWARDS_ALLOWED:
        if state.hold is not None:
            return None
        return hold(
            state, Row.CONTENDED, HoldReason.CONTENDED, "another push replaced the confirmed one, three times in a row"
        )
    shown = {held_key(state, r) for r in facts.readings if r.integration not in state.accepted_loss}
    named = tuple(sorted(key_id for key_id in shown if key_id and _is_ours(state, key_id) and facts.listed(key_id)))
    former = (state.current,) if state.current is not None else ()
    unnamed = without(added(state.to_revoke, former), (*named, *state.undone))
    # Unnamed is not yet unheld: a text without a stamp of ours may stand over any key.
    all_stamped = all(reading.generation is not None or reading.names is not None for reading in facts.readings)
    unheld = unnamed if all_stamped and not facts.slot else ()
    rolled = replace(
        enter(state, Phase.MINTING, facts),
        rotation=state.rotation
        or Rotation(
            facts.moment.new_rotation_id, "an integration shows another push than the confirmed one", facts.moment.now
        ),
        roll_forwards=state.roll_forwards + 1,
        current=None,
        current_since=None,
        to_revoke=(),
        maybe_held=added(state.maybe_held, (*named, *without((*state.to_revoke, *former), unheld))),
        to_delete=added(state.to_delete, unheld),
        attempts=0,
    )
    return Step(row, "an integration shows another push than the confirmed one: roll forward", rolled, finding=finding)


def _is_ours(state: State, key_id: str) -> bool:
    record = state.record(key_id)
    return record is not None and record.origin in {Origin.MINTED, Origin.ADOPTED} and not record.deleting


def lost_key_named(state: State, facts: Facts) -> list[str]:
    """The integrations whose stamp names a key that is gone, or whose deletion has begun: they are locked out."""
    if facts.keys is None:
        return []
    return [
        reading.integration
        for reading in facts.readings or ()
        if (reading.names is not None and not _can_live(state, facts, reading.names))
        or (reading.generation is not None and reading.names is None and not reading.before)
    ]


def _can_live(state: State, facts: Facts, key_id: str) -> bool:
    record = state.record(key_id)
    return facts.listed(key_id) and (record is None or not record.deleting)


def _grace(state: State, facts: Facts) -> Step:
    times = facts.moment
    if state.emergency or facts.can.supplied or times.expiring or (times.grace_over and times.quiet):
        phase = Phase.DISABLING if facts.can.can_disable else Phase.DELETING
        why = "the new key expires soon" if times.expiring else "grace is over and the old key is silent"
        return Step(Row.GRACE, why, enter(state, phase, facts))
    if times.overstayed and not times.quiet:
        return hold(state, Row.STILL_USED, HoldReason.STILL_USED, _users(state, facts))
    return wait(state, Row.GRACE, "grace is not over yet" if not times.grace_over else "the old key is not silent yet")


def _users(state: State, facts: Facts) -> str:
    uses = []
    for key_id in state.to_revoke:
        use = facts.last_used.get(key_id)
        if use is not None:
            uses.append(
                f"{key_id} by {use.service or 'unknown'} in {use.region or 'unknown'} at {use.at:%Y-%m-%d %H:%M} UTC"
            )
    return f"the old key is still used at the end of max_grace: {listed_as(uses)}"


def _disabling(state: State, facts: Facts) -> Step:
    if facts.keys is None:
        return wait(state, Row.DISABLE, "the keys are not read yet")
    enabled = [k for k in state.to_revoke if facts.listed(k) and not _disabled(state, k)]
    if not enabled:
        return Step(Row.DISABLED, "every old key is disabled", enter(state, Phase.QUARANTINE, facts))
    return _held_back(state, facts, Row.DISABLE) or disable(
        state, Row.DISABLE, enabled[0], f"no integration holds key {enabled[0]} any more"
    )


def _quarantine(state: State, facts: Facts) -> Step:
    if facts.keys is None:
        return wait(state, Row.QUARANTINE, "the keys are not read yet")
    if step := _enabled_again(state, facts):
        return step
    if state.emergency or facts.moment.quarantine_over:
        return Step(Row.QUARANTINE, "quarantine is over", enter(state, Phase.DELETING, facts))
    return wait(state, Row.QUARANTINE, "quarantine is not over yet")


def _enabled_again(state: State, facts: Facts) -> Step | None:
    """An old key that is enabled though rotator disabled it: another than rotator enabled it, and needs it."""
    if not facts.can.can_disable:
        return None
    wanted = [k for k in state.to_revoke if facts.enabled(k) and _disabled(state, k)]
    if wanted:
        released = replace(
            state, keys=tuple(replace(r, disabled=False) if r.key_id in wanted else r for r in state.keys)
        )
        return hold(
            replace(released, phase=Phase.GRACE, since=facts.moment.now),
            Row.STILL_USED,
            HoldReason.STILL_USED,
            f"key {listed_as(wanted)} was enabled by another than rotator during quarantine",
        )
    if any(facts.enabled(key_id) for key_id in state.to_revoke):
        return Step(Row.DISABLE, "an old key is enabled", enter(state, Phase.DISABLING, facts))
    return None


def _deleting(state: State, facts: Facts) -> Step:
    if facts.keys is None:
        return wait(state, Row.DELETE, "the keys are not read yet")
    key_id = state.to_revoke[0]
    record = state.record(key_id)
    if (record is None or not record.deleting) and (step := _enabled_again(state, facts)):
        return step
    return _held_back(state, facts, Row.DELETE) or delete(
        state, Row.DELETE, key_id, f"no integration holds key {key_id} any more"
    )


def _held_back(state: State, facts: Facts, row: Row) -> Step | None:
    """What stops a revocation that is otherwise due: a pause, the window, the clock."""
    if state.paused:
        return wait(state, row, "paused")
    if facts.can.supplied:
        return None  # the key ended when the operator made the next one
    if not (facts.moment.window or state.emergency):
        return wait(state, row, "the window is closed")
    if not facts.moment.clock_ok:
        return hold(
            state, Row.CLOCK, HoldReason.CLOCK, "this machine's clock and the cloud's are more than 2 minutes apart"
        )
    return None


def _disabled(state: State, key_id: str) -> bool:
    record = state.record(key_id)
    return record is not None and record.disabled


def _finished(state: State, facts: Facts) -> State:
    return replace(enter(state, Phase.IDLE, facts), rotation=None, attempts=0, roll_forwards=0, undone=())
