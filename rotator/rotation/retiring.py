"""Rows 40-51: grace, disabling, quarantine, deleting; and rolling forward when a stamp names another push of ours."""

from __future__ import annotations

from dataclasses import replace

from rotator.attention import Finding, FindingKind, HoldReason
from rotator.model import Origin, Phase, Rotation, State
from rotator.policy import ConfirmUse
from rotator.rotation.facts import Facts, may_be_there, theirs
from rotator.rotation.others import ROLL_FORWARDS_ALLOWED
from rotator.rotation.room import may_go_unseen, silence_used_up
from rotator.rotation.rows import Row
from rotator.rotation.step import (
    Step,
    added,
    alert,
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
    if state.phase is Phase.DISABLING and _all_disabled(state, facts):
        return Step(Row.DISABLED, "every old key is disabled", enter(state, Phase.QUARANTINE, facts))
    lost = [r.integration for r in facts.readings if state.current and is_lost(state, facts, r, state.current)]
    wanted = [key_id for key_id in state.to_revoke if key_id in state.undone]
    if wanted and state.phase is not Phase.GRACE:
        return hold(
            state,
            Row.GIVE_BACK,
            HoldReason.UNDONE,
            f"the operator asked for key {listed_as(wanted)} back; it stays enabled",
        )
    step = _by_phase(state, facts)
    return _unproved(state, step, lost) if lost else step


def _by_phase(state: State, facts: Facts) -> Step:
    match state.phase:
        case Phase.GRACE:
            return _grace(state, facts)
        case Phase.DISABLING:
            return _disabling(state, facts)
        case Phase.QUARANTINE:
            return _quarantine(state, facts)
        case _:
            return _deleting(state, facts)


def _unproved(state: State, step: Step, lost: list[str]) -> Step:
    """The description proves nothing: the wait goes on, and when it is otherwise over, the rotation is held."""
    if step.state == state or step.state.hold is not None:
        return step
    return hold(
        state,
        Row.STAMP_EDITED,
        HoldReason.STAMP_LOST,
        f"the stamp of integration {listed_as(lost)} is gone or was edited: it no longer proves that the integration "
        f"holds key {state.current}",
    )


def _other(state: State, facts: Facts) -> Step | None:
    shown = [r.integration for r in facts.readings or () if is_other(state, facts, r, state.current)]
    why = f"integration {listed_as(shown)} shows another push than the confirmed one"
    finding = alert(FindingKind.OTHER_PUSH, why)
    if not facts.moment.settled:
        return wait(state, Row.OTHER_UNSETTLED, why, finding)
    return roll_forward(state, facts, Row.ROLL_FORWARD, finding=finding) or wait(
        state, Row.ROLL_FORWARD, "the keys are not read yet", finding
    )


def roll_forward(state: State, facts: Facts, row: Row, finding: Finding | None = None) -> Step | None:
    """Mint anew, because an integration holds something else than the current key (rule 8)."""
    if facts.keys is None or facts.readings is None:
        return None
    if state.roll_forwards >= ROLL_FORWARDS_ALLOWED:
        if state.hold is not None:
            return None
        return hold(
            state,
            Row.CONTENDED,
            HoldReason.CONTENDED,
            f"another push replaced that of key {state.current} three times in a row",
        )
    shown = {held_key(state, r) for r in facts.readings if r.integration not in state.accepted_loss}
    named = tuple(
        sorted(key_id for key_id in shown if key_id and _is_ours(state, key_id) and may_be_there(state, facts, key_id))
    )
    former = (state.current,) if state.current is not None else ()
    unnamed = without(added(state.to_revoke, former), (*named, *state.undone))
    # Unnamed is not yet unheld: a text without a stamp of ours may stand over any key.
    all_stamped = all(reading.ours or reading.names is not None for reading in facts.readings)
    unheld = unnamed if all_stamped and not facts.slot and may_go_unseen(state, facts, shown) else ()
    rolled = replace(
        enter(state, Phase.MINTING, facts),
        rotation=silence_used_up(state.rotation)
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
    """The integrations whose stamp names a key that is gone, or whose deletion has begun: they are locked out.

    Where it is the current key, others took it away: row 56 says what follows from that.
    """
    if facts.keys is None:
        return []
    return [
        reading.integration
        for reading in facts.readings or ()
        if (reading.names not in {None, state.current} and not _can_live(state, facts, reading.names or ""))
        or (reading.ours and reading.names is None)
    ]


def _can_live(state: State, facts: Facts, key_id: str) -> bool:
    record = state.record(key_id)
    return may_be_there(state, facts, key_id) and (record is None or not record.deleting)


def _grace(state: State, facts: Facts) -> Step:
    times = facts.moment
    if state.emergency or facts.can.supplied:
        return _revoke(state, facts, "an emergency needs no grace" if state.emergency else "the old key is dead")
    unseen = _not_taken_up(state, facts)
    if not unseen and (times.expiring or (times.grace_over and times.quiet)):
        why = (
            f"the new key {state.current} expires soon"
            if times.expiring
            else f"grace is over and old key {listed_as(state.to_revoke)} is silent"
        )
        return _revoke(state, facts, why)
    if times.overstayed and not times.quiet:
        return hold(state, Row.STILL_USED, HoldReason.STILL_USED, _users(state, facts))
    if times.overstayed and unseen:
        return hold(state, Row.NOT_TAKEN_UP, HoldReason.NOT_TAKEN_UP, unseen)
    if not times.grace_over:
        return wait(state, Row.GRACE, "grace is not over yet")
    return wait(state, Row.GRACE, unseen or f"old key {listed_as(state.to_revoke)} is not silent yet")


def _revoke(state: State, facts: Facts, why: str) -> Step:
    return Step(Row.GRACE, why, enter(state, Phase.DISABLING if facts.can.can_disable else Phase.DELETING, facts))


def _not_taken_up(state: State, facts: Facts) -> str:
    """Why the use of the new key has to be waited for; empty where it has not (rule 17)."""
    times = facts.moment
    accepted = state.rotation is not None and state.rotation.silence_accepted
    working = [key_id for key_id in state.to_revoke if facts.enabled(key_id)]
    if accepted or not facts.can.has_evidence or times.confirm_use is ConfirmUse.NEVER or not working:
        return ""
    if times.confirm_use is ConfirmUse.AUTO and not times.in_use_before:
        return ""
    if not times.taken_up:
        said = f" ({facts.use_untold})" if facts.use_untold else ""
        unused = f"the new key {state.current} has not been seen in use since its push{said}"
        return f"{unused}, so old key {listed_as(working)} stays"
    if times.quiet_long or (facts.can.use_is_certain and len(times.integrations) == 1):
        return ""
    doubt = "one use can't vouch for all" if facts.can.use_is_certain else "the use shown may be another key's"
    return f"the old key {listed_as(working)} has not been silent for max_grace, and {doubt}"


def _users(state: State, facts: Facts) -> str:
    uses = []
    for key_id in state.to_revoke:
        use = facts.last_used.get(key_id)
        if use is not None:
            uses.append(
                f"{key_id} by {use.service or 'unknown'} in {use.region or 'unknown'} at {use.at:%Y-%m-%d %H:%M} UTC"
            )
    if facts.use_untold:
        return f"the cloud no longer says whether old key {listed_as(state.to_revoke)} is used: {facts.use_untold}"
    return f"the old key is still used at the end of max_grace: {listed_as(uses)}"


def _to_disable(state: State, facts: Facts) -> list[str]:
    """The old keys that still work. One that another disabled counts as disabled, and a list may lag."""
    return [
        key_id
        for key_id in state.to_revoke
        if facts.listed(key_id) and not _disabled(state, key_id) and not theirs(state, facts, key_id)
    ]


def _unlisted_yet(state: State, facts: Facts) -> bool:
    return not facts.moment.lag_over and not all(facts.listed(k) or _disabled(state, k) for k in state.to_revoke)


def _all_disabled(state: State, facts: Facts) -> bool:
    return facts.keys is not None and not _to_disable(state, facts) and not _unlisted_yet(state, facts)


def _disabling(state: State, facts: Facts) -> Step:
    if facts.keys is None:
        return wait(state, Row.DISABLE, "the keys are not read yet")
    if _unlisted_yet(state, facts):
        return wait(state, Row.DISABLE, "a list may not show every old key yet")
    key_id = _to_disable(state, facts)[0]
    return _held_back(state, facts, Row.DISABLE) or disable(
        state, Row.DISABLE, key_id, f"no integration holds key {key_id} any more"
    )


def _quarantine(state: State, facts: Facts) -> Step:
    if facts.keys is None:
        return wait(state, Row.QUARANTINE, "the keys are not read yet")
    if step := _works_again(state, facts):
        return step
    if state.emergency or facts.moment.quarantine_over:
        return Step(Row.QUARANTINE, "quarantine is over", enter(state, Phase.DELETING, facts))
    return wait(state, Row.QUARANTINE, "quarantine is not over yet")


def _works_again(state: State, facts: Facts) -> Step | None:
    """An old key works: the operator resumed a hold, or another than rotator ended a disabling of his own."""
    working = any(facts.enabled(key_id) for key_id in _to_disable(state, facts))
    if not facts.can.can_disable or not working:
        return None
    return Step(Row.DISABLE, "an old key is enabled", enter(state, Phase.DISABLING, facts))


def _deleting(state: State, facts: Facts) -> Step:
    if facts.keys is None:
        return wait(state, Row.DELETE, "the keys are not read yet")
    key_id = state.to_revoke[0]
    record = state.record(key_id)
    if record is None or not record.deleting:
        if step := _works_again(state, facts):
            return step
        if facts.can.can_disable and facts.enabled(key_id):
            return wait(state, Row.DELETE, f"a list may not show yet that key {key_id} is disabled")
    return _held_back(state, facts, Row.DELETE) or delete(
        state, Row.DELETE, key_id, f"no integration holds key {key_id} any more"
    )


def _held_back(state: State, facts: Facts, row: Row) -> Step | None:
    """What stops a revocation that is otherwise due: a pause, the window."""
    if state.paused:
        return wait(state, row, "paused")
    if facts.can.supplied:
        return None  # the key ended when the operator made the next one
    if not (facts.moment.window or state.emergency):
        return wait(state, row, "the window is closed")
    return None


def _disabled(state: State, key_id: str) -> bool:
    record = state.record(key_id)
    return record is not None and record.disabled


def _finished(state: State, facts: Facts) -> State:
    return replace(enter(state, Phase.IDLE, facts), rotation=None, attempts=0, roll_forwards=0, undone=())
