"""What is Google Cloud's alone: evidence of use that comes by the day and days late, and may be of another key."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rotator.model import Phase
from rotator.sandbox.gcp.scene import GcpScene
from tests.clouds.clouds import GCP
from tests.clouds.rig import Rig
from tests.clouds.test_rotation import is_rotated

pytestmark = [pytest.mark.realtime, pytest.mark.parametrize("cloud", [GCP], ids=["gcp"])]

MAX_GRACE = timedelta(days=7)
THE_GRAIN = timedelta(days=1)
QUARTER = timedelta(hours=6)


def test_by_default_a_consumer_that_takes_two_days_to_change_over_needs_no_operator(rig: Rig) -> None:
    assert isinstance(rig.scene, GcpScene)
    rig.scene.gcp.allow_analysis()
    rig.begin()
    rig.to(Phase.GRACE)
    for _ in range(8):
        assert not rig.scene.use(rig.first)
        rig.wait(QUARTER)
        rig.tick()
    last_used = rig.clock.world() - QUARTER
    while rig.state.phase is Phase.GRACE:
        assert len(rig.alive()) == 2
        rig.wait(QUARTER)
        rig.tick()
        assert rig.state.hold is None
    assert rig.clock.world() - last_used >= MAX_GRACE - THE_GRAIN
    rig.finish()
    is_rotated(rig)
