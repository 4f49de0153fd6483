"""Carries botocore's requests: each goes out once, is cut at its deadline, and brings no more than a bounded body.

botocore bounds each read, never the sum of them, and keeps whatever comes. Its event `before-send` may give the answer
itself (`Endpoint._do_get_response`), so a request goes through `rotator.http`, as every other cloud's does. What
fetches an instance's or a container's own credentials sends nothing through that event: it is given a `Metadata`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import httpx
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.client import BaseClient
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError
from botocore.session import Session

from rotator.clock import Clock
from rotator.http.answers import Answer, NoAnswer
from rotator.http.clients import HttpClients
from rotator.http.exchange import Span, exchange

Asked = ParamSpec("Asked")
Value = TypeVar("Value")
Client = TypeVar("Client", bound=BaseClient)

SHARE = 0.45
"""Of the deadline, for an attempt that may be followed by another: what is left is for the pause in between."""

_METADATA = timedelta(seconds=2)
"""What is this near answers at once, or isn't there."""

_HOOK = "rotator"


class Carrier:
    """Carries the requests of one way into AWS. Thread-safe.

    Args:
        clients: the process's HTTP clients.
        whole: how long an operation may take, all its requests included.
        each: how long one call may take, its repetition included.
        clock: measures both.
    """

    def __init__(self, clients: HttpClients, whole: timedelta, each: timedelta, clock: Clock) -> None:
        self._clients = clients
        self._whole = whole
        self._each = each
        self._clock = clock
        self._here = threading.local()

    @contextmanager
    def operation(self) -> Iterator[None]:
        """What is sent in the `with` block, by this thread, shares one deadline; so does an operation within it."""
        if getattr(self._here, "span", None) is not None:
            yield
            return
        self._here.span = Span(self._clock, self._whole)
        try:
            yield
        finally:
            self._here.span = None

    def carry_for(self, session: Session) -> None:
        """Have the requests of all clients that this session makes from now on carried here."""
        self._carry_all(session, self.http(session), SHARE)
        metadata = Metadata(self._clients.trusting(None), self._clock)
        own = session.get_component("credential_provider")
        own.get_provider("iam-role")._role_fetcher._session = metadata  # noqa: SLF001  # no event or argument leads there
        own.get_provider("container-role")._fetcher._session = metadata  # noqa: SLF001  # likewise

    def carry_once(self, client: Client, session: Session) -> Client:
        """The client of this session, which sends each request once: it may take the whole deadline."""
        client.meta.events.unregister("before-send", unique_id=_HOOK)
        self._carry_all(client.meta.events, self.http(session), 1.0)
        return client

    def _carry_all(self, events: Any, http: httpx.Client, share: float) -> None:
        def send(request: AWSPreparedRequest, **_: object) -> AWSResponse:
            return self.send(http, request, share=share)

        events.register("before-send", send, unique_id=_HOOK)

    def http(self, session: Session) -> httpx.Client:
        """The client that trusts what the SDK would: `ca_bundle` of the profile or of the environment."""
        bundle = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
        return self._clients.trusting(bundle or None)

    def send(self, http: httpx.Client, request: AWSPreparedRequest, *, share: float = 1.0) -> AWSResponse:
        """Send one request, once, within this share of a call's time.

        Raises:
            EndpointConnectionError: nothing was sent.
            ConnectionClosedError: no complete answer came.
        """
        outer: Span | None = getattr(self._here, "span", None)
        length = share * self._each
        if outer is not None:
            length = min(length, timedelta(seconds=max(outer.left(), 0.0)))
        return _sent(http, request, Span(self._clock, length))


class AsksAws(Protocol):
    """What has operations."""

    @property
    def operation(self) -> Callable[[], AbstractContextManager[None]]:
        """Begins one."""


Asker = TypeVar("Asker", bound=AsksAws)


def one_operation(method: Callable[Concatenate[Asker, Asked], Value]) -> Callable[Concatenate[Asker, Asked], Value]:
    """All that this method asks of AWS shares one deadline."""

    def within(self: Asker, /, *args: Asked.args, **kwargs: Asked.kwargs) -> Value:
        with self.operation():
            return method(self, *args, **kwargs)

    within.__doc__ = method.__doc__
    return within


class Metadata:
    """What asks for an instance's or a container's own credentials, in place of botocore's own HTTP session.

    Args:
        http: the process's.
        clock: measures the deadline.
    """

    def __init__(self, http: httpx.Client, clock: Clock) -> None:
        self._http = http
        self._clock = clock

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Send one request, once. Raises as `Carrier.send`."""
        return _sent(self._http, request, Span(self._clock, _METADATA))


def _sent(http: httpx.Client, request: AWSPreparedRequest, span: Span) -> AWSResponse:
    result = exchange(
        http, request.method, request.url, headers=_texts(request.headers), content=_content(request.body), span=span
    )
    if isinstance(result, NoAnswer):
        if result.sent:
            raise ConnectionClosedError(endpoint_url=request.url, error=result.reason)
        raise EndpointConnectionError(endpoint_url=request.url, error=result.reason)
    headers = HTTPHeaders.from_dict(dict(result.headers))
    return AWSResponse(request.url, result.status, headers, _Raw(result))


class _Raw:
    """The body as AWSResponse reads it."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def stream(self) -> Iterator[bytes]:
        yield self._answer.body


def _texts(headers: HTTPHeaders) -> dict[str, str]:
    items: Iterable[tuple[str, Any]] = headers.items()  # botocore puts bytes among them, whatever its types say
    return {
        name: value.decode("latin-1") if isinstance(value, bytes) else str(value)
        for name, value in items
        # The client's own: it knows the length of what it sends, and where to.
        if name.lower() not in {"content-length", "host", "transfer-encoding"}
    }


def _content(body: object) -> bytes | None:
    """The body of a request. No operation that rotator uses streams one."""
    if isinstance(body, str):
        return body.encode()
    return body if isinstance(body, bytes) else None
