"""One HTTP request and its whole answer, within one deadline, and the truth about whether it was sent.

httpx bounds each read, never the sum of them, so a timer shuts the socket at the deadline: a request whose answer drips
in ends all the same. To know its socket each request has a connection of its own. That costs a handshake, seldom, and
means that nothing is ever sent on a connection that the server has closed already, and nothing is sent twice. Only a
name that takes long to resolve can't be cut short; nothing is sent after the deadline then.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import httpx

from rotator.clock import Clock
from rotator.http.answers import Answer, NoAnswer
from rotator.http.outside_text import outside_text

LARGEST_BODY = 1024 * 1024
"""Bytes of an answer that are read; a longer one counts as none."""

_ADDRESSES = 4  # of a host, that can be tried in vain before the deadline: an IPv6 that leads nowhere, say

_READS = frozenset({"GET", "HEAD"})
_ABORT = struct.pack("ii", 1, 0)  # what is not delivered at the close is thrown away

_NOTHING_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


class Span:
    """The time that one operation has, however many requests it takes, from now on."""

    def __init__(self, clock: Clock, length: timedelta) -> None:
        self.length = length
        self._clock = clock
        self._wall = clock.now()
        self._monotonic = clock.monotonic()

    def now(self) -> datetime:
        """The wall clock (aware UTC)."""
        return self._clock.now()

    def left(self) -> float:
        """Seconds until the deadline; negative after it."""
        return self.length.total_seconds() - (self._clock.monotonic() - self._monotonic)

    def late(self) -> bool:
        """The deadline is over by either clock: the monotonic one stands still while a machine sleeps."""
        return self.left() <= 0 or self.now() - self._wall >= self.length


class _Stopped(Exception):
    """We ended the exchange ourselves."""


class _Course:
    """Follows one request through httpcore's trace hook: its socket, and whether it was sent."""

    __slots__ = ("_changes", "_socket", "_span", "sent")

    def __init__(self, span: Span, *, changes: bool) -> None:
        self.sent = False
        self._changes = changes
        self._socket: socket.socket | None = None
        self._span = span

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Called by httpcore at each of its steps. What is raised here ends the request."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._socket = info["return_value"].get_extra_info("socket")
            if self._changes and self._socket is not None:
                _let_the_kernel_give_up(self._socket, self._span.left())
        elif event.endswith(".send_request_headers.started") and info["request"].method != b"CONNECT":
            if self._span.late():
                raise _Stopped("connecting took until the deadline, or the machine was asleep")
            self.sent = True

    def cut(self) -> None:
        """End the request now, from another thread."""
        if self._socket is not None:
            with suppress(OSError):  # closed meanwhile
                # Not SSLSocket's own method: it pulls the TLS state from under the thread that reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _let_the_kernel_give_up(connection: socket.socket, seconds: float) -> None:
    """What the kernel has not delivered by the deadline is never delivered, nor what it holds when we are killed.

    Without this it repeats a lost packet for minutes, after `close` and after the death of the process: a push was seen
    to arrive 91 s after it was sent (TCP_USER_TIMEOUT: tcp(7); SO_LINGER with 0: socket(7)).
    """
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1, int(seconds * 1000)))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)


def exchange(
    http: httpx.Client, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None, span: Span
) -> Answer | NoAnswer:
    """Send one request, once, and read its whole answer. No redirect is followed.

    Failures are returned, not raised: httpx's exceptions hold the request, and with it the token and the material.
    """
    course = _Course(span, changes=method not in _READS)
    left = span.left()
    if left <= 0:
        return NoAnswer("the deadline was over", sent=False)
    request = httpx.Request(
        method,
        url,
        headers={**headers, "Accept-Encoding": "identity", "Connection": "close"},
        content=content,
        extensions={"timeout": httpx.Timeout(left, connect=left / _ADDRESSES).as_dict(), "trace": course.trace},
    )
    timer = threading.Timer(left, course.cut)
    timer.daemon = True
    timer.start()
    try:
        response = http.send(request, stream=True, auth=None, follow_redirects=False)
        try:
            return Answer(response.status_code, response.headers, _body(response, span), span.now())
        finally:
            response.close()
    except _Stopped as stopped:
        return NoAnswer(str(stopped), sent=course.sent)
    except httpx.TransportError as error:
        return NoAnswer(_reason(error, span), sent=course.sent or not isinstance(error, _NOTHING_SENT))
    finally:
        timer.cancel()


def _body(response: httpx.Response, span: Span) -> bytes:
    body = bytearray()
    for piece in response.iter_raw():
        body += piece
        if len(body) > LARGEST_BODY:
            raise _Stopped(f"the answer is longer than {LARGEST_BODY} bytes")
        if span.left() <= 0:
            break
    # An answer without a length ends where its connection does, so one that was cut at the deadline looks complete.
    if span.left() <= 0:
        raise _Stopped(_late(span))
    return bytes(body)


def _reason(error: httpx.TransportError, span: Span) -> str:
    """In our words: httpx's own may quote a header. Its connection errors can't: nothing was sent by then."""
    if isinstance(error, _NOTHING_SENT):
        return f"no connection: {outside_text(error) or 'timed out'}"
    if isinstance(error, httpx.TimeoutException) or span.left() <= 0:
        return _late(span)
    return "the connection broke before the answer was complete"


def _late(span: Span) -> str:
    return f"no complete answer within {span.length.total_seconds():g} s"
