"""A workload that uses the key which Northflank holds, as production does: several times a second, all the time."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

_HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}
_BODY = b"Action=GetCallerIdentity&Version=2011-06-15"


@dataclass(frozen=True, slots=True)
class Tally:
    """How often the consumer called AWS, how often it was refused, and what it heard the first time."""

    calls: int = 0
    failed: int = 0
    first_failure: str = ""


class Consumer:
    """Calls AWS with the held key on a thread of its own, between entering and leaving its `with` block.

    Args:
        northflank: the address of the Northflank stand-in.
        aws: the address of the AWS stand-in.
        integration: whose credential is used.
        every: seconds between two calls.
    """

    def __init__(self, northflank: str, aws: str, integration: str, *, every: float = 0.2) -> None:
        self._held_url = f"{northflank}/_sandbox/integrations/{integration}/held"
        self._aws = aws
        self._every = every
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._tally = Tally()
        self._thread = threading.Thread(target=self._work, name="consumer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def tally(self) -> Tally:
        """What came of the calls so far."""
        with self._lock:
            return self._tally

    def _work(self) -> None:
        with httpx.Client(timeout=10) as http:
            while not self._stop.wait(self._every):
                failure = self._call(http)
                with self._lock:
                    self._tally = Tally(
                        self._tally.calls + 1,
                        self._tally.failed + bool(failure),
                        self._tally.first_failure or failure,
                    )

    def _call(self, http: httpx.Client) -> str:
        """One call. Returns what went wrong, or nothing."""
        held = http.get(self._held_url).json()
        request = AWSRequest("POST", self._aws, headers=_HEADERS, data=_BODY)
        SigV4Auth(Credentials(held["accessKey"], held["secretKey"]), "sts", "eu-west-1").add_auth(request)
        answer = http.post(self._aws, headers=dict(request.headers), content=_BODY)
        return "" if answer.is_success else f"{held['accessKey']}: {answer.status_code}"
