"""Serves a WSGI application over HTTP/2 without TLS, as gRPC clients speak it.

gRPC is HTTP/2 with its status in the trailers. WSGI knows no trailers: headers of an answer whose names begin with
`grpc-` are sent as such. So a gRPC service has the same fault plan as any other stand-in, and what a proxy
might do to its answers can be done to them.
"""

from __future__ import annotations

import logging
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from email.utils import format_datetime
from typing import Self
from wsgiref.types import WSGIApplication

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError
from hpack import HeaderTuple
from werkzeug.test import EnvironBuilder, run_wsgi_app

from rotator.sandbox.wire.serving import CutConnection, utc_now

_LOOPBACK = "127.0.0.1"
_OF_THE_CONNECTION = frozenset({"connection", "content-length"})
"""HTTP/2 forbids the one, and gRPC does without the other."""

Headers = list[tuple[str, str]]


class Http2Server:
    """Serves a WSGI application on 127.0.0.1 between entering and leaving its `with` block, as `serving.Server` does.

    Args:
        app: the application; it may be called from several threads at once.
        port: a fixed port, or 0 for a free one.
        clock: what the Date header of every answer says (aware UTC). It may be replaced at any time.

    Raises:
        OSError: on entering, if the port is taken.
    """

    def __init__(self, app: WSGIApplication, *, port: int = 0, clock: Callable[[], datetime] = utc_now) -> None:
        self.app = app
        self.port = port
        self.clock = clock
        self._listener: socket.socket
        self._thread: threading.Thread
        self._connections: set[_Connection] = set()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The address, without a slash at its end. Known once the server was entered."""
        return f"http://{_LOOPBACK}:{self.port}"

    def __enter__(self) -> Self:
        logging.getLogger("hpack").setLevel(logging.WARNING)  # at DEBUG it logs every header, and so access tokens
        self._listener = socket.create_server((_LOOPBACK, self.port), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):  # left before
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        with self._lock:
            for connection in self._connections:
                connection.end()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:  # shut down
                return
            threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        connection = _Connection(self, accepted)
        with self._lock:
            self._connections.add(connection)
        try:
            connection.serve()
        finally:
            with self._lock:
                self._connections.discard(connection)


class _Connection:
    """One connection: a thread reads it, and a thread for each request answers on it."""

    def __init__(self, owner: Http2Server, accepted: socket.socket) -> None:
        self._owner = owner
        self._socket = accepted
        self._lock = threading.Lock()  # guards all below, and whole frames on the wire
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._asked: dict[int, tuple[Headers, bytearray]] = {}

    def serve(self) -> None:
        """Until either side ends it. This thread alone closes the socket."""
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._socket, suppress(OSError, ProtocolError):
            with self._lock:
                self._h2.initiate_connection()
                self._flush()
            while received := self._socket.recv(65536):
                with self._lock:
                    for event in self._h2.receive_data(received):
                        self._take(event)
                    self._flush()

    def end(self) -> None:
        """End it from another thread."""
        with suppress(OSError):  # ended meanwhile
            self._socket.shutdown(socket.SHUT_RDWR)

    def _reset(self) -> None:
        # A linger time of zero makes the closing send RST; to end only the reading makes its thread close.
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._socket.shutdown(socket.SHUT_RD)

    def _flush(self) -> None:
        self._socket.sendall(self._h2.data_to_send())

    def _take(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=int(stream), headers=asked):
                self._asked[stream] = [(str(name), str(value)) for name, value in asked or ()], bytearray()
            case DataReceived(stream_id=int(stream), data=bytes(data), flow_controlled_length=int(length)):
                self._asked[stream][1].extend(data)
                self._h2.acknowledge_received_data(length, stream)
            case StreamEnded(stream_id=int(stream)):
                headers, body = self._asked.pop(stream)
                threading.Thread(target=self._answer, args=(stream, headers, bytes(body)), daemon=True).start()
            case StreamReset(stream_id=int(stream)):
                self._asked.pop(stream, None)

    def _answer(self, stream: int, asked: Headers, body: bytes) -> None:
        builder = EnvironBuilder(
            path=next(value for name, value in asked if name == ":path"),
            method=next(value for name, value in asked if name == ":method"),
            base_url=self._owner.url,
            headers=[(name, value) for name, value in asked if not name.startswith(":")],
            data=body,
        )
        try:
            parts, status, headers = run_wsgi_app(self._owner.app, builder.get_environ())
        except CutConnection:
            self._reset()
            return
        head = [HeaderTuple(":status", status.partition(" ")[0])]
        if "date" not in headers:
            head.append(HeaderTuple("date", format_datetime(self._owner.clock(), usegmt=True)))
        trailers: list[HeaderTuple] = []
        for name, value in headers:
            if name.lower() not in _OF_THE_CONNECTION:
                of_grpc = name.lower().startswith("grpc-")
                (trailers if of_grpc else head).append(HeaderTuple(name.lower(), value))
        with suppress(OSError, ProtocolError):  # the client may have given up
            self._send(lambda: self._h2.send_headers(stream, head))
            sent = 0
            for part in parts:
                self._send_data(stream, part)
                sent += len(part)
            if sent != headers.get("content-length", sent, type=int):
                self._reset()
            elif trailers:
                self._send(lambda: self._h2.send_headers(stream, trailers, end_stream=True))
            else:
                self._send(lambda: self._h2.end_stream(stream))

    def _send_data(self, stream: int, data: bytes) -> None:
        size = self._h2.max_outbound_frame_size
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            self._send(lambda piece=piece: self._h2.send_data(stream, piece))  # type: ignore[misc]  # mypy can't infer it

    def _send(self, frame: Callable[[], None]) -> None:
        with self._lock:
            frame()
            self._flush()
