"""The cloud of docs/examples/rotator-acme: a strict stand-in of an invented API."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

ROBOT = "northflank"

_ROUTES = Map(
    [
        Rule("/v1/me", methods=["GET"], endpoint="me"),
        Rule(f"/v1/robots/{ROBOT}/keys", methods=["GET"], endpoint="list"),
        Rule(f"/v1/robots/{ROBOT}/keys", methods=["POST"], endpoint="create"),
        Rule(f"/v1/robots/{ROBOT}/keys/<key_id>", methods=["PATCH"], endpoint="update"),
        Rule(f"/v1/robots/{ROBOT}/keys/<key_id>", methods=["DELETE"], endpoint="delete"),
    ]
)


@dataclass
class AcmeKey:
    id: str
    label: str | None
    created_at: str
    enabled: bool = True
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    def shown(self) -> dict[str, object]:
        return {name: value for name, value in asdict(self).items() if name != "secret"}


class Acme:
    """One robot with an old key, as a WSGI application."""

    def __init__(self) -> None:
        self.admin = secrets.token_urlsafe(24)
        self.keys: dict[str, AcmeKey] = {}
        self._lock = threading.Lock()
        self.old = self._add(None, datetime.now(UTC) - timedelta(days=40))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with self._lock:
            return self._answer(Request(environ))(environ, start_response)

    def holder(self, secret: str) -> AcmeKey | None:
        """The enabled key that this is the secret of."""
        return next((key for key in self.keys.values() if key.enabled and key.secret == secret), None)

    def _add(self, label: str | None, created_at: datetime) -> AcmeKey:
        key = AcmeKey(f"ak-{len(self.keys) + 1}", label, created_at.isoformat())
        self.keys[key.id] = key
        return key

    def _answer(self, request: Request) -> Response:
        try:
            endpoint, arguments = _ROUTES.bind_to_environ(request.environ).match()
        except HTTPException as error:
            return _refused(error.code or 404, "no_such_thing")
        bearer = request.authorization.token if request.authorization is not None else None
        known = self.holder(bearer or "") is not None if endpoint == "me" else bearer == self.admin
        if not known:
            return _refused(401, "unauthorized")
        if arguments and arguments["key_id"] not in self.keys:
            return _refused(404, "no_such_key")
        return self._carry_out(endpoint, request, **arguments)

    def _carry_out(self, endpoint: str, request: Request, key_id: str = "") -> Response:
        match endpoint:
            case "me":
                return _said({"robot": ROBOT})
            case "list":
                return _said({"keys": [key.shown() for key in self.keys.values()]})
            case "create":
                key = self._add(request.get_json()["label"], datetime.now(UTC))
                return _said({**key.shown(), "secret": key.secret}, 201)
            case "update":
                self.keys[key_id].enabled = request.get_json()["enabled"]
                return _said({})
            case _:
                del self.keys[key_id]
                return Response(status=204)


def _said(body: object, status: int = 200) -> Response:
    return Response(json.dumps(body), status, content_type="application/json")


def _refused(status: int, code: str) -> Response:
    return _said({"error": {"code": code, "message": code}}, status)
