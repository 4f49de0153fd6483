"""What is Google Cloud's alone: evidence of use that comes by the day and days late, and may be of another key."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rotator.attention import HoldReason
from rotator.model import Phase
from rotator.sandbox.gcp.scene import GcpScene
from rotator.sandbox.wire.rules import Reset
from tests.clouds.clouds import GCP, GCP_MADE_THERE
from tests.clouds.rig import Rig
from tests.clouds.test_rotation import is_rotated

pytestmark = pytest.mark.realtime

MAX_GRACE = timedelta(days=7)
THE_GRAIN = timedelta(days=1)
QUARTER = timedelta(hours=6)


@pytest.mark.parametrize("cloud", [GCP], ids=["gcp"])
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


@pytest.mark.parametrize("cloud", [GCP, GCP_MADE_THERE], ids=["gcp", "gcp-made-there"])
def test_a_constraint_of_the_organisations_own_is_held_at_the_first_try(rig: Rig) -> None:
    assert isinstance(rig.scene, GcpScene)
    rig.begin()
    rig.scene.gcp.project.constraints.add("custom.noKeys")
    hold = rig.hold(HoldReason.MINT_REFUSED)
    assert "customConstraints/custom.noKeys" in hold.detail
    assert len(rig.scene.gcp.faults.requests(path="(Upload|Create)ServiceAccountKey")) == 1


@pytest.mark.parametrize("cloud", [GCP_MADE_THERE], ids=["gcp-made-there"])
class TestAMintWithoutAnAnswerWhereGoogleMakesTheKey:
    """docs/providers/gcp.md, "After a lost reply"."""

    def test_is_held_and_names_the_key_where_nothing_shows_its_use(self, rig: Rig) -> None:
        [lost] = lose_the_reply(rig)
        assert lost in rig.hold(HoldReason.UNATTRIBUTED).detail
        assert rig.listed()[lost].enabled
        assert rig.ask("resume", foreign=[lost]).accepted
        rig.foreign.add(lost)
        rig.at_rest()
        assert rig.listed().keys() == {lost, rig.state.current}

    def test_makes_the_one_unused_key_a_suspect_where_the_analyzer_answers(self, rig: Rig) -> None:
        assert isinstance(rig.scene, GcpScene)
        rig.scene.gcp.allow_analysis()
        [lost] = lose_the_reply(rig)
        rig.run(lambda state: any(suspect.key_id == lost for suspect in state.suspects))
        assert not rig.listed()[lost].enabled
        rig.at_rest()
        assert rig.listed().keys() == {rig.state.current}


def lose_the_reply(rig: Rig) -> set[str]:
    """The keys that a mint without an answer made."""
    rig.begin()
    before = rig.listed().keys()
    rig.spoil("create", Reset(when="after"))
    rig.run(lambda state: state.mint is not None)
    return rig.listed().keys() - before
