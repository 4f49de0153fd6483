"""States and key records as rows: what operators query is a column, the rest is JSON. Exact in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from rotator.errors import StoreError
from rotator.http.outside_text import outside_text
from rotator.model import KeyRecord, State
from rotator.store.migrate import HEAD

Columns = Mapping[Any, Any]
T = TypeVar("T")

_STATE, _KEY = TypeAdapter(State), TypeAdapter(KeyRecord)
_STATE_COLUMNS = {"phase", "hold", "generation", "current", "candidate", "not_before", "paused"}
_KEY_COLUMNS = {"key_id", "origin", "generation", "hint"}


def encode_state(state: State) -> dict[str, object]:
    """The columns of `credential` that hold this state.

    Raises:
        StoreError: the state holds text that is not Unicode.
    """
    return {
        "phase": state.phase.value,
        "hold_reason": state.hold and state.hold.reason.value,
        "hold_detail": state.hold and state.hold.detail,
        "generation": state.generation,
        "current_key": state.current,
        "candidate": state.candidate,
        "not_before": state.not_before,
        "paused": state.paused,
        "state": _dump(_STATE, state, _STATE_COLUMNS),
    }


def decode_state(row: Columns) -> State:
    """The state that a row of `credential` holds.

    Raises:
        StoreError: the row holds what this schema doesn't know.
    """
    columns = {
        "phase": row["phase"],
        "hold": row["hold_reason"] and {"reason": row["hold_reason"], "detail": row["hold_detail"]},
        "generation": row["generation"],
        "current": row["current_key"],
        "candidate": row["candidate"],
        "not_before": row["not_before"],
        "paused": row["paused"],
    }
    return _load(_STATE, columns, row["state"], f"credential {row['name']}")


def encode_key(record: KeyRecord) -> dict[str, object]:
    """The columns of `key` that hold this record.

    Raises:
        StoreError: the record holds text that is not Unicode.
    """
    return {
        "key_id": record.key_id,
        "origin": record.origin.value,
        "generation": record.generation,
        "hint": record.hint,
        "record": _dump(_KEY, record, _KEY_COLUMNS),
    }


def decode_key(row: Columns) -> KeyRecord:
    """The record that a row of `key` holds.

    Raises:
        StoreError: the row holds what this schema doesn't know.
    """
    return _load(_KEY, {name: row[name] for name in _KEY_COLUMNS}, row["record"], f"key {row['key_id']}")


def _dump(adapter: TypeAdapter[T], value: T, columns: set[str]) -> str:
    try:
        return adapter.dump_json(value, exclude=columns).decode()
    except PydanticSerializationError:
        raise StoreError("the journal can't hold text that is not Unicode; nothing was written") from None


def _load(adapter: TypeAdapter[T], columns: dict[str, Any], rest: str, what: str) -> T:
    try:
        document = from_json(rest)
        if twice := document.keys() & columns.keys():
            raise _unknown(what, ", ".join(sorted(twice)))
        return adapter.validate_json(to_json(document | columns), strict=True, extra="forbid")
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        raise _unknown(what, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (ValueError, AttributeError, TypeError) as error:
        raise _unknown(what, str(error)) from None


def _unknown(what: str, problem: str) -> StoreError:
    return StoreError(
        f"the journal's row of {what} is not one of schema {HEAD} ({outside_text(problem)}); nothing was changed",
        remedy="install the version of rotator that wrote it, or restore the store from a backup.",
    )
