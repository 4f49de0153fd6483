"""Who has been silent, and for how long."""

from __future__ import annotations

import threading

import pytest

from rotator.rotation.pulse import Pulse
from tests.support.clocks import Seconds


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture
def pulse(clock: Seconds) -> Pulse:
    return Pulse(clock)


def test_nothing_at_all_is_not_silent(pulse: Pulse, clock: Seconds) -> None:
    clock.now += 1000
    assert pulse.quietest()[1] == 0


def test_a_loop_that_was_marked_once_must_go_on(pulse: Pulse, clock: Seconds) -> None:
    pulse.mark("loop")
    clock.now += 40
    assert pulse.quietest() == ("loop", 40)
    pulse.mark("loop")
    assert pulse.quietest() == ("loop", 0)


def test_work_counts_until_it_is_done(pulse: Pulse, clock: Seconds) -> None:
    with pulse.working("prod-aws"):
        clock.now += 7
        assert pulse.quietest() == ("prod-aws", 7)
        pulse.beat()
        assert pulse.quietest() == ("prod-aws", 0)
    clock.now += 7
    assert pulse.quietest()[1] == 0


def test_work_that_broke_is_done_too(pulse: Pulse, clock: Seconds) -> None:
    with pytest.raises(ZeroDivisionError), pulse.working("prod-aws"):
        _ = 1 / 0
    clock.now += 7
    assert pulse.quietest()[1] == 0


def test_a_beat_counts_for_all_that_its_thread_works_at_and_for_nobody_else(pulse: Pulse, clock: Seconds) -> None:
    started, stop = threading.Event(), threading.Event()

    def stuck() -> None:
        with pulse.working("stuck"):
            started.set()
            stop.wait()

    thread = threading.Thread(target=stuck)
    thread.start()
    started.wait()
    with pulse.working("the requests"), pulse.working("prod-aws"):
        clock.now += 3
        pulse.beat()
        assert pulse.quietest() == ("stuck", 3)
        stop.set()
        thread.join()
        assert pulse.quietest()[1] == 0
