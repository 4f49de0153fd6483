"""A whole rotation, as both clouds, the audit log and a consumer see it, in the shapes that a config can give it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.attention import HoldReason
from rotator.model import Phase
from rotator.sandbox.northflank.account import Cluster, Echo
from rotator.sandbox.stage import CREDENTIAL, INTEGRATION, TEXT
from rotator.sandbox.wire.rules import Canned
from tests.support.fixtures import MakeRig
from tests.support.patience import patience
from tests.support.rig import Rig

pytestmark = pytest.mark.realtime

SECOND = "prod-aws-eu"
TWO = [{"integrations": [INTEGRATION, SECOND]}]
GONE = '{"error": {"status": 404, "message": "Not found"}}'


def is_rotated(rig: Rig) -> None:
    """The new key is the only one; Northflank holds it, says so, and it works."""
    new = rig.held()
    assert new != rig.first_key
    assert rig.listed() == {new: True}
    assert rig.state.current == new
    assert rig.state.phase is Phase.IDLE
    assert rig.shown().startswith(f"{TEXT} [rotator {rig.journal.store_id} g1 {new[:4]}..{new[-4:]} ")


class TestWhole:
    def test_the_new_key_takes_the_place_of_the_old_one(self, rig: Rig) -> None:
        rig.rotate()
        is_rotated(rig)

    def test_the_audit_log_tells_it_in_order(self, rig: Rig) -> None:
        rig.rotate()
        changes = [
            (event["event"], event["outcome"], event.get("key_ids", []))
            for event in rig.events(credential=CREDENTIAL)
            if event["outcome"] in {"intent", "done"} and event["event"] != "request.answered"
        ]
        new, old = [rig.held()], [rig.first_key]
        assert changes == [
            ("key.create", "intent", []),
            ("key.create", "done", new),
            ("integration.push", "intent", new),
            ("integration.push", "done", new),
            ("key.disable", "intent", old),
            ("key.disable", "done", old),
            ("key.delete", "intent", old),
            ("key.delete", "done", old),
        ]
        assert [event["event"] for event in rig.events() if event["event"].startswith("rotation.")][
            -1
        ] == "rotation.done"

    def test_every_change_in_the_audit_log_carries_the_vendors_request_id(self, rig: Rig) -> None:
        rig.rotate()
        assert all(event.get("request_id") for event in rig.events(outcome="done") if event["event"].startswith("key."))

    def test_the_old_key_works_through_all_of_grace_and_is_disabled_through_all_of_quarantine(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.GRACE)
        confirmed = rig.clock.world()
        rig.to(Phase.QUARANTINE)
        assert timedelta(hours=24) <= rig.clock.world() - confirmed < timedelta(hours=24, seconds=patience(60))
        assert rig.listed() == {rig.first_key: False, rig.held(): True}
        rig.finish()
        assert timedelta(hours=48) <= rig.clock.world() - confirmed < timedelta(hours=48, seconds=patience(60))

    def test_it_costs_at_most_28_calls(self, rig: Rig) -> None:
        rig.begin()
        before = rig.requests()
        rig.finish()
        assert rig.requests() - before <= 28

    def test_each_rotation_takes_the_next_generation(self, rig: Rig) -> None:
        for generation in (1, 2, 3):
            rig.rotate()
            assert f" g{generation} " in rig.shown()
        assert rig.listed() == {rig.held(): True}
        assert [row.outcome for row in rig.journal.reader.rotations(CREDENTIAL)] == ["done"] * 3

    def test_the_configs_own_text_is_written_before_the_stamp(self, make_rig: MakeRig) -> None:
        integrations = [{"id": INTEGRATION, "description": "Owned by nobody."}]
        rig = make_rig(credentials=[{"integrations": integrations}])
        rig.rotate()
        assert rig.shown().startswith("Owned by nobody. [rotator ")


class TestMethods:
    def test_a_405_switches_to_patch_for_good(self, rig: Rig) -> None:
        rig.account.behaviour = replace(rig.account.behaviour, update=frozenset({"PATCH"}))
        rig.rotate()
        is_rotated(rig)
        rig.rotate()
        assert [seen.method for seen in rig.faults.requests() if seen.method != "GET"] == ["POST", "PATCH", "PATCH"]

    def test_a_404_of_an_integration_that_exists_switches_too(self, rig: Rig) -> None:
        rig.spoil(Canned(status=404, body=GONE), northflank="POST", times=None)
        rig.rotate()
        is_rotated(rig)
        assert [seen.status for seen in rig.faults.requests() if seen.method != "GET"] == [404, 200]

    def test_a_team_has_paths_of_its_own(self, make_rig: MakeRig) -> None:
        rig = make_rig(northflank={"default": {"team": "sandbox-team"}})
        rig.rotate()
        is_rotated(rig)
        assert all(seen.path.startswith("/v1/teams/sandbox-team/") for seen in rig.faults.requests())


class TestEcho:
    @pytest.mark.parametrize("echo", list(Echo))
    def test_echoed_credentials_change_nothing(self, rig: Rig, echo: Echo) -> None:
        rig.account.behaviour = replace(rig.account.behaviour, echo=echo)
        rig.rotate()
        is_rotated(rig)

    def test_an_echoed_key_is_adopted_where_nobody_named_one(self, make_rig: MakeRig) -> None:
        rig = make_rig(credentials=[{"current_key": None}])
        rig.account.behaviour = replace(rig.account.behaviour, echo=Echo.RAW)
        rig.rotate()
        is_rotated(rig)

    def test_a_credential_that_a_person_changed_below_the_stamp_is_not_revoked(self, rig: Rig) -> None:
        rig.account.behaviour = replace(rig.account.behaviour, echo=Echo.RAW)
        old = rig.account.held(INTEGRATION)
        rig.begin()
        rig.to(Phase.GRACE)
        rig.put(INTEGRATION, description=rig.shown(), credentials=old)
        rig.consumes = True
        rig.finish()
        assert rig.listed() == {rig.held(): True}
        assert rig.held() != rig.first_key
        assert rig.events("rotation.rolled_forward")


class TestWithoutStamps:
    @pytest.fixture
    def rig(self, make_rig: MakeRig) -> Rig:
        return make_rig(northflank={"default": {"stamp": False}})

    def test_use_of_the_new_key_confirms_the_push(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.CONFIRMING)
        rig.wait(timedelta(seconds=1))
        assert rig.aws.works(rig.material())
        rig.finish()
        assert rig.listed() == {rig.held(): True}
        assert rig.shown() == TEXT

    def test_without_any_use_it_is_held_and_both_keys_live(self, rig: Rig) -> None:
        rig.begin()
        hold = rig.hold(HoldReason.STAMP_LOST)
        assert INTEGRATION in hold.detail
        assert rig.listed() == {rig.first_key: True, rig.held(): True}
        assert rig.state.phase is Phase.CONFIRMING


class TestDependents:
    @pytest.fixture
    def rig(self, make_rig: MakeRig) -> Rig:
        integration = {"id": INTEGRATION, "dependents": ["clusters", "registries", "workload_identity"]}
        rig = make_rig(credentials=[{"integrations": [integration]}])
        rig.account.put(Cluster("eu-1", "aws", f"team/{INTEGRATION}", "running"))
        rig.account.put(Cluster("eu-2", "aws", INTEGRATION, "error"))
        return rig

    def test_the_same_and_better_go_through(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.PROVING)
        rig.tick()
        rig.account.put(Cluster("eu-2", "aws", INTEGRATION, "running"))
        rig.finish()
        assert rig.listed() == {rig.held(): True}

    def test_worse_is_held_with_both_keys_alive_until_a_person_accepts_it(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.PROVING)
        rig.spoil(Canned(status=502, body="<html>", when="after"), northflank="POST")
        rig.run(lambda state: state.pushes_sent > 0)
        rig.account.put(Cluster("eu-1", "aws", INTEGRATION, "error"))
        hold = rig.hold(HoldReason.DEPENDENTS_DEGRADED)
        assert "eu-1: running before, error now" in hold.detail
        rig.wait(timedelta(days=20))
        rig.tick()
        assert rig.listed() == {rig.first_key: True, rig.held(): True}
        assert rig.ask("resume").accepted
        rig.finish()
        assert rig.listed() == {rig.held(): True}


class TestTwoIntegrations:
    @pytest.fixture
    def rig(self, make_rig: MakeRig) -> Rig:
        rig = make_rig(credentials=TWO)
        rig.put(SECOND, description=None, credentials=rig.account.held(INTEGRATION))
        return rig

    def test_both_get_the_new_key_back_to_back(self, rig: Rig) -> None:
        rig.rotate()
        is_rotated(rig)
        assert rig.held(SECOND) == rig.held()
        assert rig.shown(SECOND).startswith(f"[rotator {rig.journal.store_id} g1 ")
        order = [seen.method for seen in rig.faults.requests()]
        first = order.index("POST")
        assert order[first : first + 2] == ["POST", "POST"]

    def test_one_that_is_pushed_by_nobody_keeps_the_old_key_alive(self, rig: Rig) -> None:
        rig.spoil(Canned(status=502, body="<html>"), northflank="POST", path=f"/{SECOND}$", times=None)
        rig.begin()
        rig.to(Phase.PROVING)
        for _ in range(40):
            rig.wait(rig.tick() - rig.clock.now())
        assert rig.listed() == {rig.first_key: True, rig.held(): True}
        assert (rig.held(SECOND), rig.state.phase) == (rig.first_key, Phase.PUSHING)
        rig.heal()
        rig.finish()
        assert rig.held(SECOND) == rig.held()
        assert rig.listed() == {rig.held(): True}
