"""First contact where Northflank holds none of the keys that the cloud lists, and an operator says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rotator.attention import HoldReason
from rotator.model import UNMANAGED, Origin, Phase
from rotator.sandbox.northflank.account import Echo
from tests.clouds.clouds import AWS, EVERY, GCP, MINTING, SUPPLIED, Cloud
from tests.clouds.conftest import MakeRig
from tests.clouds.rig import Rig
from tests.clouds.test_rotation import is_rotated

IN_THE_CONFIG = {"current_key": UNMANAGED}


def named(cloud: Cloud) -> str:
    return cloud.name


def lose_the_key_in_use(rig: Rig) -> None:
    """The cloud lists the key that Northflank holds no more: it was deleted, and another system's is there."""
    if rig.cloud.bring is not None:
        rig.bring()
        return
    [first] = rig.listed()
    rig.make_key()
    rig.delete(first)
    rig.cut.add(rig.name)  # until the first push it is cut off


def is_taken_over(rig: Rig) -> None:
    """The first rotation is due at once, and there is nothing to retire."""
    rig.finish()
    rig.cut.clear()
    rig.check_promises()
    is_rotated(rig)
    assert rig.mints() == 1
    if rig.cloud.bring is None:
        assert not [event for event in rig.events() if event["event"] in {"key.disable", "key.delete"}]
        [foreign] = rig.foreign
        record = rig.state.record(foreign)
        assert record is not None
        assert record.origin is Origin.FOREIGN


@pytest.mark.parametrize("cloud", [*MINTING, *SUPPLIED], ids=named)
def test_unmanaged_in_the_config(make_rig: MakeRig) -> None:
    rig = make_rig(credential=IN_THE_CONFIG)
    lose_the_key_in_use(rig)
    listed = set(rig.listed())
    is_taken_over(rig)
    [said] = [event for event in rig.events("finding") if event["code"] == "note:unmanaged"]
    assert all(key_id in said["reason"] for key_id in listed)


@pytest.mark.parametrize("cloud", [*MINTING, *SUPPLIED], ids=named)
def test_unmanaged_by_an_operator(rig: Rig) -> None:
    lose_the_key_in_use(rig)
    listed = set(rig.listed())
    assert "not among the credential's keys" in rig.hold(HoldReason.ADOPT_WHICH).detail
    refused = rig.ask("adopt", key_id="another")
    assert not refused.accepted
    assert "--unmanaged" in (refused.answer or "")
    assert rig.ask("adopt", unmanaged=True).accepted
    [asked] = rig.events("request.answered", outcome="done")
    assert asked["actor"] == "uid:4711 claimed:ada"
    assert all(key_id in asked["reason"] for key_id in listed)
    is_taken_over(rig)


@pytest.mark.parametrize("cloud", EVERY, ids=named)
def test_a_cloud_that_is_full_of_others_keys_is_held_and_names_them(make_rig: MakeRig) -> None:
    rig = make_rig(credential=IN_THE_CONFIG)
    lose_the_key_in_use(rig)
    if rig.can.slots is not None:
        while len(rig.listed()) < rig.can.slots:
            rig.make_key()
        detail = rig.hold(HoldReason.SLOTS_FULL).detail
        assert all(key_id in detail for key_id in rig.listed())
        assert rig.mints() == 0
        for key_id in sorted(rig.foreign)[1:]:
            rig.delete(key_id)
    is_taken_over(rig)


@pytest.mark.parametrize("cloud", [AWS, GCP], ids=named)
def test_a_key_in_use_that_others_disabled_is_replaced_by_an_operators_word(rig: Rig) -> None:
    [first] = rig.listed()
    able = rig.managed().provider.abilities.disables
    assert able is not None
    able.disable(first)
    rig.by_people["disable"] += 1
    rig.cut.add(rig.name)
    assert "is disabled" in rig.hold(HoldReason.ADOPT_WHICH).detail
    refused = rig.ask("adopt", key_id=first)
    assert "--unmanaged" in (refused.answer or "")
    assert rig.ask("adopt", unmanaged=True).accepted
    rig.finish()
    rig.cut.clear()
    rig.check_promises()
    assert set(rig.listed()) == {first, rig.state.current}
    rig.foreign.add(first)
    rig.cut.add(rig.name)


@pytest.mark.parametrize("cloud", [AWS], ids=named)
class TestWhatContradictsIt:
    def test_a_working_key_of_the_list_that_northflank_shows(self, make_rig: MakeRig) -> None:
        rig = make_rig(credential=IN_THE_CONFIG)
        [first] = rig.listed()
        rig.account.behaviour = replace(rig.account.behaviour, echo=Echo.RAW)
        detail = rig.hold(HoldReason.ADOPT_WHICH).detail
        assert "unmanaged" in detail
        assert f"integration {rig.name} holds key {first}" in detail
        refused = rig.ask("adopt", unmanaged=True)
        assert not refused.accepted
        assert f"integration {rig.name} holds key {first}" in (refused.answer or "")
        assert rig.ask("adopt", key_id=first).accepted
        rig.rotate()
        assert rig.alive() == {rig.state.current}

    def test_a_stamp_until_the_operator_overrules_it(self, make_rig: MakeRig) -> None:
        rig = make_rig(credential=IN_THE_CONFIG)
        stamped = f"mine [rotator {rig.journal.store_id} g7 AKIA..WXYZ 2026-01-02]"
        rig.account.put(replace(rig.account.integration(rig.name), description=stamped))
        rig.hold(HoldReason.ADOPT_WHICH)
        assert "--take-over" in (rig.ask("adopt", unmanaged=True).answer or "")
        assert rig.ask("adopt", unmanaged=True, take_over=True).accepted
        rig.foreign |= set(rig.listed())
        rig.finish()
        assert rig.state.phase is Phase.IDLE
        assert rig.state.generation == 8
        assert rig.state.current in rig.alive()

    def test_a_credential_whose_first_contact_was_made(self, rig: Rig) -> None:
        rig.adopt()
        before = rig.state
        answered = rig.ask("adopt", unmanaged=True)
        assert not answered.accepted
        assert "rotator rotate --now" in (answered.answer or "")
        assert rig.state.current == before.current
