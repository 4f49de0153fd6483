"""What time makes of a moment: keys with an end of their own."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rotator.model import Capabilities, IntegrationView, Key, KeyRecord, Observation, Origin, Phase, State
from rotator.northflank.stamp import parse
from rotator.policy import Policy
from rotator.rotation.decide import decide
from rotator.rotation.facts import look
from rotator.rotation.moment import moment_of
from rotator.rotation.schedule import Schedule, Window
from tests.rotation.world import STORE, T0

CAN = Capabilities(slots=None, can_disable=False, exact=True, has_evidence=False)
POLICY = Policy()
CALENDAR = Schedule(POLICY, "identity", Window.parse(None), lambda: 1.0)
STAMPED = f"text [rotator {STORE} g1 2026-11-23]"
HOURS, DAYS = timedelta(hours=1), timedelta(days=1)


def phase_after(phase: Phase, *, age: timedelta, lifetime: timedelta, to_revoke: tuple[str, ...] = ()) -> Phase:
    """Where a tick leads while the current key is so old and lives so long."""
    current = Key("k1", T0 - age, expires_at=T0 - age + lifetime)
    keys = tuple(Key(key_id, T0 - 99 * DAYS) for key_id in to_revoke)
    state = State(
        phase=phase,
        generation=1,
        current="k1",
        current_since=T0 - age,
        since=T0 - age,
        to_revoke=to_revoke,
        keys=(
            KeyRecord("k1", Origin.MINTED, 1, sent=True),
            *(KeyRecord(k, Origin.ADOPTED, sent=True) for k in to_revoke),
        ),
        confirmed_in=frozenset({"i0"}),
    )
    seen = Observation((current, *keys), T0, (IntegrationView("i0", STAMPED, parse(STAMPED)),))
    times = moment_of(
        state,
        policy=POLICY,
        calendar=CALENDAR,
        can=CAN,
        seen=seen,
        now=T0,
        new_rotation_id="r1",
        integrations=frozenset({"i0"}),
        named_key=None,
        has_material=False,
        quiescent=True,
        frozen=False,
        age=lambda moment: T0 - moment,
    )
    return decide(state, look(state, seen, times, CAN, STORE)).state.phase


@pytest.mark.parametrize(
    ("age", "lifetime", "due"),
    [
        (0 * HOURS, 1 * HOURS, False),
        (29 * HOURS / 60, 1 * HOURS, False),
        (31 * HOURS / 60, 1 * HOURS, True),
        (11 * HOURS, 24 * HOURS, False),
        (13 * HOURS, 24 * HOURS, True),
        (2 * DAYS, 10 * DAYS, False),
        (8 * DAYS, 10 * DAYS, True),
        (29 * DAYS, 91 * DAYS, False),
        (89 * DAYS, 91 * DAYS, True),
    ],
)
def test_a_rotation_is_due_before_the_key_ends_and_never_as_soon_as_it_is_made(
    age: timedelta, lifetime: timedelta, due: bool
) -> None:
    calm = age < POLICY.every  # by then the schedule wants it anyway
    assert calm or due
    assert phase_after(Phase.IDLE, age=age, lifetime=lifetime) is (Phase.MINTING if due else Phase.IDLE)


@pytest.mark.parametrize(("age", "after"), [(11 * HOURS, Phase.GRACE), (13 * HOURS, Phase.DELETING)])
def test_grace_gives_way_to_a_key_that_would_end_before_it(age: timedelta, after: Phase) -> None:
    """A cluster that caps its tokens at a day: the next rotation can't wait until the old token has had its grace."""
    assert phase_after(Phase.GRACE, age=age, lifetime=24 * HOURS, to_revoke=("k0",)) is after
