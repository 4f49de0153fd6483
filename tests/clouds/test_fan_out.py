"""One credential, two integrations, through two connections: the default one, and one of a team."""

from __future__ import annotations

import pytest

from rotator.attention import HoldReason
from rotator.model import Phase
from rotator.sandbox.wire.rules import Canned
from tests.clouds.clouds import TWO
from tests.clouds.conftest import MakeRig
from tests.clouds.rig import SECOND, Rig
from tests.clouds.test_rotation import is_rotated

pytestmark = pytest.mark.parametrize("cloud", TWO, ids=lambda cloud: cloud.name)

REFUSED = Canned(status=400, body='{"error": {"status": 400, "message": "the team may not"}}')


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    return make_rig(fan_out=True)


def test_one_mint_feeds_both_and_grace_begins_with_the_last_confirm(rig: Rig) -> None:
    rig.begin()
    rig.to(Phase.GRACE)
    assert rig.held() == rig.held(SECOND) != rig.first
    assert len(rig.alive()) == 2
    assert rig.mints() == 1
    assert rig.pushes(f"/v1/cloud-providers/integrations/{rig.name}") == 1
    assert rig.pushes(f"/v1/teams/{rig.account.team}/cloud-providers/integrations/{SECOND}") == 1
    rig.finish()
    is_rotated(rig)


def test_no_key_is_revoked_while_one_push_is_missing(rig: Rig) -> None:
    rig.spoil_push(Canned(status=502, body="<html>"), SECOND, times=None)
    rig.begin()
    rig.run(lambda state: state.pushes_sent >= 5)
    assert (rig.held(SECOND), rig.state.phase) == (rig.first, Phase.PUSHING)
    assert len(rig.alive()) == 2
    rig.heal()
    rig.finish()
    assert rig.held(SECOND) == rig.held()
    is_rotated(rig)


class TestOneRefused:
    @pytest.fixture
    def rig(self, make_rig: MakeRig) -> Rig:
        rig = make_rig(fan_out=True)
        second = max(rig.name, SECOND)
        rig.spoil_push(REFUSED, second, times=None)
        rig.begin()
        hold = rig.hold(HoldReason.PARTIAL_PUSH)
        first = min(rig.name, SECOND)
        assert f"{first} holds key {rig.state.candidate}, integration {second} doesn't" in hold.detail
        assert len(rig.alive()) == 2
        return rig

    def test_a_resume_goes_on_once_the_refusal_is_cleared(self, rig: Rig) -> None:
        rig.heal()
        assert rig.ask("resume").accepted
        rig.finish()
        assert rig.held(SECOND) == rig.held()
        is_rotated(rig)

    def test_a_resume_before_that_is_held_again(self, rig: Rig) -> None:
        assert rig.ask("resume").accepted
        rig.hold(HoldReason.PARTIAL_PUSH)
        assert len(rig.alive()) == 2

    def test_a_person_may_give_up_the_one_that_refused(self, rig: Rig) -> None:
        gone = max(rig.name, SECOND)
        rig.cut.add(gone)
        assert rig.ask("resume", cut=gone).accepted
        rig.heal()
        rig.finish()
        rig.cut.clear()
        assert rig.held(SECOND) == rig.held()
        is_rotated(rig, generation=2)
