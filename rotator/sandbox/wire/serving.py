"""Serves a stand-in on loopback: HTTP/1.1 with keep-alive, a Date header that can be wrong, and resets on demand."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from datetime import datetime
from email.utils import format_datetime
from io import BytesIO
from typing import Any, Self
from wsgiref.types import WSGIApplication

from werkzeug.exceptions import ClientDisconnected
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Request

from rotator.clock import SystemClock

_LOOPBACK = "127.0.0.1"
_STOP_POLL = 0.02  # seconds: stopping a server takes at most so long


class CutConnection(Exception):
    """Raised by an application instead of answering: the client gets no byte, and its connection is reset."""


utc_now = SystemClock().now
"""The wall clock, aware UTC."""


class Server:
    """Serves a WSGI application on 127.0.0.1 between entering and leaving its `with` block.

    Leaving it closes the connections that clients keep open as well: from then on the server is down for everybody.

    Args:
        app: the application; it may be called from several threads at once.
        port: a fixed port, or 0 for a free one.
        clock: what the Date header of every answer says (aware UTC). It may be replaced at any time.
        tls: with which it serves https; None for http.

    Raises:
        OSError: on entering, if the port is taken.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        port: int = 0,
        clock: Callable[[], datetime] = utc_now,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.clock = clock
        self.tls = tls
        self.port = port
        self._app = app
        self._listener: _Listener
        self._thread: threading.Thread

    @property
    def url(self) -> str:
        """The address, without a slash at its end. Known once the server was entered."""
        return f"{'http' if self.tls is None else 'https'}://{_LOOPBACK}:{self.port}"

    def __enter__(self) -> Self:
        with socket.create_server((_LOOPBACK, self.port), backlog=128) as bound:
            self.port = bound.getsockname()[1]
            self._listener = _Listener(self, self._app, bound)
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(_STOP_POLL,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.shutdown()
        self._thread.join()
        for connection in self._listener.connections.copy():
            with suppress(OSError):  # its own thread may have closed it meanwhile
                # Not SSLSocket's own method: it pulls the TLS state from under the thread that reads.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)


class Served:
    """What a stand-in and its scene inherit: served between entering and leaving the `with` block.

    Attributes:
        serving: its servers, and what else ends with them, in the order in which they begin. They end in reverse.
    """

    serving: Sequence[AbstractContextManager[object]]

    def __enter__(self) -> Self:
        with ExitStack() as entered:
            for each in self.serving:
                entered.enter_context(each)
            self._serving = entered.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._serving.close()


class _Listener(ThreadedWSGIServer):
    """Knows its open connections: werkzeug leaves them served when it stops listening."""

    def __init__(self, owner: Server, app: WSGIApplication, bound: socket.socket) -> None:
        super().__init__(_LOOPBACK, owner.port, app, _Handler, fd=bound.fileno())
        if owner.tls is not None:
            # The handshake is for the connection's own thread: a slow client keeps no other waiting.
            self.ssl_context = owner.tls
            self.socket = owner.tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.owner = owner
        self.connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)


class _Handler(WSGIRequestHandler):
    server: _Listener
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes, which Nagle would keep 40 ms apart

    def run_wsgi(self) -> None:
        """Answer one request. Unlike werkzeug's own method this one leaves the connection open, and logs nothing."""
        environ = self.make_environ()
        try:
            environ["wsgi.input"] = BytesIO(Request(environ).get_data())
            parts, status, headers = run_wsgi_app(self.server.app, environ)
        except (CutConnection, ClientDisconnected):
            self._reset()
            return
        code, _, reason = status.partition(" ")
        self.send_response_only(int(code), reason)
        if "date" not in headers:
            self.send_header("Date", format_datetime(self.server.owner.clock(), usegmt=True))
        if "content-length" not in headers:
            self.send_header("Connection", "close")
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        sent = 0
        for part in parts:
            self.wfile.write(part)
            sent += len(part)
        if sent != headers.get("content-length", type=int):
            self.close_connection = True

    def log(self, *_: object, **__: object) -> None:
        """Nothing. That a client distrusts the certificate, say, is for the client to report."""

    def _reset(self) -> None:
        # A linger time of zero makes the kernel send RST instead of FIN. Detaching closes the descriptor finally,
        # though the request's streams still refer to the socket.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())
        self.close_connection = True
