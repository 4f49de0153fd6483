"""Each call to a cloud goes wrong in each way that matters to the machine: no answer, too early, not allowed.

How a provider reads its cloud's answers is tests/providers' subject; here is what becomes of it.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from rotator.attention import HoldReason
from rotator.model import Phase
from rotator.sandbox.wire.rules import Canned, Cut, Delay, Fault, Reset
from tests.clouds.clouds import EVERY, MINTING, TWO
from tests.clouds.conftest import MakeRig
from tests.clouds.rig import Rig
from tests.clouds.test_rotation import is_rotated

pytestmark = pytest.mark.realtime

LOST: dict[str, tuple[Fault, bool]] = {
    # And whether a key was made.
    "reset": (Reset(), False),
    "reset after the commit": (Reset(when="after"), True),
}
LOST_ALIKE: dict[str, tuple[Fault, bool]] = {
    # To the machine the same once more; that each provider reads them so is in tests/providers.
    "500": (Canned(status=500, body="Internal error", content_type="text/plain"), False),
    "500 after the commit": (Canned(status=500, when="after"), True),
    "cut after the commit": (Cut(keep=40), True),
}
every_cloud = pytest.mark.parametrize("cloud", EVERY, ids=lambda cloud: cloud.name)
two_clouds = pytest.mark.parametrize("cloud", TWO, ids=lambda cloud: cloud.name)


def is_resolved(rig: Rig, *, made: bool) -> None:
    """What the lost mint made, if anything, is current or gone; and there is a new key."""
    lost = rig.events("key.create", outcome="unknown")
    assert len(lost) == 1
    if made and not rig.can.exact and not rig.cloud.sees_use:
        [ours] = rig.listed().keys() - {rig.state.current}
        assert ours in rig.hold(HoldReason.UNATTRIBUTED).detail
        assert rig.ask("resume", ours=[ours]).accepted
    rig.at_rest()
    assert rig.alive() == {rig.state.current}
    assert rig.listed().keys() == {rig.state.current}
    assert rig.held() != rig.first
    # One that is found, and whose material was made here, is taken up again.
    assert rig.mints() in ({1, 2} if made and rig.can.exact else {2})


@pytest.mark.parametrize("cloud", MINTING, ids=lambda cloud: cloud.name)
@pytest.mark.parametrize(("fault", "made"), LOST.values(), ids=LOST)
class TestAMintWithoutAnAnswer:
    def test_is_resolved_by_looking(self, rig: Rig, fault: Fault, made: bool) -> None:
        rig.begin()
        rig.spoil("create", fault)
        rig.run(lambda state: state.mint is not None)
        assert len(rig.listed()) == 1 + made
        is_resolved(rig, made=made)


@two_clouds
class TestAMintWithoutAnAnswerOfOtherKinds:
    @pytest.mark.parametrize(("fault", "made"), LOST_ALIKE.values(), ids=LOST_ALIKE)
    def test_is_resolved_by_looking(self, rig: Rig, fault: Fault, made: bool) -> None:
        rig.begin()
        rig.spoil("create", fault)
        rig.run(lambda state: state.mint is not None)
        assert len(rig.listed()) == 1 + made
        is_resolved(rig, made=made)

    def test_that_never_comes_is_given_up(self, make_rig: MakeRig) -> None:
        rig = make_rig(northflank={"default": {"timeout": "1s"}})
        rig.begin()
        rig.spoil("create", Delay(when="after", seconds=None))
        rig.run(lambda state: state.mint is not None)
        assert len(rig.listed()) == 2
        is_resolved(rig, made=True)


@every_cloud
class TestTooMany:
    def test_requests_made_nothing_and_are_made_later(self, rig: Rig) -> None:
        rig.begin()
        rig.spoil("list", rig.cloud.throttled)
        rig.spoil("create", rig.cloud.throttled)
        rig.run(lambda state: state.failures > 0)
        assert len(rig.listed()) == 1
        assert rig.events("key.create", outcome="not_applied")
        rig.finish()
        is_rotated(rig, generation=2)


@every_cloud
class TestARightIsMissing:
    def test_to_create_holds_before_anything_is_made(self, rig: Rig) -> None:
        rig.spoil("create", rig.cloud.forbidden["create"], times=None)
        rig.begin()
        hold = rig.hold(HoldReason.MINT_REFUSED)
        assert rig.cloud.rights["create"] in hold.detail
        rig.wait(timedelta(days=2))
        rig.tick()
        assert len(rig.listed()) == 1
        assert rig.mints() == 1
        rig.heal()
        assert rig.ask("resume").accepted
        rig.finish()
        is_rotated(rig, generation=2)

    def test_to_delete_holds_with_the_new_key_in_use(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.GRACE)
        rig.spoil("delete", rig.cloud.forbidden["delete"], times=None)
        hold = rig.hold(HoldReason.REVOKE_REFUSED)
        assert rig.cloud.rights["delete"] in hold.detail
        assert rig.held() != rig.first
        assert len(rig.listed()) == 2
        rig.heal()
        assert rig.ask("resume").accepted
        rig.finish()
        is_rotated(rig)


@every_cloud
class TestARevocation:
    def test_of_a_key_that_a_person_deleted_is_done(self, rig: Rig) -> None:
        rig.begin()
        [old] = rig.alive()
        rig.to(Phase.GRACE)
        rig.delete(old)
        rig.finish()
        is_rotated(rig)

    def test_without_an_answer_is_made_again(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.GRACE)
        if rig.can.can_disable:
            rig.spoil("disable", Reset(when="after"))
        rig.spoil("delete", Reset())
        rig.spoil("delete", Reset(when="after"))
        rig.finish()
        is_rotated(rig)
        outcomes = {name: [event["outcome"] for event in rig.events(name)] for name in ("key.disable", "key.delete")}
        lost, done = ["intent", "unknown"], ["intent", "done"]
        assert outcomes["key.disable"] == ([*lost, *done] if rig.can.can_disable else [])
        assert outcomes["key.delete"] == [*lost, *lost, *done]
