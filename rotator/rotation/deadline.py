"""One deadline over a whole call, watched from outside: SDKs bound each read, never the sum of them."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import timedelta
from typing import TypeVar

from rotator.errors import CallFailed, Verdict

Value = TypeVar("Value")


class Watch:
    """Runs calls on threads of its own and stops waiting for them at the deadline.

    A thread can't be killed: a call given up goes on, and may still be applied. `busy` tells while it may.
    """

    def __init__(self, *, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="call")
        self._given_up: defaultdict[str, list[Future[object]]] = defaultdict(list)
        self._lock = threading.Lock()

    def call(self, credential: str, make: Callable[[], Value], deadline: timedelta) -> Value:
        """The call's result.

        Raises:
            CallFailed: UNKNOWN at the deadline, NOT_APPLIED if no thread was free until then; or what the call raised.
        """
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
        with self._lock:
            self._given_up[credential].append(future)  # type: ignore[arg-type]  # only ever asked whether it is done
        raise CallFailed(f"no complete answer within {waited}", verdict=Verdict.UNKNOWN, code="deadline")

    def busy(self, credential: str) -> bool:
        """A call of this credential was given up, and `ended` has not told of its end."""
        with self._lock:
            return credential in self._given_up

    def ended(self, credential: str) -> bool:
        """True once after the threads of all such calls have ended: whatever they did, they do no more."""
        with self._lock:
            calls = self._given_up.get(credential, [])
            if not calls or not all(call.done() for call in calls):
                return False
            del self._given_up[credential]
            return True

    def close(self) -> None:
        """Take no more calls; those under way are not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
