"""The HTTP clients of this process: one for the CAs that the machine trusts, and one for each `ca_file`."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path

import httpx

from rotator.errors import RotatorError
from rotator.http.gate import gate_of, watch
from rotator.settings.changes import Seen, seen


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
        client = httpx.Client(verify=tls)
        watch(client, self.gate)
        return client


def renewed(http: httpx.Client) -> httpx.Client:
    """A client like this one that reads anew which CAs the machine trusts. The old one is closed by its last user."""
    client = httpx.Client(trust_env=http.trust_env)
    watch(client, gate_of(http))
    return client


def ca_bytes(ca_file: str) -> bytes:
    """The content of a `ca_file`, for a client that takes certificates instead of a file.

    Raises:
        RotatorError: the file can't be read.
    """
    try:
        return Path(ca_file).read_bytes()
    except OSError as error:
        unusable = _unusable(ca_file, error)
    raise unusable


def _context(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # so is an SSLError
        unusable = _unusable(ca_file, error)
    raise unusable


def _unusable(ca_file: str, error: OSError) -> RotatorError:
    return RotatorError(
        f"The CA file {ca_file} can't be used: {error.strerror or type(error).__name__}.",
        remedy="Name a PEM file with the CA's certificate in `ca_file`.",
    )
