"""Who rotator is in Azure: an access token of its own, from azure-identity, by way of the process's HTTP clients."""

from __future__ import annotations

import base64
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
from azure.core.credentials import TokenCredential
from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from azure.core.pipeline.transport import HttpResponse, HttpTransport
from azure.core.rest import HttpRequest
from pydantic import SecretStr

from rotator.errors import CallFailed, RotatorError, Verdict
from rotator.http.answers import Answer, NoAnswer, json_object
from rotator.http.clients import HttpClients
from rotator.http.exchange import Span, exchange
from rotator.http.outside_text import outside_text
from rotator.providers._shared import Shared, quieten
from rotator.providers.azure.access import AzureAccess
from rotator.providers.azure.errors import OAuthError
from rotator.providers.azure.own import Way

QUIET_LOGGERS = ("azure", "msal")
"""At DEBUG they log requests, at WARNING answers that they don't understand. What fails raises an exception."""

_WHAT = "rotator's own access token"
_REMEDY = (
    "Check `admin`, or AZURE_CLIENT_ID, AZURE_TENANT_ID and the rest of that environment; `rotator policy` prints how "
    "to give rotator an identity."
)
_ONLY_THE_MACHINE = (
    "neither `admin` nor the environment has a secret, a certificate or a token file, and this machine's managed "
    "identity gave no token"
)


@dataclass(frozen=True, slots=True)
class OwnToken:
    """An access token of rotator's own.

    Args:
        value: the token. Never shown.
        claims: what it says of its holder; empty where it can't be read. Nothing is trusted for it: the cloud judges.
    """

    value: str = field(repr=False)
    claims: Mapping[str, Any] = field(repr=False)

    @property
    def application(self) -> str | None:
        """The application (client) id that rotator has."""
        return self._text("appid") or self._text("azp")

    @property
    def principal(self) -> str | None:
        """The object id of its service principal."""
        return self._text("oid")

    @property
    def roles(self) -> frozenset[str] | None:
        """The application permissions that it was granted; None where that can't be read."""
        roles = self.claims.get("roles", ()) if self.claims else None
        return frozenset(map(str, roles)) if isinstance(roles, list | tuple) else None

    def _text(self, name: str) -> str | None:
        value = self.claims.get(name)
        return value.lower() if isinstance(value, str) else None


class OwnLogin:
    """Gets access tokens for rotator itself, and keeps them until they end. Thread-safe.

    A secret or a certificate is read at each use, so that one that was replaced needs no restart.

    Args:
        access: who rotator is.
        http: trusts the authority.
    """

    def __init__(self, access: AzureAccess, http: httpx.Client) -> None:
        self.files = access.files
        self._access = access
        self._lock = threading.Lock()  # guards all below
        self._transport = _Transport(http)
        self._way: Way | None = None
        self._credential: TokenCredential | None = None

    def token(self, span: Span) -> OwnToken:
        """An access token for Microsoft Graph.

        Raises:
            CallFailed: never UNKNOWN: the call that needs it was not sent.
        """
        if not self._lock.acquire(timeout=max(span.left(), 0)):
            raise _not_sent(f"{_WHAT} took too long to renew", "Busy")
        try:
            return self._renewed(span)
        finally:
            self._lock.release()

    def secrets(self) -> Iterator[SecretStr]:
        """The client secret or the private key by which tokens are asked for."""
        way = self._way
        if way is not None and way.secret is not None:
            yield way.secret
        if way is not None and way.certificate is not None:
            yield SecretStr(way.certificate.decode("latin-1"))

    def forget(self) -> None:
        """The cloud refused the token: the next one is a new one."""
        with self._lock:
            self._credential = None

    def _renewed(self, span: Span) -> OwnToken:
        try:
            credential = self._open()
            self._transport.span, self._transport.last = span, None
            value = credential.get_token(f"{self._access.graph_audience}/.default").token
        except RotatorError as fault:
            failure = _not_sent(f"nothing was sent: {fault.message.rstrip('.')}", "NoIdentity", fault.remedy)
        except Exception as error:  # noqa: BLE001  # azure-identity raises many kinds, and hangs requests on them
            failure = self._refused() or _not_sent(self._told(error), type(error).__name__)
        else:
            self._transport.last = None
            return OwnToken(value, _claims(value))
        raise failure  # outside of the handler: inside, the SDK's exception would hang on to it

    def _refused(self) -> CallFailed | None:
        last = self._transport.last
        error = None if last is None else OAuthError.found_in(last)
        if error is None or error.is_passing:
            return None
        return CallFailed(
            f"{_WHAT} was refused: {error.description}",
            verdict=Verdict.REFUSED,
            code=error.code,
            permanent=True,
            remedy=_REMEDY,
        )

    def _told(self, error: Exception) -> str:
        # After an answer the SDK may quote what it didn't understand. Before, its words are its own.
        answered = self._transport.last is not None
        why = type(error).__name__ if answered else outside_text(getattr(error, "message", error))
        machine = self._way is not None and self._way.is_the_machines
        return f"could not get {_WHAT}: {_ONLY_THE_MACHINE}: {why}" if machine else f"could not get {_WHAT}: {why}"

    def _open(self) -> TokenCredential:
        way = Way.found(self._access, os.environ)
        if self._credential is None or self._way != way:
            # retry_total: repetitions are ours to decide, and the time for them is the span's.
            common = {"transport": self._transport, "retry_total": 0}
            known = self._access.is_microsofts
            authority = {"authority": self._access.authority, "disable_instance_discovery": not known}
            self._credential = way.credential(authority, common)
            self._way = way
        return self._credential


