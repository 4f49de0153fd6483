"""Row 13b: a full cloud. Which key may make room for a fresh one, and what the operator is shown (rules 8 and 15)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from rotator.attention import HoldReason
from rotator.model import Rotation, State
from rotator.policy import ConfirmUse
from rotator.rotation.facts import Facts
from rotator.rotation.rows import Row
from rotator.rotation.spare import advice, described
from rotator.rotation.step import Step, added, held_key, hold, listed_as, wait, without
from rotator.rotation.use import used_by_another


def make_room(state: State, facts: Facts) -> Step | None:
    """Rule 8: where it is known what each integration holds, a key that none holds makes room for a fresh one."""
    held = {held_key(state, reading) for reading in facts.readings or ()}
    unclear = any(held_key(state, r) is None and not r.ours for r in facts.readings or ())
    if not held or unclear:
        return None
    alive = added(state.maybe_held, (state.current,) if state.current is not None else ())
    unheld = tuple(key_id for key_id in alive if key_id not in held and key_id not in state.undone)
    if not unheld or not may_go_unseen(state, facts, held):
        return None
    rest = replace(
        state,
        rotation=silence_used_up(state.rotation),
        current=None if state.current in unheld else state.current,
        maybe_held=without(state.maybe_held, unheld),
        to_delete=added(state.to_delete, unheld),
    )
    return Step(
        Row.NO_SLOT, f"no integration holds key {listed_as(unheld)}; deleting it makes room for a fresh key", rest
    )


def may_go_unseen(state: State, facts: Facts, held: Collection[str | None]) -> bool:
    """A key that the texts say no integration holds may go: its successor was seen in use, where that can be seen.

    Rule 15: a text alone proves nothing about what an integration uses (rule 17).
    """
    accepted = state.emergency or (state.rotation is not None and state.rotation.silence_accepted)
    if accepted or not facts.shows_use or facts.moment.confirm_use is ConfirmUse.NEVER:
        return True
    return all(key_id is not None and _seen_in_use(state, facts, key_id) for key_id in held)


def silence_used_up(rotation: Rotation | None) -> Rotation | None:
    """What the operator accepted was the silence of the keys that go now: another key's is for another word."""
    return replace(rotation, silence_accepted=False) if rotation is not None else None


def _seen_in_use(state: State, facts: Facts, key_id: str) -> bool:
    record, used = state.record(key_id), facts.last_used.get(key_id)
    pushed_at = record.pushed_at if record is not None else None
    return used_by_another(used, pushed_at)


def slots_full(state: State, facts: Facts) -> Step:
    """No key may make room: wait for what will, or hold with a sentence that names each key and what can go."""
    if state.suspects:
        until = min(suspect.until for suspect in state.suspects)
        return wait(state, Row.NO_SLOT, f"a suspect key fills the slot until {until:%Y-%m-%d %H:%M} UTC")
    if facts.can.slots is not None and len(facts.keys or {}) < facts.can.slots:
        return wait(state, Row.NO_SLOT, "a list may not show yet every key that was made")
    return hold(
        state,
        Row.NO_SLOT,
        HoldReason.SLOTS_FULL,
        f"no slot is free: {described(state, facts)}. Of these, {advice(state, facts)}",
    )
