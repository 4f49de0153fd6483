"""The Civo stand-in: accounts with one API key each, the dashboard's Regenerate button, and GET /v2/quota.

What it answers is what Civo answers, as far as that is public: the quota as in Civo's API reference; what is said to a
request without a key, to an unknown key and to an unknown path as seen at api.civo.com in September 2026.
"""

from __future__ import annotations

import json
import re
import string
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from secrets import choice
from uuid import uuid4
from wsgiref.types import StartResponse, WSGIEnvironment

from pydantic import SecretStr
from werkzeug.wrappers import Request, Response

from rotator.material import Material
from rotator.sandbox.wire.faults import Faults
from rotator.sandbox.wire.serving import Served, Server

REGENERATE = "/_sandbox/regenerate"
"""Where a POST stands for the dashboard's button. Civo itself has no such path."""

_KEY_LENGTH = 50
_KEY_LETTERS = string.ascii_letters + string.digits
# Civo's own client sends `bearer`, as its reference says; others `Bearer`. Both work.
_BEARER = re.compile(r"bearer ([!-~]+)", re.IGNORECASE)

_USAGE = {
    "instance_count": (16, 6),
    "cpu_core": (10, 3),
    "ram_mb": (5120, 1536),
    "disk_gb": (250, 75),
    "disk_volume_count": (16, 6),
    "disk_snapshot_count": (30, 0),
    "public_ip_address": (16, 6),
    "subnet_count": (10, 1),
    "network_count": (10, 1),
    "security_group": (16, 5),
    "security_group_rule": (160, 24),
    "port_count": (32, 7),
}


@dataclass(frozen=True, slots=True)
class CivoAccount:
    """An account as its owner sees it. `quota_id` and `user_id` are what the quota shows beside the address."""

    email: str
    quota_id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class CivoKey:
    """An account's only key, and since when (aware UTC)."""

    value: SecretStr
    made_at: datetime


class CivoStandIn(Served):
    """Civo's API on loopback, served between entering and leaving its `with` block. It starts without accounts.

    The methods below go around the fault plan, and aren't counted in it.

    Args:
        port: a fixed port, or 0 for a free one.

    Attributes:
        secrets: every key that it ever gave out, to be searched for where none may be.
        faults: what goes wrong, and what was asked.
        server: where it listens, and what time it is there.
    """

    def __init__(self, *, port: int = 0) -> None:
        self.secrets: set[str] = set()
        self.faults = Faults(self._respond)
        self.server = Server(self.faults, port=port)
        self.serving = (self.server,)
        self._lock = threading.Lock()
        self._keys: dict[CivoAccount, CivoKey] = {}

    def add_account(self, email: str) -> CivoAccount:
        """Open an account; its key is made with it."""
        account = CivoAccount(email, str(uuid4()), str(uuid4()))
        self.regenerate(account)
        return account

    def delete_account(self, account: CivoAccount) -> None:
        """Close an account, and its key with it."""
        with self._lock:
            del self._keys[account]

    def key(self, account: CivoAccount) -> CivoKey:
        """The account's only key, as the dashboard shows it."""
        with self._lock:
            return self._keys[account]

    def regenerate(self, account: CivoAccount) -> CivoKey:
        """Press the dashboard's button: from now on there is another key, and the old one is dead."""
        value = "".join(choice(_KEY_LETTERS) for _ in range(_KEY_LENGTH))
        key = CivoKey(SecretStr(value), self.server.clock())
        with self._lock:
            self.secrets.add(value)
            self._keys[account] = key
        return key

    def works(self, material: Material) -> bool:
        """The key is some account's."""
        return self._owner(material.secret["apiKey"].get_secret_value()) is not None

    def _owner(self, key: str) -> CivoAccount | None:
        with self._lock:
            return next((account for account, own in self._keys.items() if own.value.get_secret_value() == key), None)

    def _pressed(self) -> Response:
        """The button of the first account, pressed by an operator in another process. Answers with the key."""
        with self._lock:
            account = next(iter(self._keys))
        return Response(self.regenerate(account).value.get_secret_value(), mimetype="text/plain")

    def _respond(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._answer(Request(environ, populate_request=False))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        if (request.method, request.path) == ("POST", REGENERATE):
            return self._pressed()
        if (request.method, request.path) != ("GET", "/v2/quota"):
            return Response("404 page not found", HTTPStatus.NOT_FOUND, mimetype="text/plain")
        bearer = _BEARER.fullmatch(request.headers.get("Authorization", ""))
        if bearer is None:
            reason = "Access denied, you don't have permission on this resource"
            return _json({"code": "authentication_access_denied", "reason": reason}, HTTPStatus.FORBIDDEN)
        account = self._owner(bearer[1])
        if account is None:
            reason = "Failed to find the account within the internal database"
            return _json({"code": "database_account_not_found", "reason": reason}, HTTPStatus.NOT_FOUND)
        return _json(_quota(account), HTTPStatus.OK)


def _quota(account: CivoAccount) -> Mapping[str, object]:
    whose = {
        "id": account.quota_id,
        "default_user_id": account.user_id,
        "default_user_email_address": account.email,
    }
    limits = {f"{name}_limit": limit for name, (limit, _) in _USAGE.items()}
    usage = {f"{name}_usage": used for name, (_, used) in _USAGE.items()}
    return {**whose, **limits, **usage}


def _json(said: Mapping[str, object], status: HTTPStatus) -> Response:
    return Response(json.dumps(said), status, mimetype="application/json")
