"""The deadline over a whole call: what is given up goes on, and is known to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from rotator.errors import CallFailed, Verdict
from rotator.rotation.deadline import GivenUp, Watch
from tests.support.patience import patience

pytestmark = pytest.mark.realtime

SOON = timedelta(seconds=patience(0.1))  # long enough for a thread to take the call up
LONG = timedelta(seconds=patience())


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch(threads=2, lost=0)
    yield watch
    watch.close()


class Stuck:
    """A call that waits to be let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.made = False

    def __call__(self) -> None:
        self.go.wait()
        self.made = True


@pytest.fixture
def calls() -> GivenUp:
    return GivenUp()


def give_up(watch: Watch, call: Stuck, calls: GivenUp) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        watch.call(call, SOON, calls)
    return caught.value


def settle(watch: Watch) -> None:
    """Return once a thread has become free: the pool's calls end in some order, this one last."""
    watch.call(lambda: None, LONG, GivenUp())


def test_a_call_in_time_gives_its_result(watch: Watch, calls: GivenUp) -> None:
    assert watch.call(lambda: 42, LONG, calls) == 42
    assert not calls.busy()


def test_what_the_call_raises_comes_through(watch: Watch, calls: GivenUp) -> None:
    def late() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        watch.call(late, LONG, calls)
    assert not calls.busy()


def test_at_the_deadline_the_outcome_is_unknown_and_the_credential_busy(watch: Watch, calls: GivenUp) -> None:
    stuck = Stuck()
    assert give_up(watch, stuck, calls).verdict is Verdict.UNKNOWN
    assert calls.busy()
    assert not calls.ended()
    stuck.go.set()


def test_it_stays_busy_until_its_end_was_reported(watch: Watch, calls: GivenUp) -> None:
    """Else a look that began before the end could judge what was seen before it."""
    stuck = Stuck()
    give_up(watch, stuck, calls)
    other = Stuck()
    give_up(watch, other, GivenUp())
    stuck.go.set()
    settle(watch)
    assert calls.busy()
    assert calls.ended()
    assert not calls.busy()
    assert not calls.ended()
    other.go.set()


def test_no_second_call_is_made_beside_one_that_was_given_up(watch: Watch, calls: GivenUp) -> None:
    first, second = Stuck(), Stuck()
    second.go.set()
    give_up(watch, first, calls)
    refused = give_up(watch, second, calls)
    assert (refused.verdict, refused.code) == (Verdict.NOT_APPLIED, "busy")
    first.go.set()
    while calls.alive():
        settle(watch)
    assert not second.made
    assert calls.ended()
    watch.call(second, LONG, calls)
    assert second.made


def test_what_was_given_up_takes_no_thread_from_others() -> None:
    watch = Watch(threads=2)
    stuck = [Stuck() for _ in range(20)]
    for call in stuck:
        give_up(watch, call, GivenUp())
    assert watch.call(lambda: 42, LONG, GivenUp()) == 42
    for call in stuck:
        call.go.set()
    watch.close()


def test_a_call_that_found_no_thread_is_never_made(watch: Watch, calls: GivenUp) -> None:
    stuck = [Stuck(), Stuck()]
    for call in stuck:
        give_up(watch, call, GivenUp())
    queued = Stuck()
    queued.go.set()
    assert give_up(watch, queued, calls).verdict is Verdict.NOT_APPLIED
    for call in stuck:
        call.go.set()
    settle(watch)
    settle(watch)
    assert not queued.made
    assert not calls.busy()
