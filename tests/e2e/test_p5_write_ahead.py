"""P5: before each change its intent is durable, after it its outcome; without the audit log nothing is changed."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from rotator.errors import StoreError
from rotator.model import Change, Phase, State
from rotator.store.journal import Journal
from tests.support.rig import Rig
from tests.support.running import Event

pytestmark = pytest.mark.realtime

CHANGES = [
    ("CreateAccessKey", Change.CREATE, "key.create"),
    (None, Change.PUSH, "integration.push"),
    ("UpdateAccessKey", Change.DISABLE, "key.disable"),
    ("DeleteAccessKey", Change.DELETE, "key.delete"),
]
"""The changes of a rotation in their order: AWS's action (None: a push), what the journal calls it, the audit log."""


def changes(rig: Rig) -> int:
    return sum(rig.asked(action) for action, *_ in CHANGES)


def beside(rig: Rig) -> tuple[State, Event]:
    """What another process sees now: the state in the store, and the last line of the audit file."""
    with Journal.open_read_only(rig.config.store.url) as reader:
        [row] = reader.credentials()
    return row.state, json.loads(rig.stage.audit_file.read_text().splitlines()[-1])


class TestTheIntent:
    def test_is_durable_in_the_store_and_in_the_audit_file_when_the_request_arrives(self, rig: Rig) -> None:
        rig.begin()
        for action, change, event in CHANGES:
            with rig.stalled(action):
                state, last = beside(rig)
            assert state.call is not None
            assert state.call.change is change
            assert (last["event"], last["outcome"]) == (event, "intent")
            assert rig.state.call is None

    def test_so_is_that_of_an_undo(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.QUARANTINE)
        assert rig.ask("undo").accepted
        with rig.stalled("UpdateAccessKey"):
            state, last = beside(rig)
        assert state.call is not None
        assert (state.call.change, last["event"], last["outcome"]) == (Change.ENABLE, "key.enable", "intent")


class TestTheOutcome:
    def test_is_durable_when_the_tick_ends(self, rig: Rig) -> None:
        rig.begin()
        for action, _, event in CHANGES:
            rig.until_asked(action)
            state, _ = beside(rig)
            assert state == rig.state
            assert rig.events(event)[-1]["outcome"] == "done"

    def test_that_the_store_did_not_take_is_kept_and_the_call_is_not_made_again(self, rig: Rig) -> None:
        rig.begin()
        with pytest.raises(StoreError), rig.stalled("CreateAccessKey"):
            rig.break_store()
        with pytest.raises(StoreError):
            rig.tick()
        rig.mend_store()
        rig.to(Phase.PROVING)
        rig.finish()
        assert rig.asked("CreateAccessKey") == 1
        assert [event["outcome"] for event in rig.events("key.create")] == ["intent", "done"]

    def test_that_died_with_the_process_is_unknown(self, rig: Rig) -> None:
        rig.begin()
        with pytest.raises(StoreError), rig.stalled("CreateAccessKey"):
            rig.break_store()
        rig.mend_store()
        rig.restart()
        rig.tick()
        told = rig.events("key.create")
        assert [event["outcome"] for event in told] == ["intent", "unknown"]
        assert told[-1]["actor"] == "recovery"
        rig.finish()
        rig.run(lambda state: not state.suspects and state.phase is Phase.IDLE)
        assert rig.listed() == {rig.held(): True}


class TestFailClosed:
    """Between each two changes of a rotation the audit file, or the store, can't be written for days."""

    def test_without_the_required_sink_nothing_is_changed(self, rig: Rig) -> None:
        rig.begin()
        for action, *_ in CHANGES:
            before = changes(rig)
            rig.break_audit()
            for _ in range(4):
                rig.tick()
                rig.wait(timedelta(hours=30) if rig.state.candidate is None else timedelta(seconds=3))
            assert changes(rig) == before
            assert rig.state.error is not None
            assert "audit.jsonl" in rig.state.error
            rig.mend_audit()
            rig.until_asked(action)
        rig.finish()
        assert rig.listed() == {rig.held(): True}

    def test_without_the_store_nothing_is_changed(self, rig: Rig) -> None:
        rig.begin()
        for action, *_ in CHANGES:
            before = changes(rig)
            rig.break_store()
            with pytest.raises(StoreError, match="broken"):
                rig.until_asked(action)
            assert changes(rig) == before
            rig.mend_store()
            rig.until_asked(action)
        rig.finish()
        assert rig.listed() == {rig.held(): True}

    def test_a_sink_that_is_not_required_stops_nothing(self, rig: Rig) -> None:
        rig.configure({"audit": {"require": []}})
        rig.restart()
        rig.break_audit()
        rig.rotate()
        rig.mend_audit()
        assert rig.listed() == {rig.held(): True}
