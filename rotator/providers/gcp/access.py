"""How to get into Google Cloud: which identity, which endpoints."""

from __future__ import annotations

import json
import os
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import google.auth
import grpc
from google.auth._cloud_sdk import get_application_default_credentials_path
from google.auth.credentials import Credentials, with_scopes_if_required
from google.auth.environment_vars import CREDENTIALS
from pydantic import SecretStr

from rotator import __version__
from rotator.errors import RotatorError
from rotator.http.clients import ca_bytes
from rotator.providers.gcp.settings import GcpSection
from rotator.settings.section import is_https_or_loopback
from rotator.settings.textfile import Unreadable, must_be_sane, read_bytes

USER_AGENT = f"rotator/{__version__}"
"""Cloud Audit Logs show it, so rotator's calls can be found there."""

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_HTTPS = 443


@dataclass(frozen=True, slots=True)
class GcpAccess:
    """How to get into Google Cloud. Credentials with equal values share their channel.

    Args:
        credentials: a credentials file (a key, workload identity federation); None for the SDK's default chain.
        endpoint: IAM's address, where it is not Google's own; plain http only on loopback.
        universe_domain: of a sovereign cloud; `googleapis.com` for Google's own.
        ca_file: the CA of the endpoints; None for the SDK's own store.
        deadline: how long any one call may take.
    """

    credentials: str | None
    endpoint: str | None
    universe_domain: str
    ca_file: str | None
    deadline: timedelta

    @classmethod
    def of(cls, section: GcpSection, deadline: timedelta) -> GcpAccess:
        """What of a credential's section is about the way."""
        return cls(section.credentials.file, section.endpoint, section.universe_domain, section.ca_file, deadline)

    @property
    def target(self) -> str:
        """IAM's host and port."""
        if self.endpoint is None:
            return f"iam.{self.universe_domain}:{_HTTPS}"
        parts = urlsplit(self.endpoint)
        return parts.netloc if parts.port else f"{parts.netloc}:{_HTTPS}"

    def own_credentials(self) -> Credentials:
        """Rotator's own credentials. Nothing is called yet, but that the SDK may look for an instance's own.

        Raises:
            google.auth.exceptions.GoogleAuthError: there are none.
            RotatorError: a file is no regular one.
        """
        for file in self.files():
            must_be_sane(file)
        self._said()
        # Without scopes at first: with them, federated ones exchange a token here to find out a project's name.
        if self.credentials is None:
            found, _ = google.auth.default()
        else:
            # Deprecated for files of strangers; this one is the operator's own, of whatever kind they chose.
            found, _ = google.auth.load_credentials_from_file(self.credentials)
        scoped = with_scopes_if_required(found, _SCOPES)
        if not isinstance(scoped, Credentials):
            raise TypeError("google-auth found no credentials")
        return scoped

    def files(self) -> tuple[str, ...]:
        """The files that are read once. The token of a federated identity is read at each renewal."""
        own = self.credentials or os.environ.get(CREDENTIALS) or get_application_default_credentials_path()
        return (own,) if self.ca_file is None else (own, self.ca_file)

    def own_keys(self) -> Iterator[SecretStr]:
        """The private key in rotator's own credentials file, if there is one: it signs, and is never sent."""
        key = self._said().get("private_key")
        if isinstance(key, str):
            yield SecretStr(key)

    def token_file(self) -> Path | None:
        """Where a federated identity's token is, if it is in a file."""
        source = self._said().get("credential_source")
        file = source.get("file") if isinstance(source, dict) else None
        return Path(file) if isinstance(file, str) else None

    def _said(self) -> Mapping[str, object]:
        """What rotator's own credentials file says; nothing where there is none.

        Raises:
            RotatorError: it is no JSON object.
        """
        file = self.credentials or os.environ.get(CREDENTIALS)
        if not file:
            return {}
        try:
            content = read_bytes(Path(file))
            said = json.loads(content)
        except Unreadable as reason:
            problem = str(reason)
        except json.JSONDecodeError as error:
            problem = f"it is no JSON from line {error.lineno} on"
        except UnicodeDecodeError:
            problem = "it is not text but binary"
        else:
            if content.startswith(BOM_UTF8):
                problem = "it begins with a byte order mark; save it as UTF-8 without one"
            elif isinstance(said, dict):
                return said
            else:
                problem = "it is no JSON object"
        raise RotatorError(
            f"rotator's own Google credentials, {file}, can't be read: {problem}.",
            remedy="Put a service account's key or a federation's configuration there, as Google made the file.",
        )

    def channel(self) -> grpc.Channel:
        """A channel to IAM, which connects when it is used. Nothing is sent twice on it.

        Its connection ends a second after the last call: one that had been idle for long might lead nowhere. What the
        kernel has not delivered by the deadline is never delivered, not after the death of this process either.

        Raises:
            RotatorError: the CA file can't be read, or the endpoint is plain http and not loopback.
        """
        options = [
            ("grpc.enable_retries", 0),
            ("grpc.primary_user_agent", USER_AGENT),
            ("grpc.client_idle_timeout_ms", 1000),  # the least that gRPC takes
            # The second becomes TCP_USER_TIMEOUT, where the first is set (gRFC A18). No call lasts until a ping.
            ("grpc.keepalive_time_ms", 300_000),
            ("grpc.keepalive_timeout_ms", int(self.deadline.total_seconds() * 1000)),
        ]
        if self.endpoint is not None and urlsplit(self.endpoint).scheme != "https":
            if not is_https_or_loopback(self.endpoint):
                raise RotatorError(
                    f"{self.endpoint} is not https", remedy="Use https: plain http is allowed on loopback only."
                )
            # What listens on this machine is no proxy's business.
            return grpc.insecure_channel(self.target, options=[*options, ("grpc.enable_http_proxy", 0)])
        roots = None if self.ca_file is None else ca_bytes(self.ca_file)
        return grpc.secure_channel(self.target, grpc.ssl_channel_credentials(roots), options=options)
