"""A user who may write the store may write anything there: a row that is no request is refused, and costs no other."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta

import pytest

from tests.support.rig import Rig

DEEP = "[" * 100_000 + "]" * 100_000

MALFORMED: Mapping[str, Mapping[str, object]] = {
    "arguments that are no JSON": {"arguments": "{"},
    "arguments that are a list": {"arguments": "[1]"},
    "arguments that are a number": {"arguments": "1"},
    "arguments that are null": {"arguments": "null"},
    "arguments that are nothing": {"arguments": ""},
    "arguments that are bytes": {"arguments": b"\xff\xfe"},
    "arguments without an end": {"arguments": DEEP},
    "half a character": {"arguments": '{"key_id": "\\ud800"}'},
    "an unknown option": {"arguments": '{"force": true}'},
    "an option of another type": {"arguments": '{"now": "perhaps"}'},
    "an unknown kind": {"kind": "explode"},
    "a kind that is bytes": {"kind": b"\xff"},
    "a kind that is a number": {"kind": 7},
    "a uid that is text": {"uid": "root"},
    "a uid that is a fraction": {"uid": 1.5},
    "a time that is none": {"created_at": "yesterday"},
    "a time that is a number": {"created_at": 1},
    "an end that is bytes": {"expires_at": b"\x00"},
    "an end in the year 1": {"expires_at": "0001-01-01 00:00:00.000000"},
    "an end in the year 9999": {"expires_at": "9999-12-31 23:59:59.999999"},
    "an id that is bytes": {"id": b"\xff\xfe"},
    "a credential that is bytes": {"credential": b"\xff"},
    "a credential that is a number": {"credential": 7},
    "no credential": {"credential": None},
    "a reason that is bytes": {"why": b"\xff"},
    "a name that is bytes": {"claimed": b"\xff"},
    "a NUL": {"kind": "rotate\0", "why": "\0"},
}


def write(rig: Rig, number: int, columns: Mapping[str, object]) -> int:
    """Write a row as anybody can who may write the store. Returns its number."""
    now = rig.clock.now()
    sound: dict[str, object] = {
        "id": f"REQUEST-{number:03}",
        "credential": rig.name,
        "kind": "pause",
        "arguments": "{}",
        "uid": 0,
        "created_at": f"{now:%Y-%m-%d %H:%M:%S.%f}",
        "expires_at": f"{now + timedelta(minutes=10):%Y-%m-%d %H:%M:%S.%f}",
    }
    row = {**sound, **columns}
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    statement = f"INSERT INTO request ({names}) VALUES ({marks})"  # noqa: S608  # of this test's own words
    with closing(sqlite3.connect(rig.stage.store_file)) as store, store:
        cursor = store.execute(statement, [*row.values()])
        return cursor.lastrowid or 0


def answers(rig: Rig, rows: list[int]) -> list[object]:
    with closing(sqlite3.connect(rig.stage.store_file)) as store:
        return [store.execute("SELECT accepted FROM request WHERE rowid = ?", (row,)).fetchone()[0] for row in rows]


@pytest.mark.parametrize("columns", MALFORMED.values(), ids=MALFORMED)
def test_it_is_refused_and_the_next_one_is_served(rig: Rig, columns: Mapping[str, object]) -> None:
    rig.adopt()
    row = write(rig, 1, columns)
    assert rig.ask("pause").accepted
    assert answers(rig, [row]) == [0]
    assert rig.state.paused


def test_all_of_them_at_once(rig: Rig) -> None:
    rig.adopt()
    rows = [write(rig, number, columns) for number, columns in enumerate(MALFORMED.values())]
    assert rig.ask("pause").accepted
    assert answers(rig, rows) == [0] * len(rows)
    refused = [event for event in rig.events("request.answered") if event["outcome"] == "refused"]
    assert len(refused) == len(rows)
