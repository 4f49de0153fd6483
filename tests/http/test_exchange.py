from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from rotator.clock import Clock, SystemClock
from rotator.http.answers import Answer, NoAnswer
from rotator.http.exchange import LARGEST_BODY, Span, exchange
from tests.northflank.conftest import SHORT
from tests.support.patience import patience
from tests.support.wire import Wire, certificate, response

pytestmark = pytest.mark.realtime

PROMPT = patience(10)  # seconds: what ends at a deadline of SHORT has ended long before this


@pytest.fixture(scope="session")
def pems(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls(pems: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pems[1], pems[0])
    return context


@pytest.fixture
def http(pems: tuple[Path, Path]) -> Iterator[httpx.Client]:
    with httpx.Client(verify=ssl.create_default_context(cafile=str(pems[1])), trust_env=False) as client:
        yield client


def send(
    http: httpx.Client, url: str, *, deadline: timedelta = timedelta(seconds=60), clock: Clock | None = None
) -> Answer | NoAnswer:
    span = Span(clock or SystemClock(), deadline)
    return exchange(http, "POST", url, headers={"Authorization": "Bearer t"}, content=b'{"a": "b"}', span=span)


def drip(head: bytes) -> Iterator[bytes]:
    yield head
    while True:
        time.sleep(0.02)  # the speed of the drip, not a wait for anything
        yield b"x"


def test_a_complete_answer(http: httpx.Client) -> None:
    with Wire(lambda _: [response(b'{"data": {}}', x_request_id="r-1")]) as wire:
        answer = send(http, wire.url)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body, answer.request_id) == (200, b'{"data": {}}', "r-1")
    assert len(wire.heard) == 1


def test_interim_answers_are_passed_over(http: httpx.Client) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    with Wire(lambda _: [interim, response(b"{}")]) as wire:
        assert isinstance(send(http, wire.url), Answer)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nx-drip: ",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n{",  # ends where the connection does
    ],
    ids=["status line", "headers", "body", "body without a length"],
)
def test_a_drip_ends_at_the_deadline(http: httpx.Client, head: bytes) -> None:
    with Wire(lambda _: drip(head)) as wire:
        started = time.monotonic()
        result = send(http, wire.url, deadline=SHORT)
        assert time.monotonic() - started < PROMPT
    assert result == NoAnswer(f"no complete answer within {SHORT.total_seconds():g} s", sent=True)
    assert len(wire.heard) == 1


def test_an_encrypted_drip_ends_at_the_deadline(http: httpx.Client, tls: ssl.SSLContext) -> None:
    with Wire(lambda _: drip(b"HTTP/1.1 200 OK\r\nx-drip: "), tls) as wire:
        started = time.monotonic()
        result = send(http, wire.url, deadline=4 * SHORT)  # a quarter of it for the handshake
        assert time.monotonic() - started < 4 * PROMPT
    assert result == NoAnswer(f"no complete answer within {4 * SHORT.total_seconds():g} s", sent=True)
    assert len(wire.heard) == 1


def test_silence_ends_at_the_deadline(http: httpx.Client) -> None:
    over = threading.Event()

    def never(_: bytes) -> Iterable[bytes]:
        over.wait()
        return []

    with Wire(never) as wire:
        result = send(http, wire.url, deadline=SHORT)
    over.set()
    assert result == NoAnswer(f"no complete answer within {SHORT.total_seconds():g} s", sent=True)


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [b"HTTP/1.1 200 OK\r\ncontent-le"],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"],
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"],
        [b"220 mail.example ESMTP\r\n"],
        [b"\x15\x03\x01\x00\x02\x02\x28"],
    ],
    ids=["nothing", "cut headers", "cut body", "cut chunk", "another protocol", "a TLS alert"],
)
def test_what_is_cut_or_is_no_http_may_have_been_applied(http: httpx.Client, pieces: list[bytes]) -> None:
    with Wire(lambda _: pieces) as wire:
        result = send(http, wire.url)
    assert result == NoAnswer("the connection broke before the answer was complete", sent=True)
    assert len(wire.heard) == 1, "and nothing is sent again"


def test_an_endless_body_is_not_read_to_its_end(http: httpx.Client) -> None:
    with Wire(lambda _: [response(b" " * (LARGEST_BODY + 1))]) as wire:
        result = send(http, wire.url)
    assert result == NoAnswer(f"the answer is longer than {LARGEST_BODY} bytes", sent=True)


def test_a_redirect_is_an_answer_like_any_other(http: httpx.Client) -> None:
    def elsewhere(_: bytes) -> Iterable[bytes]:
        return [response(b"", "307 Temporary Redirect", location=other.url)]

    with Wire(lambda _: [response(b"{}")]) as other, Wire(elsewhere) as wire:
        answer = send(http, wire.url)
    assert isinstance(answer, Answer)
    assert answer.status == 307
    assert other.heard == []


def test_compressed_bodies_are_not_asked_for_and_not_unpacked(http: httpx.Client) -> None:
    with Wire(lambda _: [response(b"\x1f\x8b...", content_encoding="gzip")]) as wire:
        answer = send(http, wire.url)
    assert isinstance(answer, Answer)
    assert answer.body == b"\x1f\x8b..."
    assert b"accept-encoding: identity" in wire.heard[0].lower()


