"""The last check before a revocation (rule 20): right before the call, by the freshest texts."""

from __future__ import annotations

from rotator.attention import HoldReason
from rotator.model import Call, Change, State
from rotator.rotation.facts import Facts
from rotator.rotation.rows import Row
from rotator.rotation.step import Step, hold, wait

_REVOKES = frozenset({Change.DISABLE, Change.DELETE})


def refuse(state: State, step: Step, facts: Facts) -> Step | None:
    """What is done instead of a call that would revoke a key which may be in use; None where the call may go out.

    Args:
        state: the journal before the step.
        step: what was decided.
        facts: what it was decided on.
    """
    held = _held_by(state, step.call, facts)
    if held is None or step.call is None or facts.can.supplied:
        return None
    record = state.record(step.call.key_id)
    if record is not None and record.deleting:
        # Its deletion was begun before a late push installed it: the integration gets another key first.
        return wait(state, Row.REFUSED_TO_REVOKE, f"the deletion of key {step.call.key_id} waits: {held}")
    return hold(
        state,
        Row.REFUSED_TO_REVOKE,
        HoldReason.REFUSED_TO_REVOKE,
        f"rotator decided to {step.call.change.value} key {step.call.key_id}, but {held}: nothing was sent. This is a "
        "bug in rotator, please report it",
    )


def _held_by(state: State, call: Call | None, facts: Facts) -> str | None:
    if call is None or call.change not in _REVOKES or call.key_id is None:
        return None
    if call.key_id == state.current:
        return "it is the current key"
    if call.key_id == state.candidate:
        return "it is the candidate"
    if call.key_id in facts.named:
        return "an integration is shown to hold it"
    return None
