"""Carries lightkube's requests: each operation has one deadline, and each request goes out once.

lightkube knows the API's paths and objects; httpx2, on which it is built, bounds each read but never the sum of them,
follows the file of a token by asking twice, and drops the headers. So it is given a transport that does it our way.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import httpx
import httpx2
import stamina
from lightkube.config.kubeconfig import KubeConfig
from lightkube.config.models import Cluster, User
from lightkube.core.client import Client
from pydantic import SecretStr

from rotator import __version__
from rotator.clock import Clock
from rotator.errors import CallFailed, Verdict
from rotator.northflank.exchange import Answer, Span, exchange
from rotator.providers.byok_access import Access
from rotator.providers.byok_errors import date_of, judged, request_id

Value = TypeVar("Value")

USER_AGENT = f"rotator/{__version__}"
"""So that the cluster's audit log tells rotator's requests from a person's."""

_WORTH = timedelta(seconds=1)
"""A read isn't repeated with less time left than this."""


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
        carrier = _Carrier(self._http, bearer, Span(self._clock, self._deadline), self._clock)
        return Visit(Client(self._config, transport=carrier, trust_env=False, field_manager="rotator"), carrier)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class Visit:
    """One operation: some requests, one after the other, within one deadline."""

    def __init__(self, client: Client, carrier: _Carrier) -> None:
        self._client = client
        self._carrier = carrier

    @property
    def request_id(self) -> str | None:
        """The latest answer's."""
        return request_id(self._carrier.latest) if self._carrier.latest is not None else None

    @property
    def date(self) -> datetime:
        """The latest answer's Date header (aware UTC).

        Raises:
            CallFailed: it had none.
        """
        return self.ask("the Date header", lambda _: date_of(self._carrier.last()))

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self._carrier.span.left()

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

    def read(self, what: str, call: Callable[[Client], Value]) -> Value:
        """Ask for what changes nothing: once more, if the first answer was spoiled.

        Raises:
            CallFailed: as `ask`.
        """
        for attempt in stamina.retry_context(on=self._spoiled, attempts=2, wait_initial=0.1, wait_jitter=0.1):
            with attempt:
                return self.ask(what, call)
        raise AssertionError  # stamina either returns from its block or raises

    def until(self, what: str, call: Callable[[Client], Value | None]) -> Value | None:
        """Read again and again until there is something; None if there is nothing when the deadline nears.

        Raises:
            CallFailed: as `ask`.
        """

        def look() -> Value:
            found = self.read(what, call)
            if found is None:
                raise _Nothing
            return found

        waiting = stamina.retry_context(
            on=_Nothing, attempts=None, timeout=max(self.left, 0), wait_initial=0.05, wait_max=1, wait_jitter=0.05
        )
        try:
            for attempt in waiting:
                with attempt:
                    return look()
        except _Nothing:
            return None
        raise AssertionError  # as above

    def _spoiled(self, error: Exception) -> bool:
        spoiled = isinstance(error, CallFailed) and error.verdict is Verdict.UNKNOWN
        return spoiled and self.left > _WORTH.total_seconds()


class _Nothing(Exception):
    """There is nothing yet."""


class _Carrier(httpx2.BaseTransport):
    """Sends what lightkube made, and lets it see only what the API server carried out."""

    def __init__(self, http: httpx.Client, bearer: Callable[[], str] | None, span: Span, clock: Clock) -> None:
        self.span = span
        self.what = ""
        self.latest: Answer | None = None
        self._http = http
        self._bearer = bearer
        self._clock = clock

    def last(self) -> Answer:
        if self.latest is None:
            raise ValueError("nothing was answered")
        return self.latest

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        body = request.read()
        headers = {"Accept": "application/json", "User-Agent": USER_AGENT}
        if body:
            headers["Content-Type"] = request.headers["Content-Type"]
        if self._bearer is not None:
            headers["Authorization"] = f"Bearer {self._bearer()}"
        came = exchange(
            self._http, request.method, str(request.url), headers=headers, content=body or None, span=self.span
        )
        answer = judged(self.what, came, self._clock.now().astimezone(UTC))
        if isinstance(answer, CallFailed):
            raise answer
        self.latest = answer
        return httpx2.Response(
            answer.status, headers={"Content-Type": "application/json"}, content=answer.body, request=request
        )
