"""The HTTP clients of this process: one for the CAs that the machine trusts, and one for each `ca_file`."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path

import httpx

from rotator.errors import RotatorError, UsageError
from rotator.http.gate import gate_of, watch
from rotator.http.proxies import Proxies, Routed
from rotator.settings.changes import Seen, seen
from rotator.settings.textfile import Unreadable, must_be_sane, read_bytes


class HttpClients:
    """Hands out shared clients, so that connections and TLS contexts are made once. Thread-safe.

    Args:
        usual: trusts what the machine trusts; its maker closes it.

    Attributes:
        gate: knows what goes out by any of them.
    """

    def __init__(self, usual: httpx.Client) -> None:
        self.gate = gate_of(usual)
        self._usual = usual
        self._lock = threading.Lock()
        self._own: dict[str, tuple[Seen, httpx.Client]] = {}

    def trusting(self, ca_file: str | None) -> httpx.Client:
        """The client for endpoints whose certificates this file's CAs signed, as it is now; None: the machine's own.

        Raises:
            RotatorError: the file can't be read, or holds no certificate.
        """
        if ca_file is None:
            return self._usual
        with self._lock:
            now = seen([ca_file])
            if ca_file not in self._own or self._own[ca_file][0] != now:
                self._own[ca_file] = now, self.verifying(_context(ca_file))
            return self._own[ca_file][1]

    def verifying(self, tls: ssl.SSLContext) -> httpx.Client:
        """A new client that trusts, and shows, what this context does."""
        client = _client(os.environ, tls)
        watch(client, self.gate)
        return client


def machine_client(environ: Mapping[str, str] = os.environ) -> httpx.Client:
    """A client that trusts what the machine trusts, and goes the way that the environment says.

    Args:
        environ: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY; SSL_CERT_FILE and SSL_CERT_DIR.

    Raises:
        UsageError: one of these variables can't be used. It is named.
    """
    try:
        tls = httpx.create_ssl_context()
    except OSError as error:  # so is an SSLError
        reason = error.strerror or type(error).__name__
    else:
        return _client(environ, tls)
    named = [f"{name}={environ[name]}" for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if environ.get(name)]
    raise UsageError(
        f"the CAs that the machine trusts can't be read ({' '.join(named) or 'certifi'}): {reason}.",
        remedy="name a PEM file or a directory of CAs there, or unset the variable.",
    )


def renewed(http: httpx.Client) -> httpx.Client:
    """A client in place of this one that reads anew which CAs the machine trusts. Its last user closes the old one."""
    client = machine_client()
    watch(client, gate_of(http))
    return client


def _client(environ: Mapping[str, str], tls: ssl.SSLContext) -> httpx.Client:
    return httpx.Client(transport=Routed(Proxies.of(environ), tls), trust_env=False)


def ca_bytes(ca_file: str) -> bytes:
    """The content of a `ca_file`, for a client that takes certificates instead of a file.

    Raises:
        RotatorError: the file can't be read.
    """
    try:
        return read_bytes(Path(ca_file))
    except Unreadable as reason:
        unusable = _unusable(ca_file, str(reason))
    raise unusable


def _context(ca_file: str) -> ssl.SSLContext:
    must_be_sane(ca_file)
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # so is an SSLError
        unusable = _unusable(ca_file, error.strerror or type(error).__name__)
    raise unusable


def _unusable(ca_file: str, reason: str) -> RotatorError:
    return RotatorError(
        f"The CA file {ca_file} can't be used: {reason}.",
        remedy="Name a PEM file with the CA's certificate in `ca_file`.",
    )
