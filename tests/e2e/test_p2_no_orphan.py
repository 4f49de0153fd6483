"""P2: every key that rotator minted is current, or on its way to deletion, or in a held rotation that is shown."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rotator.attention import HoldReason
from rotator.model import Origin, Phase
from rotator.sandbox.wire.rules import Canned, Cut, Fault, Late, Reset
from tests.support.fixtures import MakeRig
from tests.support.rig import Rig

pytestmark = pytest.mark.realtime

LOST: dict[str, Fault] = {
    "reset": Reset(when="after"),
    "cut": Cut(keep=100),
    "a proxy's page": Canned(status=502, body="<html>Bad Gateway</html>", content_type="text/html", when="after"),
    "an empty 200": Canned(status=200, body="", content_type="text/xml", when="after"),
}


def one_key(rig: Rig) -> None:
    """In the end the held key is the only one."""
    rig.run(lambda state: state.phase is Phase.IDLE and not state.suspects and not state.to_delete)
    assert rig.listed() == {rig.held(): True}
    assert rig.held() != rig.first_key


class TestAMintWithoutAnAnswer:
    @pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
    def test_its_key_is_found_disabled_and_deleted_after_quarantine(self, rig: Rig, fault: Fault) -> None:
        rig.spoil(fault, aws="CreateAccessKey")
        rig.begin()
        rig.run(lambda state: state.mint is not None)
        self.resolved(rig)

    def test_so_is_that_of_a_process_that_died_waiting_for_it(self, rig: Rig) -> None:
        rig.begin()
        rig.die_in("CreateAccessKey")
        self.resolved(rig)

    def resolved(self, rig: Rig) -> None:
        [orphan] = rig.listed().keys() - {rig.first_key}
        rig.run(lambda state: bool(state.suspects))
        disabled = rig.clock.world()
        assert rig.listed() == {rig.first_key: True, orphan: False}
        rig.run(lambda _: orphan not in rig.listed())
        assert rig.clock.world() - disabled > timedelta(hours=23, minutes=59)
        one_key(rig)

    @pytest.mark.parametrize("crash", [False, True], ids=["alive", "crashed"])
    def test_one_that_is_created_within_settle_is_found_too(self, rig: Rig, crash: bool) -> None:
        rig.spoil(Late(), aws="CreateAccessKey")
        rig.begin()
        rig.run(lambda state: state.mint is not None)
        if crash:
            rig.restart()
        rig.wait(timedelta(seconds=30))
        rig.tick()
        rig.aws.faults.release()
        [orphan] = rig.listed().keys() - {rig.first_key}
        rig.run(lambda state: bool(state.suspects))
        assert not rig.listed()[orphan]
        one_key(rig)

    def test_one_that_is_created_later_is_reported_and_left_alone(self, rig: Rig) -> None:
        rig.spoil(Late(), aws="CreateAccessKey")
        rig.begin()
        rig.to(Phase.PROVING)
        rig.finish()
        rig.wait(timedelta(hours=1))
        rig.aws.faults.release()
        [late] = rig.listed().keys() - {rig.held()}
        rig.foreign.add(late)
        rig.tick()
        assert f"unknown key {late}, created after the unanswered mint" in rig.events("finding")[-1]["reason"]


class TestACandidateWithoutItsMaterial:
    @pytest.mark.parametrize("phase", [Phase.PROVING, Phase.PUSHING])
    def test_it_is_deleted_and_another_one_is_minted(self, rig: Rig, phase: Phase) -> None:
        rig.spoil(Canned(status=503, body="<html>"), northflank="GET", skip=3 if phase is Phase.PUSHING else 99)
        rig.begin()
        candidate = rig.to(phase).candidate
        rig.restart()
        rig.finish()
        assert candidate not in rig.listed()
        one_key(rig)

    def test_one_that_was_pushed_stays(self, rig: Rig) -> None:
        rig.begin()
        candidate = rig.to(Phase.GRACE).current
        rig.restart()
        rig.finish()
        assert rig.listed() == {candidate: True}


class TestACandidateThatNeverWorks:
    @pytest.fixture
    def rig(self, make_rig: MakeRig) -> Rig:
        return make_rig({"max_attempts": 3, "proving": {"every": "1m"}})

    def test_it_is_deleted_and_the_rotation_backs_off(self, rig: Rig) -> None:
        rig.aws.propagation = timedelta(days=1)
        rig.begin()
        dead = rig.to(Phase.PROVING).candidate
        rig.run(lambda state: state.candidate is None)
        rig.run(lambda state: not state.to_delete)
        assert rig.listed() == {rig.first_key: True}
        assert rig.pushes() == 0
        assert rig.state.not_before is not None
        rig.aws.propagation = timedelta(0)
        rig.finish()
        assert dead not in rig.listed()
        one_key(rig)

    def test_max_attempts_ends_it_with_nothing_left_behind(self, rig: Rig) -> None:
        rig.aws.propagation = timedelta(days=100)
        rig.begin()
        rig.hold(HoldReason.MAX_ATTEMPTS)
        assert rig.asked("CreateAccessKey") == 3
        assert rig.listed() == {rig.first_key: True}

    def test_a_slow_one_is_waited_for(self, rig: Rig) -> None:
        rig.aws.propagation = timedelta(minutes=9)
        rig.rotate()
        one_key(rig)
        assert rig.asked("CreateAccessKey") == 1


class TestADeletionWithoutAnAnswer:
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_it_is_said_again(self, rig: Rig, when: str) -> None:
        rig.spoil(Canned(status=500, body="", when=when), aws="DeleteAccessKey")
        rig.rotate()
        one_key(rig)
        assert rig.asked("DeleteAccessKey") == 2

    def test_a_key_that_was_deleted_by_somebody_else_is_gone(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.QUARANTINE)
        rig.delete(rig.first_key)
        rig.finish()
        one_key(rig)


def test_a_held_rotation_shows_each_of_its_keys(rig: Rig) -> None:
    rig.spoil(Reset(), northflank="POST", times=None)
    rig.begin()
    candidate = rig.run(lambda state: state.pushes_sent == 1).candidate
    rig.restart()
    rig.describe("edited")
    hold = rig.hold(HoldReason.STAMP_LOST)
    assert candidate is not None
    assert candidate in hold.detail
    assert rig.origin(candidate) is Origin.MINTED
