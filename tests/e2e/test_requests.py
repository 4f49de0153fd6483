"""What people ask for, by rows as the commands write them, in every situation that a rotation can be in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from rotator.attention import HoldReason
from rotator.model import Origin, Phase
from rotator.sandbox.aws.scene import USER
from rotator.sandbox.stage import INTEGRATION, TEXT
from rotator.sandbox.wire.rules import Canned, Late, Reset
from tests.support.fixtures import MakeRig
from tests.support.patience import patience
from tests.support.rig import Rig

pytestmark = pytest.mark.realtime

SECOND = "prod-aws-eu"
REFUSED = Canned(status=422, body='{"error": {"status": 422, "message": "no"}}')
DAYS = timedelta(days=5)


def refused(rig: Rig, kind: str, because: str, **arguments: Any) -> None:
    """The answer says why, and neither the journal nor the outside has changed."""
    before, keys = rig.state, rig.listed()
    asked = rig.ask(kind, **arguments)
    assert not asked.accepted
    assert because in (asked.answer or ""), asked.answer
    assert (rig.state, rig.listed()) == (before, keys)
    assert rig.events("request.answered")[-1]["outcome"] == "refused"


def rotated(rig: Rig) -> None:
    rig.finish()
    assert rig.listed() == {rig.held(): True}
    assert rig.held() != rig.first_key


class TestAdopt:
    @pytest.fixture
    def rig(self, make_rig: MakeRig) -> Rig:
        return make_rig(credentials=[{"current_key": None}])

    def test_names_the_key_in_use_at_first_contact(self, rig: Rig) -> None:
        assert rig.first_key in rig.hold(HoldReason.ADOPT_WHICH).detail
        refused(rig, "adopt", rig.first_key, key_id="AKIAWRONG")
        refused(rig, "rotate", "adopt", now=True)
        refused(rig, "resume", "adopt")
        assert rig.ask("adopt", key_id=rig.first_key).accepted
        assert rig.state.current == rig.first_key
        assert rig.events("key.adopted")[0]["actor"] == "uid:4711 claimed:ada"
        assert rig.ask("rotate", now=True).accepted
        rotated(rig)

    def test_a_disabled_key_is_refused(self, rig: Rig) -> None:
        key_id = rig.make_key()
        rig.foreign.clear()
        rig.disable(key_id)
        rig.hold(HoldReason.ADOPT_WHICH)
        refused(rig, "adopt", "disabled", key_id=key_id)

    def test_of_another_key_when_idle_takes_its_place(self, rig: Rig) -> None:
        """A person pasted a key into Northflank by hand, and says so."""
        rig.hold(HoldReason.ADOPT_WHICH)
        assert rig.ask("adopt", key_id=rig.first_key).accepted
        pasted = rig.aws.create_key(USER).reveal()
        rig.put(INTEGRATION, description=TEXT, credentials=pasted)
        rig.tick()
        assert rig.ask("adopt", key_id=pasted["accessKey"]).accepted
        assert rig.state.current == pasted["accessKey"]

    def test_in_flight_is_refused(self, rig: Rig) -> None:
        rig.hold(HoldReason.ADOPT_WHICH)
        assert rig.ask("adopt", key_id=rig.first_key).accepted
        assert rig.ask("rotate", now=True).accepted
        rig.to(Phase.GRACE)
        refused(rig, "adopt", "this credential is grace", key_id=rig.first_key)


class TestTakeOver:
    def test_of_another_stores_integration(self, rig: Rig) -> None:
        rig.describe(f"{TEXT} [rotator feedbeef g7 AKIA..OTHR 2026-11-01]")
        assert "feedbeef" in rig.hold(HoldReason.TWO_ROTATORS).detail
        refused(rig, "adopt", "--take-over", key_id=rig.first_key)
        assert rig.ask("adopt", key_id=rig.first_key, take_over=True).accepted
        assert rig.ask("rotate", now=True).accepted
        rotated(rig)
        assert f"[rotator {rig.journal.store_id} g8 " in rig.shown()

    def test_of_an_integration_that_a_newer_journal_pushed_to(self, rig: Rig) -> None:
        """A backup of the store is restored: the journal is older than the world."""
        rig.rotate()
        rig.backup()
        rig.rotate()
        held, keys = rig.held(), rig.listed()
        rig.restore()
        assert "generation 2" in rig.hold(HoldReason.JOURNAL_BEHIND).detail
        rig.wait(DAYS)
        rig.tick()
        assert rig.listed() == keys
        refused(rig, "adopt", "--take-over", key_id=held)
        refused(rig, "resume", "adopt")
        assert rig.ask("adopt", key_id=held, take_over=True).accepted
        assert rig.ask("rotate", now=True).accepted
        rig.consumes = True
        rig.finish()
        assert rig.listed() == {rig.held(): True}
        assert " g3 " in rig.shown()


class TestLeaked:
    def test_when_idle_it_is_replaced_at_once(self, rig: Rig) -> None:
        rig.adopt()
        began = rig.clock.world()
        assert rig.ask("rotate", leaked=True).accepted
        rotated(rig)
        assert rig.clock.world() - began < timedelta(seconds=patience(60))
        assert rig.pushes() == 1

    def test_a_retiring_key_goes_at_once(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.GRACE)
        new, began = rig.held(), rig.clock.world()
        assert rig.ask("rotate", leaked=True, key_id=rig.first_key).accepted
        rig.finish()
        assert rig.listed() == {new: True}
        assert rig.clock.world() - began < timedelta(seconds=patience(60))

    @pytest.mark.parametrize("phase", [Phase.GRACE, Phase.QUARANTINE])
    def test_the_current_key_is_replaced_after_the_retiring_one_has_made_room(self, rig: Rig, phase: Phase) -> None:
        rig.begin()
        rig.to(phase)
        leaked, began = rig.held(), rig.clock.world()
        assert rig.ask("rotate", leaked=True).accepted
        rotated(rig)
        assert rig.held() != leaked
        assert rig.clock.world() - began < timedelta(seconds=patience(60))
        assert " g2 " in rig.shown()

    def test_the_candidate_is_replaced_after_its_push(self, rig: Rig) -> None:
        rig.begin()
        candidate = rig.to(Phase.PROVING).candidate
        assert rig.ask("rotate", leaked=True, key_id=candidate).accepted
        rotated(rig)
        assert rig.held() != candidate

    def test_a_held_rotation_is_resumed_without_waits(self, rig: Rig) -> None:
        rig.begin()
        old = rig.material()
        rig.to(Phase.GRACE)
        while rig.state.hold is None:
            assert rig.aws.works(old)
            rig.wait(timedelta(hours=11))
            rig.tick()
        assert rig.ask("rotate", leaked=True, key_id=rig.first_key).accepted
        rig.finish()
        assert rig.listed() == {rig.held(): True}

    def test_a_foreign_key_is_refused(self, rig: Rig) -> None:
        rig.adopt()
        foreign = rig.make_key()
        rig.tick()
        refused(rig, "rotate", "never touches a foreign key", leaked=True, key_id=foreign)

    def test_a_deleted_key_is_refused(self, rig: Rig) -> None:
        rig.rotate()
        refused(rig, "rotate", "already deleted", leaked=True, key_id=rig.first_key)


class TestResume:
    def test_of_what_is_not_held_is_refused(self, rig: Rig) -> None:
        rig.adopt()
        refused(rig, "resume", "nothing is held")

    @pytest.mark.parametrize(
        ("option", "because"),
        [({"accept_use": True}, "--accept-use"), ({"cut": INTEGRATION}, "--cut"), ({"ours": ["AKIAX"]}, "--ours")],
    )
    def test_an_option_of_another_hold_is_refused(self, rig: Rig, option: dict[str, Any], because: str) -> None:
        rig.aws.denied.add("iam:CreateAccessKey")
        rig.begin()
        rig.hold(HoldReason.MINT_REFUSED)
        refused(rig, "resume", because, **option)

    def test_after_too_many_attempts(self, make_rig: MakeRig) -> None:
        rig = make_rig({"max_attempts": 1, "proving": {"timeout": "10s"}})
        rig.aws.propagation = timedelta(minutes=1)
        rig.begin()
        rig.hold(HoldReason.MAX_ATTEMPTS)
        rig.aws.propagation = timedelta(0)
        assert rig.ask("resume").accepted
        rotated(rig)

    def test_after_a_refused_push(self, rig: Rig) -> None:
        rig.spoil(REFUSED, northflank="POST")
        rig.begin()
        rig.hold(HoldReason.PUSH_REFUSED)
        assert rig.ask("resume").accepted
        rotated(rig)
        assert rig.asked("CreateAccessKey") == 2

    def test_after_a_lost_stamp(self, rig: Rig) -> None:
        rig.spoil(Reset(when="after"), northflank="POST")
        rig.begin()
        rig.run(lambda state: state.pushes_sent == 1)
        rig.restart()
        shown = rig.shown()
        rig.describe("edited")
        rig.hold(HoldReason.STAMP_LOST)
        assert rig.ask("resume").accepted
        rig.hold(HoldReason.STAMP_LOST)
        rig.describe(shown)
        assert rig.ask("resume").accepted
        rotated(rig)

    @pytest.mark.parametrize("accept", [True, False])
    def test_although_the_old_key_is_used(self, rig: Rig, accept: bool) -> None:
        rig.begin()
        old = rig.material()
        rig.to(Phase.GRACE)
        while rig.state.hold is None:
            assert rig.aws.works(old)
            rig.wait(timedelta(hours=11))
            rig.tick()
        assert rig.state.hold.reason is HoldReason.STILL_USED
        asked = rig.clock.world()
        rig.consumes = True
        assert rig.ask("resume", accept_use=accept).accepted
        rig.to(Phase.QUARANTINE)
        assert (rig.clock.world() - asked < timedelta(seconds=patience(60))) is accept
        rotated(rig)

    def test_after_contention(self, make_rig: MakeRig) -> None:
        rig = make_rig({"watch": "1h", "grace": "3h", "quiet_for": "1h", "quarantine": "3h"})
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
        assert rig.ask("resume").accepted
        rotated(rig)

    def test_after_an_undo(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.QUARANTINE)
        assert rig.ask("undo").accepted
        rig.tick()
        assert rig.listed()[rig.first_key]
        rig.wait(DAYS)
        rig.tick()
        assert rig.listed()[rig.first_key]
        assert rig.ask("resume").accepted
        rotated(rig)

    def test_after_a_revocation_was_refused(self, rig: Rig) -> None:
        rig.aws.denied.add("iam:DeleteAccessKey")
        rig.begin()
        rig.hold(HoldReason.REVOKE_REFUSED)
        rig.aws.denied.clear()
        assert rig.ask("resume").accepted
        rotated(rig)


class TestPartialPush:
    """rotator dies between the two pushes of a fan-out, its material with it; both of AWS's slots are taken."""

    @pytest.fixture
    def rig(self, make_rig: MakeRig) -> Rig:
        rig = make_rig(credentials=[{"integrations": [INTEGRATION, SECOND]}])
        rig.put(SECOND, description="Europe", credentials=rig.account.held(INTEGRATION))
        rig.spoil(Reset(), northflank="POST", path=f"/{SECOND}$", times=None)
        rig.begin()
        rig.run(lambda state: state.pushes_sent == 2)
        rig.heal()
        rig.restart()
        rig.hold(HoldReason.PARTIAL_PUSH)
        return rig

    def test_names_both_sides_and_keeps_both_keys(self, rig: Rig) -> None:
        hold = rig.state.hold
        assert hold is not None
        assert f"{INTEGRATION} holds key {rig.held()}, integration {SECOND} doesn't" in hold.detail
        rig.wait(DAYS)
        rig.tick()
        assert rig.listed() == {rig.held(): True, rig.held(SECOND): True}
        refused(rig, "abandon", "integrations may hold")

    @pytest.mark.parametrize("cut", [INTEGRATION, SECOND])
    def test_ends_when_a_person_gives_one_side_up(self, rig: Rig, cut: str) -> None:
        refused(rig, "resume", "has no integration another", cut="another")
        refused(rig, "resume", "no use of it was seen", cut=cut)
        rig.wait(timedelta(minutes=1))
        rig.consumes = True
        rig.tick()
        rig.locked_out = True
        assert rig.ask("resume", cut=cut).accepted
        rig.to(Phase.GRACE)
        rig.locked_out = False
        rotated(rig)
        assert rig.held(SECOND) == rig.held()

    def test_ends_when_a_person_pushes_the_other_side_by_hand(self, rig: Rig) -> None:
        rig.put(SECOND, description=rig.shown(), credentials=rig.account.held(INTEGRATION))
        assert rig.ask("resume").accepted
        rotated(rig)


