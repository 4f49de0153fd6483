"""P8: every wait survives a restart; a missed run is caught up, never doubled."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rotator.model import Phase
from rotator.sandbox.stage import CREDENTIAL
from rotator.sandbox.wire.rules import Canned
from tests.support.fixtures import MakeRig
from tests.support.patience import patience
from tests.support.rig import Rig

pytestmark = pytest.mark.realtime

A_MOMENT = timedelta(seconds=patience(60))
PHASES = [Phase.IDLE, Phase.PROVING, Phase.GRACE, Phase.QUARANTINE]
"""Those that a rotation is seen in between two ticks, if nothing fails."""


class TestARestart:
    @pytest.mark.parametrize("phase", PHASES)
    def test_goes_on_where_it_was(self, rig: Rig, phase: Phase) -> None:
        rig.begin()
        rig.to(phase)
        rig.restart()
        rig.finish()
        assert rig.listed() == {rig.held(): True}
        assert rig.held() != rig.first_key

    @pytest.mark.parametrize("action", ["CreateAccessKey", None, "UpdateAccessKey", "DeleteAccessKey"])
    def test_goes_on_from_the_middle_of_a_call(self, rig: Rig, action: str | None) -> None:
        rig.begin()
        rig.die_in(action)
        rig.run(lambda state: state.phase is Phase.IDLE and state.generation > 0 and not state.suspects)
        assert rig.listed() == {rig.held(): True}
        assert rig.held() != rig.first_key

    @pytest.mark.parametrize(("phase", "length"), [(Phase.GRACE, 24), (Phase.QUARANTINE, 24)])
    @pytest.mark.parametrize("down", [timedelta(hours=10), timedelta(hours=50)], ids=["short", "long"])
    def test_neither_shortens_nor_lengthens_a_wait(self, rig: Rig, phase: Phase, length: int, down: timedelta) -> None:
        rig.begin()
        rig.to(phase)
        began = rig.clock.world()
        rig.stop()
        rig.wait(down)
        rig.start()
        rig.run(lambda state: state.phase is not phase)
        lasted = rig.clock.world() - began
        expected = max(timedelta(hours=length), down)
        assert expected - A_MOMENT < lasted < expected + A_MOMENT

    def test_keeps_a_backoff(self, rig: Rig) -> None:
        throttled = "<ErrorResponse><Error><Code>Throttling</Code></Error><RequestId>r</RequestId></ErrorResponse>"
        rig.spoil(Canned(status=400, body=throttled, content_type="text/xml"), aws="CreateAccessKey", times=None)
        rig.begin()
        until = rig.run(lambda state: state.failures >= 8).not_before
        asked = rig.asked("CreateAccessKey")
        rig.restart()
        rig.tick()
        assert rig.asked("CreateAccessKey") == asked
        assert rig.state.not_before == until

    def test_keeps_what_a_person_asked_for(self, make_rig: MakeRig) -> None:
        rig = make_rig({"window": "Tue 08:00-16:00 UTC"})
        rig.adopt()
        assert rig.ask("rotate").accepted
        rig.restart()
        rig.tick()
        assert rig.asked("CreateAccessKey") == 0
        rig.finish()
        assert rig.listed() == {rig.held(): True}
        assert rig.held() != rig.first_key

    def test_keeps_a_hold_and_its_reason(self, rig: Rig) -> None:
        rig.aws.denied.add("iam:CreateAccessKey")
        rig.begin()
        held = rig.run(lambda state: state.hold is not None)
        rig.restart()
        rig.wait(timedelta(days=2))
        rig.tick()
        assert rig.state.hold == held.hold
        assert len(rig.events("rotation.held")) == 1

    @pytest.mark.parametrize("phase", PHASES)
    def test_finds_the_next_look_in_the_journal(self, rig: Rig, phase: Phase) -> None:
        rig.begin()
        rig.to(phase)
        at = rig.tick()
        [row] = rig.journal.credentials()
        assert row.next_at is not None
        assert row.next_at - at < A_MOMENT


class TestTheNextLook:
    @pytest.mark.parametrize("lag", [0.3, 0.7, 1.9, 2.3, 2.9, 4.3])
    def test_is_not_missed_while_a_slow_machine_decides(self, rig: Rig, lag: float) -> None:
        """A moment that comes between a decision and the reckoning of the next look is looked at all the same."""
        rig.adopt()
        rig.spoil(Canned(status=503, body="<html>"), northflank="POST", times=3)
        assert rig.ask("rotate").accepted
        rig.clock.lag = timedelta(seconds=lag)
        began = rig.clock.world()
        rig.to(Phase.GRACE)
        assert rig.clock.world() - began < timedelta(hours=1)


class TestTheSchedule:
    def test_a_rotation_begins_when_it_is_due_and_not_before(self, rig: Rig) -> None:
        rig.adopt()
        rig.wait(timedelta(days=30) - A_MOMENT)
        rig.tick()
        assert rig.state.phase is Phase.IDLE
        rig.run(lambda state: state.phase is not Phase.IDLE)
        assert rig.events("rotation.started")[0]["reason"].startswith("due since 2026-12-23 10:00 UTC")

    def test_jitter_delays_it_always_by_the_same(self, make_rig: MakeRig) -> None:
        rig = make_rig({"jitter": "10h"})
        rig.adopt()
        due = rig.managed().calendar.due_at(rig.state)
        assert due is not None
        rig.restart()
        assert rig.managed().calendar.due_at(rig.state) == due
        rig.run(lambda state: state.phase is not Phase.IDLE)
        assert timedelta(0) <= rig.clock.now() - due < A_MOMENT

    def test_runs_that_were_missed_are_caught_up_once(self, rig: Rig) -> None:
        rig.adopt()
        rig.stop()
        rig.wait(timedelta(days=100))
        rig.start()
        rig.run(lambda state: state.generation == 1 and state.phase is Phase.IDLE)
        rig.wait(timedelta(days=25))
        rig.tick()
        assert rig.asked("CreateAccessKey") == 1
        assert len(rig.journal.reader.rotations(CREDENTIAL)) == 1

    def test_the_next_is_counted_from_the_last_confirm(self, rig: Rig) -> None:
        rig.adopt()
        rig.wait(timedelta(days=45))
        rig.to(Phase.GRACE)
        confirmed = rig.state.current_since
        assert confirmed is not None
        rig.finish()
        rig.run(lambda state: state.generation == 2)
        assert timedelta(days=30) <= rig.clock.world() - confirmed < timedelta(days=30) + A_MOMENT


class TestTheWindow:
    """Mondays from nine to five; every test begins on a Monday at ten."""

    @pytest.fixture
    def rig(self, make_rig: MakeRig) -> Rig:
        return make_rig({"window": "Mon 09:00-17:00 UTC", "every": "60d", "max_age": "120d"})

    def test_gates_the_mint_the_disable_and_the_delete(self, rig: Rig) -> None:
        rig.adopt()
        rig.wait(timedelta(hours=8))
        assert rig.ask("rotate").accepted
        seen = []
        for action in ("CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey"):
            rig.until_asked(action)
            seen.append(rig.clock.world())
        assert [f"{at:%a %d %H}" for at in seen] == ["Mon 30 09", "Mon 07 09", "Mon 14 09"]

    def test_gates_neither_the_push_nor_its_repetition_nor_the_confirm(self, rig: Rig) -> None:
        rig.adopt()
        rig.wait(timedelta(hours=6, minutes=59, seconds=5))  # `settle` alone takes it past the hour
        rig.spoil(Canned(status=503, body="<html>"), northflank="POST", times=3)
        assert rig.ask("rotate").accepted
        rig.to(Phase.GRACE)
        assert f"{rig.clock.world():%a %d %H}" == "Mon 23 17"
        assert rig.held() != rig.first_key

    def test_gates_no_cleaning_up_of_a_candidate(self, rig: Rig) -> None:
        rig.adopt()
        rig.wait(timedelta(hours=6, minutes=59, seconds=5))  # `settle` alone takes it past the hour
        assert rig.ask("rotate").accepted
        candidate = rig.to(Phase.PROVING).candidate
        rig.wait(timedelta(minutes=2))
        rig.restart()
        rig.run(lambda state: state.phase is Phase.MINTING and not state.to_delete)
        assert candidate not in rig.listed()
        assert f"{rig.clock.world():%a %d %H}" == "Mon 23 17"
        rig.until_asked("CreateAccessKey")
        assert f"{rig.clock.world():%a %d %H}" == "Mon 30 09"

    def test_now_and_an_emergency_ignore_it(self, rig: Rig) -> None:
        rig.adopt()
        rig.wait(timedelta(hours=8))
        assert rig.ask("rotate", leaked=True).accepted
        rig.finish()
        assert rig.listed() == {rig.held(): True}
        assert f"{rig.clock.world():%a %d %H}" == "Mon 23 18"
