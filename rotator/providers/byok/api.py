"""Carries lightkube's requests: each operation has one deadline, and each request goes out once.

lightkube knows the API's paths and objects; httpx2, on which it is built, bounds each read but never the sum of them,
follows the file of a token by asking twice, and drops the headers. So it is given a transport that does it our way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

import httpx
import httpx2
from lightkube.config.kubeconfig import KubeConfig
from lightkube.config.models import Cluster, User
from lightkube.core.client import Client
from pydantic import SecretStr

from rotator.clock import Clock
from rotator.errors import CallFailed, Verdict
from rotator.http.answers import Answer, date_of
from rotator.http.calls import patiently, send
from rotator.http.exchange import Span
from rotator.providers.byok.access import Access
from rotator.providers.byok.errors import CLUSTER, failure_in

Value = TypeVar("Value")

_LOOK_EVERY = 0.2  # seconds
_SPARE = 0.3  # of the deadline: what is left for the last look, and for what has to follow


class Api:
    """One cluster, entered one way. Thread-safe.

    Args:
        access: the way.
        deadline: how long one operation may take, however many requests it needs.
        clock: both its clocks are used.
    """

    def __init__(self, access: Access, deadline: timedelta, clock: Clock) -> None:
        self._access = access
        self._deadline = deadline
        self._clock = clock
        self._http = httpx.Client(verify=access.tls)
        # lightkube's own connections are never used, so what they would trust must not be loaded each time.
        self._config = KubeConfig.from_one(cluster=Cluster(server=access.server, insecure=True), user=User())

    def visit(self, token: SecretStr | None = None) -> Visit:
        """Begin an operation, now.

        Args:
            token: whose rights to use; None for rotator's own.
        """
        bearer = self._access.bearer if token is None else token.get_secret_value
        return self._visit(bearer, Span(self._clock, self._deadline))

    def patiently(self, read: Callable[[Visit], Value]) -> Value:
        """Do something that only reads, with rotator's own rights; once more if it fails.

        Raises:
            CallFailed: the last attempt's.
        """
        bearer = self._access.bearer
        return patiently(lambda span: read(self._visit(bearer, span)), clock=self._clock, deadline=self._deadline)

    def _visit(self, bearer: Callable[[], str] | None, span: Span) -> Visit:
        carrier = _Carrier(self._http, bearer, span)
        return Visit(Client(self._config, transport=carrier, trust_env=False, field_manager="rotator"), carrier)


class Visit:
    """One operation: some requests, one after the other, within one deadline."""

    def __init__(self, client: Client, carrier: _Carrier) -> None:
        self._client = client
        self._carrier = carrier

    @property
    def request_id(self) -> str | None:
        """The latest answer's."""
        return CLUSTER.request_id(self._carrier.last())

    @property
    def date(self) -> datetime:
        """The latest answer's Date header (aware UTC).

        Raises:
            CallFailed: it had none.
        """
        date = date_of(self._carrier.last())
        if date is None:
            raise CallFailed("an answer without a Date header", verdict=Verdict.UNKNOWN, code="no-date")
        return date

    def ask(self, what: str, call: Callable[[Client], Value]) -> Value:
        """Do something with lightkube.

        Args:
            what: names it in the error, e.g. `create secrets`.
            call: does it, and takes out of the answer what is wanted; what isn't there makes the answer unreadable.

        Raises:
            CallFailed: with a verdict that is true of a change as well.
        """
        self._carrier.what = what
        try:
            return call(self._client)
        except CallFailed as known:
            failure = known
        except Exception as error:  # noqa: BLE001  # what doesn't fit lightkube's types makes it raise anything
            failure = CallFailed(
                f"{what} had no readable answer: {type(error).__name__}", verdict=Verdict.UNKNOWN, code="unreadable"
            )
        raise failure.with_traceback(None)  # the frames it came through hold the token

    def until(self, what: str, call: Callable[[Client], Value | None]) -> Value | None:
        """Read until there is something; None if there is nothing when the deadline nears.

        Raises:
            CallFailed: as `ask`.
        """
        span = self._carrier.span
        while True:
            found = self.ask(what, call)
            if found is not None or span.left() < _SPARE * span.length.total_seconds():
                return found
            time.sleep(_LOOK_EVERY)


class _Carrier(httpx2.BaseTransport):
    """Sends what lightkube made, and lets it see only what the API server carried out."""

    def __init__(self, http: httpx.Client, bearer: Callable[[], str] | None, span: Span) -> None:
        self.span = span
        self.what = ""
        self._latest: Answer | None = None
        self._http = http
        self._bearer = bearer

    def last(self) -> Answer:
        assert self._latest is not None  # noqa: S101  # asked for only after an answer
        return self._latest

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        body = request.read()
        headers = {"Accept": "application/json"}
        if body:
            headers["Content-Type"] = request.headers["Content-Type"]
        if self._bearer is not None:
            headers["Authorization"] = f"Bearer {self._bearer()}"
        answer = send(
            self._http,
            request.method,
            str(request.url),
            what=self.what,
            headers=headers,
            content=body or None,
            span=self.span,
        )
        failure = failure_in(self.what, answer)
        if failure is not None:
            raise failure
        self._latest = answer
        return httpx2.Response(
            answer.status, headers={"Content-Type": "application/json"}, content=answer.body, request=request
        )
