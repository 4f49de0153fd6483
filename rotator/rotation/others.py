"""What others did to the keys: rows 54 to 56. rotator undoes no act but its own (rules 14 and 15)."""

from __future__ import annotations

from dataclasses import replace

from rotator.attention import HoldReason
from rotator.model import Phase, Rotation, State
from rotator.rotation.facts import Facts, loss
from rotator.rotation.rows import Row
from rotator.rotation.step import Step, added, enter, held_key, hold, listed_as, names, vouch

ROLL_FORWARDS_ALLOWED = 2
"""How often in a row a rotation is rolled forward; the next time, it is held (row 41)."""

CURRENT_LOST = frozenset({HoldReason.CURRENT_DISABLED, HoldReason.CURRENT_GONE})
_UNCONFIRMED = frozenset({Phase.MINTING, Phase.PROVING, Phase.PUSHING, Phase.CONFIRMING})


def seen_enabled(state: State, facts: Facts) -> Step | None:
    """Row 54: what a settled look shows of the keys that rotator disabled."""
    if facts.keys is None or not facts.moment.lag_over:
        return None
    suspects = {suspect.key_id for suspect in state.suspects}
    for record in state.keys:
        key_id = record.key_id
        if not facts.listed(key_id) or key_id in suspects or record.deleting:
            continue
        if record.enabled_again and not facts.enabled(key_id):
            why = f"key {key_id} is disabled again"
            return Step(Row.SEEN_ENABLED, why, state.with_record(replace(record, enabled_again=False)))
        if not record.disabling or not facts.enabled(key_id):
            continue
        if record.disabled:
            why = f"key {key_id} was enabled by another than rotator"
            again = replace(record, disabling=False, disabled=False, enabled_again=True)
            return Step(Row.SEEN_ENABLED, why, state.with_record(again))
        if facts.moment.settled:
            why = f"key {key_id} is enabled; nothing disables it any more"
            return Step(Row.SEEN_ENABLED, why, state.with_record(replace(record, disabling=False)))
    return None


def enabled_again(state: State, facts: Facts) -> Step | None:
    """Row 55: another than rotator needs a key that rotator would revoke."""
    wanted = wanted_again(state, facts)
    if not wanted or state.hold is not None:
        return None
    return hold(
        state,
        Row.ENABLED_AGAIN,
        HoldReason.ENABLED_AGAIN,
        f"key {listed_as(wanted)} was enabled by another than rotator after rotator had disabled it; rotator leaves it "
        f"enabled{_by_hand(facts, wanted)}",
    )


def _by_hand(facts: Facts, key_ids: list[str]) -> str:
    disable = facts.can.by_hand.disable_of(key_ids[0]) if facts.can.by_hand is not None else None
    return f". Once nothing needs it: `{disable}`" if disable is not None else ""


def wanted_again(state: State, facts: Facts) -> list[str]:
    """The keys on a way out that another than rotator enabled again."""
    return [
        record.key_id
        for record in state.keys
        if record.enabled_again
        and record.key_id in {*state.to_revoke, *state.to_delete}
        and (facts.keys is None or facts.listed(record.key_id))
    ]


def current_lost(state: State, facts: Facts) -> Step | None:
    """Row 56: another than rotator disabled or deleted the key in use."""
    current = state.current
    if current is None or facts.keys is None or not facts.moment.lag_over or facts.can.supplied:
        return None
    how = loss(state, facts, current)
    if how is None:
        if state.lost_since is None:
            return None
        return Step(Row.CURRENT_LOST, f"key {current} works again", replace(state, lost_since=None))
    if state.lost_since is None:
        # One list may be wrong: a second one, at least `settle` later, must say the same.
        seen = replace(state, lost_since=facts.moment.now)
        return Step(Row.CURRENT_LOST, f"the cloud shows the current key {current} as {how}", seen)
    if not facts.moment.lost_long or _is_being_replaced(state):
        return None
    reason = HoldReason.CURRENT_GONE if how == "gone" else HoldReason.CURRENT_DISABLED
    if state.hold is not None and (state.hold.reason is reason or state.phase in _UNCONFIRMED):
        return None
    if _may_replace(state, facts, current):
        return replace_lost(state, facts, f"key {current} is {how}; a fresh key replaces it")
    done = "deleted" if how == "gone" else "disabled"
    return hold(
        state,
        Row.CURRENT_LOST,
        reason,
        f"key {current}, which Northflank holds, was {done} by another than rotator: every consumer of "
        f"{listed_as(sorted(facts.moment.integrations))} is cut off",
    )


def _is_being_replaced(state: State) -> bool:
    """Once a push of the candidate was sent, the rotation is finished: it replaces the lost key."""
    record = state.record(state.candidate)
    return record is not None and record.sent


def _may_replace(state: State, facts: Facts, current: str) -> bool:
    uncut = [r for r in facts.readings or () if r.integration not in state.accepted_loss]
    shown = bool(uncut) and all(names(state, facts, reading, current) for reading in uncut)
    free = facts.moment.settled and not facts.moment.frozen and not state.paused
    return facts.moment.replace_lost and shown and free


def replace_lost(state: State, facts: Facts, why: str) -> Step:
    """Mint and push a fresh key at once: the lost one stays on `maybe_held` until the next confirm."""
    if state.roll_forwards >= ROLL_FORWARDS_ALLOWED:
        return hold(
            state, Row.CONTENDED, HoldReason.CONTENDED, f"{why}; but the current key was replaced twice in a row"
        )
    return Step(Row.CURRENT_LOST, why, without_current(state, facts, why))


def without_current(state: State, facts: Facts, why: str) -> State:
    """The lost key is current no more; the texts that stood for it are vouched for it (rule 15a)."""
    current = state.current
    if current is None:
        return state
    uncut = [r for r in facts.readings or () if r.integration not in state.accepted_loss and not r.strange]
    held = [reading for reading in uncut if held_key(state, reading) == current]
    begun = state.rotation or Rotation(facts.moment.new_rotation_id, why, facts.moment.now)
    rolled = replace(
        vouch(state, held, current),
        hold=None,
        rotation=replace(begun, now=True),
        asked=state.asked if state.asked is not None and state.asked.emergency else None,
        roll_forwards=state.roll_forwards + 1,
        current=None,
        current_since=None,
        lost_since=None,
        to_revoke=(),
        maybe_held=added(state.maybe_held, (*state.to_revoke, current)),
        attempts=0,
        not_before=None,
    )
    return rolled if state.candidate is not None or state.mint is not None else enter(rolled, Phase.MINTING, facts)
