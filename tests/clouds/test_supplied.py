"""Clouds whose keys the operator makes, each of which ends the one before: rotator has nothing to mint and to revoke.

In between, what Northflank holds can't work; how short that is, is what counts.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from rotator.attention import HoldReason
from rotator.model import Phase
from rotator.sandbox.wire.rules import Canned, Fault, Reset
from tests.clouds.clouds import SUPPLIED
from tests.clouds.conftest import MakeRig
from tests.clouds.rig import SECOND, Rig
from tests.clouds.test_rotation import A_MOMENT, is_rotated

pytestmark = pytest.mark.parametrize("cloud", SUPPLIED, ids=lambda cloud: cloud.name)


def test_a_brought_key_is_pushed_at_once_whatever_the_window(make_rig: MakeRig) -> None:
    rig = make_rig({"window": "Tue 08:00-09:00 UTC", "every": "50d"})
    rig.adopt()
    rig.bring()
    began = rig.clock.world()
    rig.finish()
    assert rig.clock.world() - began < A_MOMENT
    is_rotated(rig)
    assert rig.scene.use(rig.first)
    assert rig.pushes() == 1


def test_each_brought_key_is_a_rotation(rig: Rig) -> None:
    rig.adopt()
    for generation in (1, 2):
        rig.wait(timedelta(days=10))
        rig.bring()
        rig.run(lambda state: state.in_flight)
        rig.finish()
        is_rotated(rig, generation=generation)


def test_a_due_key_waits_for_a_person_and_works_meanwhile(rig: Rig) -> None:
    rig.adopt()
    rig.wait(timedelta(days=31))
    rig.tick()
    assert rig.state.phase is Phase.IDLE
    assert "put it where the config says" in rig.events("finding")[-1]["reason"]
    assert "has made a new key" in (rig.ask("rotate", now=True).answer or "")
    rig.tick()
    assert (rig.pushes(), rig.held()) == (0, rig.first)
    rig.bring()
    rig.finish()
    is_rotated(rig)


def test_a_leaked_key_waits_for_a_person_too(rig: Rig) -> None:
    rig.adopt()
    assert rig.ask("rotate", leaked=True).accepted
    rig.wait(timedelta(days=1))
    rig.tick()
    assert rig.pushes() == 0
    rig.bring()
    rig.finish()
    is_rotated(rig)


def test_a_request_that_comes_after_its_key_was_rotated_is_refused_and_marks_no_later_one(rig: Rig) -> None:
    rig.adopt()
    rig.bring()
    rig.run(lambda state: state.in_flight)
    rig.finish()
    rotated, at = rig.state.current, rig.state.current_since
    assert at is not None
    for refused in (rig.ask("rotate", now=True), rig.ask("rotate"), rig.ask("rotate", leaked=True)):
        assert not refused.accepted
        assert f"key {rotated}" in (refused.answer or "")
        assert f"{at:%Y-%m-%d %H:%M} UTC" in (refused.answer or "")
    rig.wait(timedelta(days=3))
    rig.bring()
    begun = rig.run(lambda state: state.in_flight).rotation
    assert begun is not None
    assert (begun.reason, begun.emergency) == ("the operator supplied a new key", False)
    rig.finish()
    is_rotated(rig, generation=2)


def test_a_key_that_is_named_as_leaked_is_replaced_by_the_next_one(rig: Rig) -> None:
    rig.adopt()
    rig.bring()
    rig.run(lambda state: state.in_flight)
    rig.finish()
    leaked = rig.state.current
    assert "when the operator has made a new key" in (rig.ask("rotate", leaked=True, key_id=leaked).answer or "")
    rig.bring()
    begun = rig.run(lambda state: state.in_flight).rotation
    assert begun is not None
    assert (begun.reason, begun.emergency) == (f"key {leaked} leaked", True)
    rig.finish()
    is_rotated(rig, generation=2)


def test_reads_that_are_throttled_are_made_again(rig: Rig) -> None:
    rig.begin()
    rig.spoil("list", rig.cloud.throttled, times=3)
    rig.finish()
    is_rotated(rig)


def test_there_is_nothing_to_undo(rig: Rig) -> None:
    rig.rotate()
    assert "nothing to undo" in (rig.ask("undo").answer or "")


def test_our_clock_may_be_wrong_where_there_is_nothing_to_revoke(rig: Rig) -> None:
    rig.adopt()
    rig.clock.jump(timedelta(minutes=3))
    rig.bring()
    rig.finish()
    is_rotated(rig)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_killed_in_the_middle_of_any_call_it_takes_the_key_up_again(rig: Rig, times: int) -> None:
    """The first call lists, the next ones prove."""
    rig.adopt()
    rig.bring()
    for _ in range(times):
        rig.die_in("prove")
    rig.finish()
    is_rotated(rig, generation=rig.state.generation)
    assert rig.pushes() == 1


def test_killed_in_every_phase_it_takes_the_key_up_again(rig: Rig) -> None:
    rig.begin()
    rig.to(Phase.PROVING)
    rig.restart()
    rig.spoil_push(Canned(status=502, body="<html>", when="after"))
    rig.to(Phase.CONFIRMING)
    rig.restart()
    rig.finish()
    is_rotated(rig)


def test_a_refused_push_is_made_again_once_a_person_says_so(rig: Rig) -> None:
    rig.spoil_push(Canned(status=400, body='{"error": {"status": 400, "message": "no such account"}}'))
    rig.begin()
    assert "no such account" in rig.hold(HoldReason.PUSH_REFUSED).detail
    rig.wait(timedelta(days=1))
    rig.tick()
    assert rig.pushes() == 1
    assert rig.ask("resume").accepted
    rig.finish()
    is_rotated(rig, generation=2)


@pytest.mark.parametrize("fault", [Reset(when="after"), Canned(status=503, body="<html>")], ids=["lost", "503"])
def test_a_push_without_an_answer_is_sent_again(rig: Rig, fault: Fault) -> None:
    rig.spoil_push(fault)
    rig.begin()
    rig.finish()
    is_rotated(rig)
    assert rig.pushes() == 2


def test_one_brought_key_feeds_two_integrations(make_rig: MakeRig) -> None:
    rig = make_rig(fan_out=True)
    rig.spoil_push(Canned(status=400, body='{"error": {"status": 400, "message": "not yet"}}'), SECOND)
    rig.begin()
    hold = rig.hold(HoldReason.PARTIAL_PUSH)
    assert f"{rig.name} holds key {rig.state.candidate}, integration {SECOND} doesn't" in hold.detail
    assert rig.ask("resume").accepted
    rig.finish()
    assert rig.held(SECOND) == rig.held()
    is_rotated(rig)
