"""The service's timing, by APScheduler: one date job for each credential at its next look, and what recurs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.job import Job
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler


class Timers:
    """Calls at the time that was asked for. Thread-safe.

    Args:
        offer: called with a credential's name when its time has come; must not take long.
    """

    def __init__(self, offer: Callable[[str], None]) -> None:
        self._offer = offer
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._stopped = False
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(1)},
            # The library's defaults drop jobs that are late; ours are never late enough to be dropped.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )

    def start(self) -> None:
        """From now on, what is due is called."""
        self._scheduler.start()

    def stop(self) -> None:
        """Call nothing any more. What is under way is not waited for."""
        with self._lock:
            self._stopped = True
        self._scheduler.remove_all_jobs()
        self._scheduler.shutdown(wait=False)

    def every(self, seconds: float, name: str, work: Callable[[], None]) -> None:
        """Do this again and again, on a thread of its own: what blocks must keep nothing else waiting.

        Said again, it begins anew by the clock as it is then: one set before a jump back would sleep as long.
        """
        with suppress(ValueError):  # it has its thread already
            self._scheduler.add_executor(ThreadPoolExecutor(1), alias=name)
        self._scheduler.add_job(work, "interval", seconds=seconds, executor=name, id=name, replace_existing=True)

    def at(self, name: str, when: datetime) -> None:
        """Offer the credential at this time, and at no other.

        Each job has an id of its own: one that is due while its namesake still runs would be dropped by the library.
        """
        with self._lock:
            if self._stopped:
                return
            former = self._jobs.get(name)
            if former is not None:
                with suppress(JobLookupError):  # it has run
                    former.remove()
            self._jobs[name] = self._scheduler.add_job(self._offer, "date", run_date=when, args=[name])
