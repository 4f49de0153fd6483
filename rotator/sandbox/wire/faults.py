"""The fault plan: what goes wrong between a client and a stand-in, how often, and what was asked of the stand-in.

It is set from Python, or over HTTP where the stand-in runs in another process:

    PUT    /_sandbox/faults     a JSON list of rules, in place of the ones before
    GET    /_sandbox/faults     the rules
    DELETE /_sandbox/faults     no rules
    POST   /_sandbox/release    let go of all that waits: delays, holds, drips, late requests (answers with the rules)
    GET    /_sandbox/requests   the requests so far, oldest first
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from io import BytesIO
from typing import Literal
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from pydantic import ValidationError
from werkzeug.wrappers import Request, Response

from rotator.sandbox.wire.rules import RULES, Canned, Cut, Delay, Drip, Fault, Late, Reset, Rule, explain
from rotator.sandbox.wire.serving import CutConnection

_REMEMBERED = 50_000  # requests: a sandbox may run for weeks

RequestStage = Literal["arrived", "processed", "answered"]
"""How far a request has come. One whose reply was replaced is answered; one whose connection was reset never is."""


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One request as it came in, and what became of it. Bodies and headers are not kept: they hold secrets.

    Args:
        status: what the client was sent; None as long as nothing was.
        processed: the stand-in itself saw the request, whatever the client received.
    """

    method: str
    path: str
    query: str
    action: str | None
    status: int | None = None
    processed: bool = False

    def matches(self, method: str | None, path: str | re.Pattern[str], action: str | None) -> bool:
        """True if the request is one of these; None is any, `path` is found anywhere in the path."""
        return (
            method in {None, self.method} and action in {None, self.action} and re.search(path, self.path) is not None
        )

    def reached(self, state: RequestStage) -> bool:
        """True once the request has come as far as `state`."""
        return {"arrived": True, "processed": self.processed, "answered": self.status is not None}[state]


@dataclass(slots=True)
class _Armed:
    rule: Rule
    matched: int = 0
    fired: int = 0

    def ready(self) -> bool:
        return self.matched > self.rule.skip and (self.rule.times is None or self.fired < self.rule.times)


