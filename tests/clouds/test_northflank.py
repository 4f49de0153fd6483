"""What goes wrong at Northflank. To it all clouds' keys are alike: one cloud of each kind of attribution is enough."""

from __future__ import annotations

import pytest

from rotator.attention import HoldReason
from rotator.model import Phase
from rotator.sandbox.wire.rules import Canned, Reset
from tests.clouds.clouds import TWO
from tests.clouds.rig import Rig
from tests.clouds.test_rotation import is_rotated

pytestmark = pytest.mark.parametrize("cloud", TWO, ids=lambda cloud: cloud.name)

REFUSED = Canned(status=400, body='{"error": {"status": 400, "message": "no such project"}}')


def test_a_refused_push_costs_the_candidate_and_nothing_else(rig: Rig) -> None:
    rig.spoil_push(REFUSED)
    rig.begin()
    assert "no such project" in rig.hold(HoldReason.PUSH_REFUSED).detail
    rig.tick()
    assert len(rig.listed()) == 1
    assert rig.held() == rig.first
    assert rig.ask("resume").accepted
    rig.finish()
    is_rotated(rig, generation=2)


def test_a_push_that_was_applied_without_an_answer_is_confirmed_by_its_stamp(rig: Rig) -> None:
    rig.spoil_push(Reset(when="after"))
    rig.begin()
    rig.to(Phase.GRACE)
    assert " g1 " in rig.shown()
    rig.finish()
    is_rotated(rig)
    assert rig.mints() == 1


def test_a_push_that_is_not_taken_at_first_is_sent_until_it_is(rig: Rig) -> None:
    rig.spoil_push(Canned(status=503, body="<html>", content_type="text/html"), times=3)
    rig.begin()
    rig.finish()
    is_rotated(rig)
    assert (rig.pushes(), rig.mints()) == (4, 1)
