"""The OCI stand-in: users of one tenancy and their API keys, as the Identity service keeps them.

What it answers is what Oracle's API reference and "API Errors" say, with the messages that users report. Where those
are silent (the fourth key, the same key again) it takes the documented code that fits.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http import HTTPStatus
from pathlib import Path
from secrets import token_hex
from wsgiref.types import StartResponse, WSGIEnvironment

import httpx
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import SecretStr
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from rotator.material import Material
from rotator.model import Key
from rotator.providers.oci import keys as oci_keys
from rotator.providers.oci.signing import Signer
from rotator.sandbox.oci.auth import Claim, OciRefusal, claim, unauthenticated
from rotator.sandbox.wire.faults import Faults
from rotator.sandbox.wire.serving import Served, Server

REGION = "eu-frankfurt-1"
"""The home region, and the only one."""

_ADMIN = "rotator"
_LIMIT = 3
_ALWAYS = datetime.min.replace(tzinfo=UTC)
_LEAST_BITS = 2048
_PUBLIC_LINES = 8
_PEM_LINE = 64
_PATH = re.compile(r"/20160918/users/(?P<user>[^/]+)(?P<keys>/apiKeys)?(?:/(?P<fingerprint>[^/]+))?")

NEEDS: Mapping[str, frozenset[str]] = {
    # "Details for IAM" in OCI's policy reference.
    "GetUser": frozenset({"USER_INSPECT"}),
    "ListApiKeys": frozenset({"USER_READ"}),
    "UploadApiKey": frozenset({"USER_UPDATE", "USER_APIKEY_ADD"}),
    "DeleteApiKey": frozenset({"USER_UPDATE", "USER_APIKEY_REMOVE"}),
}
"""The operations, and the permissions that a policy must give for each. For their own user everybody has them."""

LEAST = frozenset(permission for needed in NEEDS.values() for permission in needed)
"""What rotator's own user may do to those that `add_user` makes."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A public key that was uploaded, at a moment (aware UTC), and since when OCI knows it."""

    public: RSAPublicKey = field(repr=False)
    made_at: datetime
    active_from: datetime


@dataclass(slots=True)
class TenancyUser:
    """A user of the tenancy.

    Args:
        granted: what rotator's own user may do to this one.
        can_use_api_keys: an administrator's switch for each user.
    """

    ocid: str
    name: str
    made_at: datetime
    granted: frozenset[str] = LEAST
    can_use_api_keys: bool = True
    keys: dict[str, ApiKey] = field(default_factory=dict)


