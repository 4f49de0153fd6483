"""P8: a wait that protects is as long as it says, by this machine's clock and by the vendor's, whichever is set."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rotator.attention import HoldReason, Severity
from rotator.model import Phase
from rotator.sandbox.wire.rules import Canned, Reset
from tests.support.patience import patience
from tests.support.rig import Rig

pytestmark = pytest.mark.realtime

A_MOMENT = timedelta(seconds=patience(60))
HOURS, DAYS = timedelta(hours=1), timedelta(days=1)
JUMPS = [pytest.param(25 * HOURS, id="ahead"), pytest.param(-25 * HOURS, id="late")]


def says_so(rig: Rig) -> bool:
    return any("clock" in finding.text and finding.severity is Severity.ACT for finding in rig.state.findings)


@pytest.mark.parametrize("jump", JUMPS)
class TestAClockThatIsOff:
    def test_mints_nothing_and_goes_on_by_itself_when_it_is_right_again(self, rig: Rig, jump: timedelta) -> None:
        rig.adopt()
        rig.clock.jump(jump)
        assert rig.ask("rotate", now=True).accepted
        rig.tick()
        assert says_so(rig)
        assert rig.asked("CreateAccessKey") == 0
        rig.hold(HoldReason.CLOCK)
        rig.clock.jump(-jump)
        rig.finish()
        assert rig.listed() == {rig.held(): True}
        assert rig.events("rotation.resumed", code="clock")
        assert not says_so(rig)

    @pytest.mark.parametrize("phase", [Phase.GRACE, Phase.QUARANTINE])
    def test_revokes_nothing(self, rig: Rig, jump: timedelta, phase: Phase) -> None:
        rig.begin()
        rig.to(phase)
        listed = rig.listed()
        rig.clock.jump(jump)
        rig.wait(30 * HOURS)
        rig.hold(HoldReason.CLOCK)
        assert rig.listed() == listed
        rig.clock.jump(-jump)
        rig.finish()
        assert rig.listed() == {rig.held(): True}

    def test_confirms_nothing_but_finishes_a_push(self, rig: Rig, jump: timedelta) -> None:
        rig.begin()
        rig.spoil(Canned(status=503, body="<html>"), northflank="POST", times=1)
        rig.until_asked(None)
        rig.clock.jump(jump)
        rig.hold(HoldReason.CLOCK)
        assert rig.state.phase is Phase.CONFIRMING
        assert rig.held() == rig.state.candidate
        rig.clock.jump(-jump)
        rig.finish()
        assert rig.listed() == {rig.held(): True}

    def test_does_not_stop_an_emergency(self, rig: Rig, jump: timedelta) -> None:
        rig.adopt()
        rig.clock.jump(jump)
        assert rig.ask("rotate", leaked=True).accepted
        rig.run(lambda state: state.phase is Phase.IDLE and state.generation == 1)
        assert rig.listed() == {rig.held(): True}
        assert rig.held() != rig.first_key

    @pytest.mark.parametrize("phase", [Phase.GRACE, Phase.QUARANTINE])
    def test_that_is_set_in_a_wait_neither_shortens_nor_lengthens_it(
        self, rig: Rig, jump: timedelta, phase: Phase
    ) -> None:
        rig.begin()
        rig.to(phase)
        began = rig.clock.world()
        rig.clock.jump(jump)
        rig.tick()
        rig.restart()
        rig.tick()
        rig.clock.jump(-jump)
        rig.run(lambda state: state.phase is not phase)
        assert 24 * HOURS - A_MOMENT < rig.clock.world() - began < 24 * HOURS + A_MOMENT


def test_a_wait_that_began_by_a_clock_that_was_late_is_as_long_as_it_says(rig: Rig) -> None:
    """An emergency's rotation goes by any clock. The next wait begins by a clock that is set right in it."""
    rig.begin()
    rig.to(Phase.GRACE)
    state = rig.state
    assert state.since is not None
    assert state.since_vendor is not None
    began = rig.clock.world()
    rig.clock.jump(25 * HOURS)  # as if the clock had been late until now: by itself it says that grace is over
    rig.tick()
    rig.clock.jump(-25 * HOURS + timedelta(seconds=90))  # what is left passes for right
    rig.tick()
    assert rig.state.phase is Phase.GRACE
    rig.run(lambda state: state.phase is not Phase.GRACE)
    assert rig.clock.world() - began > 24 * HOURS - A_MOMENT


