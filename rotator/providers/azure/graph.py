"""Microsoft Graph, as far as rotator needs it: reads that may be repeated, and changes one at a time in each tenant."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import httpx

from rotator.errors import CallFailed, Verdict
from rotator.http.answers import Answer
from rotator.http.calls import patiently, send
from rotator.http.exchange import Span
from rotator.providers._shared import Shared, own_identity
from rotator.providers.azure.access import AzureAccess
from rotator.providers.azure.errors import NOT_FOUND, refusal
from rotator.providers.azure.identity import OwnLogin, OwnToken
from rotator.providers.base import Tools

_TURN = 0.5  # of a call's time, to wait for one's turn


class TenantTurns:
    """One change at a time in a tenant: Graph refuses changes that happen at once (Directory_ConcurrencyViolation)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, span: Span) -> Iterator[None]:
        """Wait for the turn, and have it.

        Raises:
            CallFailed: NOT_APPLIED: it didn't come in time.
        """
        if not self._lock.acquire(timeout=max(_TURN * span.left(), 0)):
            raise CallFailed(
                "nothing was sent: other changes in this tenant took too long", verdict=Verdict.NOT_APPLIED, code="Busy"
            )
        try:
            yield
        finally:
            self._lock.release()


_turns = Shared[tuple[str, str], TenantTurns](lambda _: TenantTurns())
"""By authority and tenant, whichever identity rotator has there."""


class Graph:
    """Graph in one tenant, in rotator's name. Thread-safe.

    Args:
        access: the way there.
        http: trusts it.
        login: who rotator is.
        application: the client id of the application whose secrets are rotated.
        tools: the deadline and the clock are used.
    """

    def __init__(
        self, access: AzureAccess, http: httpx.Client, login: OwnLogin, application: str, tools: Tools
    ) -> None:
        self._url = access.graph
        self._http = http
        self._login = login
        self._application = application
        self._turns = _turns.of((access.authority, access.tenant))
        self._tools = tools

    def token(self, span: Span | None = None) -> OwnToken:
        """Rotator's own token.

        Raises:
            CallFailed: never UNKNOWN.
        """
        return self._login.token(span or Span(self._tools.clock, self._tools.deadline))

    def is_own(self, token: OwnToken) -> bool:
        """The application whose secrets are rotated is rotator itself."""
        return token.application == self._application

    def read(self, what: str, path: str) -> Answer:
        """GET, and once more if there was no answer.

        Args:
            what: names the call in errors.
            path: with the API's version and the query.

        Raises:
            CallFailed: anything but 200.
        """
        return patiently(
            lambda span: self._send(what, path, self._token(span), span=span, done=HTTPStatus.OK),
            clock=self._tools.clock,
            deadline=self._tools.deadline,
        )

    def change(self, what: str, path: str, content: Mapping[str, Any], done: HTTPStatus) -> Answer:
        """POST, once, when no other change is under way in the tenant.

        Args:
            what: names the call in errors.
            path: with the API's version.
            content: the body.
            done: the status of success.

        Raises:
            CallFailed: anything but success.
        """
        span = Span(self._tools.clock, self._tools.deadline)
        token = self._token(span)
        with self._turns.taken(span):
            body = json.dumps(content).encode("ascii")
            try:
                return self._send(what, path, token, content=body, span=span, done=done)
            except CallFailed as failure:
                # A replica that lags doesn't know an application that was made just now; the list does.
                failure.permanent = failure.permanent and failure.code != NOT_FOUND
                raise

    def _token(self, span: Span) -> OwnToken:
        token = self._login.token(span)
        if self.is_own(token):
            raise own_identity(
                f"the application {self._application}",
                "Give rotator an identity of its own, and make that an owner of this application.",
                danger="it would revoke its own secret",
            )
        return token

    def _send(
        self, what: str, path: str, token: OwnToken, *, content: bytes | None = None, span: Span, done: HTTPStatus
    ) -> Answer:
        headers = {"Authorization": f"Bearer {token.value}", "Accept": "application/json"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        method, url = "GET" if content is None else "POST", f"{self._url}{path}"
        answer = send(self._http, method, url, what=what, headers=headers, content=content, span=span)
        if answer.status == done:
            return answer
        if answer.status == HTTPStatus.UNAUTHORIZED:
            self._login.forget()
        raise refusal(what, answer)
