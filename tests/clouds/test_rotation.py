"""A rotation of each cloud's key as it goes when nothing fails, and what time and people make of it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from rotator.attention import HoldReason
from rotator.model import Phase
from tests.clouds.clouds import EVERY
from tests.clouds.conftest import MakeRig
from tests.clouds.rig import Rig
from tests.support.patience import patience

A_MOMENT = timedelta(seconds=patience(60))
GRACE = timedelta(hours=24)
MUCH_LATER = timedelta(days=5)

pytestmark = [pytest.mark.realtime, pytest.mark.parametrize("cloud", EVERY, ids=lambda cloud: cloud.name)]


def is_rotated(rig: Rig, *, generation: int = 1) -> None:
    """The new key is rotator's only one; Northflank holds it and says so; the first one is of no use any more."""
    assert rig.alive() == {rig.state.current}
    assert rig.listed().keys() == {rig.state.current, *rig.foreign}
    assert (rig.state.phase, rig.state.generation) == (Phase.IDLE, generation)
    assert f" [rotator {rig.journal.store_id} g{generation} " in rig.shown()
    assert rig.held() != rig.first
    assert rig.scene.use(rig.first)


def test_the_new_key_takes_the_place_of_the_old_one(rig: Rig) -> None:
    rig.begin()
    rig.to(Phase.GRACE)
    (pushed,) = rig.events("integration.push", outcome="done")
    rig.wait(timedelta(hours=11))
    assert not rig.scene.use(rig.first)
    rig.finish()
    assert rig.clock.world() - datetime.fromisoformat(pushed["time"]) >= GRACE
    is_rotated(rig)
    assert (rig.mints(), rig.pushes()) == (1, 1)
    done = [event["event"] for event in rig.events(outcome="done") if event["event"].startswith(("key.", "integ"))]
    disabled = ["key.disable"] if rig.can.can_disable else []
    assert done == ["key.create", "integration.push", *disabled, "key.delete"]
    rig.rotate()
    is_rotated(rig, generation=2)


def test_a_key_is_pushed_once_it_has_propagated(make_rig: MakeRig) -> None:
    rig = make_rig(propagation=timedelta(seconds=60))
    rig.begin()
    rig.to(Phase.PROVING)
    before, tries = rig.asked("prove"), 0
    while rig.state.phase is Phase.PROVING:
        assert rig.pushes() == 0
        rig.wait(rig.tick() - rig.clock.now())
        tries += 1
    assert rig.asked("prove") - before >= tries >= 20
    rig.finish()
    is_rotated(rig)
    assert rig.mints() == 1


def test_a_key_that_never_comes_alive_is_deleted_and_the_next_one_waits(make_rig: MakeRig) -> None:
    rig = make_rig({"proving": {"timeout": "6s"}}, propagation=MUCH_LATER)
    rig.begin()
    minted = rig.clock.world()
    candidate = rig.to(Phase.PROVING).candidate
    assert candidate is not None
    state = rig.run(lambda state: state.candidate is None and not state.to_delete)
    assert candidate not in rig.listed()
    assert rig.clock.world() - minted >= timedelta(seconds=6)
    assert state.not_before is not None
    assert (rig.pushes(), rig.held()) == (0, rig.first)


def test_our_clock_must_be_right_before_a_key_is_revoked(rig: Rig) -> None:
    rig.begin()
    rig.to(Phase.GRACE)
    rig.clock.jump(timedelta(minutes=3))
    rig.hold(HoldReason.CLOCK)
    rig.wait(MUCH_LATER)
    rig.tick()
    assert len(rig.alive()) == 2
    rig.clock.jump(timedelta(minutes=-3))
    assert rig.ask("resume").accepted
    rig.finish()
    is_rotated(rig)


def test_an_old_key_in_use_is_held_where_the_cloud_can_tell(rig: Rig) -> None:
    rig.begin()
    [old] = rig.alive()
    rig.to(Phase.GRACE)
    confirmed = rig.clock.world()
    while rig.state.phase is Phase.GRACE and rig.state.hold is None:
        rig.scene.use(rig.first)
        rig.wait(timedelta(hours=11))
        rig.tick()
    if rig.cloud.sees_use:
        assert rig.state.hold is not None
        assert rig.state.hold.reason is HoldReason.STILL_USED
        assert old in rig.state.hold.detail
        assert len(rig.alive()) == 2
        assert rig.ask("resume", accept_use=True).accepted
    else:
        assert GRACE <= rig.clock.world() - confirmed < 2 * GRACE
    rig.finish()
    is_rotated(rig)


def test_undo_gives_the_old_key_back_where_it_was_only_disabled(rig: Rig) -> None:
    rig.begin()
    if not rig.can.can_disable:
        rig.to(Phase.GRACE)
        assert "nothing to undo" in (rig.ask("undo").answer or "")
        rig.finish()
        is_rotated(rig)
        assert rig.events("key.disable") == []
        return
    rig.to(Phase.QUARANTINE)
    assert rig.scene.use(rig.first)
    assert rig.ask("undo").accepted
    rig.tick()
    assert not rig.scene.use(rig.first)
    rig.wait(MUCH_LATER)
    rig.tick()
    assert len(rig.alive()) == 2
    assert rig.ask("resume").accepted
    rig.finish()
    is_rotated(rig)


def test_a_leaked_key_is_replaced_without_any_wait(rig: Rig) -> None:
    rig.adopt()
    began = rig.clock.world()
    assert rig.ask("rotate", leaked=True).accepted
    rig.finish()
    assert rig.clock.world() - began < A_MOMENT
    is_rotated(rig)


def test_a_key_with_an_end_is_replaced_before_it_whatever_the_schedule(make_rig: MakeRig) -> None:
    """It was minted for 31 days; then somebody lengthened the policy."""
    rig = make_rig({"every": "10d", "max_age": "30d", "watch": "2d"})
    rig.rotate()
    [key] = rig.listed().values()
    rig.configure({"policy": {"every": "100d", "max_age": "200d"}})
    rig.restart()
    if key.expires_at is None:
        rig.wait(timedelta(days=90))
        rig.tick()
        assert rig.mints() == 1
        return
    rig.run(lambda state: state.in_flight)
    assert key.expires_at - timedelta(days=4) < rig.clock.world() < key.expires_at
    assert rig.state.rotation is not None
    assert "expires" in rig.state.rotation.reason
    rig.finish()
    is_rotated(rig, generation=2)
