"""The HTTP exchange of providers: what was sent, what was answered, and for how long it is tried."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from wsgiref.types import StartResponse, WSGIEnvironment

import httpx
import pytest
from werkzeug.wrappers import Request, Response

from rotator.clock import SystemClock
from rotator.errors import CallFailed, Verdict
from rotator.http.answers import Answer, date_of, is_refusal, json_object
from rotator.http.calls import patiently, send
from rotator.http.exchange import LARGEST_BODY, Span
from rotator.sandbox.wire.faults import Faults
from rotator.sandbox.wire.rules import Canned as Says
from rotator.sandbox.wire.rules import Cut, Drip, Fault, Reset, Rule
from rotator.sandbox.wire.serving import Server
from tests.support.patience import patience

pytestmark = pytest.mark.realtime

SECRET = "canary-of-the-request"
CLOCK = SystemClock()


def echo(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    request = Request(environ)
    said = {name: request.headers.get(name) for name in ("User-Agent", "Authorization", "Cookie")}
    return Response(json.dumps(said), headers={"Set-Cookie": "a=b; Path=/"})(environ, start_response)


@pytest.fixture
def faults() -> Faults:
    return Faults(echo)


@pytest.fixture
def server(faults: Faults) -> Iterator[Server]:
    with Server(faults) as server:
        yield server


@pytest.fixture
def ask(server: Server) -> Iterator[Callable[..., Answer]]:
    with httpx.Client() as http:

        def asked(span: Span | None = None, url: str = "") -> Answer:
            return send(
                http,
                "POST",
                url or server.url,
                what="the call",
                headers={"X-Secret": SECRET},
                content=SECRET.encode(),
                span=span or Span(CLOCK, timedelta(seconds=20)),
            )

        yield asked


def failure_of(call: Callable[[], object]) -> CallFailed:
    with pytest.raises(CallFailed, match="the call") as caught:
        call()
    assert (
        SECRET not in f"{caught.value!r} {vars(caught.value)} {caught.value.__cause__!r} {caught.value.__context__!r}"
    )
    return caught.value


def test_the_whole_answer(ask: Callable[..., Answer]) -> None:
    answer = ask()
    date = date_of(answer)
    assert answer.status == 200
    assert date is not None
    assert date.tzinfo is UTC
    assert abs(date - datetime.now(UTC)) < timedelta(seconds=patience(30))


def test_nothing_is_sent_that_was_not_asked_for(
    ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine")
    monkeypatch.setenv("NETRC", str(netrc))
    for _ in range(2):
        said = json_object(ask().body)
        assert said is not None
        assert said["User-Agent"].startswith("rotator/")
        assert (said["Authorization"], said["Cookie"]) == (None, None)


def test_a_redirect_is_an_answer_like_any_other(ask: Callable[..., Answer], faults: Faults) -> None:
    faults.put(Rule(fault=Says(status=307, headers={"Location": "/elsewhere"})))
    assert ask().status == 307
    assert len(faults.requests()) == 1


def test_a_port_that_nobody_listens_at_was_sent_nothing(ask: Callable[..., Answer]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    failure = failure_of(lambda: ask(url=f"http://127.0.0.1:{port}"))
    assert failure.verdict is Verdict.NOT_APPLIED
    assert failure.remedy


@pytest.mark.parametrize("fault", [Reset(), Reset(when="after"), Cut(keep=3)], ids=str)
def test_what_broke_on_the_way_is_unknown(ask: Callable[..., Answer], faults: Faults, fault: Fault) -> None:
    faults.put(Rule(times=None, fault=fault))
    assert failure_of(ask).verdict is Verdict.UNKNOWN
    assert len(faults.requests()) == 1


def test_a_slow_drip_ends_in_time(ask: Callable[..., Answer], faults: Faults) -> None:
    faults.put(Rule(fault=Drip(size=1, pause=3600)))
    begun = time.monotonic()
    assert failure_of(lambda: ask(Span(CLOCK, timedelta(seconds=patience(1))))).verdict is Verdict.UNKNOWN
    assert time.monotonic() - begun < patience(6)


def test_a_body_without_end_is_not_read(ask: Callable[..., Answer], faults: Faults) -> None:
    faults.put(Rule(fault=Says(status=200, body="x" * (LARGEST_BODY + 1))))
    assert failure_of(ask).verdict is Verdict.UNKNOWN


class TestPatience:
    deadline = timedelta(seconds=20)

    def test_one_failure_is_made_up_for(self, ask: Callable[..., Answer], faults: Faults) -> None:
        faults.put(Rule(times=1, fault=Reset()))
        assert patiently(ask, clock=CLOCK, deadline=self.deadline).status == 200
        assert len(faults.requests()) == 2

    def test_it_ends(self, ask: Callable[..., Answer], faults: Faults) -> None:
        faults.put(Rule(times=None, fault=Reset()))
        assert failure_of(lambda: patiently(ask, clock=CLOCK, deadline=self.deadline)).verdict is Verdict.UNKNOWN
        assert len(faults.requests()) == 2

    def test_it_ends_in_time(self, ask: Callable[..., Answer], faults: Faults) -> None:
        faults.put(Rule(times=None, fault=Drip(size=1, pause=3600)))
        begun = time.monotonic()
        failure_of(lambda: patiently(ask, clock=CLOCK, deadline=timedelta(seconds=patience(1))))
        assert time.monotonic() - begun < patience(6)

    @pytest.mark.parametrize(
        "failure",
        [
            CallFailed("the call", verdict=Verdict.REFUSED, code="x"),
            CallFailed("the call", verdict=Verdict.NOT_APPLIED, code="x", retry_after=timedelta(seconds=1)),
        ],
    )
    def test_what_was_refused_or_asks_for_peace_is_not_asked_again(self, failure: CallFailed) -> None:
        asked: list[Span] = []

        def refused(span: Span) -> None:
            asked.append(span)
            raise failure

        assert failure_of(lambda: patiently(refused, clock=CLOCK, deadline=self.deadline)) is failure
        assert len(asked) == 1


@pytest.mark.parametrize(
    ("status", "refuses"),
    [(400, True), (404, True), (429, True), (408, False), (425, False), (499, False), (500, False)],
)
def test_which_statuses_refuse(status: int, refuses: bool) -> None:
    assert is_refusal(status) is refuses


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b"{", b"\xff", b"<html>", b"[" * 100_000])
def test_what_is_no_object(body: bytes) -> None:
    assert json_object(body) is None


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 23 Nov 2026 10:00:00 -0000"])
def test_what_is_no_date(date: str) -> None:
    assert date_of(Answer(200, httpx.Headers({"date": date}), b"", CLOCK.now())) is None
