"""Rows 52 and 57: a held rotation waits for the operator, unless what its hold says is no longer so (rule 15b)."""

from __future__ import annotations

from dataclasses import replace

from rotator.attention import FindingKind, HoldReason
from rotator.model import Phase, State
from rotator.rotation.facts import Facts
from rotator.rotation.others import wanted_again
from rotator.rotation.retiring import lost_key_named, roll_forward
from rotator.rotation.room import make_room
from rotator.rotation.rows import Row
from rotator.rotation.step import Step, alert, is_lost, listed_as, wait

_CONFIRMED = frozenset({Phase.IDLE, Phase.GRACE, Phase.DISABLING, Phase.QUARANTINE, Phase.DELETING})


def held(state: State, facts: Facts) -> Step:
    """The next step of a held rotation, unless a row that holds in any phase has one."""
    why = _no_longer_so(state, facts)
    if why is not None:
        return Step(Row.HOLD_ENDED, why, _let_go(state, facts))
    locked_out = lost_key_named(state, facts)
    finding = None
    if locked_out:
        finding = alert(FindingKind.LOCKOUT, f"lockout: integration {listed_as(locked_out)} holds a deleted key")
    if locked_out and state.phase in _CONFIRMED and (step := roll_forward(state, facts, Row.HELD, finding=finding)):
        return step
    return wait(state, Row.HELD, state.hold.detail if state.hold else "", finding)


def _let_go(state: State, facts: Facts) -> State:
    """The rotation goes on where it was held. A candidate gets its time to prove itself again."""
    since = facts.moment.now if state.phase is Phase.PROVING else state.since
    return replace(state, hold=None, since=since)


def _no_longer_so(state: State, facts: Facts) -> str | None:
    """Why the hold is over, by a look in which keys and texts were read; None where only the operator can end it."""
    if state.hold is None or facts.keys is None or facts.readings is None:
        return None
    return _judge(state.hold.reason, state, facts)


def _judge(reason: HoldReason, state: State, facts: Facts) -> str | None:
    moment = facts.moment
    match reason:
        case HoldReason.CURRENT_DISABLED | HoldReason.CURRENT_GONE if state.current and facts.enabled(state.current):
            return f"key {state.current} works again"
        case HoldReason.STAMP_LOST if _texts_prove(state, facts):
            return "the descriptions prove again what the integrations hold"
        case HoldReason.CLOCK if moment.clock_ok and moment.vendor_now is not None:
            return "this machine's clock and the vendor's agree again"
        case HoldReason.SLOTS_FULL if facts.slot:
            return "a slot is free"
        case HoldReason.SLOTS_FULL if state.phase is Phase.MINTING and make_room(state, facts) is not None:
            return "the key that the integrations show was seen in use, so another can go"
        case HoldReason.STILL_USED if moment.quiet:
            return f"old key {listed_as(state.to_revoke)} is silent"
        case HoldReason.NOT_TAKEN_UP if moment.taken_up:
            return f"the new key {state.current} was seen in use"
        case HoldReason.DEPENDENTS_DEGRADED if not facts.worse:
            return "what depends on the integrations is as well as before the push"
        case HoldReason.ENABLED_AGAIN if not wanted_again(state, facts):
            return "what others had enabled again is disabled or gone"
        case _:
            return None


def _texts_prove(state: State, facts: Facts) -> bool:
    asked = (state.candidate,) if state.candidate is not None else (state.current, *_sent_and_given_up(state))
    return not any(
        is_lost(state, facts, reading, key_id)
        for reading in facts.readings or ()
        for key_id in asked
        if key_id is not None and reading.integration not in state.accepted_loss
    )


def _sent_and_given_up(state: State) -> tuple[str, ...]:
    return tuple(record.key_id for record in state.keys if record.sent and record.key_id in state.to_delete)