@pytest.mark.parametrize("years", [1, 5])
def test_no_backoff_outlasts_its_own_maximum(rig: Rig, years: int) -> None:
    """A clock was years ahead when a call failed."""
    rig.begin()
    rig.to(Phase.PROVING)
    rig.clock.jump(years * 365 * DAYS)
    rig.spoil(Canned(status=503, body="<html>"), northflank="POST", times=3)
    rig.until_asked(None)
    rig.clock.jump(-years * 365 * DAYS)
    began = rig.clock.world()
    rig.to(Phase.GRACE)
    assert rig.clock.world() - began < 7 * HOURS


def test_the_schedule_is_dated_by_the_vendor(rig: Rig) -> None:
    """A leaked key was replaced by a clock that was a year late: set right, no second rotation follows."""
    rig.adopt()
    rig.clock.jump(-365 * DAYS)
    assert rig.ask("rotate", leaked=True).accepted
    rig.run(lambda state: state.phase is Phase.IDLE and state.generation == 1)
    rig.clock.jump(365 * DAYS)
    for _ in range(3):
        rig.wait(DAYS)
        rig.tick()
    assert rig.state.phase is Phase.IDLE
    assert rig.state.generation == 1


@pytest.mark.parametrize("restart", [False, True])
def test_settle_goes_by_no_clock_that_can_be_set(rig: Rig, restart: bool) -> None:
    rig.begin()
    rig.to(Phase.PROVING)
    rig.spoil(Reset(when="after"), northflank="POST")
    rig.until_asked(None)
    assert rig.state.unsettled_since is not None
    rig.clock.jump(2 * HOURS)
    if restart:
        rig.restart()
    rig.tick()
    assert rig.state.unsettled_since is not None
    assert rig.state.current == rig.first_key
    rig.clock.jump(-2 * HOURS)
    rig.to(Phase.GRACE)


def test_a_request_of_the_future_expires_too(rig: Rig) -> None:
    """The clock was ahead when an operator asked, and no owner ran: years later nobody means it any more."""
    rig.adopt()
    rig.clock.jump(30 * DAYS)
    asked = rig.submit("rotate", now=True)
    rig.clock.jump(-30 * DAYS)
    rig.wait(DAYS)
    rig.ask("pause")
    answered = rig.journal.reader.request(asked.request_id)
    assert answered is not None
    assert answered.accepted is False
    assert rig.state.asked is None


class TestAJumpInMidRotation:
    @pytest.mark.parametrize("by", [timedelta(hours=25), timedelta(hours=-25)])
    def test_gives_no_candidate_up(self, rig: Rig, by: timedelta) -> None:
        rig.aws.propagation = timedelta(minutes=2)
        rig.begin()
        candidate = rig.to(Phase.PROVING).candidate
        rig.clock.jump(by)
        rig.tick()
        rig.wait(timedelta(seconds=10))
        rig.tick()
        rig.clock.jump(-by)
        assert rig.to(Phase.GRACE).current == candidate

    def test_leaves_no_wait_behind_that_only_it_had_set(self, rig: Rig) -> None:
        rig.begin()
        rig.spoil(Canned(status=503, body="<html>"), northflank="POST", times=None)
        rig.to(Phase.PUSHING)
        rig.clock.jump(timedelta(hours=25))
        rig.wait(timedelta(minutes=2))
        rig.tick()
        rig.heal()
        rig.clock.jump(timedelta(hours=-25))
        right = rig.clock.world()
        rig.to(Phase.GRACE)
        assert rig.clock.world() - right < timedelta(minutes=20)

    def test_makes_a_refusal_no_verdict(self, rig: Rig) -> None:
        """A mint's dates may have been made by the clock that was wrong."""
        rig.begin()
        with rig.stalled("CreateAccessKey"):
            rig.clock.jump(timedelta(hours=-25))
            rig.aws.denied.add("iam:CreateAccessKey")
        assert rig.events("key.create", outcome="refused")
        assert rig.state.hold is None
        rig.aws.denied.clear()
        rig.clock.jump(timedelta(hours=25))
        rig.finish()
        assert rig.listed() == {rig.held(): True}
