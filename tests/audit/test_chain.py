from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.audit.chain import FIELDS, Record, genesis, link, sha256, unseal
from rotator.audit.event import Event, EventName, Result

AT = datetime(2026, 11, 23, 9, 0, 0, 7, tzinfo=timezone(timedelta(hours=1)))
FULL = Event(
    event=EventName.KEY_DELETE,
    outcome=Result.REFUSED,
    actor="uid:1000 claimed:ada",
    credential="prod",
    provider="aws",
    rotation="01JD",
    generation=0,
    integration="prod-aws",
    key_ids=("AKIA1", "AKIA2"),
    phase="deleting",
    reason="Ünïcode “quoted”",
    code="AccessDenied",
    request_id="req-1",
)

EVENTS = st.builds(
    Event,
    event=st.sampled_from(EventName),
    outcome=st.sampled_from(Result),
    credential=st.none() | st.text(),
    key_ids=st.lists(st.text(), max_size=3).map(tuple),
    generation=st.none() | st.integers(0, 9),
    reason=st.text(st.characters(), max_size=1200),  # surrogates, controls, line separators and all
    code=st.text(st.characters()),
)


def one(event: Event) -> bytes:
    return link(genesis("7f3a91c2"), [event], at=AT, fence=3)[0].line


def test_a_full_record_has_every_field_in_the_documented_order() -> None:
    fields = json.loads(one(FULL))

    assert list(fields) == [*FIELDS, "hash"]
    assert fields["time"] == "2026-11-23T08:00:00.000007Z"
    assert (fields["sequence"], fields["fence"], fields["prev"]) == (1, 3, "store:7f3a91c2")
    assert (fields["outcome"], fields["generation"]) == ("refused", 0)
    assert fields["reason"] == FULL.reason
    assert fields["key_ids"] == ["AKIA1", "AKIA2"]


def test_what_says_nothing_is_left_out() -> None:
    assert list(json.loads(one(Event(event=EventName.DAEMON_STARTED)))) == [
        *("time", "sequence", "event", "outcome", "actor", "fence", "prev", "hash")
    ]


@settings(deadline=None)
@given(st.lists(EVENTS, min_size=1, max_size=4))
def test_any_text_makes_one_line_of_canonical_json_that_chains(events: list[Event]) -> None:
    head = genesis("7f3a91c2")
    for record in link(head, events, at=AT, fence=1):
        text = record.line.decode("utf-8")
        fields = json.loads(text)
        assert text.isprintable()
        assert text == json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
        assert unseal(record.line) == (record.line[: record.line.rindex(b',"hash"')] + b"}", fields["hash"])
        assert fields["hash"] == sha256(unseal(record.line)[0]) == record.hash
        assert (fields["prev"], fields["sequence"]) == (head.hash, head.sequence + 1)
        assert all(len(value) <= 1000 for value in fields.values() if isinstance(value, str))
        head = Record(fields["sequence"], fields["hash"], record.line)


def test_times_are_utc_with_microseconds() -> None:
    whole = link(genesis("7f3a91c2"), [FULL], at=datetime(2026, 1, 1, tzinfo=UTC), fence=1)[0].line
    assert whole.startswith(b'{"time":"2026-01-01T00:00:00.000000Z",')
