"""P10: nothing is assumed that can be looked at. Where the cloud shows use, silence proves nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rotator.attention import HoldReason
from rotator.material import Material
from rotator.model import Phase
from tests.support.fixtures import MakeRig
from tests.support.rig import Rig

pytestmark = pytest.mark.realtime

HOURS, DAYS = timedelta(hours=1), timedelta(days=1)


def use(rig: Rig, integration: str = "prod-aws") -> None:
    """A consumer uses what Northflank holds."""
    assert rig.aws.works(rig.material(integration))


def cling(rig: Rig, former: Material) -> None:
    """Northflank shows the stamp of the push, and goes on using the former credential, now and then."""
    rig.put("prod-aws", description=rig.shown(), credentials=former.reveal())


def used_before_the_push(rig: Rig) -> None:
    rig.adopt()
    use(rig)
    rig.wait(DAYS)
    rig.begin()
    rig.to(Phase.GRACE)


class TestAKeyThatWasInUse:
    def test_is_not_revoked_before_the_new_one_is_seen_in_use(self, rig: Rig) -> None:
        used_before_the_push(rig)
        hold = rig.hold(HoldReason.NOT_TAKEN_UP)
        assert rig.held() in hold.detail
        assert rig.listed() == {rig.first_key: True, rig.held(): True}

    def test_is_revoked_once_that_is_seen(self, rig: Rig) -> None:
        used_before_the_push(rig)
        rig.wait(HOURS)
        use(rig)
        began = rig.clock.world()
        rig.finish()
        assert rig.listed() == {rig.held(): True}
        assert rig.clock.world() - began < 3 * DAYS

    def test_ends_the_hold_by_itself_when_the_new_one_is_used_at_last(self, rig: Rig) -> None:
        used_before_the_push(rig)
        rig.hold(HoldReason.NOT_TAKEN_UP)
        use(rig)
        rig.finish()
        assert rig.events("rotation.resumed", code="not_taken_up")
        assert rig.listed() == {rig.held(): True}

    def test_is_revoked_by_the_operators_word(self, rig: Rig) -> None:
        used_before_the_push(rig)
        rig.hold(HoldReason.NOT_TAKEN_UP)
        assert rig.ask("resume", accept_silence=True).accepted
        rig.finish()
        assert rig.listed() == {rig.held(): True}

    def test_waits_for_max_grace_again_after_a_plain_resume(self, rig: Rig) -> None:
        used_before_the_push(rig)
        rig.hold(HoldReason.NOT_TAKEN_UP)
        assert rig.ask("resume").accepted
        began = rig.clock.world()
        rig.hold(HoldReason.NOT_TAKEN_UP)
        assert rig.clock.world() - began > 6 * DAYS
        assert rig.listed()[rig.first_key]

    def test_to_which_northflank_clings_every_third_day_is_kept(self, rig: Rig) -> None:
        """The shown case: the defaults cut this consumer off."""
        rig.adopt()
        former = rig.material()
        use(rig)
        rig.begin()
        rig.to(Phase.GRACE)
        cling(rig, former)
        used_at = rig.clock.world()
        for _ in range(60):
            at = rig.tick()
            rig.clock.advance(max(at - rig.clock.now(), timedelta(milliseconds=1)))
            if rig.clock.world() - used_at > 3 * DAYS:
                used_at = rig.clock.world()
                use(rig)
            if rig.state.hold is not None:
                break
        assert rig.state.hold is not None
        assert rig.listed()[rig.first_key]

    def test_is_revoked_at_once_in_an_emergency(self, rig: Rig) -> None:
        rig.adopt()
        use(rig)
        assert rig.ask("rotate", leaked=True).accepted
        rig.run(lambda state: state.phase is Phase.IDLE and state.generation == 1)
        assert rig.listed() == {rig.held(): True}

    def test_that_others_disabled_needs_no_proof(self, rig: Rig) -> None:
        used_before_the_push(rig)
        rig.disable(rig.first_key)
        began = rig.clock.world()
        rig.finish()
        assert rig.listed() == {rig.held(): True}
        assert rig.clock.world() - began < 4 * DAYS

    def test_needs_none_where_the_policy_says_so(self, make_rig: MakeRig) -> None:
        rig = make_rig({"confirm_use": "never"})
        used_before_the_push(rig)
        rig.finish()
        assert rig.listed() == {rig.held(): True}


class TestAnIdleKey:
    def test_goes_when_grace_is_over(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.GRACE)
        began = rig.clock.world()
        rig.run(lambda state: state.phase is not Phase.GRACE)
        assert rig.clock.world() - began < 25 * HOURS

    def test_that_was_used_longer_ago_than_max_grace_counts_as_idle(self, rig: Rig) -> None:
        rig.adopt()
        use(rig)
        rig.wait(8 * DAYS)
        rig.begin()
        rig.finish()
        assert rig.listed() == {rig.held(): True}

    def test_is_kept_too_where_the_policy_always_asks_for_use(self, make_rig: MakeRig) -> None:
        rig = make_rig({"confirm_use": "always"})
        rig.begin()
        rig.hold(HoldReason.NOT_TAKEN_UP)
        use(rig)
        rig.finish()
        assert rig.listed() == {rig.held(): True}
