"""A config that changes under a journal: credentials and integrations that come, go, and get other names."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from rotator.attention import HoldReason
from rotator.errors import RotatorError, StoreError
from rotator.model import Phase
from rotator.sandbox.aws.scene import USER
from rotator.sandbox.stage import CREDENTIAL, INTEGRATION
from rotator.sandbox.wire.rules import Late
from rotator.service.fleet import assemble, refuse_removal_in_flight, register
from tests.support.fixtures import MakeRig
from tests.support.rig import Rig

pytestmark = pytest.mark.realtime

SECOND = "prod-aws-eu"
BOTH = {"integrations": [INTEGRATION, SECOND]}
DAYS = timedelta(days=5)


def reload(rig: Rig, *credentials: dict[str, Any]) -> None:
    """What SIGHUP does with a config that it accepts: another fleet, the same process."""
    rig.configure({"credentials": list(credentials)})
    fleet = assemble(rig.config, rig.clock, rig.http)
    refuse_removal_in_flight(fleet, rig.journal)
    register(fleet, rig.journal)
    rig.fleet = fleet
    rig.engine.keep(fleet.managed.values())


class TestACredential:
    @pytest.mark.parametrize("phase", [Phase.IDLE, Phase.GRACE, Phase.QUARANTINE])
    def test_keeps_its_rotation_under_another_name(self, rig: Rig, phase: Phase) -> None:
        rig.begin()
        rig.to(phase)
        rig.configure({"credentials": [{"name": "renamed"}]})
        rig.restart()
        assert rig.events("credential.renamed", credential="renamed")
        rig.run(lambda state: state.phase is Phase.IDLE and state.generation == 1, "renamed")
        assert rig.listed() == {rig.held(): True}
        assert rig.held() != rig.first_key

    def test_of_another_identity_may_not_take_its_name(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.GRACE)
        before = rig.listed()
        rig.add_user("another")
        rig.configure({"credentials": [{"user": "another"}]})
        with pytest.raises(StoreError, match=f"has been aws:user/{USER} so far, the config now says aws:user/another"):
            rig.restart()
        assert rig.listed() == before
        rig.configure({"credentials": [{}]})
        rig.start()
        rig.finish()

    def test_that_is_taken_out_in_flight_refuses_the_reload_and_waits_after_a_restart(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.GRACE)
        before = rig.listed()
        rig.add_user("other")
        other = {"name": "other", "user": "other", "integrations": ["other"], "current_key": None}
        with pytest.raises(RotatorError, match=f"{CREDENTIAL} has a rotation in flight"):
            reload(rig, other)
        rig.restart()
        rig.wait(DAYS)
        rig.tick("other")
        assert rig.listed() == before
        assert rig.state.phase is Phase.GRACE
        rig.configure({"credentials": [{}]})
        rig.restart()
        rig.finish()
        assert rig.listed() == {rig.held(): True}

    def test_that_left_and_came_back_has_no_material_in_memory(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.PROVING)
        assert rig.ask("abandon").accepted
        assert rig.engine.holds_material(rig.managed())
        former = rig.managed()
        self._leave(rig)
        assert not rig.engine.holds_material(former)
        reload(rig, {})
        assert not rig.engine.holds_material(rig.managed())
        rig.finish()
        assert rig.listed() == {rig.first_key: True}

    def test_that_left_and_came_back_has_no_outcome_in_memory(self, rig: Rig) -> None:
        """A deletion was answered, and the journal could not take the outcome; as after a restart, it is made again."""
        rig.begin()
        rig.to(Phase.PROVING)
        assert rig.ask("abandon").accepted
        with pytest.raises(StoreError), rig.stalled("DeleteAccessKey"):
            rig.break_store()
        rig.mend_store()
        self._leave(rig)
        reload(rig, {})
        rig.tick()
        told = rig.events("key.delete")
        assert [event["outcome"] for event in told[:2]] == ["intent", "unknown"]
        assert told[1]["actor"] == "recovery"
        rig.finish()
        assert rig.listed() == {rig.first_key: True}

    def test_that_is_renamed_in_flight_keeps_its_material(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.PROVING)
        reload(rig, {"name": "renamed"})
        rig.run(lambda state: state.phase is Phase.IDLE, "renamed")
        assert rig.listed() == {rig.held(): True}
        assert rig.asked("CreateAccessKey") == 1

    def _leave(self, rig: Rig) -> None:
        rig.add_user("other")
        reload(rig, {"name": "other", "user": "other", "integrations": ["other"], "current_key": None})

    def test_of_rotators_own_identity_is_never_looked_at(self, make_rig: MakeRig) -> None:
        rig = make_rig(credentials=[{"user": "rotator"}])
        rig.users[:] = ["rotator", USER]
        keys = rig.listed("rotator")
        for _ in range(3):
            rig.tick()
            rig.wait(DAYS)
        assert "rotator's own identity" in (rig.state.unread or "")
        assert rig.state.phase is Phase.NEW
        assert rig.listed("rotator") == keys
        assert rig.asked("ListAccessKeys") == 0


class TestFirstContact:
    def test_a_named_key_that_does_not_exist_is_held(self, make_rig: MakeRig) -> None:
        rig = make_rig(credentials=[{"current_key": "AKIAWRONGWRONGWRONG0"}])
        detail = rig.hold(HoldReason.ADOPT_WHICH).detail
        assert "AKIAWRONGWRONGWRONG0" in detail
        assert rig.first_key in detail

    def test_a_wrong_user_is_held_too(self, make_rig: MakeRig) -> None:
        """The key that the config names is not among that user's: nothing of theirs is ever pushed."""
        rig = make_rig(credentials=[{"user": "somebody"}])
        rig.add_user("somebody")
        theirs = rig.make_key("somebody")
        assert theirs in rig.hold(HoldReason.ADOPT_WHICH).detail
        rig.wait(DAYS)
        rig.tick()
        assert rig.pushes() == rig.asked("CreateAccessKey") == 0

    def test_current_key_is_read_at_first_contact_only(self, rig: Rig) -> None:
        rig.rotate()
        current = rig.held()
        rig.configure({"credentials": [{"current_key": "AKIAWRONGWRONGWRONG0"}]})
        rig.restart()
        rig.tick()
        assert (rig.state.current, rig.state.hold) == (current, None)


