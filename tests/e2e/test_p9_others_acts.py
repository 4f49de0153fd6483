"""P9: what others did is respected and seen. rotator undoes no act but its own."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rotator.attention import HoldReason, Severity
from rotator.model import Origin, Phase
from rotator.sandbox.wire.rules import Canned, Late, Reset
from tests.support.fixtures import MakeRig
from tests.support.patience import patience
from tests.support.rig import Rig

pytestmark = pytest.mark.realtime

SETTLE = timedelta(seconds=61)
DELETED = (
    '<DeleteAccessKeyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ResponseMetadata>'
    "<RequestId>r</RequestId></ResponseMetadata></DeleteAccessKeyResponse>"
)
"""An answer without the effect."""

HOLDS = {"disable": HoldReason.CURRENT_DISABLED, "delete": HoldReason.CURRENT_GONE}


def alerts(rig: Rig) -> list[str]:
    return [finding.text for finding in rig.state.findings if finding.severity is Severity.ACT]


def lose(rig: Rig, act: str) -> str:
    """Another takes the key in use away."""
    current = rig.held()
    rig.locked_out = True
    {"disable": rig.disable, "delete": rig.delete}[act](current)
    return current


def later(rig: Rig, by: timedelta = SETTLE) -> None:
    rig.tick()
    rig.wait(by)
    rig.tick()


@pytest.mark.parametrize("act", ["disable", "delete"])
class TestTheKeyInUse:
    def test_that_others_took_away_is_seen_at_the_next_look_and_left_as_it_is(self, rig: Rig, act: str) -> None:
        rig.rotate()
        changes = rig.asked("UpdateAccessKey")
        current = lose(rig, act)
        rig.wait(SETTLE)  # after the last change of rotator's own, a list may lag
        rig.tick()
        assert any(current in text for text in alerts(rig))
        first = rig.state
        assert first.hold is None
        rig.wait(SETTLE)
        rig.tick()
        hold = rig.state.hold
        assert hold is not None
        assert hold.reason is HOLDS[act]
        assert current in hold.detail
        rig.wait(timedelta(days=3))
        rig.tick()
        assert rig.listed().get(current) in {None, False}
        assert rig.asked("UpdateAccessKey") == changes + (act == "disable")

    def test_is_an_alert_while_everything_is_frozen(self, rig: Rig, act: str) -> None:
        rig.rotate()
        rig.wait(SETTLE)
        assert rig.ask("freeze", about=None).accepted
        current = lose(rig, act)
        later(rig)
        assert any(current in text for text in alerts(rig))
        assert rig.listed().get(current) in {None, False}

    def test_is_replaced_when_the_operator_resumes(self, make_rig: MakeRig, act: str) -> None:
        rig = make_rig({"window": "Tue 08:00-16:00 UTC"})
        rig.begin()
        rig.finish()
        lost = lose(rig, act)
        rig.hold(HOLDS[act])
        assert rig.ask("resume").accepted
        rig.to(Phase.GRACE)
        fresh = rig.held()
        assert fresh != lost
        assert rig.listed()[fresh]
        rig.locked_out = False
        rig.finish()
        assert rig.listed() == {fresh: True}

    def test_is_replaced_at_once_where_the_policy_says_so(self, make_rig: MakeRig, act: str) -> None:
        rig = make_rig({"on_lost": "replace", "window": "Tue 08:00-16:00 UTC"})
        rig.begin()
        rig.finish()
        lost = lose(rig, act)
        began = rig.clock.world()
        rig.run(lambda state: state.phase is Phase.GRACE)
        assert rig.held() != lost
        assert rig.listed()[rig.held()]
        assert rig.clock.world() - began < timedelta(days=1) + timedelta(minutes=10)  # `watch`, and two looks
        assert rig.state.hold is None

    def test_is_finished_with_where_a_push_was_sent(self, rig: Rig, act: str) -> None:
        rig.begin()
        rig.spoil(Canned(status=503, body="<html>"), northflank="POST", times=2)
        rig.until_asked(None)
        lose(rig, act)
        rig.run(lambda state: state.phase is Phase.GRACE)
        assert rig.state.hold is None
        assert rig.listed()[rig.held()]

    def test_holds_a_rotation_that_has_pushed_nothing(self, rig: Rig, act: str) -> None:
        rig.begin()
        rig.aws.denied.add("iam:CreateAccessKey")
        lose(rig, act)
        later(rig)
        later(rig)
        assert rig.state.hold is not None

    def test_may_be_named_by_the_operator_who_put_another_there(self, rig: Rig, act: str) -> None:
        rig.rotate()
        lose(rig, act)
        rig.hold(HOLDS[act])
        material = rig.aws.create_key("northflank-byoc")
        key_id = material.public["accessKey"]
        rig.put("prod-aws", description=rig.shown(), credentials=material.reveal())
        assert rig.ask("adopt", key_id=key_id).accepted
        rig.locked_out = False
        later(rig)
        assert (rig.state.current, rig.state.hold) == (key_id, None)
        assert rig.origin(key_id) is Origin.ADOPTED


def test_a_hold_ends_by_itself_when_the_key_is_enabled_again(rig: Rig) -> None:
    rig.rotate()
    current = lose(rig, "disable")
    rig.hold(HoldReason.CURRENT_DISABLED)
    rig.enable(current)
    rig.locked_out = False
    later(rig)
    assert rig.state.hold is None
    assert rig.events("rotation.resumed", code="current_disabled")
    assert not alerts(rig)


class TestAnOldKey:
    def test_that_others_enabled_again_stays_until_the_operator_resumes(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.QUARANTINE)
        rig.wait(SETTLE)
        rig.enable(rig.first_key)
        rig.hold(HoldReason.ENABLED_AGAIN)
        rig.wait(timedelta(days=30))
        rig.tick()
        assert rig.listed()[rig.first_key]
        assert rig.ask("resume").accepted
        rig.finish()
        assert rig.listed() == {rig.held(): True}

    def test_that_others_disabled_again_ends_the_hold(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.QUARANTINE)
        rig.wait(SETTLE)
        rig.enable(rig.first_key)
        rig.hold(HoldReason.ENABLED_AGAIN)
        rig.disable(rig.first_key)
        rig.finish()
        assert rig.listed() == {rig.held(): True}

    def test_that_others_enabled_is_remembered_under_another_hold(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.QUARANTINE)
        rig.wait(SETTLE)
        rig.enable(rig.first_key)
        rig.tick()
        rig.locked_out = True
        rig.disable(rig.held())
        rig.run(lambda state: state.hold is not None and state.hold.reason is HoldReason.CURRENT_DISABLED)
        rig.restart()
        assert rig.ask("resume").accepted
        rig.hold(HoldReason.SLOTS_FULL)
        assert rig.ask("resume", accept_silence=True).accepted
        rig.hold(HoldReason.ENABLED_AGAIN)
        assert rig.listed()[rig.first_key]

    def test_that_others_disabled_gets_no_disable_and_is_not_enabled_by_undo(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.GRACE)
        rig.wait(SETTLE)
        rig.disable(rig.first_key)
        rig.to(Phase.QUARANTINE)
        assert not rig.ask("undo").accepted
        assert not rig.listed()[rig.first_key]
        rig.finish()
        assert rig.listed() == {rig.held(): True}
        assert not rig.events("key.disable")

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_is_enabled_by_undo_though_its_disable_had_no_answer(self, rig: Rig, when: str) -> None:
        rig.begin()
        rig.to(Phase.GRACE)
        rig.spoil(Reset(when=when), aws="UpdateAccessKey")
        rig.run(lambda state: state.phase is Phase.DISABLING and state.failures > 0)
        assert rig.ask("undo").accepted
        later(rig)
        assert rig.listed()[rig.first_key]

    def test_stays_enabled_after_undo_though_its_disable_lands_later(self, rig: Rig) -> None:
        """The disable was rotator's from its intent on, so its late landing is no act of another."""
        rig.begin()
        rig.to(Phase.GRACE)
        rig.spoil(Late(), aws="UpdateAccessKey")
        rig.run(lambda state: state.phase is Phase.DISABLING and state.failures > 0)
        assert rig.listed()[rig.first_key], "it is still under way"
        assert rig.ask("undo").accepted
        rig.tick()
        rig.aws.faults.release()
        rig.aws.faults.wait_for(1, action="UpdateAccessKey", state="processed", timeout=patience())
        assert not rig.listed()[rig.first_key]
        later(rig)
        assert rig.listed()[rig.first_key]
        assert rig.state.hold is not None
        assert rig.state.hold.reason is HoldReason.UNDONE


