"""A full cloud, in words: each key, and which of them an operator can delete, or why none can be named. Pure."""

from __future__ import annotations

from datetime import timedelta

from rotator.model import Key, Origin, State
from rotator.providers.base import AGES_AGO
from rotator.rotation.facts import Facts
from rotator.rotation.step import held_key, listed_as

_LONG = timedelta(days=30)
"""A foreign key that was used within this time is in use, by all that rotator can know."""

_ACCEPT = "`rotator resume` with --accept-silence lets rotator delete it"


def described(state: State, facts: Facts) -> str:
    """Each listed key: whose it is, its age and its last use."""
    return "; ".join(
        f"{key.key_id} ({_origin(state, key)}, {_age(facts, key)}, {_use(facts, key)})" for key in _listed(facts)
    )


def advice(state: State, facts: Facts) -> str:
    """The key that can be deleted, with the cloud's own commands; or why none can be named."""
    listed = _listed(facts)
    undone = [key.key_id for key in listed if key.key_id in state.undone]
    if undone:
        return f"the operator asked key {listed_as(undone)} back: `rotator resume` lets rotator delete it"
    foreign = [key for key in listed if _is_foreign(state, key)]
    return _of_foreign(facts, foreign) if foreign else _of_ours(state, facts, listed)


def _of_foreign(facts: Facts, foreign: list[Key]) -> str:
    ids = listed_as(key.key_id for key in foreign)
    disabled = [key for key in foreign if not key.enabled]
    if not disabled and not facts.shows_use:
        return (
            f"the cloud does not show rotator when keys were used, so none can be named as spare. Of the foreign keys "
            f"({ids}), delete one whose owner you have found and asked{_commands(facts, foreign[0])}"
        )
    key = min(disabled or foreign, key=lambda key: _since(facts, key))
    used = facts.last_used.get(key.key_id)
    if key.enabled and used is not None and used.at > facts.moment.now - _LONG:
        return (
            f"none can be named as spare: every foreign key ({ids}) was used in the last {_LONG.days} days. Find what "
            f"uses {key.key_id}, the least lately used, and move that to another key{_commands(facts, key)}"
        )
    why = "it is disabled" if not key.enabled else "it was never used" if used is None else "nothing used it lately"
    return f"the likeliest to be spare is foreign key {key.key_id}: {why}. Ask its owner{_commands(facts, key)}"


def _of_ours(state: State, facts: Facts, listed: list[Key]) -> str:
    """No key but rotator's own: `make_room` was not sure enough of them to delete one."""
    readings = facts.readings or ()
    held = {reading.integration: held_key(state, reading) for reading in readings}
    unclear = [r.integration for r in readings if held[r.integration] is None and not r.ours]
    if unclear:
        return (
            f"none can be named: the description of integration {listed_as(unclear)} does not show which key the "
            "integration holds"
        )
    spare = [key.key_id for key in listed if key.key_id not in held.values() and key.key_id != state.current]
    if not spare:
        return "none can be named: an integration holds each of them, or may hold it"
    return (
        f"no integration shows key {listed_as(spare)}, but no use of the key in its place was seen. If it is unused, "
        f"{_ACCEPT}"
    )


def _commands(facts: Facts, key: Key) -> str:
    """What to type, in the cloud's own command line; nothing where the provider doesn't know it."""
    by_hand = facts.can.by_hand
    if by_hand is None:
        return ""
    delete = f"`{by_hand.delete_of(key.key_id)}`"
    disable = by_hand.disable_of(key.key_id)
    if disable is None or not key.enabled:
        return f", then {delete}"
    return f", then disable it (`{disable}`), and once nothing misses it, {delete}"


def _listed(facts: Facts) -> list[Key]:
    return sorted((facts.keys or {}).values(), key=lambda key: key.key_id)


def _is_foreign(state: State, key: Key) -> bool:
    record = state.record(key.key_id)
    return key.key_id != state.current and (record is None or record.origin in {Origin.FOREIGN, Origin.RELEASED})


def _since(facts: Facts, key: Key) -> tuple[bool, object, str]:
    """Keys in the order of their last use, those that were never used first."""
    used = facts.last_used.get(key.key_id)
    return used is not None, used.at if used is not None else key.created_at, key.key_id


def _origin(state: State, key: Key) -> str:
    if key.key_id == state.current:
        return "current"
    if key.key_id in state.undone:
        return "asked back by the operator"
    record = state.record(key.key_id)
    whose = record.origin.value if record is not None else "unknown"
    return whose if key.enabled else f"{whose}, disabled"


def _age(facts: Facts, key: Key) -> str:
    if key.created_at == AGES_AGO:
        return "age not known"
    return f"created {key.created_at:%Y-%m-%d}, {max((facts.moment.now - key.created_at).days, 0)}d old"


def _use(facts: Facts, key: Key) -> str:
    if key.key_id not in facts.last_used:
        return "last use not known"
    use = facts.last_used[key.key_id]
    return f"last used {use.at:%Y-%m-%d %H:%M} UTC by {use.service or 'unknown'}" if use is not None else "never used"
