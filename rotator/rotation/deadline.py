"""One deadline over a whole call, watched from outside: SDKs bound each read, never the sum of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import timedelta
from typing import TypeVar

from rotator.errors import CallFailed, Verdict

Value = TypeVar("Value")

LOST = 1000
"""Threads beside those in use, for calls that were given up and go on: one of a credential, at most."""


class GivenUp:
    """The calls of one credential that were given up. A thread can't be killed: each may still be applied."""

    def __init__(self) -> None:
        self._calls: list[Future[object]] = []

    def add(self, call: Future[object]) -> None:
        """No caller waits for this call any more."""
        self._calls.append(call)

    def busy(self) -> bool:
        """A call was given up, and `ended` has not reported its end."""
        return bool(self._calls)

    def alive(self) -> bool:
        """A call was given up, and its thread goes on."""
        return any(not call.done() for call in self._calls)

    def ended(self) -> bool:
        """True once after the threads of all these calls have ended: whatever they did, they do no more."""
        if not self._calls or self.alive():
            return False
        self._calls.clear()
        return True


class Watch:
    """Runs calls on threads of its own and stops waiting for them at the deadline.

    What was given up takes no thread from others, and keeps its credential from calling again until it has ended:
    else a cloud that never answers would have one thread more at each look, and a second change beside the first.

    Args:
        threads: so many calls at a time.
        lost: so many calls that were given up beside them.
    """

    def __init__(self, *, threads: int, lost: int = LOST) -> None:
        self._pool = ThreadPoolExecutor(threads + lost, thread_name_prefix="call")

    def call(self, make: Callable[[], Value], deadline: timedelta, given_up: GivenUp) -> Value:
        """The call's result.

        Args:
            make: makes it.
            deadline: how long to wait for it.
            given_up: where it goes if it has begun, and has not ended by then.

        Raises:
            CallFailed: UNKNOWN at the deadline; NOT_APPLIED if no thread was free until then, or as long as another
                call of the same credential goes on that was given up; or what the call raised.
        """
        if given_up.alive():
            raise CallFailed(
                "not sent: an earlier call for this credential was given up, and has not ended",
                verdict=Verdict.NOT_APPLIED,
                code="busy",
                remedy="If this lasts, check DNS and the network between rotator and the cloud.",
            )
        future = self._pool.submit(make)
        try:
            return future.result(timeout=deadline.total_seconds())
        except FutureTimeout:
            if future.done():  # at the last moment, or with a timeout of its own
                return future.result()
        waited = f"{deadline.total_seconds():g} s"
        if future.cancel():
            raise CallFailed(
                f"not sent: every thread waited for other calls for {waited}", verdict=Verdict.NOT_APPLIED, code="busy"
            )
        given_up.add(future)  # type: ignore[arg-type]  # only ever asked whether it is done
        raise CallFailed(f"no complete answer within {waited}", verdict=Verdict.UNKNOWN, code="deadline")

    def close(self) -> None:
        """Take no more calls; those under way are not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