class TestAnIntegration:
    @pytest.fixture
    def rig(self, make_rig: MakeRig) -> Rig:
        rig = make_rig(credentials=[BOTH])
        rig.put(SECOND, description="Europe", credentials=rig.account.held(INTEGRATION))
        rig.adopt()
        return rig

    def test_that_is_added_is_due_now(self, make_rig: MakeRig) -> None:
        rig = make_rig()
        rig.adopt()
        rig.put(SECOND, description="Europe", credentials=rig.account.held(INTEGRATION))
        rig.configure({"credentials": [BOTH]})
        rig.restart()
        rig.tick()
        rig.finish()
        assert rig.held() == rig.held(SECOND) != rig.first_key
        assert f"{SECOND} was added" in rig.events("rotation.started")[0]["reason"]

    def test_that_is_added_in_grace_stops_the_revocation(self, make_rig: MakeRig) -> None:
        """It may hold the retiring key, and its description can't tell. Taken out again it is nobody's business."""
        rig = make_rig()
        rig.begin()
        rig.to(Phase.GRACE)
        rig.put(SECOND, description="Europe", credentials=rig.account.held(INTEGRATION))
        reload(rig, BOTH)
        for _ in range(3):
            rig.tick()
            rig.wait(DAYS)
        assert rig.listed() == {rig.first_key: True, rig.held(): True}
        assert SECOND in rig.events("finding")[-1]["reason"]
        reload(rig, {})
        rig.finish()
        reload(rig, BOTH)
        rig.run(lambda state: state.generation == 2 and state.phase is Phase.IDLE)
        assert rig.listed() == {rig.held(): True}
        assert rig.held() == rig.held(SECOND)

    def test_that_is_taken_out_holds_the_next_rotation(self, rig: Rig) -> None:
        rig.configure({"credentials": [{}]})
        rig.restart()
        rig.wait(timedelta(days=30))
        detail = rig.hold(HoldReason.INTEGRATION_REMOVED).detail
        assert SECOND in detail
        rig.wait(DAYS)
        rig.tick()
        assert rig.asked("CreateAccessKey") == 0
        rig.configure({"credentials": [BOTH]})
        rig.restart()
        assert rig.ask("resume").accepted
        rig.run(lambda state: state.generation == 1 and state.phase is Phase.IDLE)
        assert rig.held() == rig.held(SECOND)

    def test_that_is_taken_out_may_lose_access_if_a_person_says_so(self, rig: Rig) -> None:
        rig.configure({"credentials": [{}]})
        rig.restart()
        rig.wait(timedelta(days=30))
        rig.hold(HoldReason.INTEGRATION_REMOVED)
        assert not rig.ask("resume", cut=INTEGRATION).accepted
        assert rig.ask("resume", cut=SECOND).accepted
        rig.locked_out = True
        rig.run(lambda state: state.generation == 1 and state.phase is Phase.IDLE)
        assert rig.listed() == {rig.held(): True}
        assert rig.held(SECOND) == rig.first_key

    @pytest.mark.parametrize("phase", [Phase.PROVING, Phase.GRACE])
    @pytest.mark.parametrize("restart", [True, False], ids=["restart", "reload"])
    def test_that_is_taken_out_in_flight_keeps_its_access(self, rig: Rig, phase: Phase, restart: bool) -> None:
        rig.begin()
        rig.to(phase)
        reload(rig, {})
        if restart:
            rig.restart()
        rig.hold(HoldReason.INTEGRATION_REMOVED)
        rig.wait(DAYS)
        rig.tick()
        reload(rig, BOTH)
        assert rig.ask("resume").accepted
        rig.finish()
        assert rig.listed() == {rig.held(): True}
        assert rig.held() == rig.held(SECOND)

    def test_that_a_push_may_still_reach_is_not_forgotten(self, rig: Rig) -> None:
        rig.spoil(Late(), northflank="POST", path=f"/{SECOND}$")
        rig.spoil(Late(), northflank="POST", path=f"/{INTEGRATION}$")
        rig.begin()
        rig.run(lambda state: state.pushes_sent == 1)
        reload(rig, {})
        rig.restart()
        rig.hold(HoldReason.INTEGRATION_REMOVED)
        rig.wait(timedelta(seconds=30))
        rig.faults.release()
        rig.check_promises()
