"""Request rows: who asked, what for, and the answer; what they do to rotations is in tests/e2e/test_requests.py."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from rotator.errors import StoreError
from rotator.model import Phase
from rotator.sandbox.stage import CREDENTIAL
from rotator.sandbox.wire.rules import Canned, Rule
from rotator.service.people import serve_requests
from rotator.store.requests import Request
from tests.support.fixtures import MakeRig, http, make_rig, prepare, rig
from tests.support.rig import Rig

__all__ = ("http", "make_rig", "prepare", "rig")  # the fixtures

OTHER = {"name": "other", "user": "other", "integrations": ["other"], "current_key": None}


def serve(rig: Rig) -> list[str]:
    return serve_requests(rig.fleet, rig.journal, rig.engine, rig.clock)


def answered(rig: Rig, asked: Request) -> Request:
    row = rig.journal.reader.request(asked.request_id)
    assert row is not None
    return row


def refused(rig: Rig, because: str, kind: str, *, credential: str | None = CREDENTIAL, **arguments: Any) -> None:
    row = rig.ask(kind, credential=credential, **arguments)
    assert (row.accepted, because in (row.answer or "")) == (False, True), row.answer
    told = rig.events("request.answered")[-1]
    assert (told["outcome"], told["code"]) == ("refused", kind)
    assert row.answer in told["reason"]


class TestAnAnswer:
    def test_stands_in_the_row_and_in_the_audit_log_with_who_asked_and_why(self, rig: Rig) -> None:
        rig.adopt()
        asked = rig.write("rotate", {}, why="an auditor wants it")
        assert serve(rig) == [CREDENTIAL]
        row = answered(rig, asked)
        assert (row.accepted, row.answer) == (True, "the rotation is due now")
        told = rig.events("request.answered")[-1]
        assert (told["outcome"], told["actor"]) == ("done", "uid:4711 claimed:ada")
        assert "the rotation is due now" in told["reason"]
        assert "an auditor wants it" in told["reason"]

    def test_comes_once(self, rig: Rig) -> None:
        rig.adopt()
        rig.submit("pause")
        assert serve(rig) == [CREDENTIAL]
        assert serve(rig) == []
        assert len(rig.events("request.answered")) == 1

    def test_comes_in_the_order_of_the_asking(self, rig: Rig) -> None:
        rig.adopt()
        rows = [rig.submit(kind) for kind in ("pause", "unpause", "pause")]
        serve(rig)
        assert [answered(rig, row).accepted for row in rows] == [True, True, True]
        assert rig.state.paused

    def test_comes_from_the_next_owner_if_the_present_one_dies(self, rig: Rig) -> None:
        rig.adopt()
        asked = rig.submit("pause")
        rig.restart()
        serve(rig)
        assert answered(rig, asked).accepted

    def test_is_given_although_the_outside_cannot_be_read(self, rig: Rig) -> None:
        rig.adopt()
        rig.faults.put(Rule(times=None, fault=Canned(status=503, body="<html>")))
        rig.aws.faults.put(Rule(times=None, fault=Canned(status=503, body="<html>")))
        assert rig.ask("pause").accepted
        assert rig.ask("rotate").accepted
        refused(rig, "can't read the keys", "adopt", key_id=rig.first_key)
        rig.heal()
        assert rig.ask("unpause").accepted
        rig.finish()
        assert rig.listed() == {rig.held(): True}

    def test_is_kept_open_while_the_store_cannot_take_it(self, rig: Rig) -> None:
        rig.adopt()
        asked = rig.submit("pause")
        rig.break_store()
        with pytest.raises(StoreError, match="broken"):
            serve(rig)
        assert answered(rig, asked).accepted is None
        assert not rig.state.paused
        rig.mend_store()
        serve(rig)
        assert answered(rig, asked).accepted


class TestARefusal:
    def test_of_a_request_that_nobody_took_in_time(self, rig: Rig) -> None:
        rig.adopt()
        rig.stop()
        asked = rig.submit("rotate", now=True)
        rig.wait(timedelta(minutes=10))
        rig.start()
        assert serve(rig) == []
        row = answered(rig, asked)
        assert (row.accepted, "within 10 minutes" in (row.answer or "")) == (False, True)
        rig.tick()
        assert rig.asked("CreateAccessKey") == 0

    def test_of_one_that_this_daemon_does_not_know(self, rig: Rig) -> None:
        refused(rig, "doesn't know the request approve", "approve")

    @pytest.mark.parametrize("arguments", [{"force": True}, {"key_id": 7}, {"now": "perhaps"}, {"kind": "pause"}])
    def test_of_one_with_options_that_it_does_not_know(self, rig: Rig, arguments: dict[str, Any]) -> None:
        rig.adopt()
        asked = rig.write("rotate", arguments)
        serve(rig)
        row = answered(rig, asked)
        assert (row.accepted, row.answer) == (
            False,
            f"this daemon doesn't know the request rotate with {next(iter(arguments))}",
        )
        rig.tick()
        assert rig.asked("CreateAccessKey") == 0

    @pytest.mark.parametrize("kind", ["rotate", "adopt", "resume", "abandon", "undo", "pause", "unpause"])
    def test_of_one_about_a_credential_that_is_not_in_the_config(self, rig: Rig, kind: str) -> None:
        refused(rig, "nobody is not in the config", kind, credential="nobody")

    def test_of_one_about_no_credential(self, rig: Rig) -> None:
        refused(rig, "not in the config", "rotate", credential=None)


class TestForget:
    def test_of_what_is_in_the_config_is_refused(self, rig: Rig) -> None:
        rig.adopt()
        refused(rig, "take it out first", "forget")

    def test_of_what_nobody_knows_is_refused(self, rig: Rig) -> None:
        refused(rig, "not in the journal", "forget", credential="nobody")

    def test_ends_a_rotation_in_flight_and_touches_nothing(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.QUARANTINE)
        before = rig.listed()
        rig.add_user("other")
        rig.configure({"credentials": [OTHER]})
        rig.restart()
        assert rig.ask("forget").accepted
        told = rig.events("credential.forgotten")[-1]
        assert (told["credential"], told["actor"]) == (CREDENTIAL, "uid:4711 claimed:ada")
        assert [row.name for row in rig.journal.credentials()] == ["other"]
        rig.wait(timedelta(days=10))
        rig.tick("other")
        assert rig.listed() == before

    def test_lets_the_name_be_used_again(self, rig: Rig) -> None:
        rig.rotate()
        rig.add_user("other")
        rig.configure({"credentials": [OTHER]})
        rig.restart()
        assert rig.ask("forget").accepted
        held = rig.held()
        rig.configure({"credentials": [{"current_key": held}]})
        rig.restart()
        assert rig.run(lambda state: state.hold is not None).phase is Phase.NEW


class TestFreeze:
    def test_concerns_every_credential_and_survives_the_process(self, make_rig: MakeRig) -> None:
        rig = make_rig(credentials=[{}, OTHER])
        rig.add_user("other")
        rig.submit("freeze", credential=None)
        assert serve(rig) == [CREDENTIAL, "other"]
        rig.restart()
        assert rig.journal.reader.owner().frozen_by == "uid:4711 claimed:ada"
        rig.submit("unfreeze", credential=None)
        assert serve(rig) == [CREDENTIAL, "other"]
        assert rig.journal.reader.owner().frozen_by is None
        assert [event["code"] for event in rig.events("request.answered")] == ["freeze", "unfreeze"]
