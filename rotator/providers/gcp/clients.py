"""The client of one way into Google Cloud, shared by the credentials that take it."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx
from google.api_core.gapic_v1.method import wrap_method
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
from google.auth.transport import Request, Response
from google.cloud.iam_admin_v1 import IAMClient
from google.cloud.iam_admin_v1.services.iam.transports import IAMGrpcTransport
from pydantic import SecretStr

from rotator.errors import CallFailed, RotatorError, Verdict
from rotator.http.answers import NoAnswer
from rotator.http.clients import HttpClients
from rotator.http.exchange import Span, exchange
from rotator.http.outside_text import outside_text
from rotator.providers._shared import Shared, quieten
from rotator.providers.gcp.access import GcpAccess
from rotator.settings.textfile import Unreadable, read_bytes

LEAKING_LOGGERS = (
    "google",
    "google.auth",
    "google.cloud.iam_admin_v1",
    "google.cloud.iam_admin_v1.services.iam.client",
    "google.cloud.iam_admin_v1.services.iam.transports.grpc",
    "google.oauth2",
)
"""At DEBUG the SDK logs every message, and so each new key. GOOGLE_SDK_PYTHON_LOGGING_SCOPE sets any of them to it."""

_CHECK_OWN = "Check rotator's own credentials (`gcp.credentials`, or the environment's)."
_RUN_IT = (
    "Run the `executable` of rotator's own credentials file as the user that rotator runs as; it must end without a "
    "question."
)


class GcpClients:
    """The client of one way into Google Cloud. Thread-safe, as gRPC's channels are.

    Args:
        access: the way.

    Attributes:
        target: IAM's host and port.
        iam: the SDK's client. Each of its calls needs `retry=None`, a timeout, and `metadata` with rotator's own token.
        files: what its own credentials, and what it trusts, were read from.
        list_keys: ListServiceAccountKeys, which hands out the call beside the answer: the date is in its metadata.

    Raises:
        RotatorError: there are no credentials, or an address or a file of the config can't be used.
    """

    def __init__(self, access: GcpAccess) -> None:
        try:
            self._credentials: Any = access.own_credentials()  # of any kind: only some know whose they are
        except (GoogleAuthError, OSError, ValueError, TypeError, AttributeError) as error:
            # google-auth names the file; what is wrong with it hangs on to its exception.
            causes = (error, error.__cause__)
            problem = ": ".join(outside_text(cause.args[0]) for cause in causes if cause is not None and cause.args)
            problem = problem or type(error).__name__
        else:
            self._own_keys = tuple(access.own_keys())
            self.files = access.files()
            self._token_file = access.token_file()
            self._renewing = threading.Lock()
            self.target = access.target
            self.iam = IAMClient(transport=IAMGrpcTransport(host=access.target, channel=access.channel()))
            self.list_keys = wrap_method(self.iam.transport.list_service_account_keys, with_call=True)
            return
        raise RotatorError(f"Google Cloud can't be used: {problem}", remedy=_CHECK_OWN)

    def metadata(self, http: httpx.Client, span: Span) -> tuple[tuple[str, str], ...]:
        """What goes with each call: rotator's own access token, fresh.

        Raises:
            CallFailed: never UNKNOWN: the call that needs it was not sent.
        """
        return (("authorization", f"Bearer {self.token(http, span)}"),)

    def secrets(self) -> Iterator[SecretStr]:
        """Rotator's own key, and the access token that goes with each call."""
        yield from self._own_keys
        if self._credentials.token:
            yield SecretStr(str(self._credentials.token))

    def token(self, http: httpx.Client, span: Span) -> str:
        """Rotator's own access token, renewed where it must be.

        Raises:
            CallFailed: as `metadata`.
        """
        request = _Http(http, span)
        try:
            with self._renewing:
                if not self._credentials.valid:
                    self._look_for_the_token()
                    self._credentials.refresh(request)
                return str(self._credentials.token)
        except CallFailed:
            raise
        except Exception as error:  # noqa: BLE001  # a foreign body makes google-auth raise anything; none may get out
            failure = _not_renewed(error) if request.asked else _of_this_machine(error)
        raise failure  # outside of the handler: google-auth's exceptions hold whole bodies

    def _look_for_the_token(self) -> None:
        """Raises CallFailed where a federated identity's token can't be read: the SDK would call that a refusal."""
        try:
            if self._token_file is not None:
                read_bytes(self._token_file)
        except Unreadable as reason:
            problem = str(reason)
        else:
            return
        raise CallFailed(
            f"nothing was sent: rotator's own token in {self._token_file} can't be read: {problem}",
            verdict=Verdict.NOT_APPLIED,
            code="no-token",
            remedy="Check that the file exists, and that the user that rotator runs as may read it.",
        )

    @property
    def own_email(self) -> str | None:
        """The service account that rotator is, where its credentials say so. Some do so after the first token only."""
        email = getattr(self._credentials, "service_account_email", None)
        return str(email) if email else None