class OciStandIn(Served):
    """One tenancy on loopback, served between entering and leaving its `with` block.

    It starts with the user `rotator`, who may do to the users made by `add_user` what the provider needs, and no more.
    The methods below go around the fault plan, and aren't counted in it.

    Args:
        port: a fixed port, or 0 for a free one.

    Attributes:
        tenancy, compartment: OCIDs.
        admin: the key of the user `rotator`.
        denied: operations, like `UploadApiKey`, that are refused whatever the policies say, to everybody.
        propagation: how long a key that was uploaded over the wire is unknown.
        page_size: how many keys a page of a list holds.
        secrets: every secret that it ever gave out, to be searched for where none may be.
        faults: what goes wrong, and what was asked.
        server: where it listens, and what time it is there.
    """

    def __init__(self, *, port: int = 0) -> None:
        self.tenancy = _ocid("tenancy")
        self.compartment = _ocid("compartment")
        self.denied: set[str] = set()
        self.propagation = timedelta(0)
        self.page_size = 100
        self.secrets: set[str] = set()
        self.faults = Faults(self._respond)
        self.server = Server(self.faults, port=port)
        self.serving = (self.server,)
        self._lock = threading.RLock()
        self._users: dict[str, TenancyUser] = {}
        self._admin = self.add_user(_ADMIN).ocid
        self.admin = self._enroll(self._admin, _admin_key())

    def add_user(self, name: str) -> TenancyUser:
        """Create a user, and let rotator's own rotate its keys."""
        user = TenancyUser(_ocid("user"), name, self.server.clock())
        with self._lock:
            self._users[user.ocid] = user
        return user

    def delete_user(self, ocid: str) -> None:
        """Delete a user and its keys."""
        with self._lock:
            del self._users[ocid]

    def create_key(self, ocid: str) -> Material:
        """Make a key as an operator would; it works at once."""
        return self._enroll(ocid, oci_keys.generate())

    def _enroll(self, ocid: str, private: RSAPrivateKey) -> Material:
        public, now = private.public_key(), self.server.clock()
        pem = oci_keys.private_pem(private, "traditional", None)
        with self._lock:
            self.secrets |= secret_parts(pem)
            self._users[ocid].keys[oci_keys.fingerprint(public)] = ApiKey(public, now, _ALWAYS)
        fields = {
            "region": REGION,
            "tenancyId": self.tenancy,
            "userId": ocid,
            "fingerprint": oci_keys.fingerprint(public),
            "compartmentId": self.compartment,
        }
        return Material(public=fields, secret={"privateKey": pem})

    def remove_key(self, material: Material) -> None:
        """Delete a key as an operator would."""
        key = material.public
        with self._lock:
            del self._users[key["userId"]].keys[key["fingerprint"]]

    def write_config(self, directory: Path) -> Path:
        """The SDK's config file, with a profile DEFAULT of the user `rotator`, and its key beside it."""
        admin = self.admin.reveal()
        config_file, key_file = directory / "oci-config", directory / "oci-rotator.pem"
        said = {
            "user": admin["userId"],
            "fingerprint": admin["fingerprint"],
            "tenancy": self.tenancy,
            "region": REGION,
            "key_file": str(key_file),
        }
        text = "\n".join(("[DEFAULT]", *(f"{name}={value}" for name, value in said.items()), ""))
        for path, content in ((key_file, admin["privateKey"]), (config_file, text)):
            path.touch(mode=0o600)
            path.write_text(content)
        return config_file

    def keys(self, ocid: str) -> tuple[Key, ...]:
        """The user's keys, as OCI lists them."""
        with self._lock:
            user = self._users.get(ocid)
            return tuple(
                Key(fingerprint, key.made_at.replace(microsecond=0), mark=fingerprint)
                for fingerprint, key in (user.keys.items() if user is not None else ())
            )

    def works(self, material: Material) -> bool:
        """Use a key as a consumer would, by GetUser on itself, and return whether OCI answered."""
        private = oci_keys.load(material.secret["privateKey"], material.secret.get("passphrase"), made_here=True)
        tenancy, user, name = (material.public[key] for key in ("tenancyId", "userId", "fingerprint"))
        url = httpx.URL(f"{self.server.url}/20160918/users/{user}")
        headers = Signer(tenancy, user, name, private).sign("GET", url, None, self.server.clock())
        answer = Client(self._respond).get(url.path, base_url=self.server.url, headers=dict(headers))
        return answer.status_code == HTTPStatus.OK

    def _respond(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        try:
            with self._lock:
                answer = self._answer(request)
        except OciRefusal as no:
            answer = _json({"code": no.code, "message": no.message}, no.status)
        answer.headers["opc-request-id"] = f"{token_hex(16).upper()}/{token_hex(16).upper()}"
        return answer(environ, start_response)

    def _answer(self, request: Request) -> Response:
        caller = self._authenticated(claim(request, request.get_data(), self.server.clock()))
        found = _PATH.fullmatch(request.path)
        operation = _operation(request.method, found)
        if found is None or operation is None:
            raise OciRefusal(HTTPStatus.NOT_FOUND, "NotFound", "There is no such operation.")
        user = self._users.get(found["user"])
        if user is None or not self._may(caller, user, operation):
            raise _not_found()
        operations: Mapping[str, Callable[[], Response]] = {
            "GetUser": lambda: _json(self._shown(user)),
            "ListApiKeys": lambda: self._list(user, request.args.get("page", "0")),
            "UploadApiKey": lambda: self._upload(user, request.get_data()),
            "DeleteApiKey": lambda: _delete(user, found["fingerprint"]),
        }
        return operations[operation]()

    def _authenticated(self, said: Claim) -> str:
        user = self._users.get(said.user)
        key = user.keys.get(said.fingerprint) if user is not None and said.tenancy == self.tenancy else None
        if user is None or key is None or not user.can_use_api_keys or self.server.clock() < key.active_from:
            raise unauthenticated()
        said.verify(key.public)
        return user.ocid

    def _may(self, caller: str, user: TenancyUser, operation: str) -> bool:
        if operation in self.denied:
            return False
        return caller == user.ocid or (caller == self._admin and NEEDS[operation] <= user.granted)

    def _list(self, user: TenancyUser, page: str) -> Response:
        if not page.isdecimal():
            raise OciRefusal(HTTPStatus.BAD_REQUEST, "InvalidParameter", "The page token is invalid.")
        start = int(page)
        listed = list(user.keys)
        answer = _json([self._shown_key(user, name) for name in listed[start : start + self.page_size]])
        if start + self.page_size < len(listed):
            answer.headers["opc-next-page"] = str(start + self.page_size)
        return answer

    def _upload(self, user: TenancyUser, body: bytes) -> Response:
        public = _public_key(body)
        name, now = oci_keys.fingerprint(public), self.server.clock()
        if any(name in each.keys for each in self._users.values()):
            code = "NotAuthorizedOrResourceAlreadyExists"
            raise OciRefusal(HTTPStatus.CONFLICT, code, "Authorization failed or requested resource already exists.")
        if len(user.keys) >= _LIMIT:
            message = f"The user has reached the maximum number of API keys: {_LIMIT}."
            raise OciRefusal(HTTPStatus.BAD_REQUEST, "LimitExceeded", message)
        user.keys[name] = ApiKey(public, now, now + self.propagation)
        return _json(self._shown_key(user, name))

    def _shown(self, user: TenancyUser) -> Mapping[str, object]:
        return {
            "id": user.ocid,
            "compartmentId": self.tenancy,
            "name": user.name,
            "description": user.name,
            "timeCreated": _time(user.made_at),
            "lifecycleState": "ACTIVE",
            "isMfaActivated": False,
            "capabilities": {"canUseApiKeys": user.can_use_api_keys, "canUseConsolePassword": False},
        }

    def _shown_key(self, user: TenancyUser, name: str) -> Mapping[str, object]:
        key = user.keys[name]
        return {
            "keyId": f"{self.tenancy}/{user.ocid}/{name}",
            "keyValue": oci_keys.public_pem(key.public),
            "fingerprint": name,
            "userId": user.ocid,
            "timeCreated": _time(key.made_at),
            "lifecycleState": "ACTIVE" if self.server.clock() >= key.active_from else "CREATING",
            "inactiveStatus": None,
        }


def secret_parts(pem: SecretStr) -> set[str]:
    """The lines of a private key that no other key has: a log may show them escaped, or one alone.

    The first lines are left out: they hold the public half. The last ones are, being short.
    """
    return {line for line in pem.get_secret_value().splitlines()[_PUBLIC_LINES:] if len(line) == _PEM_LINE}


@cache
def _admin_key() -> RSAPrivateKey:
    """Of the user `rotator` of all stand-ins of a process: making one takes a tenth of a second."""
    return oci_keys.generate()


def _operation(method: str, found: re.Match[str] | None) -> str | None:
    if found is None:
        return None
    operations = {
        ("GET", False, False): "GetUser",
        ("GET", True, False): "ListApiKeys",
        ("POST", True, False): "UploadApiKey",
        ("DELETE", True, True): "DeleteApiKey",
    }
    return operations.get((method, found["keys"] is not None, found["fingerprint"] is not None))


def _public_key(body: bytes) -> RSAPublicKey:
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise OciRefusal(HTTPStatus.BAD_REQUEST, "CannotParseRequest", "The request is incorrectly formatted.")
    if not isinstance(said.get("key"), str):
        raise OciRefusal(HTTPStatus.BAD_REQUEST, "MissingParameter", "key may not be null.")
    try:
        key = load_pem_public_key(said["key"].encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPublicKey) or key.key_size < _LEAST_BITS:
        message = f"The key must be an RSA public key of at least {_LEAST_BITS} bits, in PEM."
        raise OciRefusal(HTTPStatus.BAD_REQUEST, "InvalidParameter", message)
    return key


def _delete(user: TenancyUser, name: str) -> Response:
    if user.keys.pop(name, None) is None:
        raise _not_found()
    return Response(status=HTTPStatus.NO_CONTENT)


def _not_found() -> OciRefusal:
    message = "Authorization failed or requested resource not found."
    return OciRefusal(HTTPStatus.NOT_FOUND, "NotAuthorizedOrNotFound", message)


def _ocid(kind: str) -> str:
    return f"ocid1.{kind}.oc1..aaaaaaaa{token_hex(26)}"


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(said: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(json.dumps(said), status, mimetype="application/json")