class Faults:
    """A WSGI application around a stand-in's own: it spoils requests by the rules and remembers all of them.

    Of the rules that match a request, the first that has not fired its `times` is applied. Requests below
    `/_sandbox/` are neither spoiled nor remembered.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self._changed = threading.Condition()  # guards all below
        self._armed: list[_Armed] = []
        self._seen: dict[int, SeenRequest] = {}
        self._total = 0
        self._late: dict[int, WSGIEnvironment] = {}
        self._gate = threading.Event()

    def put(self, *rules: Rule) -> None:
        """Replace the rules. What waits already goes on waiting."""
        with self._changed:
            self._armed = [_Armed(rule) for rule in rules]

    def rules(self) -> list[Rule]:
        """The rules in force."""
        with self._changed:
            return [armed.rule for armed in self._armed]

    def release(self) -> None:
        """Let go of all that waits now. Late requests have been processed when this returns."""
        with self._changed:
            self._gate.set()
            self._gate = threading.Event()
            late = tuple(self._late)
        for number in late:
            self._process_late(number)

    def requests(
        self,
        *,
        method: str | None = None,
        path: str | re.Pattern[str] = "",
        action: str | None = None,
        state: RequestStage = "arrived",
    ) -> list[SeenRequest]:
        """The requests so far that match and have come as far as `state`, oldest first."""
        with self._changed:
            return [seen for seen in self._seen.values() if seen.matches(method, path, action) and seen.reached(state)]

    def wait_for(
        self,
        count: int,
        *,
        method: str | None = None,
        path: str | re.Pattern[str] = "",
        action: str | None = None,
        state: RequestStage = "arrived",
        timeout: float = 60,
    ) -> list[SeenRequest]:
        """Wait until `count` requests, counted from the beginning, match and have come as far as `state`.

        Raises:
            TimeoutError: they had not after `timeout` seconds.
        """

        def matching() -> list[SeenRequest]:
            return self.requests(method=method, path=path, action=action, state=state)

        with self._changed:
            if not self._changed.wait_for(lambda: len(matching()) >= count, timeout):
                raise TimeoutError(f"{len(matching())} of {count} requests {state} within {timeout} s")
            return matching()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ, populate_request=False)
        body = request.get_data()
        environ["wsgi.input"] = BytesIO(body)
        if request.path.startswith("/_sandbox/"):
            return (self._control(request) or self._app)(environ, start_response)
        number, fault, gate = self._arrived(request)
        response = self._suffer(fault, number, environ, gate)
        self._note(number, status=response.status_code)
        return response(environ, start_response)

    def _arrived(self, request: Request) -> tuple[int, Fault | None, threading.Event]:
        seen = SeenRequest(request.method, request.path, request.query_string.decode(), request.values.get("Action"))
        with self._changed:
            self._total += 1
            self._seen[self._total] = seen
            self._seen.pop(self._total - _REMEMBERED, None)
            self._changed.notify_all()
            return self._total, self._choose(seen), self._gate

    def _choose(self, seen: SeenRequest) -> Fault | None:
        matching = [
            armed for armed in self._armed if seen.matches(armed.rule.method, armed.rule.path, armed.rule.action)
        ]
        for armed in matching:
            armed.matched += 1
        chosen = next((armed for armed in matching if armed.ready()), None)
        if chosen is None:
            return None
        chosen.fired += 1
        return chosen.rule.fault

    def _suffer(self, fault: Fault | None, number: int, environ: WSGIEnvironment, gate: threading.Event) -> Response:
        match fault:
            case Canned(when=when):
                if when == "after":
                    self._process(number, environ)
                return Response(fault.body, fault.status, fault.headers, content_type=fault.content_type)
            case Delay(when="before", seconds=seconds):
                gate.wait(seconds)
            case Delay(when="after", seconds=seconds):
                response = self._process(number, environ)
                gate.wait(seconds)
                return response
            case Reset(when=when, hold=hold):
                if when == "after":
                    self._process(number, environ)
                gate.wait(hold)
                raise CutConnection
            case Cut(keep=keep):
                return _cut(self._process(number, environ), keep)
            case Drip(size=size, pause=pause):
                return _drip(self._process(number, environ), size, pause, gate)
            case Late(seconds=seconds):
                self._postpone(number, environ, seconds)
                raise CutConnection
        return self._process(number, environ)

    def _process(self, number: int, environ: WSGIEnvironment) -> Response:
        response = Response.from_app(self._app, environ, buffered=True)
        self._note(number, processed=True)
        return response

    def _postpone(self, number: int, environ: WSGIEnvironment, seconds: float | None) -> None:
        with self._changed:
            self._late[number] = environ
        if seconds is not None:
            timer = threading.Timer(seconds, self._process_late, (number,))
            timer.daemon = True
            timer.start()

    def _process_late(self, number: int) -> None:
        with self._changed:
            environ = self._late.pop(number, None)
        if environ is not None:
            self._process(number, environ)

    def _note(self, number: int, *, status: int | None = None, processed: bool | None = None) -> None:
        with self._changed:
            if number in self._seen:
                seen = self._seen[number]
                self._seen[number] = replace(seen, status=status or seen.status, processed=processed or seen.processed)
                self._changed.notify_all()

    def _control(self, request: Request) -> Response | None:
        match request.path.removeprefix("/_sandbox/"), request.method:
            case "requests", "GET":
                return _json(json.dumps([asdict(seen) for seen in self.requests()]).encode())
            case "faults", "PUT":
                return self._put(request.get_data())
            case "faults", "DELETE":
                self.put()
            case "release", "POST":
                self.release()
            case "faults", "GET":
                pass
            case _:
                return None
        return _json(RULES.dump_json(self.rules()))

    def _put(self, body: bytes) -> Response:
        try:
            rules = RULES.validate_json(body)
        except ValidationError as invalid:
            return _json(explain(invalid), HTTPStatus.BAD_REQUEST)
        self.put(*rules)
        return _json(RULES.dump_json(rules))


def _cut(response: Response, keep: int) -> Response:
    body = response.get_data()
    if not body:
        raise CutConnection
    return _slowly(response, iter([body[: min(keep, len(body) - 1)]]), len(body))


def _drip(response: Response, size: int, pause: float, gate: threading.Event) -> Response:
    body = response.get_data()

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), size):
            gate.wait(pause)
            yield body[start : start + size]

    return _slowly(response, pieces(), len(body))


def _slowly(response: Response, pieces: Iterator[bytes], promised: int) -> Response:
    response.response = pieces
    response.headers["Content-Length"] = str(promised)
    return response


def _json(body: bytes, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(body, status, content_type="application/json")
