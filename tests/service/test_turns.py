"""Which credential a free worker takes next."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rotator.model import Asked, MintIntent, Phase, Rotation, State
from rotator.service.turns import Rank, Turns, rank
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


def test_among_equals_the_first_that_came_goes_first() -> None:
    turns = Turns()
    for name, urgency in (("a", Rank.LOOK), ("b", Rank.DUE), ("c", Rank.IN_HAND), ("d", Rank.DUE)):
        turns.offer(name, urgency)
    assert [turns.take() for _ in range(4)] == ["c", "b", "d", "a"]
