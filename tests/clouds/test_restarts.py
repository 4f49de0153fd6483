"""rotator dies, at each kind of call and between them, and its next process knows nothing but the journal."""

from __future__ import annotations

import pytest

from rotator.model import Phase
from rotator.sandbox.wire.rules import Canned
from tests.clouds.clouds import EVERY, TWO, Kind
from tests.clouds.rig import Rig
from tests.clouds.test_rotation import is_rotated

pytestmark = pytest.mark.realtime

every_cloud = pytest.mark.parametrize("cloud", EVERY, ids=lambda cloud: cloud.name)
two_clouds = pytest.mark.parametrize("cloud", TWO, ids=lambda cloud: cloud.name)

BEFORE: dict[Kind, Phase] = {
    "create": Phase.IDLE,
    "prove": Phase.PROVING,
    "disable": Phase.GRACE,
    "delete": Phase.GRACE,
}
"""Where the last look before the call leaves the rotation."""


def ends_well(rig: Rig) -> None:
    rig.run(
        lambda state: state.phase is Phase.IDLE and state.generation > 0 and not state.to_delete and not state.suspects
    )
    is_rotated(rig, generation=rig.state.generation)


@every_cloud
class TestKilled:
    @pytest.mark.parametrize("kind", BEFORE)
    def test_in_the_middle_of_a_call_to_the_cloud(self, rig: Rig, kind: Kind) -> None:
        rig.begin()
        rig.to(BEFORE[kind])
        if kind == "disable" and not rig.can.can_disable:
            rig.finish()
            assert rig.events("key.disable") == []
        else:
            rig.die_in(kind)
        ends_well(rig)
        assert rig.mints() == (2 if kind in {"create", "prove"} else 1)

    def test_in_every_phase_in_turn(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.PROVING)
        for phase in (Phase.PROVING, Phase.GRACE, *([Phase.QUARANTINE] if rig.can.can_disable else [])):
            rig.restart()
            rig.to(phase)
        rig.restart()
        ends_well(rig)
        # The first candidate's material was lost.
        assert rig.mints() == 2


@two_clouds
class TestKilledAtNorthflank:
    def test_in_the_middle_of_a_push(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.PROVING)
        rig.die_at(rig.stage.faults, method="POST")
        ends_well(rig)
        assert (rig.pushes(), rig.mints()) == (1, 1)

    def test_in_the_middle_of_a_confirm(self, rig: Rig) -> None:
        rig.begin()
        rig.spoil_push(Canned(status=502, body="<html>", when="after"))
        rig.to(Phase.CONFIRMING)
        rig.die_at(rig.stage.faults, method="GET", path=f"/{rig.name}$")
        ends_well(rig)
        assert rig.mints() == 1
