"""P8 as a property: whatever is done to one clock, a wait that protects is as long as it says, and no longer."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from rotator.model import Phase, State, Suspect
from rotator.policy import Policy
from rotator.rotation.clocks import CLOCK_TOLERANCE, LONGEST_RETRY, Clocks, within_reason
from tests.rotation.world import T0

POLICY = Policy()
SKEWS = st.timedeltas(timedelta(days=-4000), timedelta(days=4000))
STEPS = st.lists(st.tuples(st.timedeltas(timedelta(0), timedelta(hours=12)), SKEWS), min_size=1, max_size=12)
"""How much time passes before each look, and how far the clock that lies is off at that look."""


def seen(state: State, clocks: Clocks) -> State:
    return within_reason(state, clocks, POLICY, settled=True, lag_over=True)


def looks(true: list[timedelta], skews: list[timedelta], *, ours_lies: bool) -> list[Clocks]:
    return [
        Clocks(T0 + at + skew, T0 + at) if ours_lies else Clocks(T0 + at, T0 + at + skew)
        for at, skew in zip(true, skews, strict=True)
    ]


@given(steps=STEPS, first=SKEWS, ours_lies=st.booleans())
def test_a_wait_never_ends_early_while_one_of_the_clocks_is_right(
    steps: list[tuple[timedelta, timedelta]], first: timedelta, ours_lies: bool
) -> None:
    true = [sum((step for step, _ in steps[: n + 1]), timedelta(0)) for n in range(len(steps))]
    begin = looks([timedelta(0)], [first], ours_lies=ours_lies)[0]
    quarantined = Suspect("k", begin.now + POLICY.quarantine, T0 + POLICY.quarantine if ours_lies else None)
    state = State(phase=Phase.GRACE, since=begin.now, since_vendor=begin.vendor_now, suspects=(quarantined,))
    for at, clocks in zip(true, looks(true, [skew for _, skew in steps], ours_lies=ours_lies), strict=True):
        state = seen(state, clocks)
        if clocks.ended(state, POLICY.grace):
            assert at >= POLICY.grace
        [suspect] = state.suspects
        if clocks.past(suspect.until, suspect.until_vendor):
            assert at >= POLICY.quarantine


@given(skew=SKEWS, vendor_skew=SKEWS, wait=st.timedeltas(timedelta(0), timedelta(days=4000)))
def test_no_wait_outlasts_its_own_length_once_both_clocks_are_right(
    skew: timedelta, vendor_skew: timedelta, wait: timedelta
) -> None:
    """Both clocks were off by anything when the moments were set; now both are right."""
    set_at = Clocks(T0 + skew, T0 + vendor_skew)
    state = State(
        phase=Phase.GRACE,
        since=set_at.now,
        since_vendor=set_at.vendor_now,
        not_before=set_at.now + wait,
        waits=wait,
        suspects=(Suspect("k", set_at.now + POLICY.quarantine, T0 + vendor_skew + POLICY.quarantine),),
    )
    right = seen(state, Clocks(T0, T0))
    assert right.not_before is not None
    assert right.not_before <= T0 + min(wait, max(POLICY.backoff_max, LONGEST_RETRY))
    later = T0 + CLOCK_TOLERANCE + max(POLICY.grace, POLICY.quarantine)
    assert Clocks(later, later).ended(right, POLICY.grace)
    [suspect] = right.suspects
    assert Clocks(later, later).past(suspect.until, suspect.until_vendor)


@given(skew=SKEWS)
def test_a_clock_that_is_off_judges_none_of_its_own_moments(skew: timedelta) -> None:
    state = State(phase=Phase.GRACE, since=T0, since_vendor=T0, not_before=T0 + timedelta(days=9))
    clocks = Clocks(T0 + skew, T0)
    judged = replace(seen(state, clocks), clock_off_since=None)
    assert clocks.apart == (abs(skew) > CLOCK_TOLERANCE)
    assert (judged == state) or not clocks.apart
