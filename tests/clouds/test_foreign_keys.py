"""Keys made beside rotator's, in each cloud. After each tick the rig checks that none was touched."""

from __future__ import annotations

import pytest

from rotator.attention import HoldReason
from rotator.model import Origin, Phase
from tests.clouds.clouds import EVERY
from tests.clouds.rig import Rig
from tests.clouds.test_rotation import is_rotated

pytestmark = pytest.mark.parametrize("cloud", EVERY, ids=lambda cloud: cloud.name)


def test_full_slots_hold_and_name_what_fills_them(rig: Rig) -> None:
    rig.adopt()
    foreign = [rig.make_key() for _ in range((rig.can.slots or 4) - 1)]
    rig.begin()
    if rig.can.slots is not None:
        hold = rig.hold(HoldReason.SLOTS_FULL)
        assert all(key_id in hold.detail for key_id in foreign)
        by_hand = rig.can.by_hand
        assert by_hand is not None, "a cloud with a limit says how an operator makes room"
        assert any(by_hand.delete_of(key_id) in hold.detail for key_id in foreign)
        assert rig.mints() == 0
        rig.delete(foreign.pop())
        assert rig.ask("resume").accepted
    rig.finish()
    is_rotated(rig)
    assert rig.foreign == set(foreign)


def test_one_that_appears_in_grace_is_left_alone(rig: Rig) -> None:
    rig.begin()
    [old] = rig.alive()
    rig.to(Phase.GRACE)
    if rig.can.slots == len(rig.listed()):
        rig.delete(old)
    foreign = rig.make_key()
    rig.finish()
    is_rotated(rig)
    record = rig.state.record(foreign)
    assert record is not None
    assert record.origin is Origin.FOREIGN
    assert any(foreign in event["reason"] for event in rig.events("finding"))
