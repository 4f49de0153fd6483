"""What is Google Cloud's alone: evidence of use that comes by the day and days late, where rotator may ask for it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from rotator.attention import HoldReason
from rotator.model import Phase
from rotator.sandbox.gcp.scene import GcpScene
from tests.clouds.clouds import GCP
from tests.clouds.rig import Rig
from tests.clouds.test_rotation import is_rotated

pytestmark = [pytest.mark.realtime, pytest.mark.parametrize("cloud", [GCP], ids=["gcp"])]

MAX_GRACE = timedelta(days=7)
THE_GRAIN = timedelta(days=1)
QUARTER = timedelta(hours=6)


@pytest.fixture
def confirmed(rig: Rig) -> datetime:
    """A key in daily use, in a project whose evidence of use rotator may read, has a successor: since when."""
    assert isinstance(rig.scene, GcpScene)
    rig.scene.gcp.allow_analysis()
    rig.adopt()
    for _ in range(4):
        rig.wait(timedelta(days=1))
        rig.tick()
    assert rig.ask("rotate", now=True).accepted
    rig.to(Phase.GRACE)
    return rig.clock.world()


def test_by_default_the_old_key_goes_once_it_was_silent_for_max_grace(rig: Rig, confirmed: datetime) -> None:
    while rig.state.phase is Phase.GRACE:
        assert len(rig.alive()) == 2
        rig.wait(QUARTER)
        rig.tick()
        assert rig.state.hold is None
    assert MAX_GRACE <= rig.clock.world() - confirmed <= MAX_GRACE + 2 * QUARTER
    rig.finish()
    is_rotated(rig)


def test_a_consumer_that_takes_its_time_is_waited_for_and_no_operator_is_needed(rig: Rig, confirmed: datetime) -> None:
    while rig.clock.world() < confirmed + timedelta(days=2):
        assert not rig.scene.use(rig.first)
        rig.wait(QUARTER)
        rig.tick()
    late = rig.clock.world() - QUARTER
    while rig.state.phase is Phase.GRACE:
        assert len(rig.alive()) == 2
        rig.wait(QUARTER)
        rig.tick()
        assert rig.state.hold is None
    assert rig.clock.world() - late >= MAX_GRACE - THE_GRAIN
    rig.finish()
    is_rotated(rig)


def test_without_any_use_of_the_new_key_it_is_held(rig: Rig, confirmed: datetime) -> None:
    rig.check_promises = lambda: None  # type: ignore[method-assign]  # no workload uses what Northflank holds
    while rig.state.hold is None:
        rig.wait(QUARTER)
        rig.tick()
    assert rig.state.hold.reason is HoldReason.NOT_TAKEN_UP
    assert rig.clock.world() - confirmed >= MAX_GRACE
    assert len(rig.alive()) == 2
