"""The fault plan, seen by a real client over a real socket."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from wsgiref.types import StartResponse, WSGIEnvironment

import httpx
import pytest

from rotator.sandbox.wire.faults import Faults
from rotator.sandbox.wire.rules import Canned, Cut, Delay, Drip, Late, Reset, Rule
from rotator.sandbox.wire.serving import Server
from tests.support.patience import patience

pytestmark = pytest.mark.realtime

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading certificates would take longer than most tests here
BODY = b'{"answer": "the stand-in\'s own"}'


@dataclass
class Counting:
    """An application that remembers which request bodies it processed, and on which client ports."""

    bodies: list[bytes] = field(default_factory=list)
    ports: list[str] = field(default_factory=list)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self.bodies.append(environ["wsgi.input"].read())
        self.ports.append(environ["REMOTE_PORT"])
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(BODY)))])
        return [BODY]


@dataclass
class World:
    app: Counting
    faults: Faults
    server: Server
    client: httpx.Client


@pytest.fixture
def world() -> Iterator[World]:
    app = Counting()
    faults = Faults(app)
    with Server(faults) as server, httpx.Client(base_url=server.url, verify=NO_TLS) as client:
        yield World(app, faults, server, client)


def test_connections_are_reused_and_bodies_do_not_run_into_the_next_request(world: World) -> None:
    for number in range(5):
        assert world.client.post("/", content=f"body {number}").content == BODY
    assert world.app.bodies == [f"body {number}".encode() for number in range(5)]
    assert len(set(world.app.ports)) == 1


def test_chunked_bodies_are_understood(world: World) -> None:
    assert world.client.post("/", content=iter([b"in ", b"pieces"])).status_code == 200
    assert world.client.get("/").status_code == 200
    assert world.app.bodies == [b"in pieces", b""]


def test_the_date_header_follows_the_servers_clock(world: World) -> None:
    noon = datetime(2031, 5, 6, 12, tzinfo=UTC)
    world.server.clock = lambda: noon
    assert parsedate_to_datetime(world.client.get("/").headers["Date"]) == noon
    world.server.clock = lambda: noon + timedelta(days=1)
    assert parsedate_to_datetime(world.client.get("/").headers["Date"]) == noon + timedelta(days=1)


def test_a_stopped_server_is_down_for_kept_connections_and_can_come_back_on_its_port() -> None:
    app = Counting()
    with httpx.Client(verify=NO_TLS) as client:
        with Server(app) as server:
            assert client.get(server.url).status_code == 200
        with pytest.raises(httpx.TransportError):
            client.get(server.url)
        with Server(app, port=server.port) as again:
            assert client.get(again.url).status_code == 200
    assert len(app.bodies) == 2


def test_a_taken_port_is_an_oserror() -> None:
    with Server(Counting()) as server, pytest.raises(OSError, match="in use"), Server(Counting(), port=server.port):
        pass


@pytest.mark.parametrize(("when", "processed"), [("before", 0), ("after", 1)])
def test_an_answer_replaces_the_stand_ins_own(world: World, when: str, processed: int) -> None:
    world.faults.put(
        Rule(fault=Canned(when=when, status=502, body="<html>", content_type="text/html", headers={"Via": "1.1 proxy"}))
    )
    answer = world.client.post("/", content=b"x")
    assert (answer.status_code, answer.text, answer.headers["Content-Type"]) == (502, "<html>", "text/html")
    assert answer.headers["Via"] == "1.1 proxy"
    assert len(world.app.bodies) == processed
    assert [seen.status for seen in world.faults.requests()] == [502]


@pytest.mark.parametrize(("when", "processed"), [("before", 0), ("after", 1)])
def test_a_reset_gives_the_client_no_byte(world: World, when: str, processed: int) -> None:
    world.faults.put(Rule(fault=Reset(when=when)))
    with pytest.raises(httpx.ReadError) as caught:
        world.client.post("/", content=b"x")
    assert "reset" in str(caught.value)
    assert len(world.app.bodies) == processed
    assert [(seen.status, seen.processed) for seen in world.faults.requests()] == [(None, bool(processed))]
    assert world.client.get("/").content == BODY


def test_a_held_connection_outlasts_the_clients_patience(world: World) -> None:
    world.faults.put(Rule(fault=Reset(when="after", hold=None)))
    with pytest.raises(httpx.ReadTimeout):
        world.client.post("/", content=b"x", timeout=httpx.Timeout(patience(), read=0.1))
    world.faults.wait_for(1, state="processed")
    assert world.app.bodies == [b"x"]
    world.faults.release()


@pytest.mark.parametrize("keep", [0, 5, 10_000])
def test_a_cut_body_is_shorter_than_promised(world: World, keep: int) -> None:
    world.faults.put(Rule(fault=Cut(keep=keep)))
    with pytest.raises(httpx.RemoteProtocolError) as caught:
        world.client.post("/")
    assert f"received {min(keep, len(BODY) - 1)} bytes, expected {len(BODY)}" in str(caught.value)
    assert len(world.app.bodies) == 1


def test_a_drip_is_slow_and_complete(world: World) -> None:
    world.faults.put(Rule(fault=Drip(size=8, pause=0.05)))
    started = time.monotonic()
    assert world.client.post("/").content == BODY
    assert time.monotonic() - started > 0.15


@pytest.mark.parametrize(("when", "processed_meanwhile"), [("before", 0), ("after", 1)])
def test_a_delay_holds_the_request_until_released(world: World, when: str, processed_meanwhile: int) -> None:
    world.faults.put(Rule(fault=Delay(when=when, seconds=None)))
    answers: list[bytes] = []
    caller = threading.Thread(target=lambda: answers.append(world.client.post("/", content=b"x").content))
    caller.start()
    world.faults.wait_for(1, state="processed" if processed_meanwhile else "arrived")
    assert (len(world.app.bodies), answers) == (processed_meanwhile, [])
    world.faults.release()
    caller.join()
    assert (world.app.bodies, answers) == ([b"x"], [BODY])


def test_a_late_request_is_processed_when_released(world: World) -> None:
    world.faults.put(Rule(fault=Late()))
    with pytest.raises(httpx.ReadError):
        world.client.post("/", content=b"late")
    world.client.post("/", content=b"second")
    assert world.app.bodies == [b"second"]
    world.faults.release()
    assert world.app.bodies == [b"second", b"late"]
    world.faults.release()
    assert len(world.app.bodies) == 2


def test_a_late_request_is_processed_by_the_clock(world: World) -> None:
    world.faults.put(Rule(fault=Late(seconds=0.05)))
    with pytest.raises(httpx.ReadError):
        world.client.post("/", content=b"late")
    assert world.faults.wait_for(1, state="processed")[0].status is None
    assert world.app.bodies == [b"late"]


def test_rules_match_by_method_path_and_action_and_count_their_matches(world: World) -> None:
    world.faults.put(
        Rule(method="POST", path="^/iam$", action="CreateAccessKey", skip=1, times=2, fault=Canned(status=500)),
        Rule(path="always", times=None, fault=Canned(status=503)),
    )

    def post(path: str, action: str) -> int:
        return world.client.post(path, data={"Action": action, "Version": "2010-05-08"}).status_code

    assert [post("/iam", "CreateAccessKey") for _ in range(4)] == [200, 500, 500, 200]
    assert [post("/iam", "ListAccessKeys"), post("/iam/x", "CreateAccessKey")] == [200, 200]
    assert [world.client.get("/iam?Action=CreateAccessKey").status_code for _ in range(3)] == [200, 200, 200]
    assert [world.client.get("/always/more").status_code for _ in range(3)] == [503, 503, 503]
    assert [seen.status for seen in world.faults.requests(method="POST", action="CreateAccessKey")] == [
        200,
        500,
        500,
        200,
        200,
    ]
    assert b"Action=CreateAccessKey" in world.app.bodies[0]


def test_of_two_rules_the_second_applies_when_the_first_is_used_up(world: World) -> None:
    world.faults.put(Rule(fault=Canned(status=500)), Rule(fault=Canned(status=502)))
    assert [world.client.get("/").status_code for _ in range(3)] == [500, 502, 200]


def test_waiting_in_vain_says_how_far_it_came(world: World) -> None:
    world.client.get("/a")
    with pytest.raises(TimeoutError, match="1 of 2 requests answered"):
        world.faults.wait_for(2, path="^/a$", state="answered", timeout=0.01)


def test_the_plan_over_http(world: World) -> None:
    rule = {"method": "GET", "path": "^/x", "times": None, "fault": {"kind": "answer", "status": 418, "body": "{}"}}
    answer = world.client.put("/_sandbox/faults", json=[rule])
    assert answer.status_code == 200
    assert answer.json() == world.client.get("/_sandbox/faults").json()
    assert answer.json()[0]["path"] == "^/x"
    assert [world.client.get("/x?page=2").status_code, world.client.get("/y").status_code] == [418, 200]
    assert world.client.get("/_sandbox/requests").json() == [
        {"method": "GET", "path": "/x", "query": "page=2", "action": None, "status": 418, "processed": False},
        {"method": "GET", "path": "/y", "query": "", "action": None, "status": 200, "processed": True},
    ]
    assert world.client.delete("/_sandbox/faults").json() == []
    assert world.client.get("/x").status_code == 200


def test_late_requests_are_released_over_http(world: World) -> None:
    world.client.put("/_sandbox/faults", json=[{"fault": {"kind": "late"}}])
    with pytest.raises(httpx.ReadError):
        world.client.post("/", content=b"late")
    assert world.client.post("/_sandbox/release").status_code == 200
    assert world.app.bodies == [b"late"]


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ("not json", "Invalid JSON"),
        ('{"fault": {}}', "valid array"),
        ('[{"fault": {"kind": "explode"}}]', "'answer', 'delay', 'reset', 'cut', 'drip', 'late'"),
        ('[{"fault": {"kind": "reset"}, "tmies": 2}]', "tmies"),
        ('[{"fault": {"kind": "reset", "when": "during"}}]', "'before' or 'after'"),
        ('[{"fault": {"kind": "reset"}, "path": "("}]', "valid regular expression"),
        ('[{"fault": {"kind": "reset"}, "times": 0}]', "greater than 0"),
        ('[{"fault": {"kind": "answer", "status": 99}}]', "greater than or equal to 200"),
    ],
)
def test_a_bad_plan_is_refused_with_what_is_allowed_and_the_old_one_stays(world: World, plan: str, says: str) -> None:
    world.faults.put(Rule(path="^/x", times=None, fault=Canned(status=418)))
    answer = world.client.put("/_sandbox/faults", content=plan)
    assert answer.status_code == 400
    assert says in json.dumps(answer.json()["error"])
    assert "Drip" in answer.json()["allowed"]["$defs"]
    assert world.client.get("/x").status_code == 418


def test_unknown_sandbox_paths_reach_the_stand_in_itself(world: World) -> None:
    assert world.client.get("/_sandbox/else").content == BODY
    assert world.faults.requests() == []


def test_a_client_that_leaves_in_the_middle_harms_nobody(world: World) -> None:
    with socket.create_connection(("127.0.0.1", world.server.port)) as rude:
        rude.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    assert world.client.get("/").content == BODY
    assert world.app.bodies == [b""]
