"""P1: a key that Northflank may hold is never disabled or deleted.

Each tick of every test in this directory proves it (`Rig.check_promises`). Here are the situations made to break it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from rotator.attention import HoldReason
from rotator.model import Phase
from rotator.sandbox.stage import INTEGRATION, TEXT
from rotator.sandbox.wire.rules import Canned, Fault, Late, Reset
from tests.support.fixtures import MakeRig
from tests.support.rig import Rig
from tests.support.running import Event

pytestmark = pytest.mark.realtime

SETTLE = timedelta(seconds=60)
MUCH_LATER = timedelta(days=6)

UNANSWERED: dict[str, Fault] = {
    "reset": Reset(),
    "a proxy's page": Canned(status=502, body="<html>Bad Gateway</html>", content_type="text/html"),
    "a timeout of a gateway": Canned(status=504, body='{"error": {"status": 504, "message": "timeout"}}'),
    "an early timeout": Canned(status=408, body='{"error": {"status": 408, "message": "timeout"}}'),
    "a 200 that isn't Northflank's": Canned(status=200, body='{"ok": true}'),
}


def at(event: Event) -> datetime:
    return datetime.fromisoformat(event["time"])


def both_live(rig: Rig) -> bool:
    return len(rig.listed()) == 2 and all(rig.listed().values())


class TestAPushThatIsNotShown:
    @pytest.mark.parametrize("fault", UNANSWERED.values(), ids=UNANSWERED)
    def test_the_old_key_stays_until_a_push_is_seen(self, rig: Rig, fault: Fault) -> None:
        rig.spoil(fault, northflank="POST", times=None)
        rig.begin()
        rig.run(lambda state: state.pushes_sent >= 3)
        rig.wait(MUCH_LATER)
        rig.tick()
        assert both_live(rig)
        assert rig.held() == rig.first_key
        rig.heal()
        rig.finish()
        assert rig.listed() == {rig.held(): True}
        assert rig.held() != rig.first_key

    def test_an_accepted_push_that_was_not_applied_is_sent_again(self, rig: Rig) -> None:
        body = f'{{"data": {{"id": "{INTEGRATION}", "name": "x", "provider": "aws"}}}}'
        rig.spoil(Canned(status=200, body=body), northflank="POST")
        rig.begin()
        rig.finish()
        assert rig.pushes() == 2
        assert rig.listed() == {rig.held(): True}
        assert rig.held() != rig.first_key

    def test_it_is_not_judged_before_settle(self, rig: Rig) -> None:
        rig.spoil(Reset(when="after"), northflank="POST", times=None)
        rig.begin()
        rig.run(lambda state: state.pushes_sent == 1)
        sent = rig.clock.world()
        rig.heal()
        rig.to(Phase.GRACE)
        assert rig.clock.world() - sent >= SETTLE


class TestACrashInThePush:
    """The material is gone with the process; only the description tells what became of the push."""

    def test_one_that_lands_within_settle_is_found(self, rig: Rig) -> None:
        rig.spoil(Late(), northflank="POST", times=None)
        rig.begin()
        candidate = rig.run(lambda state: state.pushes_sent == 1).candidate
        rig.restart()
        rig.tick()
        assert both_live(rig)
        rig.wait(timedelta(seconds=30))
        rig.faults.release()
        assert rig.held() == candidate
        rig.heal()
        rig.finish()
        assert rig.listed() == {candidate: True}

    def test_one_that_never_lands_is_dropped_only_after_settle(self, rig: Rig) -> None:
        rig.spoil(Reset(), northflank="POST")
        rig.begin()
        candidate = rig.run(lambda state: state.pushes_sent == 1).candidate
        rig.restart()
        rig.finish()
        lost = rig.events("integration.push", outcome="unknown")[0]
        dropped = rig.events("key.disable", outcome="intent", key_ids=[candidate])[0]
        assert at(dropped) - at(lost) >= SETTLE
        assert rig.listed() == {rig.held(): True}
        assert rig.held() not in {candidate, rig.first_key}

    def test_a_description_that_a_person_edited_meanwhile_proves_nothing(self, rig: Rig) -> None:
        rig.spoil(Reset(), northflank="POST", times=None)
        rig.begin()
        rig.run(lambda state: state.pushes_sent == 1)
        rig.restart()
        rig.describe("something else")
        hold = rig.hold(HoldReason.STAMP_LOST)
        assert INTEGRATION in hold.detail
        rig.wait(MUCH_LATER)
        rig.tick()
        assert both_live(rig)
        rig.describe(TEXT)
        rig.heal()
        assert rig.ask("resume").accepted
        rig.finish()
        assert rig.listed() == {rig.held(): True}

    def test_one_that_was_applied_is_confirmed(self, rig: Rig) -> None:
        rig.begin()
        rig.die_in(None)
        assert len(rig.listed()) == 2
        rig.finish()
        assert rig.listed() == {rig.held(): True}
        assert rig.pushes() == 1


class TestTheStampAfterTheConfirm:
    @pytest.fixture
    def rig(self, make_rig: MakeRig) -> Rig:
        return make_rig({"watch": "1h", "grace": "3h", "quiet_for": "1h", "quarantine": "3h"})

    def test_without_the_stamp_the_revocation_waits(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.GRACE)
        shown = rig.shown()
        rig.describe("edited by a person")
        rig.wait(MUCH_LATER)
        rig.tick()
        assert both_live(rig)
        assert "gone or was edited" in rig.events("finding")[-1]["reason"]
        assert rig.state.hold is not None
        rig.describe(shown)
        rig.wait(timedelta(days=1))
        rig.tick()
        rig.finish()
        assert rig.listed() == {rig.held(): True}

    @pytest.mark.parametrize("phase", [Phase.GRACE, Phase.QUARANTINE])
    def test_a_push_from_before_that_lands_late_is_rolled_over_forward(self, rig: Rig, phase: Phase) -> None:
        """The integration falls back to the old key, with its old stamp: a paused replica woke up, say."""
        rig.rotate()
        rig.consumes = True
        old, text = rig.account.held(INTEGRATION), rig.shown()
        rig.begin()
        rig.to(phase)
        # In quarantine the key is disabled by now: nobody can have foreseen this, and it is mended at the next look.
        rig.locked_out = phase is Phase.QUARANTINE
        rig.put(INTEGRATION, description=text, credentials=old)
        rig.wait(timedelta(hours=1))
        rig.tick()
        rig.locked_out = False
        rig.check_promises()
        assert rig.listed()[old["accessKey"]], "the key that is held again is enabled at once"
        rig.finish()
        assert rig.listed() == {rig.held(): True}
        assert " g3 " in rig.shown()
        assert rig.events("rotation.rolled_forward")

    def test_the_third_time_in_a_row_is_held(self, rig: Rig) -> None:
        rig.rotate()
        rig.consumes = True
        old, text = rig.account.held(INTEGRATION), rig.shown()
        rig.begin()
        for _ in range(3):
            rig.to(Phase.GRACE)
            rig.put(INTEGRATION, description=text, credentials=old)
            rig.wait(timedelta(hours=1))
            rig.tick()
        rig.hold(HoldReason.CONTENDED)
        assert rig.listed()[rig.held()]


@pytest.mark.parametrize("phase", [Phase.GRACE, Phase.QUARANTINE])
def test_the_stamps_are_read_again_right_before_a_revocation(make_rig: MakeRig, phase: Phase) -> None:
    """However young the poll is that the watch goes by."""
    rig = make_rig({"watch": "9d"})
    rig.rotate()
    rig.consumes = True
    old, text = rig.account.held(INTEGRATION), rig.shown()
    rig.begin()
    rig.to(phase)
    rig.locked_out = phase is Phase.QUARANTINE
    rig.put(INTEGRATION, description=text, credentials=old)
    rig.wait(timedelta(hours=25))
    rig.tick()
    rig.locked_out = False
    rig.check_promises()
    rig.finish()
    assert rig.listed() == {rig.held(): True}


class TestUse:
    def test_an_old_key_that_is_still_used_is_held_naming_its_user(self, rig: Rig) -> None:
        rig.begin()
        old = rig.material()
        rig.to(Phase.GRACE)
        while rig.state.hold is None:
            assert rig.aws.works(old, region="eu-central-1")
            rig.wait(timedelta(hours=11))
            rig.tick()
        assert rig.state.hold.reason is HoldReason.STILL_USED
        assert all(word in rig.state.hold.detail for word in (rig.first_key, "sts", "eu-central-1"))
        rig.wait(MUCH_LATER)
        rig.tick()
        assert both_live(rig)

    def test_grace_goes_on_until_the_old_key_was_silent_long_enough(self, rig: Rig) -> None:
        rig.begin()
        old = rig.material()
        rig.to(Phase.GRACE)
        rig.wait(timedelta(hours=20))
        assert rig.aws.works(old)
        used = rig.clock.world()
        rig.consumes = True
        rig.to(Phase.QUARANTINE)
        assert rig.clock.world() - used >= timedelta(hours=12)

    def test_one_that_somebody_enables_again_in_quarantine_is_held(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.QUARANTINE)
        rig.wait(timedelta(minutes=2))
        rig.enable(rig.first_key)
        rig.hold(HoldReason.ENABLED_AGAIN)
        assert both_live(rig)


class TestARefusal:
    def test_it_costs_the_candidate_and_nothing_else(self, rig: Rig) -> None:
        refusal = '{"error": {"status": 422, "message": "no such role"}}'
        rig.spoil(Canned(status=422, body=refusal), northflank="POST", times=None)
        rig.begin()
        hold = rig.hold(HoldReason.PUSH_REFUSED)
        assert "no such role" in hold.detail
        rig.tick()
        assert rig.listed() == {rig.first_key: True}

    def test_after_a_push_without_an_answer_it_proves_nothing(self, rig: Rig) -> None:
        """Rule 3: the first push landed, the second is refused: the candidate is held."""
        rig.spoil(Reset(when="after"), northflank="POST")
        rig.spoil(Canned(status=403, body='{"error": {"status": 403, "message": "Forbidden"}}'), northflank="POST")
        rig.begin()
        rig.finish()
        assert rig.listed() == {rig.held(): True}
        assert rig.held() != rig.first_key
        assert rig.pushes() == 2
