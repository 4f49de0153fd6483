from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.errors import StoreError
from rotator.model import KeyRecord, Phase, State
from rotator.store.codec import decode_key, decode_state, encode_key, encode_state
from rotator.store.migrate import HEAD
from rotator.store.schema import CREDENTIAL

st.register_type_strategy(datetime, st.datetimes(timezones=st.just(UTC)))  # rotator knows no other times


def row_of(state: State) -> dict[str, Any]:
    return {"name": "prod", **encode_state(state)}


@settings(deadline=None)
@given(st.from_type(State))
def test_every_state_comes_back_as_it_was(state: State) -> None:
    assert decode_state(row_of(state)) == state


@settings(deadline=None)
@given(st.from_type(KeyRecord))
def test_every_key_record_comes_back_as_it_was(record: KeyRecord) -> None:
    assert decode_key(encode_key(record)) == record


def test_nothing_is_kept_twice() -> None:
    columns = encode_state(State())
    inside = json.loads(str(columns.pop("state")))

    assert columns.keys() <= set(CREDENTIAL.c.keys())
    assert {field.name for field in fields(State)} - inside.keys() == {
        *("phase", "hold", "generation", "current", "candidate", "not_before", "paused")
    }


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"phase": "frobbing"}, "phase"),
        ({"hold_reason": "boredom", "hold_detail": ""}, "hold.reason"),
        ({"generation": "7"}, "generation"),
        ({"state": '{"surprise": 1}'}, "surprise"),
        ({"state": '{"phase": "idle"}'}, "phase"),
        (
            {"state": '{"rotation": {"rotation_id": "R", "reason": "", "started_at": "2026-11-23T08:00:00Z", "x": 1}}'},
            "x",
        ),
        ({"state": '{"attempts": "3"}'}, "attempts"),
        ({"state": "[]"}, "attribute"),
        ({"state": '{"attempts": 3'}, "EOF"),
    ],
)
def test_what_this_schema_does_not_know_is_refused_by_name(change: dict[str, str], named: str) -> None:
    with pytest.raises(StoreError) as refused:
        decode_state(row_of(State(phase=Phase.IDLE)) | change)

    assert "credential prod" in refused.value.message
    assert named in refused.value.message
    assert f"schema {HEAD}" in refused.value.message
    assert refused.value.remedy


def test_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(StoreError, match="Unicode"):
        encode_state(State(texts_before=(("prod-aws", "\ud800"),)))
