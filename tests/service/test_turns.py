"""Which credential a free worker takes next."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.model import Asked, MintIntent, Phase, Rotation, State
from rotator.rotation.managed import Managed
from rotator.service.turns import Rank, Turn, Turns, rank
from tests.rotation.world import T0
from tests.support.fixtures import MakeRig, http, make_rig, prepare

__all__ = ("http", "make_rig", "prepare")

DAYS = timedelta(days=1)
YOUNG = State(phase=Phase.IDLE, current="k1", current_since=T0 - DAYS)
RUN = Rotation("r", "due", T0)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State(phase=Phase.MINTING, current="k1", mint=MintIntent(frozenset(), T0)), Rank.IN_HAND),
        (State(phase=Phase.PUSHING, current="k1", candidate="k2"), Rank.IN_HAND),
        (State(phase=Phase.IDLE, current="k1", asked=Asked("leaked", emergency=True)), Rank.EMERGENCY),
        (State(phase=Phase.MINTING, rotation=RUN), Rank.EMERGENCY),
        (State(phase=Phase.IDLE, current="k1", current_since=T0 - 91 * DAYS), Rank.OVERDUE),
        (State(phase=Phase.IDLE, current="k1", current_since=T0 - 31 * DAYS), Rank.DUE),
        (State(phase=Phase.GRACE, current="k1", current_since=T0 - DAYS, rotation=RUN), Rank.DUE),
        (YOUNG, Rank.LOOK),
    ],
)
def test_what_is_in_hand_goes_first_then_the_more_urgent(make_rig: MakeRig, state: State, expected: Rank) -> None:
    assert rank(make_rig({}).managed(), state, T0) is expected


AWS, AZURE = frozenset({"cloud aws", "token a"}), frozenset({"cloud azure", "token a"})


def names(*turns: Turn | None) -> list[str | None]:
    return [turn.name if turn is not None else None for turn in turns]


def test_among_equals_the_first_that_came_goes_first() -> None:
    turns = Turns(workers=4)
    for name, urgency in (("a", Rank.LOOK), ("b", Rank.DUE), ("c", Rank.IN_HAND), ("d", Rank.DUE)):
        turns.offer(name, urgency, AWS)
    assert names(*(turns.take() for _ in range(5))) == ["c", "b", "d", "a", None]


def fleet(make_rig: MakeRig, *ways: frozenset[str]) -> list[Managed]:
    one = make_rig({}).managed()
    return [replace(one, ways=each) for each in ways]


def test_one_cloud_takes_three_quarters_of_the_workers_and_the_others_the_rest(make_rig: MakeRig) -> None:
    turns = Turns(workers=8)
    turns.serve(fleet(make_rig, AWS, AZURE))
    for n in range(10):
        turns.offer(f"aws-{n}", Rank.IN_HAND, AWS)
    taken = [turns.take() for _ in range(7)]
    assert names(*taken) == [*(f"aws-{n}" for n in range(6)), None]
    turns.offer("azure", Rank.LOOK, AZURE)
    assert names(turns.take(), turns.take()) == ["azure", None]
    assert taken[0] is not None
    turns.done(taken[0])
    assert names(turns.take(), turns.take()) == ["aws-6", None]


def test_one_token_takes_three_quarters_of_the_workers(make_rig: MakeRig) -> None:
    slow, quick = frozenset({"cloud aws", "token slow"}), frozenset({"cloud aws", "token quick"})
    turns = Turns(workers=4)
    turns.serve(fleet(make_rig, slow, quick))
    for n in range(4):
        turns.offer(f"slow-{n}", Rank.DUE, slow)
    turns.offer("quick", Rank.LOOK, quick)
    assert names(*(turns.take() for _ in range(5))) == ["slow-0", "slow-1", "slow-2", "quick", None]


def test_a_cloud_that_is_alone_takes_all_workers(make_rig: MakeRig) -> None:
    turns = Turns(workers=4)
    turns.serve(fleet(make_rig, AWS, AWS))
    for n in range(4):
        turns.offer(f"aws-{n}", Rank.DUE, AWS)
    assert None not in [turns.take() for _ in range(4)]


def test_among_equals_the_cloud_with_the_fewest_workers_goes_first(make_rig: MakeRig) -> None:
    turns = Turns(workers=8)
    turns.serve(fleet(make_rig, AWS, AZURE))
    for n in range(3):
        turns.offer(f"aws-{n}", Rank.DUE, AWS)
    for n in range(3):
        turns.offer(f"azure-{n}", Rank.DUE, AZURE)
    assert names(*(turns.take() for _ in range(6))) == ["aws-0", "azure-0", "aws-1", "azure-1", "aws-2", "azure-2"]


def test_one_credential_has_one_worker_at_a_time() -> None:
    turns = Turns(workers=4)
    turns.offer("a", Rank.DUE, AWS)
    first = turns.take()
    turns.offer("a", Rank.DUE, AWS)
    assert turns.take() is None
    assert first is not None
    turns.done(first)
    assert names(turns.take(), turns.take()) == ["a", None]
