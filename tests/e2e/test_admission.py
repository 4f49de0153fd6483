"""A rotation begins only if it can be finished: what is minted is in memory alone until Northflank has it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.attention import FindingKind
from rotator.model import Phase
from rotator.rotation.admission import FULL, Admission
from rotator.sandbox.wire.rules import Canned
from tests.support.fixtures import MakeRig
from tests.support.rig import Rig

pytestmark = pytest.mark.realtime

COUNT = 6
IN_HAND = 2


@pytest.fixture
def fleet(make_rig: MakeRig) -> Rig:
    """Six users, each with a key that its own integration holds, and all of them due."""
    credentials = [
        {"name": f"user-{n}", "user": f"user-{n}", "integrations": [f"user-{n}"], "current_key": None}
        for n in range(COUNT)
    ]
    rig = make_rig(credentials=credentials, in_hand=IN_HAND)
    for n in range(COUNT):
        name = f"user-{n}"
        rig.add_user(name)
        material = rig.aws.create_key(name)
        rig.put(name, description=name, credentials=material.reveal())
        rig.tick(name)
        assert rig.ask("adopt", credential=name, key_id=material.public["accessKey"]).accepted
        assert rig.ask("rotate", credential=name, now=True).accepted
    return rig


def names() -> list[str]:
    return [f"user-{n}" for n in range(COUNT)]


def in_hand(rig: Rig) -> int:
    """Keys that AWS has and no integration holds, while the former keys live."""
    held = {rig.held(name) for name in names()}
    return sum(key_id not in held for name in names() for key_id in rig.listed(name))


def test_so_many_are_in_hand_and_no_more(fleet: Rig) -> None:
    fleet.spoil(Canned(status=503, body="<html>"), northflank="POST", times=None)
    for _ in range(6):
        for name in names():
            fleet.tick(name)
        assert in_hand(fleet) <= IN_HAND
        fleet.wait(timedelta(seconds=5))
    assert in_hand(fleet) == IN_HAND
    waiting = [name for name in names() if fleet.state_of(name).phase is Phase.IDLE]
    assert len(waiting) == COUNT - IN_HAND
    for name in waiting:
        assert [finding.kind for finding in fleet.state_of(name).findings] == [FindingKind.NOT_ADMITTED]


def test_those_that_wait_are_taken_up_when_a_place_is_free(fleet: Rig) -> None:
    for name in names():
        fleet.tick(name)
    finished = 0
    for _ in range(200):
        fleet.wait(timedelta(seconds=3))
        for name in names():
            fleet.tick(name)
        assert len([n for n in names() if fleet.state_of(n).candidate is not None]) <= IN_HAND
        finished = sum(fleet.state_of(name).phase is Phase.GRACE for name in names())
        if finished == COUNT:
            break
    assert finished == COUNT


def test_an_emergency_takes_no_place(fleet: Rig) -> None:
    fleet.spoil(Canned(status=503, body="<html>"), northflank="POST", times=None)
    for _ in range(6):
        for name in names()[:-1]:
            fleet.tick(name)
        fleet.wait(timedelta(seconds=5))
    assert in_hand(fleet) == IN_HAND
    fleet.heal()
    last = names()[-1]
    former = fleet.held(last)
    assert fleet.ask("rotate", credential=last, leaked=True).accepted
    fleet.run(lambda state: state.phase is Phase.IDLE and state.generation == 1, last)
    assert former not in fleet.listed(last)


def test_a_place_is_left_where_the_rotation_has_to_wait(fleet: Rig) -> None:
    for name in names()[:IN_HAND]:
        assert fleet.ask("pause", credential=name).accepted
        fleet.tick(name)
    third = names()[IN_HAND]
    fleet.run(lambda state: state.phase is Phase.GRACE, third)


def test_waits_cost_northflank_no_call(fleet: Rig) -> None:
    fleet.spoil(Canned(status=503, body="<html>"), northflank="POST", times=None)
    for _ in range(6):
        for name in names():
            fleet.tick(name)
        fleet.wait(timedelta(seconds=5))
    waiting = [name for name in names() if fleet.state_of(name).phase is Phase.IDLE]
    before = len(fleet.faults.requests())
    for name in waiting:
        fleet.tick(name)
    assert len(fleet.faults.requests()) == before


def test_one_cloud_has_three_quarters_of_the_places_at_most(fleet: Rig) -> None:
    aws, azure = frozenset({"cloud aws"}), frozenset({"cloud azure"})
    credentials = [
        replace(fleet.managed(name), ways=azure if n == COUNT - 1 else aws) for n, name in enumerate(names())
    ]
    admission = Admission(4)
    admission.serve(credentials)
    assert [admission.enter(managed) for managed in credentials] == [None, None, None, FULL, FULL, None]
    assert admission.may_try() == ()
    admission.settle(credentials[-1], in_hand=False)
    assert admission.may_try() == (), "the last place isn't AWS's"
    admission.settle(credentials[0], in_hand=False)
    assert admission.may_try() == (names()[3],)
    assert admission.enter(credentials[3]) is None
