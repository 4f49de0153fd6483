"""P3: a key that rotator neither minted nor adopted is never touched, unless an operator names it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from rotator.attention import HoldReason
from rotator.model import Origin, Phase
from rotator.sandbox.aws.scene import USER
from rotator.sandbox.wire.rules import Reset
from tests.support.fixtures import MakeRig
from tests.support.rig import Rig


def lost_mint(rig: Rig, *, applied: bool) -> None:
    rig.spoil(Reset(when="after" if applied else "before"), aws="CreateAccessKey")
    rig.begin()
    rig.run(lambda state: state.mint is not None)


class TestInTheSlot:
    def test_it_holds_the_rotation_which_tells_all_about_it(self, rig: Rig) -> None:
        rig.adopt()
        material = rig.aws.create_key(USER)
        key_id = material.public["accessKey"]
        rig.foreign.add(key_id)
        rig.wait(timedelta(days=3))
        assert rig.aws.works(material, region="eu-west-2")
        rig.begin()
        detail = rig.hold(HoldReason.SLOTS_FULL).detail
        assert f"{key_id} (foreign, created 2026-11-23, 3d old, last used 2026-11-26 10:00 UTC by sts)" in detail
        assert f"{rig.first_key} (current, created 2026-11-23, 3d old, never used)" in detail
        assert f"none can be named as spare: every foreign key ({key_id}) was used in the last 30 days" in detail
        assert rig.asked("CreateAccessKey") == 0
        assert rig.events("rotation.held")[-1]["reason"] == detail

    def test_nothing_that_a_person_may_ask_for_touches_it(self, rig: Rig) -> None:
        rig.adopt()
        foreign = rig.make_key()
        rig.begin()
        rig.hold(HoldReason.SLOTS_FULL)
        everything: list[tuple[str, dict[str, Any]]] = [
            ("resume", {}),
            ("rotate", {"leaked": True}),
            ("rotate", {"leaked": True, "key_id": foreign}),
            ("undo", {}),
            ("abandon", {}),
        ]
        for kind, arguments in everything:
            rig.ask(kind, **arguments)
            rig.run(lambda state: state.hold is not None or state.phase is Phase.IDLE)
        assert rig.listed() == {rig.first_key: True, foreign: True}

    def test_a_resume_goes_on_once_the_slot_is_free(self, rig: Rig) -> None:
        rig.adopt()
        foreign = rig.make_key()
        rig.begin()
        rig.hold(HoldReason.SLOTS_FULL)
        rig.delete(foreign)
        assert rig.ask("resume").accepted
        rig.finish()
        assert rig.listed() == {rig.held(): True}


class TestDuringARotation:
    @pytest.mark.parametrize("phase", [Phase.GRACE, Phase.QUARANTINE])
    def test_one_that_appears_where_room_is_made_is_left_alone(self, rig: Rig, phase: Phase) -> None:
        rig.begin()
        rig.to(phase)
        rig.delete(rig.first_key)
        foreign = rig.make_key()
        rig.finish()
        assert rig.listed() == {rig.held(): True, foreign: True}
        assert foreign in rig.events("finding")[-1]["reason"]

    def test_it_is_told_once(self, rig: Rig) -> None:
        rig.adopt()
        foreign = rig.make_key()
        for _ in range(3):
            rig.tick()
            rig.restart()
        assert len([event for event in rig.events("finding") if f"unknown key {foreign}" in event["reason"]]) == 1
        assert rig.events("key.classified", code="foreign", key_ids=[foreign])


class TestAroundALostMint:
    def test_one_that_was_used_is_nobodys_guess(self, rig: Rig) -> None:
        lost_mint(rig, applied=False)
        material = rig.aws.create_key(USER)
        rig.foreign.add(material.public["accessKey"])
        assert rig.aws.works(material)
        rig.hold(HoldReason.SLOTS_FULL)
        assert rig.asked("UpdateAccessKey") == 0

    def test_one_that_is_older_or_younger_than_the_mint_is_foreign(self, rig: Rig) -> None:
        lost_mint(rig, applied=False)
        rig.wait(timedelta(seconds=62))
        foreign = rig.make_key()
        rig.hold(HoldReason.SLOTS_FULL)
        assert rig.origin(foreign) is Origin.FOREIGN

    def test_the_policy_can_leave_the_guess_to_a_person(self, make_rig: MakeRig) -> None:
        rig = make_rig({"on_unattributed": "hold"})
        lost_mint(rig, applied=True)
        [ours] = rig.listed().keys() - {rig.first_key}
        assert ours in rig.hold(HoldReason.UNATTRIBUTED).detail
        rig.wait(timedelta(days=3))
        rig.tick()
        assert rig.listed() == {rig.first_key: True, ours: True}
        assert rig.ask("resume", ours=[ours]).accepted
        rig.finish()
        assert rig.listed() == {rig.held(): True}

    def test_a_person_may_say_that_it_is_theirs(self, make_rig: MakeRig) -> None:
        rig = make_rig({"on_unattributed": "hold"})
        lost_mint(rig, applied=False)
        theirs = rig.make_key()
        rig.hold(HoldReason.UNATTRIBUTED)
        assert rig.ask("resume", foreign=[theirs]).accepted
        rig.hold(HoldReason.SLOTS_FULL)

    def test_a_wrong_guess_can_be_undone_during_quarantine(self, rig: Rig) -> None:
        lost_mint(rig, applied=False)
        theirs = rig.aws.create_key(USER).public["accessKey"]
        rig.run(lambda state: bool(state.suspects))
        assert not rig.listed()[theirs]
        assert any(theirs in event["reason"] for event in rig.events("finding"))
        assert rig.ask("undo").accepted
        rig.tick()
        assert rig.listed()[theirs]
        rig.foreign.add(theirs)
        rig.hold(HoldReason.SLOTS_FULL)
        rig.wait(timedelta(days=10))
        rig.tick()

    def test_one_whose_use_is_reported_only_during_quarantine_is_given_back(self, rig: Rig) -> None:
        rig.aws.last_used_lag = timedelta(hours=4)
        lost_mint(rig, applied=False)
        material = rig.aws.create_key(USER)
        theirs = material.public["accessKey"]
        assert rig.aws.works(material)
        rig.run(lambda state: bool(state.suspects))
        assert not rig.listed()[theirs]
        rig.run(lambda state: not state.suspects)
        rig.tick()
        assert rig.listed()[theirs]
        assert rig.origin(theirs) is Origin.FOREIGN
        rig.foreign.add(theirs)
        rig.hold(HoldReason.SLOTS_FULL)
        assert rig.asked("DeleteAccessKey") == 0

    def test_one_that_somebody_enables_again_is_theirs(self, rig: Rig) -> None:
        lost_mint(rig, applied=False)
        theirs = rig.aws.create_key(USER).public["accessKey"]
        rig.run(lambda state: bool(state.suspects))
        rig.enable(theirs)
        rig.foreign.add(theirs)
        rig.run(lambda state: not state.suspects)
        assert rig.origin(theirs) is Origin.FOREIGN


class TestLetGo:
    def test_what_an_abandoned_rotation_released_is_never_touched_again(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.GRACE)
        assert rig.ask("abandon").accepted
        rig.foreign.add(rig.first_key)
        assert rig.events("key.released", key_ids=[rig.first_key])
        rig.begin()
        assert rig.first_key in rig.hold(HoldReason.SLOTS_FULL).detail
        assert not rig.ask("rotate", leaked=True, key_id=rig.first_key).accepted
        rig.wait(timedelta(days=10))
        rig.tick()

    def test_what_a_forgotten_credential_released_is_never_touched_again(self, make_rig: MakeRig) -> None:
        other = {"name": "other", "user": "other", "integrations": ["other"], "current_key": None}
        rig = make_rig()
        rig.begin()
        rig.to(Phase.GRACE)
        kept = rig.listed()
        rig.add_user("other")
        rig.configure({"credentials": [other]})
        rig.restart()
        assert rig.ask("forget").accepted
        rig.foreign |= kept.keys()
        rig.configure({"credentials": [{}]})
        rig.restart()
        rig.wait(timedelta(days=10))
        rig.run(lambda state: state.hold is not None)
        assert rig.listed() == kept