def test_a_refused_connection_sends_nothing(http: httpx.Client) -> None:
    with Wire(lambda _: []) as wire:
        pass
    result = send(http, wire.url)
    assert isinstance(result, NoAnswer)
    assert not result.sent
    assert "Connection refused" in result.reason


def test_a_certificate_that_nobody_vouches_for_sends_nothing(tls: ssl.SSLContext) -> None:
    with Wire(lambda _: [response(b"{}")], tls) as wire, httpx.Client(trust_env=False) as http:
        result = send(http, wire.url)
    assert isinstance(result, NoAnswer)
    assert not result.sent
    assert "CERTIFICATE_VERIFY_FAILED" in result.reason
    assert wire.heard == []


def test_a_server_without_tls_hears_nothing(http: httpx.Client) -> None:
    with Wire(lambda _: [b"HTTP/1.1 400 Bad Request\r\n\r\n"]) as wire:
        result = send(http, wire.url.replace("http:", "https:"), deadline=SHORT)
    assert isinstance(result, NoAnswer)
    assert not result.sent
    assert b"POST" not in b"".join(wire.heard)


def test_a_full_pool_sends_nothing() -> None:
    over = threading.Event()
    asked = threading.Event()

    def slow(_: bytes) -> Iterable[bytes]:
        asked.set()
        over.wait()
        return [response(b"{}")]

    limits = httpx.Limits(max_connections=1)
    with Wire(slow) as wire, httpx.Client(limits=limits, trust_env=False) as http:
        first = threading.Thread(target=send, args=(http, wire.url))
        first.start()
        assert asked.wait(PROMPT)
        result = send(http, wire.url, deadline=SHORT)
        over.set()
        first.join()
    assert result == NoAnswer("no connection: timed out", sent=False)
    assert len(wire.heard) == 1


def test_a_proxy_that_refuses_sends_nothing() -> None:
    refusal = response(b"", "407 Proxy Authentication Required")
    with Wire(lambda _: [refusal]) as proxy, httpx.Client(proxy=proxy.url, trust_env=False) as http:
        result = send(http, "https://api.northflank.example")
    assert isinstance(result, NoAnswer)
    assert not result.sent
    assert "407" in result.reason
    assert b"Bearer" not in proxy.heard[0]


class Slept:
    """The clocks of a machine that sleeps for an hour between the guard and the first byte."""

    def __init__(self) -> None:
        self.looks = 0

    def now(self) -> datetime:
        self.looks += 1
        return datetime(2026, 11, 23, 12 + (self.looks > 1), tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


def test_a_machine_that_slept_since_the_guard_sends_nothing(http: httpx.Client) -> None:
    with Wire(lambda _: [response(b"{}")]) as wire:
        result = send(http, wire.url, clock=Slept())
    assert result == NoAnswer("connecting took until the deadline, or the machine was asleep", sent=False)
    assert b"".join(wire.heard) == b""


def test_a_deadline_that_is_over_sends_nothing(http: httpx.Client) -> None:
    with Wire(lambda _: [response(b"{}")]) as wire:
        result = send(http, wire.url, deadline=timedelta(0))
    assert result == NoAnswer("the deadline was over", sent=False)
    assert wire.heard == []


def test_each_request_has_a_connection_of_its_own(http: httpx.Client) -> None:
    with Wire(lambda _: [response(b"{}")]) as wire:
        assert all(isinstance(send(http, wire.url), Answer) for _ in range(2))
    assert [b"connection: close" in heard.lower() for heard in wire.heard] == [True, True]


def test_the_clients_own_settings_are_not_used() -> None:
    cookie = response(b"{}", set_cookie="session=other; Path=/")
    with (
        Wire(lambda _: [cookie]) as wire,
        httpx.Client(auth=("u", "p"), headers={"x-own": "1"}, trust_env=False) as http,
    ):
        send(http, wire.url)
        send(http, wire.url)
    sent = b"".join(wire.heard).lower()
    assert b"cookie" not in sent
    assert b"basic" not in sent
    assert b"x-own" not in sent


def test_no_thread_outlives_its_request(http: httpx.Client) -> None:
    with Wire(lambda _: [response(b"{}")]) as wire:
        send(http, wire.url)
    assert not [
        thread
        for thread in threading.enumerate()
        if isinstance(thread, threading.Timer) and not thread.finished.is_set()
    ]


def test_what_the_kernel_still_holds_at_the_deadline_never_arrives(http: httpx.Client) -> None:
    """Else a change that was given up may land minutes later: the kernel goes on after a close."""
    body = b"x" * 600_000
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # most of the body waits at the sender
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        result = exchange(http, "POST", url, headers={}, content=body, span=Span(SystemClock(), SHORT))
        assert isinstance(result, NoAnswer)
        assert result.sent
        connection, _ = listener.accept()
        arrived = b""
        with connection, suppress(ConnectionResetError):
            connection.settimeout(PROMPT)
            while piece := connection.recv(65536):
                arrived += piece
    assert arrived.count(b"x") < len(body)