class TestACandidate:
    @pytest.mark.parametrize("act", ["disable", "delete"])
    def test_that_others_took_away_is_not_pushed(self, rig: Rig, act: str) -> None:
        rig.begin()
        rig.to(Phase.PROVING)
        candidate = rig.state.candidate
        assert candidate is not None
        {"disable": rig.disable, "delete": rig.delete}[act](candidate)
        rig.run(lambda state: state.phase is Phase.GRACE)
        assert rig.held() != candidate
        pushed = {event["key_ids"][0] for event in rig.events("integration.push", outcome="intent")}
        assert candidate not in pushed


class TestADescription:
    def test_edited_in_grace_is_an_alert_and_holds_when_the_wait_is_over(self, make_rig: MakeRig) -> None:
        rig = make_rig({"watch": "1h"})
        rig.begin()
        rig.to(Phase.GRACE)
        rig.describe("edited by hand")
        rig.wait(timedelta(hours=1))
        rig.tick()
        assert any("stamp" in text for text in alerts(rig))
        assert rig.state.hold is None
        rig.hold(HoldReason.STAMP_LOST)
        assert rig.listed()[rig.first_key]

    def test_that_the_operator_vouches_for_stands_for_the_key(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.GRACE)
        rig.describe("edited by hand")
        rig.hold(HoldReason.STAMP_LOST)
        pushes = rig.pushes()
        answer = rig.ask("resume", still_holds=[])
        assert answer.accepted
        assert "prod-aws" in (answer.answer or "")
        rig.finish()
        assert rig.listed() == {rig.held(): True}
        assert rig.pushes() == pushes
        assert rig.shown() == "edited by hand"
        assert rig.state.findings == ()

    def test_that_is_put_back_ends_the_hold_by_itself(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.GRACE)
        text = rig.shown()
        rig.describe("edited by hand")
        rig.hold(HoldReason.STAMP_LOST)
        rig.describe(text)
        later(rig, timedelta(days=1))
        rig.finish()
        assert rig.listed() == {rig.held(): True}

    def test_edited_while_idle_is_noted_and_may_be_vouched_for(self, rig: Rig) -> None:
        rig.rotate()
        rig.describe("edited by hand")
        rig.wait(timedelta(days=1))
        rig.tick()
        [finding] = rig.state.findings
        assert finding.severity is Severity.NOTE
        assert rig.ask("resume", still_holds=["prod-aws"]).accepted
        rig.tick()
        assert rig.state.findings == ()

    def test_is_vouched_for_only_where_its_stamp_is_lost(self, rig: Rig) -> None:
        rig.rotate()
        rig.wait(SETTLE)
        assert not rig.ask("resume", still_holds=["prod-aws"]).accepted


def test_a_deletion_without_effect_is_made_again_for_an_adopted_key_too(rig: Rig) -> None:
    rig.begin()
    rig.to(Phase.QUARANTINE)
    rig.spoil(Canned(status=200, body=DELETED, content_type="text/xml"), aws="DeleteAccessKey")
    rig.run(lambda state: state.phase is Phase.IDLE)
    assert rig.first_key in rig.listed()
    rig.wait(SETTLE)
    rig.run(lambda _: rig.first_key not in rig.listed())
    assert rig.listed() == {rig.held(): True}
    said = [event["reason"] for event in rig.events("finding")]
    assert any("still lists" in text and rig.first_key in text for text in said)
    rig.wait(SETTLE)
    rig.tick()
    assert not alerts(rig)


def test_a_foreign_key_that_takes_the_last_slot_is_an_alert_when_it_appears(rig: Rig) -> None:
    rig.rotate()
    rig.wait(SETTLE)
    foreign = rig.make_key()
    rig.tick()
    assert any(foreign in text and "slot" in text for text in alerts(rig))
    rig.delete(foreign)
    rig.tick()
    assert not alerts(rig)