class TestAbandon:
    def test_when_idle_is_refused(self, rig: Rig) -> None:
        rig.adopt()
        refused(rig, "abandon", "no rotation is in flight")

    def test_in_proving_deletes_the_candidate(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.PROVING)
        assert rig.ask("abandon").accepted
        self.ended(rig, {rig.first_key: True})

    def test_in_minting_leaves_nothing(self, rig: Rig) -> None:
        rig.aws.denied.add("iam:CreateAccessKey")
        rig.begin()
        rig.hold(HoldReason.MINT_REFUSED)
        assert rig.ask("abandon").accepted
        self.ended(rig, {rig.first_key: True})

    def test_with_a_mint_unanswered_is_refused_until_it_is_settled(self, rig: Rig) -> None:
        rig.spoil(Reset(), aws="CreateAccessKey")
        rig.begin()
        rig.run(lambda state: state.mint is not None)
        refused(rig, "abandon", "isn't settled")
        rig.to(Phase.PROVING)
        assert rig.ask("abandon").accepted
        self.ended(rig, {rig.first_key: True})

    def test_with_a_push_unanswered_is_refused_until_it_is_settled(self, rig: Rig) -> None:
        rig.spoil(Late(), northflank="POST")
        rig.spoil(REFUSED, northflank="POST", times=None)
        rig.begin()
        rig.run(lambda state: state.pushes_sent == 1)
        refused(rig, "abandon", "isn't settled")
        rig.wait(timedelta(minutes=2))
        assert rig.ask("abandon").accepted
        self.ended(rig, {rig.first_key: True})

    def test_of_a_push_that_all_integrations_show_confirms_it_and_lets_the_old_key_go(self, rig: Rig) -> None:
        rig.spoil(Reset(when="after"), northflank="POST")
        rig.begin()
        rig.run(lambda state: state.pushes_sent == 1)
        rig.wait(timedelta(minutes=2))
        assert rig.ask("abandon").accepted
        self.ended(rig, {rig.first_key: True, rig.held(): True})
        assert rig.state.current == rig.held()

    def test_in_grace_lets_the_old_key_go(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.GRACE)
        assert rig.ask("abandon").accepted
        self.ended(rig, {rig.first_key: True, rig.held(): True})
        assert rig.origin(rig.first_key) is Origin.RELEASED

    def test_in_quarantine_wants_an_undo_first(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.QUARANTINE)
        refused(rig, "abandon", "`rotator undo` first")
        assert rig.ask("undo").accepted
        rig.tick()
        assert rig.ask("abandon").accepted
        self.ended(rig, {rig.first_key: True, rig.held(): True})

    def test_once_the_deletion_has_begun_is_refused(self, rig: Rig) -> None:
        rig.aws.denied.add("iam:DeleteAccessKey")
        rig.begin()
        rig.hold(HoldReason.REVOKE_REFUSED)
        refused(rig, "abandon", "the deletion has begun")

    def ended(self, rig: Rig, keys: dict[str, bool]) -> None:
        rig.finish()
        assert rig.state.rotation is None
        rig.wait(DAYS)
        rig.tick()
        assert rig.listed() == keys
        assert rig.events("rotation.abandoned")


