"""What stays when the state moves on: a row for every key that was ever known, and one for every rotation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, update

from rotator.audit.event import Event, EventName
from rotator.model import State
from rotator.store.codec import encode_key
from rotator.store.schema import KEY, ROTATION

_OUTCOMES = {
    EventName.ROTATION_DONE: "done",
    EventName.ROTATION_ABANDONED: "abandoned",
    EventName.CREDENTIAL_FORGOTTEN: "forgotten",
}

_ADD_KEY = insert(KEY)
_CHANGE_KEY = update(KEY).where(KEY.c.credential_id == bindparam("of"), KEY.c.key_id == bindparam("which"))
_ADD_ROTATION = insert(ROTATION)
_CHANGE_ROTATION = update(ROTATION).where(ROTATION.c.rotation_id == bindparam("which"))


@dataclass(frozen=True, slots=True)
class StateChange:
    """A transition of the credential in row `row_id`: its states, the events that record it, and when (aware)."""

    row_id: int
    old: State
    new: State
    events: Sequence[Event]
    at: datetime


def note(connection: Connection, change: StateChange) -> None:
    """Write what differs between the two states."""
    if change.new.keys != change.old.keys:
        _note_keys(connection, change)
    if change.new.rotation != change.old.rotation or change.new.generation != change.old.generation:
        _note_rotation(connection, change)


def _note_keys(connection: Connection, change: StateChange) -> None:
    for key in change.new.keys:
        if change.old.record(key.key_id) == key:
            continue
        columns = encode_key(key) | {"changed_at": change.at}
        known = connection.execute(_CHANGE_KEY, columns | {"of": change.row_id, "which": key.key_id})
        if known.rowcount == 0:
            connection.execute(_ADD_KEY, columns | {"credential_id": change.row_id, "first_seen": change.at})


def _note_rotation(connection: Connection, change: StateChange) -> None:
    before, after = change.old.rotation, change.new.rotation
    goes_on = before is not None and after is not None and before.rotation_id == after.rotation_id
    if before is not None and not goes_on:
        outcomes = (_OUTCOMES[event.event] for event in reversed(change.events) if event.event in _OUTCOMES)
        end = {"ended_at": change.at, "outcome": next(outcomes, "superseded"), "generation": change.old.generation}
        connection.execute(_CHANGE_ROTATION, end | {"which": before.rotation_id})
    if after is None:
        return
    columns = {"reason": after.reason, "emergency": after.emergency, "generation": change.new.generation}
    if goes_on:
        connection.execute(_CHANGE_ROTATION, columns | {"which": after.rotation_id})
    else:
        begin = {"rotation_id": after.rotation_id, "credential_id": change.row_id, "started_at": after.started_at}
        connection.execute(_ADD_ROTATION, columns | begin)
