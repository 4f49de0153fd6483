from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from rotator.http.answers import Answer, NoAnswer
from rotator.northflank.budget import Budget, RateLimits
from tests.support.stepped import Stepped

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def told(left: int | None, *, limit: int = 1000, reset: int = 600, status: int = 200, **fields: str) -> Answer:
    headers = {"x-ratelimit-limit": str(limit), "x-ratelimit-reset": str(reset)}
    if left is not None:
        headers["x-ratelimit-remaining"] = str(left)
    return Answer(
        status, httpx.Headers(headers | {name.replace("_", "-"): value for name, value in fields.items()}), b"", NOW
    )


def after(clock: Stepped, answer: Answer) -> Budget:
    budget = Budget(clock)
    assert budget.admit(urgent=True) is None
    budget.finished(answer)
    return budget


def test_what_is_not_known_is_not_limited() -> None:
    budget = Budget(Stepped())
    assert [budget.admit(urgent=False) for _ in range(2000)] == [None] * 2000


def test_a_reserve_is_kept_for_what_is_urgent() -> None:
    clock = Stepped()
    budget = after(clock, told(51))
    assert budget.admit(urgent=False) is None
    assert budget.admit(urgent=False) == timedelta(seconds=600)
    assert [budget.admit(urgent=True) for _ in range(50)] == [None] * 50
    assert budget.admit(urgent=True) == timedelta(seconds=600)


def test_a_new_period_begins_at_the_reset() -> None:
    clock = Stepped()
    budget = after(clock, told(0, reset=600))
    clock.step(seconds=599)
    assert budget.admit(urgent=True) == timedelta(seconds=1)
    clock.step(seconds=1)
    assert budget.admit(urgent=False) is None


def test_a_small_limit_has_no_reserve() -> None:
    assert after(Stepped(), told(1, limit=5)).admit(urgent=False) is None


def test_over_the_limit_nobody_asks_until_it_is_time() -> None:
    clock = Stepped()
    budget = after(clock, told(None, status=429, retry_after="120"))
    assert budget.admit(urgent=True) == timedelta(seconds=120)
    clock.step(seconds=60)
    assert budget.admit(urgent=True) == timedelta(seconds=60)
    clock.step(seconds=60)
    assert budget.admit(urgent=True) is None


def test_a_shorter_wait_told_later_does_not_shorten_the_longer() -> None:
    clock = Stepped()
    budget = Budget(clock)
    budget.admit(urgent=True)
    budget.admit(urgent=True)
    budget.finished(told(None, status=429, retry_after="120"))
    budget.finished(told(None, status=429, retry_after="5"))
    assert budget.admit(urgent=True) == timedelta(seconds=120)


@pytest.mark.parametrize("result", [NoAnswer("broken", sent=True), told(None), told(None, limit=0, reset=0)])
def test_an_answer_that_does_not_tell_changes_nothing(result: Answer | NoAnswer) -> None:
    budget = after(Stepped(), told(10))
    assert budget.admit(urgent=True) is None
    budget.finished(result)
    assert [budget.admit(urgent=True) for _ in range(10)] == [None] * 10
    assert budget.admit(urgent=True) is not None


@given(st.integers(0, 60), st.lists(st.booleans(), max_size=100))
@settings(deadline=None)
def test_no_more_calls_are_under_way_than_are_left(left: int, urgencies: list[bool]) -> None:
    budget = after(Stepped(), told(left, limit=100))
    admitted = [urgent for urgent in urgencies if budget.admit(urgent=urgent) is None]
    assert len(admitted) <= left
    last_polled = max((at for at, urgent in enumerate(admitted, 1) if not urgent), default=0)
    assert last_polled <= max(left - 5, 0), "what isn't urgent leaves the reserve of 5"


def test_threads_share_what_is_left() -> None:
    budget = after(Stepped(), told(100))
    answers: list[timedelta | None] = []
    begin = threading.Barrier(8)

    def ask() -> None:
        begin.wait()
        answers.extend(budget.admit(urgent=True) for _ in range(50))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.count(None) == 100


def test_one_budget_a_token() -> None:
    limits = RateLimits(Stepped())
    assert limits.of(SecretStr("a")) is limits.of(SecretStr("a"))
    assert limits.of(SecretStr("a")) is not limits.of(SecretStr("b"))


class TestSetAside:
    def test_only_urgent_calls_use_what_is_set_aside_for_a_push(self) -> None:
        clock = Stepped()
        budget = after(clock, told(10, limit=20))
        assert budget.set_aside("prod-aws", 4)
        plain = [budget.admit(urgent=False) for _ in range(10)]
        assert plain.count(None) == 10 - 4 - 1, "the reserve of one stays too"
        urgent = [budget.admit(urgent=True) for _ in range(10)]
        assert urgent.count(None) == 4 + 1

    def test_a_push_that_can_not_be_paid_for_is_not_begun(self) -> None:
        budget = after(Stepped(), told(9, limit=20))
        assert budget.set_aside("one", 4)
        assert budget.set_aside("one", 4), "for one purpose, once"
        assert budget.set_aside("two", 4)
        assert not budget.set_aside("three", 4)
        budget.release("one")
        assert budget.set_aside("three", 4)