class TestUndo:
    def test_in_disabling(self, make_rig: MakeRig) -> None:
        rig = make_rig({"window": "Mon 09:00-17:00 UTC", "every": "60d"})
        rig.adopt()
        rig.wait(timedelta(hours=2))
        assert rig.ask("rotate").accepted
        rig.to(Phase.DISABLING)
        assert rig.ask("undo").accepted
        rig.wait(timedelta(days=20))
        rig.tick()
        assert rig.listed() == {rig.first_key: True, rig.held(): True}
        assert rig.state.hold is not None
        assert rig.state.hold.reason is HoldReason.UNDONE

    def test_is_not_forced_on_others_who_disable_the_key(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.QUARANTINE)
        assert rig.ask("undo").accepted
        rig.tick()
        assert rig.listed()[rig.first_key]
        rig.wait(timedelta(minutes=2))
        rig.tick()
        rig.disable(rig.first_key)
        rig.tick()
        assert not rig.listed()[rig.first_key]

    @pytest.mark.parametrize("phase", [Phase.IDLE, Phase.PROVING, Phase.GRACE])
    def test_elsewhere_is_refused(self, rig: Rig, phase: Phase) -> None:
        rig.begin()
        rig.to(phase)
        refused(rig, "undo", "nothing to undo")


def test_a_rotation_says_at_once_what_is_in_its_way(rig: Rig) -> None:
    rig.adopt()
    assert rig.ask("pause").accepted
    asked = rig.ask("rotate", now=True)
    assert asked.accepted
    assert "paused: it begins after `rotator unpause`" in (asked.answer or "")
    assert rig.ask("unpause").accepted
    assert rig.ask("freeze", credential=None).accepted
    assert "every change is frozen: it begins after `rotator unfreeze`" in (rig.ask("rotate", now=True).answer or "")
    assert rig.ask("unfreeze", credential=None).accepted
    assert "but" not in (rig.ask("rotate", now=True).answer or "")
    rotated(rig)