class _Response(HttpResponse):
    """An answer as azure-core's pipeline reads it."""

    def __init__(self, request: Any, answer: Answer) -> None:
        super().__init__(request, answer)
        self.status_code = answer.status
        self.headers = answer.headers
        self.reason = ""
        self.content_type = answer.headers.get("content-type", "")

    def body(self) -> bytes:
        """The whole body."""
        answer: Answer = self.internal_response
        return answer.body


class _Transport(HttpTransport[HttpRequest, HttpResponse]):
    """How azure-identity asks for tokens: within one deadline. Used by one thread at a time.

    Attributes:
        span: the time there is. It is set before each use.
        last: the latest answer, until a token was got; None if the latest request had none. azure-identity's exceptions
            don't say.
    """

    span: Span

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self.last: Answer | None = None

    def send(self, request: HttpRequest, **_: Any) -> HttpResponse:
        """Send one request, once."""
        body: Any = request.content
        content = urlencode(body).encode("ascii") if isinstance(body, dict) else body
        result = exchange(
            self._http, request.method, request.url, headers=dict(request.headers), content=content, span=self.span
        )
        if isinstance(result, NoAnswer):
            self.last = None
            raise (ServiceResponseError if result.sent else ServiceRequestError)(result.reason)
        self.last = result
        return _Response(request, result)

    def open(self) -> None:
        """Nothing to do: the client is the process's."""

    def close(self) -> None:
        """As above."""

    def __exit__(self, *_: object) -> None:
        """As above."""


def _not_sent(message: str, code: str, remedy: str = _REMEDY) -> CallFailed:
    return CallFailed(message, verdict=Verdict.NOT_APPLIED, code=code, remedy=remedy)


def _claims(token: str) -> Mapping[str, Any]:
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004  # a JWT's
        return {}
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
    except ValueError:
        return {}
    return json_object(payload) or {}


# Each keeps tokens, and a client of Microsoft's library.
_logins = Shared[tuple[AzureAccess, HttpClients], OwnLogin](
    lambda way: OwnLogin(way[0], way[1].trusting(way[0].ca_file)), lambda made: made.files
)


def login_for(access: AzureAccess, http: HttpClients) -> OwnLogin:
    """Who rotator is by this way into Azure, one for all credentials that use it."""
    quieten(QUIET_LOGGERS, logging.ERROR)
    return _logins.of((access, http))
