"""The Google Cloud stand-in: one project's service accounts, with real keys, tokens, rights, limits and delays.

IAM is gRPC, the token endpoint and the policy analyzer are HTTP: two servers with one fault plan.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlencode
from wsgiref.types import StartResponse, WSGIEnvironment

from google.auth import jwt
from google.auth.crypt import RSASigner
from google.cloud.iam_admin_v1 import ServiceAccountKey
from pydantic import SecretStr
from werkzeug.test import Client
from werkzeug.wrappers import Request

from rotator.material import Material
from rotator.model import Key
from rotator.sandbox.gcp.http import ANALYSE, GOOGLES_AUDIENCE, Activity, TokensAndActivities
from rotator.sandbox.gcp.iam import KEY_PERMISSIONS, SERVICE, IamService
from rotator.sandbox.gcp.project import Project, ProjectAccount
from rotator.sandbox.wire.faults import Faults
from rotator.sandbox.wire.http2 import Http2Server
from rotator.sandbox.wire.serving import Served, Server, utc_now

_ADMIN = "rotator"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class GcpStandIn(Served):
    """One project on loopback, served between entering and leaving its `with` block.

    It starts with the service account `rotator`, which may do to the accounts made by `add_account` what the provider
    needs, and no more. The methods below go around the fault plan, and aren't counted in it.

    Args:
        clock: what time it is there (aware UTC).

    Attributes:
        clock: may be replaced at any time.
        signing_clock: what the times in assertions of the account `rotator`, and the ages of its tokens, are compared
            with instead, where the clock is moved and the SDK's can't be: it signs by the clock of its machine.
        project: the state. `project.propagation`, `project.constraints` and `project.longest` may be set.
        denied: permissions, like `iam.serviceAccountKeys.create`, that are refused whatever was granted.
        activity: how late and how coarse the policy analyzer shows a use, to those who may ask (`allow_analysis`).
        strays: what ListServiceAccountKeys shows beside each account's keys, and no other call knows.
        faults: what goes wrong, and what was asked, of both servers.
        iam: where IAM listens.
        http: where the token endpoint and the policy analyzer listen, and the fault plan is set over HTTP.
    """

    def __init__(self, *, clock: Callable[[], datetime] = utc_now) -> None:
        self.clock = clock
        self.signing_clock: Callable[[], datetime] = self._now
        self.denied: set[str] = set()
        self.activity = Activity()
        self.strays: list[ServiceAccountKey] = []
        self.project = Project(f"sandbox-{token_hex(3)}", self._now)
        self._iam = IamService(self.project, self._caller, self.denied, self.strays)
        self._others = TokensAndActivities(self.project, self._clock_of, self._caller, self.activity, self.denied)
        self.faults = Faults(self._respond)
        self.iam = Http2Server(self.faults, clock=self._now)
        self.http = Server(self.faults, clock=self._now)
        self.serving = (self.iam, self.http)
        self._signers: dict[str, RSASigner] = {}
        self._admin = self.project.add_account(_ADMIN)
        self._admin_file = self._create_key(self._admin)

    @property
    def secrets(self) -> set[str]:
        """Every secret that it ever saw or gave out, to be searched for where none may be."""
        return self.project.secrets

    @property
    def token_uri(self) -> str:
        """Its token endpoint. Known once it serves."""
        return f"{self.http.url}/token"

    @property
    def settings(self) -> dict[str, str]:
        """What the config's `gcp` section needs to come here. Known once it serves."""
        return {"endpoint": self.iam.url, "token_uri": self.token_uri, "analyzer_url": self.http.url}

    def write_credentials(self, file: Path) -> Path:
        """Write the key file of the account `rotator`. It gets its tokens here. Known once it serves."""
        fields = json.loads(self._admin_file) | {"token_uri": self.token_uri}
        file.touch(mode=0o600)
        file.write_text(json.dumps(fields))
        return file

    def add_account(self, name: str) -> str:
        """Create a service account, and let rotator's own rotate its keys. Returns its address."""
        account = self.project.add_account(name)
        self._admin.may |= {(each, account.email) for each in (*KEY_PERMISSIONS, "iam.serviceAccounts.get")}
        return account.email

    def delete_account(self, email: str) -> None:
        """Delete a service account and its keys."""
        self.project.delete_account(email)

    def allow_analysis(self) -> None:
        """Let rotator's own account ask the policy analyzer."""
        self._admin.may.add((ANALYSE, self.project.project))

    def revoke(self) -> None:
        """Take all that it may do from rotator's own account."""
        self._admin.may.clear()

    def create_key(self, email: str) -> Material:
        """Create a key as an operator would in the console; it works at once."""
        return Material(secret={"keyfileJson": SecretStr(self._create_key(self._account(email)))})

    def keys(self, email: str) -> tuple[Key, ...]:
        """The account's user-managed keys, as Google lists them; none of an account that is gone."""
        account = self.project.account(email)
        return tuple(
            Key(
                key.key_id,
                key.valid_after,
                enabled=not key.disabled,
                expires_at=key.valid_before if key.uploaded else None,
            )
            for key in (self.project.keys(account) if account else ())
        )

    def assertion(self, key_file: str) -> str:
        """The body by which a workload asks for a token with this key file."""
        fields = json.loads(key_file)
        now = int(self._clock_of(self.project.account(fields["client_email"])).timestamp())
        claims = {"iss": fields["client_email"], "aud": GOOGLES_AUDIENCE, "scope": _SCOPE, "iat": now, "exp": now + 600}
        # Loading a key takes 50 ms, and is done once for each, as a workload does.
        signer = self._signers.get(key_file)
        if signer is None:
            signer = RSASigner.from_string(fields["private_key"], fields["private_key_id"])
            self._signers = {key_file: signer}
        signed = jwt.encode(signer, claims).decode()
        return urlencode({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": signed})

    def works(self, material: Material) -> bool:
        """Use a key as a consumer would, and return whether there was a token for it."""
        body = self.assertion(material.reveal()["keyfileJson"])
        answer = Client(self._others).post("/token", data=body, content_type="application/x-www-form-urlencoded")
        return answer.status_code == 200  # noqa: PLR2004  # HTTP: OK

    def _create_key(self, account: ProjectAccount) -> str:
        _, key_file = self.project.create_key(account, propagation=timedelta(0))
        return key_file

    def _account(self, email: str) -> ProjectAccount:
        account = self.project.account(email)
        if account is None:
            raise LookupError(email)
        return account

    def _now(self) -> datetime:
        return self.clock()

    def _clock_of(self, account: ProjectAccount | None) -> datetime:
        return self.signing_clock() if account is self._admin else self.clock()

    def _caller(self, request: Request) -> ProjectAccount | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return self.project.bearer(token, self.signing_clock()) if scheme == "Bearer" else None

    def _respond(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        app = self._iam if environ["PATH_INFO"].startswith(SERVICE) else self._others
        return app(environ, start_response)
