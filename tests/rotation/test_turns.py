"""Whoever waits for a turn is alive: a watchdog must not end a service because two threads want one credential."""

from __future__ import annotations

import threading
import time

import pytest

from rotator.rotation.pulse import Pulse
from rotator.rotation.turns import Turns
from tests.support.patience import patience

pytestmark = pytest.mark.realtime

REQUESTS = "the requests"


def test_a_thread_that_waits_gives_signs_of_life_and_gets_its_turn() -> None:
    seconds = [0.0]
    pulse = Pulse(lambda: seconds[0])
    turns = Turns(pulse)
    waiting, done = threading.Event(), threading.Event()

    def wait_for_a_turn() -> None:
        with pulse.working(REQUESTS):
            waiting.set()
            with turns.of("prod-aws"):
                done.set()

    thread = threading.Thread(target=wait_for_a_turn)
    with turns.of("prod-aws"):
        thread.start()
        assert waiting.wait(patience())
        seconds[0] = 100.0
        pulse.beat()  # of the one who works
        until = time.monotonic() + patience()
        while pulse.quietest()[1] > 0:
            assert time.monotonic() < until, "it was silent while it waited"
            time.sleep(0.05)
        assert not done.is_set(), "one at a time (P6)"
    thread.join()
    assert done.is_set()
    assert pulse.quietest()[1] == 0, "nobody works any more"