class TestPause:
    @pytest.mark.parametrize(
        ("phase", "action"),
        [
            (Phase.IDLE, "CreateAccessKey"),
            (Phase.GRACE, "UpdateAccessKey"),
            (Phase.QUARANTINE, "DeleteAccessKey"),
        ],
    )
    def test_stops_what_is_not_yet_begun(self, rig: Rig, phase: Phase, action: str) -> None:
        rig.begin()
        rig.to(phase)
        assert rig.ask("pause").accepted
        rig.restart()
        for _ in range(3):
            rig.wait(timedelta(days=3))
            rig.tick()
        assert rig.asked(action) == 0
        assert rig.ask("unpause").accepted
        rotated(rig)

    def test_lets_a_push_that_was_sent_come_to_its_end(self, rig: Rig) -> None:
        rig.spoil(Reset(), northflank="POST")
        rig.begin()
        rig.run(lambda state: state.pushes_sent == 1)
        assert rig.ask("pause").accepted
        rig.to(Phase.GRACE)
        assert rig.held() != rig.first_key


class TestFreeze:
    @pytest.mark.parametrize("phase", [Phase.IDLE, Phase.PROVING, Phase.GRACE, Phase.QUARANTINE])
    def test_stops_every_change_of_the_store(self, rig: Rig, phase: Phase) -> None:
        rig.begin()
        rig.to(phase)
        keys, pushes = rig.listed(), rig.pushes()
        assert rig.ask("freeze", credential=None).accepted
        rig.restart()
        for _ in range(3):
            rig.wait(timedelta(days=3))
            rig.tick()
        assert (rig.listed(), rig.pushes()) == (keys, pushes)
        assert "frozen" in rig.events("finding")[-1]["reason"]
        assert rig.ask("unfreeze", credential=None).accepted
        rotated(rig)