def _not_renewed(error: Exception) -> CallFailed:
    kind = type(error).__name__
    what = "rotator's own access token"
    if isinstance(error, RefreshError) and not error.retryable and len(error.args) > 1:
        # The first is `error: error_description`, of an answer in Google's form; without a second it is any body.
        return CallFailed(
            f"{what} was refused: {outside_text(error.args[0])}",
            verdict=Verdict.REFUSED,
            code=kind,
            permanent="reasonable timeframe" not in str(error.args[0]),
            remedy=f"{_CHECK_OWN} Check this host's clock.",
        )
    problem = f": {outside_text(error)}" if isinstance(error, TransportError) else f": {kind}"
    return CallFailed(
        f"{what} could not be renewed{problem}", verdict=Verdict.NOT_APPLIED, code=kind, remedy=_CHECK_OWN
    )


def _of_this_machine(error: Exception) -> CallFailed:
    """What is wrong before anything was sent: most often a program of a federation's configuration."""
    kind, remedy = type(error).__name__, _CHECK_OWN
    if isinstance(error, OSError) and error.filename is not None:
        problem = f"{outside_text(error.filename)}: {error.strerror}"
    elif isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        problem, remedy = "the program that should print rotator's own token printed no JSON", _RUN_IT
    elif isinstance(error, subprocess.TimeoutExpired):
        problem, remedy = "the program that should print rotator's own token did not end in time", _RUN_IT
    elif isinstance(error, GoogleAuthError) and error.args:
        # Of a program that failed, the SDK quotes all that it printed: that may be a token.
        said, failed, _ = str(error.args[0]).partition(". Error: ")
        problem, remedy = outside_text(said).rstrip("."), _RUN_IT if failed else _CHECK_OWN
    else:
        problem = kind
    return CallFailed(
        f"nothing was sent: rotator's own access token could not be renewed: {problem}",
        verdict=Verdict.NOT_APPLIED,
        code=kind,
        remedy=remedy,
    )


@dataclass(frozen=True, slots=True)
class _Answer(Response):
    status: int
    headers: Mapping[str, str]
    data: bytes


class _Http(Request):
    """How google-auth asks for tokens: through the process's own client, within one deadline.

    Attributes:
        asked: a request was made.
    """

    def __init__(self, http: httpx.Client, span: Span) -> None:
        self.asked = False
        self._http = http
        self._span = span

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002  # the span is shorter
        **_: object,
    ) -> _Answer:
        self.asked = True
        content = body.encode() if isinstance(body, str) else body
        answer = exchange(self._http, method, url, headers=headers or {}, content=content, span=self._span)
        if isinstance(answer, NoAnswer):
            raise TransportError(answer.reason)
        return _Answer(HTTPStatus(answer.status), answer.headers, answer.body)


# A channel is a connection, and threads of its own.
_clients = Shared[tuple[GcpAccess, HttpClients], GcpClients](lambda way: GcpClients(way[0]), lambda made: made.files)


def clients_for(access: GcpAccess, http: HttpClients) -> GcpClients:
    """The client of this way into Google Cloud, one for all credentials that use it, until the config is reloaded.

    Raises:
        RotatorError: as GcpClients.
    """
    quieten(LEAKING_LOGGERS)
    return _clients.of((access, http))
