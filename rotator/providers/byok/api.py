"""Carries lightkube's requests: each operation has one deadline, and each request goes out once.

lightkube knows the API's paths and objects; httpx2, on which it is built, bounds each read but never the sum of them,
follows the file of a token by asking twice, and drops the headers. So it is given a transport that does it our way.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx
import httpx2
from lightkube.config.kubeconfig import KubeConfig
from lightkube.config.models import Cluster, User
from lightkube.core.client import Client
from pydantic import SecretStr

from rotator.clock import Clock
from rotator.errors import CallFailed, Verdict
from rotator.http.answers import Answer, date_of, json_object
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
        http: trusts the API server, and holds rotator's certificate.
        deadline: how long one operation may take, however many requests it needs.
        clock: both its clocks are used.
    """

    def __init__(self, access: Access, http: httpx.Client, deadline: timedelta, clock: Clock) -> None:
        self._access = access
        self._deadline = deadline
        self._clock = clock
        self._http = http
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
        carrier = _Carrier(self._access.server, self._http, bearer, span)
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
    def date(self) -> datetime | None:
        """The latest answer's Date header (aware UTC), if it had one that can be read."""
        return date_of(self._carrier.last())

    def items(self, what: str, path: str, query: Mapping[str, str]) -> Iterator[object]:
        """The items of a list, page by page, as they are: lightkube's types would refuse the whole list for an odd one.

        Args:
            what: names it in the error, e.g. `list secrets`.
            path: of the collection.
            query: of each page; the token that continues the list is added.

        Raises:
            CallFailed: as `ask`.
        """
        self._carrier.what = what
        page: Mapping[str, Any] = {}
        while page == {} or _continued(page):
            after = {"continue": _continued(page)} if page else {}
            answer = self._carrier.carry("GET", f"{self._carrier.server}{path}?{urlencode({**query, **after})}")
            page = json_object(answer.body) or {}
            items = [] if page.get("items", 0) is None else page.get("items")  # Go writes an empty list as null
            if not isinstance(items, list):
                raise CLUSTER.unclear(what, answer)
            yield from items

    def delete(self, what: str, path: str, uid: str) -> None:
        """Delete the object at this path if it is the one with this uid: another may have its name by now.

        Raises:
            CallFailed: as `ask`; Conflict where it is another one.
        """
        self._carrier.what = what
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        self._carrier.carry(
            "DELETE", f"{self._carrier.server}{path}", json.dumps(options).encode("ascii"), "application/json"
        )

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

    def __init__(self, server: str, http: httpx.Client, bearer: Callable[[], str] | None, span: Span) -> None:
        self.span = span
        self.server = server
        self.what = ""
        self._latest: Answer | None = None
        self._http = http
        self._bearer = bearer

    def last(self) -> Answer:
        assert self._latest is not None  # noqa: S101  # asked for only after an answer
        return self._latest

    def carry(self, method: str, url: str, body: bytes = b"", content_type: str = "") -> Answer:
        headers = {"Accept": "application/json"}
        if body:
            headers["Content-Type"] = content_type
        if self._bearer is not None:
            headers["Authorization"] = f"Bearer {self._bearer()}"
        answer = send(self._http, method, url, what=self.what, headers=headers, content=body or None, span=self.span)
        failure = failure_in(self.what, answer)
        if failure is not None:
            raise failure
        self._latest = answer
        return answer

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = self.carry(request.method, str(request.url), request.read(), request.headers.get("Content-Type", ""))
        return httpx2.Response(
            answer.status, headers={"Content-Type": "application/json"}, content=answer.body, request=request
        )


def _continued(page: Mapping[str, Any]) -> str:
    """The token with which the list goes on; empty at its end."""
    metadata = page.get("metadata")
    after = metadata.get("continue") if isinstance(metadata, dict) else None
    return after if isinstance(after, str) else ""
