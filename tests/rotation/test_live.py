"""What the process remembers of a credential: for one thread at a time, and no longer than it is in the config."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import pytest
from pydantic import SecretStr

from rotator.errors import Verdict
from rotator.material import Material
from rotator.model import Outcome, Proof
from rotator.rotation.live import Live, Memory
from rotator.rotation.pulse import Pulse
from tests.support.clocks import Seconds
from tests.support.patience import patience

REQUESTS = "the requests"
ID, NAME = "aws:user/byoc", "prod-aws"
MATERIAL = Material(secret={"apiKey": SecretStr("s")})
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture
def pulse(clock: Seconds) -> Pulse:
    return Pulse(clock)


@pytest.fixture
def memory(pulse: Pulse) -> Memory:
    return Memory(pulse)


def learn(live: Live) -> None:
    """Something of everything."""
    live.take(MATERIAL, 1)
    live.outcome = Outcome(Verdict.DONE)
    live.unread = 3
    live.unsettle(0.0)


def knows(live: Live) -> list[object]:
    """What it holds, but for calls and `settle`."""
    return [live.candidate(1), live.outcome, live.unread]


def knows_nothing(live: Live) -> bool:
    return knows(live) == [None, None, 0]


@pytest.mark.realtime
class TestTurns:
    def test_a_thread_that_waits_gives_signs_of_life_and_gets_its_turn(
        self, memory: Memory, pulse: Pulse, clock: Seconds
    ) -> None:
        """A watchdog must not end a service because two threads want one credential."""
        waiting, done = threading.Event(), threading.Event()

        def wait_for_a_turn() -> None:
            with pulse.working(REQUESTS):
                waiting.set()
                with memory.turn(ID, NAME):
                    done.set()

        thread = threading.Thread(target=wait_for_a_turn)
        with memory.turn(ID, NAME):
            thread.start()
            assert waiting.wait(patience())
            clock.now = 100.0
            pulse.beat()  # of the one who works
            until = time.monotonic() + patience()
            while pulse.quietest()[1] > 0:
                assert time.monotonic() < until, "it was silent while it waited"
                time.sleep(0.05)
            assert not done.is_set(), "one at a time (P6)"
        thread.join()
        assert done.is_set()
        assert pulse.quietest()[1] == 0, "nobody works any more"

    def test_threads_that_come_at_once_get_one_and_the_same_memory(self, memory: Memory) -> None:
        inside = []

        def work(_: int) -> Live:
            with memory.turn(ID, NAME) as live:
                inside.append(1)
                assert len(inside) == 1
                inside.pop()
                return live

        with ThreadPoolExecutor(8) as pool:
            assert len(set(map(id, pool.map(work, range(50))))) == 1

    def test_two_credentials_do_not_wait_for_each_other(self, memory: Memory) -> None:
        with memory.turn(ID, NAME) as one, memory.turn("aws:user/other", "other") as other:
            assert one is not other


class TestTheCandidate:
    def test_is_that_of_its_own_mint_only(self) -> None:
        live = Live()
        live.take(MATERIAL, 1)
        candidate = live.candidate(1)
        assert candidate is not None
        assert candidate.material is MATERIAL
        assert live.candidate(2) is None
        live.drop_material()
        assert live.candidate(1) is None
        assert not live.holds_material

    def test_counts_its_successes_in_a_row(self) -> None:
        said = iter([Proof.ALIVE, Proof.ALIVE, Proof.NOT_YET, Proof.ALIVE])

        class Cloud:
            def prove(self, material: Material) -> Proof:
                assert material is MATERIAL
                return next(said)

        live = Live()
        live.take(MATERIAL, 1)
        candidate = live.candidate(1)
        assert candidate is not None
        counts = []
        for _ in range(4):
            candidate.prove(Cloud())
            counts.append(candidate.proofs)
        assert counts == [1, 2, 0, 1]


class TestSettle:
    def test_is_over_by_the_monotonic_clock_alone(self) -> None:
        live = Live()
        assert live.settle_left(MINUTE, 5.0) == timedelta(0)
        live.unsettle(10.0)
        assert live.settle_left(MINUTE, 30.0) == timedelta(seconds=40)
        assert live.settle_left(MINUTE, 70.0) == timedelta(0)


class TestACredentialThatLeavesTheConfig:
    def test_is_forgotten(self, memory: Memory) -> None:
        with memory.turn(ID, NAME) as live:
            learn(live)
        memory.keep({"another"})
        assert not memory.peek(ID).holds_material
        memory.keep({ID})
        with memory.turn(ID, NAME) as live:
            assert knows_nothing(live)
            assert live.settle_left(MINUTE, 0.0) == timedelta(0)

    def test_one_that_stays_is_not(self, memory: Memory) -> None:
        with memory.turn(ID, NAME) as live:
            learn(live)
        memory.keep({ID, "another"})
        with memory.turn(ID, NAME) as kept:
            assert kept is live
            assert None not in knows(kept)

    def test_is_not_forgotten_mid_way_but_at_the_end_of_the_turn(self, memory: Memory) -> None:
        with memory.turn(ID, NAME) as live:
            learn(live)
            memory.keep(set())
            memory.keep({ID})  # back before the turn is over
            assert None not in knows(live)
        with memory.turn(ID, NAME) as live:
            assert knows_nothing(live)

    def test_nor_under_a_thread_that_waits_for_its_turn(self, memory: Memory) -> None:
        """Else a third thread would get a turn of its own beside it (P6)."""
        waiting, working, go_on = threading.Event(), threading.Event(), threading.Event()
        its: list[Live] = []

        def wait_for_a_turn() -> None:
            waiting.set()
            with memory.turn(ID, NAME) as live:
                its.append(live)
                working.set()
                go_on.wait(patience())

        thread = threading.Thread(target=wait_for_a_turn)
        with memory.turn(ID, NAME):
            thread.start()
            assert waiting.wait(patience())
            memory.keep(set())
        assert working.wait(patience())
        assert memory.peek(ID) is its[0]
        go_on.set()
        thread.join()

    def test_its_calls_under_way_and_settle_are_kept(self, memory: Memory) -> None:
        """They may still change something outside, whatever the config says."""
        call: Future[object] = Future()
        with memory.turn(ID, NAME) as live:
            learn(live)
            live.given_up.add(call)
        memory.keep(set())
        memory.keep({ID})
        with memory.turn(ID, NAME) as live:
            assert knows_nothing(live)
            assert live.given_up.busy()
            assert live.settle_left(MINUTE, 0.0) == MINUTE
            learn(live)
        with memory.turn(ID, NAME) as live:
            assert None not in knows(live), "it is emptied once"
            call.set_result(None)
            assert live.given_up.ended()

    def test_a_turn_that_began_with_the_former_config_leaves_nothing(self, memory: Memory) -> None:
        memory.keep(set())
        with memory.turn(ID, NAME) as live:
            learn(live)
        assert not memory.peek(ID).holds_material
