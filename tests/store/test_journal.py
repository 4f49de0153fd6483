from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.attention import Hold, HoldReason
from rotator.audit.event import EventName
from rotator.errors import ExitCode, StaleFence, StoreError
from rotator.model import KeyRecord, Origin, Phase, Rotation, State
from rotator.store.registry import Registration
from rotator.store.requests import Answered, RequestWriter
from tests.store.stores import START, TickingClock, audit_file, open_journal, told, url

MINTING = State(
    phase=Phase.MINTING,
    generation=1,
    rotation=Rotation("R1", "the key is due", START),
    keys=(KeyRecord("AKIA1", Origin.ADOPTED, sent=True), KeyRecord("AKIA2", Origin.FOREIGN)),
    current="AKIA1",
    texts_before=(("prod-aws", "our account"),),
)


def ask(directory: Path, kind: str = "rotate", credential: str | None = "prod") -> str:
    """What a command beside the daemon does."""
    with RequestWriter.open(url(directory), clock=TickingClock(), new_id=lambda: f"REQUEST-{kind}") as writer:
        return writer.submit(kind, credential=credential, arguments={"now": True}, uid=1000, claimed="ada").request_id


def rows(directory: Path, query: str) -> list[Any]:
    """What a person at a sqlite3 shell sees."""
    with closing(sqlite3.connect(directory / "data" / "rotator.db")) as shell:
        return shell.execute(query).fetchall()


