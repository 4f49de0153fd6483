"""The Azure stand-in: a tenant's login, Microsoft Graph and Resource Manager, with permissions, limits and delays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from wsgiref.types import StartResponse, WSGIEnvironment

from pydantic import SecretStr
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from rotator.material import Material
from rotator.model import Key
from rotator.sandbox.azure.directory import MANAGEMENT, OWNED_BY, App, Directory, Secret
from rotator.sandbox.azure.graph import GraphApi, ManagementApi
from rotator.sandbox.azure.login import Login
from rotator.sandbox.wire.faults import Faults
from rotator.sandbox.wire.serving import Served, Server, utc_now
from rotator.sandbox.wire.tls import LoopbackTls

_LIFE = timedelta(days=180)  # of what an operator makes in the portal


class AzureStandIn(Served):
    """One tenant on loopback, served between entering and leaving its `with` block.

    It starts with the application `rotator`, which may write the applications that it owns, and owns those made by
    `add_app`. The login is https, for azure-identity refuses anything else; the rest is http. The methods below go
    around the fault plan, and aren't counted in it.

    Args:
        directory: where the login's certificate goes.
        clock: what time it is there (aware UTC).

    Attributes:
        tenant: what there is: applications, policies, propagation, time.
        admin: the application `rotator`, and `admin_secret` its client secret.
        login: the token endpoint.
        secrets: every secret and token that it ever gave out.
        faults: what goes wrong, and what was asked, at both servers.
        server: Graph and Resource Manager.
        login_server: the login.
        ca_file: what clients of the login must trust.
    """

    def __init__(self, directory: Path, *, clock: Callable[[], datetime] = utc_now) -> None:
        self.tenant = Directory(clock)
        self.secrets = self.tenant.known_secrets
        self.login = Login(self.tenant)
        self._graph = GraphApi(self.tenant)
        self._management = ManagementApi(self.tenant)
        self.faults = Faults(self._respond)
        tls = LoopbackTls.made_in(directory)
        self.ca_file = tls.ca_file
        self.server = Server(self.faults, clock=self._now)
        self.login_server = Server(self.faults, clock=self._now, tls=tls.server)
        self.serving = (self.login_server, self.server)
        self.admin = self.tenant.add_app("rotator")
        self.admin.roles.add(OWNED_BY)
        self.admin_secret = SecretStr(self._add_secret(self.admin, "first").value)

    @property
    def settings(self) -> Mapping[str, str]:
        """What the config's `azure` section needs to come here."""
        return {
            "authority": self.login_server.url,
            "graph_url": self.server.url,
            "management_url": self.server.url,
            "ca_file": str(self.ca_file),
        }

    @property
    def environment(self) -> Mapping[str, str]:
        """What azure-identity needs in its environment to act as the application `rotator`. It holds its secret."""
        return {
            "AZURE_TENANT_ID": self.tenant.tenant,
            "AZURE_CLIENT_ID": self.admin.app_id,
            "AZURE_CLIENT_SECRET": self.admin_secret.get_secret_value(),
        }

    def add_app(self, name: str) -> App:
        """Register an application, owned by rotator."""
        app = self.tenant.add_app(name)
        app.owners.add(self.admin.principal_id)
        return app

    def delete_app(self, app: App) -> None:
        """Delete an application and its secrets."""
        with self.tenant.lock:
            del self.tenant.apps[app.app_id]

    def create_secret(self, app: App, name: str | None = "by hand") -> tuple[Key, Material]:
        """Make a client secret as an operator would; it works at once."""
        made = self._add_secret(app, name)
        public = {
            "tenantId": self.tenant.tenant,
            "clientId": app.app_id,
            "objectId": app.principal_id,
            "subscriptionId": self.tenant.subscription,
        }
        return _key(made), Material(public=public, secret={"secret": SecretStr(made.value)})

    def keys(self, app: App) -> tuple[Key, ...]:
        """The application's client secrets."""
        with self.tenant.lock:
            return tuple(_key(made) for made in app.secrets)

    def works(self, material: Material) -> bool:
        """Get a token with a client secret as a consumer would, and return whether there was one."""
        held = material.reveal()
        form = {
            "grant_type": "client_credentials",
            "client_id": held["clientId"],
            "client_secret": held["secret"],
            "scope": f"{MANAGEMENT}/.default",
        }
        asked = EnvironBuilder(path=f"/{held['tenantId']}/oauth2/v2.0/token", method="POST", data=form)
        return self.login.answer(asked.get_request()).status_code == HTTPStatus.OK

    def _now(self) -> datetime:
        return self.tenant.clock()

    def _add_secret(self, app: App, name: str | None) -> Secret:
        now = self.tenant.now()
        return self.tenant.add_secret(app, name, start=now, end=now + _LIFE, known_from=now)

    def _respond(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        if request.scheme == "https":
            return self.login.answer(request)
        if request.path == "/metadata/identity/oauth2/token":
            return self.login.managed(request)
        if request.path.startswith("/subscriptions/"):
            return self._management.answer(request)
        return self._graph.answer(request)


def _key(made: Secret) -> Key:
    return Key(made.key_id, made.start, expires_at=made.end, mark=made.name)
