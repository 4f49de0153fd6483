"""What all providers share: one value for each way into a cloud, as long as a provider holds it."""

from __future__ import annotations

import gc
import threading

import pytest

from rotator.errors import CallFailed, RotatorError, Verdict
from rotator.providers._shared import Shared, unmet


class Session:
    def __init__(self, way: str) -> None:
        self.way = way


def test_one_value_for_each_way_while_it_is_held() -> None:
    sessions = Shared(Session)
    one, other = sessions.of("one"), sessions.of("other")
    assert sessions.of("one") is one
    assert (one.way, other.way) == ("one", "other")


def test_what_no_provider_holds_is_made_anew() -> None:
    made: list[str] = []

    def make(way: str) -> Session:
        made.append(way)
        return Session(way)

    sessions = Shared(make)
    held = sessions.of("one")
    del held
    gc.collect()
    sessions.of("one")
    assert made == ["one", "one"]


def test_threads_that_come_at_once_get_the_same() -> None:
    sessions, found = Shared(Session), []
    begin = threading.Barrier(8)

    def come() -> None:
        begin.wait()
        found.append(sessions.of("one"))

    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(session) for session in found}) == 1


def test_a_way_that_could_not_be_opened_is_tried_again() -> None:
    unusable = [RotatorError("The file is gone.")]

    def make(way: str) -> Session:
        if unusable:
            raise unusable.pop()
        return Session(way)

    sessions = Shared(make)
    with pytest.raises(RotatorError, match="gone"):
        sessions.of("one")
    assert sessions.of("one").way == "one"


@pytest.mark.parametrize(
    ("verdict", "code", "holds", "remedy"),
    [
        (Verdict.REFUSED, "Denied", False, "No. Grant it."),
        (Verdict.REFUSED, "NotFound", False, "No. Look."),
        (Verdict.UNKNOWN, "no-answer", None, "No. Look."),
        (Verdict.NOT_APPLIED, "429", None, "No. Look."),
    ],
)
def test_only_a_refusal_shows_that_a_right_is_missing(
    verdict: Verdict, code: str, holds: bool | None, remedy: str
) -> None:
    failure = CallFailed("No", verdict=verdict, code=code, remedy="Look.")
    right = unmet("read", failure, grant="Grant it.", denied={"Denied"})
    assert (right.holds, right.remedy) == (holds, remedy)
