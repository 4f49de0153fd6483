"""The deadline over a whole call: what is given up goes on, and is known to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from rotator.errors import CallFailed, Verdict
from rotator.rotation.deadline import Watch
from tests.support.patience import patience

pytestmark = pytest.mark.realtime

SOON = timedelta(seconds=patience(0.1))  # long enough for a thread to take the call up
LONG = timedelta(seconds=patience())


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch(threads=2)
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


def give_up(watch: Watch, call: Stuck, credential: str = "prod") -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        watch.call(credential, call, SOON)
    return caught.value


def settle(watch: Watch) -> None:
    """Return once a thread has become free: the pool's calls end in some order, this one last."""
    watch.call("another", lambda: None, LONG)


def test_a_call_in_time_gives_its_result(watch: Watch) -> None:
    assert watch.call("prod", lambda: 42, LONG) == 42
    assert not watch.busy("prod")


def test_what_the_call_raises_comes_through(watch: Watch) -> None:
    def late() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        watch.call("prod", late, LONG)
    assert not watch.busy("prod")


def test_at_the_deadline_the_outcome_is_unknown_and_the_credential_busy(watch: Watch) -> None:
    stuck = Stuck()
    assert give_up(watch, stuck).verdict is Verdict.UNKNOWN
    assert watch.busy("prod")
    assert not watch.busy("another")
    assert not watch.ended("prod")
    stuck.go.set()


def test_it_stays_busy_until_somebody_has_taken_note_of_the_end(watch: Watch) -> None:
    """Else a look that began before the end could judge what was seen before it."""
    stuck = Stuck()
    give_up(watch, stuck)
    other = Stuck()
    give_up(watch, other, "another")
    stuck.go.set()
    settle(watch)
    assert watch.busy("prod")
    assert watch.ended("prod")
    assert not watch.busy("prod")
    assert not watch.ended("prod")
    other.go.set()


def test_the_last_of_several_calls_counts(watch: Watch) -> None:
    first, second = Stuck(), Stuck()
    give_up(watch, first)
    give_up(watch, second)
    second.go.set()
    settle(watch)
    assert not watch.ended("prod")
    assert watch.busy("prod")
    first.go.set()


def test_a_call_that_found_no_thread_is_never_made(watch: Watch) -> None:
    stuck = [Stuck(), Stuck()]
    for call in stuck:
        give_up(watch, call, "another")
    queued = Stuck()
    queued.go.set()
    assert give_up(watch, queued).verdict is Verdict.NOT_APPLIED
    for call in stuck:
        call.go.set()
    settle(watch)
    settle(watch)
    assert not queued.made
    assert not watch.busy("prod")