def test_a_fresh_credential_has_an_empty_state(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        assert journal.load("prod") == State()
        assert journal.load("unheard-of") == State()
        assert len(journal.store_id) == 8


def test_a_commit_outlives_the_process(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        store_id, fence = journal.store_id, journal.fence
        journal.commit("prod", MINTING, events=[told("due")], next_at=START + timedelta(hours=1))

    with open_journal(tmp_path) as journal:
        assert journal.load("prod") == MINTING
        assert (journal.store_id, journal.fence) == (store_id, fence + 1)
        (row,) = journal.credentials()
        assert (row.name, row.provider, row.identity) == ("prod", "aws", "aws:user/prod")
        assert row.next_at == START + timedelta(hours=1)


def test_people_can_query_the_main_columns(tmp_path: Path) -> None:
    held = replace(MINTING, hold=Hold(HoldReason.SLOTS_FULL, "AKIA2 is in the way"), paused=True)
    with open_journal(tmp_path) as journal:
        journal.commit("prod", held, events=[], next_at=None)

    assert rows(tmp_path, "SELECT phase, hold_reason, generation, current_key, paused, next_at FROM credential") == [
        ("minting", "slots_full", 1, "AKIA1", 1, None)
    ]


def test_a_commit_for_an_unknown_credential_is_refused_whole(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        journal.commit("prod", MINTING, events=[told("due")], next_at=None)
        head = journal.reader.newest(1)
        with pytest.raises(StoreError, match="staging"):
            journal.commit("staging", MINTING, events=[told("due")], next_at=None)

        assert journal.reader.newest(1) == head
        assert journal.load("prod") == MINTING
        journal.commit("prod", replace(MINTING, attempts=1), events=[told("again")], next_at=None)
        assert [json.loads(record.line)["reason"] for record in journal.reader.newest(2)] == ["due", "again"]


def test_every_key_that_was_ever_known_stays_on_record(tmp_path: Path) -> None:
    minted = KeyRecord("AKIA3", Origin.MINTED, generation=1, hint="AKIA..A3")
    deleted = replace(MINTING.keys[0], deleting=True, gone_at=START)
    with open_journal(tmp_path) as journal:
        journal.commit("prod", MINTING, events=[], next_at=None)
        journal.commit("prod", MINTING.with_record(minted), events=[], next_at=None)
        journal.commit("prod", MINTING.with_record(minted).with_record(deleted), events=[], next_at=None)
        journal.commit("prod", replace(MINTING, keys=(minted,)), events=[], next_at=None)

        assert journal.load("prod").keys == (minted,)
        assert journal.reader.keys("prod") == (deleted, MINTING.keys[1], minted)


def test_a_key_that_comes_back_completes_its_old_row(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        for keys in ((MINTING.keys[1],), (), (replace(MINTING.keys[1], origin=Origin.ADOPTED),)):
            journal.commit("prod", replace(MINTING, keys=keys), events=[], next_at=None)

        assert journal.reader.keys("prod") == (replace(MINTING.keys[1], origin=Origin.ADOPTED),)


def test_rotations_are_remembered_with_their_outcome(tmp_path: Path) -> None:
    second = replace(MINTING, generation=2, rotation=Rotation("R2", "leaked", START, emergency=True))
    idle = replace(MINTING, phase=Phase.IDLE, rotation=None)
    done, abandoned = told("ok", EventName.ROTATION_DONE), told("enough", EventName.ROTATION_ABANDONED)
    with open_journal(tmp_path) as journal:
        journal.commit("prod", MINTING, events=[], next_at=None)
        journal.commit("prod", replace(MINTING, generation=2), events=[], next_at=None)
        journal.commit("prod", replace(idle, generation=2), events=[done], next_at=None)
        journal.commit("prod", second, events=[], next_at=None)
        journal.commit("prod", idle, events=[told("x"), abandoned], next_at=None)
        journal.commit("prod", replace(MINTING, rotation=Rotation("R3", "due", START)), events=[], next_at=None)
        journal.commit("prod", replace(MINTING, rotation=Rotation("R4", "due", START)), events=[], next_at=None)

        told_of = [(row.rotation_id, row.outcome, row.generation) for row in journal.reader.rotations("prod")]
        ended = [row.ended_at is not None for row in journal.reader.rotations("prod")]
    assert sorted(told_of) == [("R1", "done", 2), ("R2", "abandoned", 2), ("R3", "superseded", 1), ("R4", None, 1)]
    assert ended.count(False) == 1


def test_a_newer_owner_shuts_this_one_out(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        journal.commit("prod", MINTING, events=[told("due")], next_at=None)
        with closing(sqlite3.connect(tmp_path / "data" / "rotator.db")) as newer, newer:
            newer.execute("UPDATE owner SET fence = fence + 1")
        head = journal.reader.newest(1)
        writes: list[Callable[[], None]] = [
            lambda: journal.commit("prod", State(), events=[told("too late")], next_at=None),
            lambda: journal.record([told("too late")]),
            lambda: journal.register([]),
        ]
        for write in writes:
            with pytest.raises(StaleFence) as stale:
                write()
            assert stale.value.exit_code is ExitCode.OTHER_OWNER

        assert journal.reader.newest(1) == head
        assert journal.load("prod") == MINTING


def test_a_request_is_answered_in_the_transaction_that_it_caused_and_once(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        request_id = ask(tmp_path)
        (request,) = journal.open_requests()
        assert (request.request_id, request.credential, request.kind) == (request_id, "prod", "rotate")
        assert (request.arguments, request.uid, request.claimed) == ({"now": True}, 1000, "ada")
        assert request.expires_at - request.created_at == timedelta(minutes=10)

        yes = Answered(request_id=request_id, accepted=True, text="it is due now")
        journal.commit("prod", MINTING, events=[told("asked")], next_at=None, answers=[yes])
        assert journal.open_requests() == ()
        answered = journal.reader.request(request_id)
        assert answered is not None
        assert (answered.accepted, answered.answer) == (True, "it is due now")

        with pytest.raises(StoreError, match="answer already"):
            journal.commit("prod", State(), events=[told("twice")], next_at=None, answers=[yes])
        assert journal.load("prod") == MINTING


def test_a_refusal_changes_no_state(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        no = Answered(request_id=ask(tmp_path), accepted=False, text="nothing is in flight")
        journal.answer(no, events=[told("refused", EventName.REQUEST_ANSWERED)])

        answered = journal.reader.request(no.request_id)
        assert answered is not None
        assert answered.accepted is False
        assert journal.load("prod") == State()
        assert b"refused" in journal.reader.newest(1)[0].line


def test_a_rename_is_recognised_by_the_identity(tmp_path: Path) -> None:
    with open_journal(tmp_path, credentials=["a", "b"]) as journal:
        journal.commit("a", MINTING, events=[], next_at=None)
        journal.register([Registration("a", "aws", "aws:user/b"), Registration("b", "aws", "aws:user/a")])

        assert (journal.load("a"), journal.load("b")) == (State(), MINTING)
        assert {json.loads(record.line)["reason"] for record in journal.reader.newest(2)} == {
            "a is now b",
            "b is now a",
        }

        journal.register([Registration("c", "aws", "aws:user/a")])
        assert (journal.load("a"), journal.load("b"), journal.load("c")) == (State(), State(), MINTING)


def test_a_name_does_not_pass_silently_to_another_identity(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        journal.commit("prod", MINTING, events=[], next_at=None)
        with pytest.raises(StoreError) as refused:
            journal.register([Registration("prod", "aws", "aws:user/somebody-else")])

        assert "rotator forget prod" in refused.value.remedy
        assert journal.load("prod") == MINTING


def test_forget_releases_the_keys_and_frees_the_name(tmp_path: Path) -> None:
    gone = KeyRecord("AKIA0", Origin.MINTED, gone_at=START)
    with open_journal(tmp_path) as journal:
        journal.commit("prod", MINTING.with_record(gone), events=[], next_at=START)
        journal.forget("prod", events=[told("not in the config", EventName.CREDENTIAL_FORGOTTEN)])

        assert (journal.load("prod"), journal.credentials()) == (State(), ())
        assert sorted(rows(tmp_path, "SELECT key_id, origin FROM key")) == [
            ("AKIA0", "minted"),
            ("AKIA1", "released"),
            ("AKIA2", "foreign"),
        ]
        assert rows(tmp_path, "SELECT outcome FROM rotation") == [("forgotten",)]
        with pytest.raises(StoreError, match="doesn't know"):
            journal.forget("prod", events=[])

        journal.register([Registration("prod", "aws", "aws:user/prod")])
        assert journal.load("prod") == State()
        assert journal.reader.keys("prod") == ()


def test_a_freeze_holds_until_it_is_lifted(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        before = journal.frozen
        journal.freeze("uid:0 claimed:ada", events=[told("a break-in")])
        assert (before, journal.frozen) == (False, True)

    with open_journal(tmp_path) as journal:
        assert journal.frozen
        assert journal.reader.owner().frozen_by == "uid:0 claimed:ada"
        journal.freeze(None, events=[])
        assert (journal.frozen, journal.reader.owner().frozen_at) == (False, None)


def test_an_answer_and_the_audit_log_tell_the_same_story(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        for number in range(300):  # more than the outbox keeps in memory
            journal.record([told(f"event {number}")])
        journal.flush(required_only=True)

        stored = journal.reader.records()
        assert audit_file(tmp_path).read_bytes() == b"".join(record.line + b"\n" for record in stored)
        assert [record.sequence for record in stored] == list(range(1, len(stored) + 1))
        assert len(journal.reader.records(after=10, limit=5, credential="prod")) == 5


KEYS = st.lists(
    st.builds(KeyRecord, st.sampled_from("ABC"), st.sampled_from(Origin), disabled=st.booleans()),
    unique_by=lambda key: key.key_id,
).map(tuple)
STATES = st.builds(State, phase=st.sampled_from(Phase), generation=st.integers(0, 3), keys=KEYS)


@settings(max_examples=15, deadline=None)
@given(history=st.lists(st.tuples(STATES, st.booleans()), max_size=6))
def test_after_any_history_the_journal_holds_the_last_state_and_every_key(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[State, bool]]
) -> None:
    directory = tmp_path_factory.mktemp("history")
    # Each true begins another rotation, each false ends the one before.
    states = [
        replace(state, rotation=Rotation(f"R{number}", "due", START) if rotates else None)
        for number, (state, rotates) in enumerate(history)
    ]
    with open_journal(directory) as journal:
        for state in states:
            journal.commit("prod", state, events=[told("change")], next_at=None)

    with open_journal(directory) as journal:
        last = states[-1] if states else State()
        assert journal.load("prod") == last
        assert {key.key_id: key for key in journal.reader.keys("prod")} == {
            key.key_id: key for state in states for key in state.keys
        }
        rotations = journal.reader.rotations("prod")
        assert {row.rotation_id for row in rotations} == {
            state.rotation.rotation_id for state in states if state.rotation
        }
        assert [row.rotation_id for row in rotations if row.ended_at is None] == (
            [last.rotation.rotation_id] if last.rotation else []
        )
