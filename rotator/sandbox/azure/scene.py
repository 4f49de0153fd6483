"""Azure in the sandbox: an application whose client secret an integration holds."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import httpx

from rotator.model import Key
from rotator.sandbox.azure.directory import MANAGEMENT
from rotator.sandbox.azure.stand_in import AzureStandIn
from rotator.sandbox.scene import OpenScene
from rotator.sandbox.wire.serving import Served


class AzureScene(Served):
    """One tenant, one application. Implements `scene.Scene`.

    Args:
        directory: for the login's certificate, and for rotator's own client secret.
        clock: what time it is there (aware UTC).
        propagation: how long a fresh secret is unknown.

    Attributes:
        azure: the stand-in.
        app: the application.
    """

    name = "prod-azure"
    provider = "azure"

    def __init__(self, directory: Path, *, clock: Callable[[], datetime], propagation: timedelta) -> None:
        own = directory / "azure"
        own.mkdir(mode=0o700, exist_ok=True)
        self.azure = AzureStandIn(own, clock=clock)
        self.azure.tenant.propagation = propagation
        self.app = self.azure.add_app("northflank-byoc")
        first, self.held = self.azure.create_secret(self.app)
        self._first = first.key_id
        self._secret_file = own / "rotator-secret"
        self._secret_file.touch(mode=0o600)
        self._secret_file.write_text(self.azure.admin_secret.get_secret_value())
        self._http = httpx.Client(timeout=10, verify=ssl.create_default_context(cafile=str(self.azure.ca_file)))
        self.serving = (self.azure, closing(self._http))

    @property
    def settings(self) -> Mapping[str, object]:
        """The application, the secret that is held, rotator's own identity, and where the stand-in is."""
        return {
            "provider": "azure",
            "current_key": self._first,
            "azure": {
                "tenant_id": self.azure.tenant.tenant,
                "client_id": self.app.app_id,
                "object_id": self.app.principal_id,
                "subscription_id": self.azure.tenant.subscription,
                "admin": {"client_id": self.azure.admin.app_id, "secret": {"file": str(self._secret_file)}},
                **self.azure.settings,
            },
        }

    @property
    def environment(self) -> Mapping[str, str]:
        """Nothing: rotator's own client secret is a file that the settings name."""
        return {}

    @property
    def addresses(self) -> Mapping[str, str]:
        """Graph and Resource Manager are one server; the login is another, of https."""
        return {"Azure": self.azure.server.url, "Azure login": self.azure.login_server.url}

    def keys(self) -> tuple[Key, ...]:
        """The application's client secrets."""
        return self.azure.keys(self.app)

    def use(self, held: Mapping[str, str]) -> str:
        """Get an access token with the secret, and ask for the subscription with it."""
        form = {
            "grant_type": "client_credentials",
            "client_id": held["clientId"],
            "client_secret": held["secret"],
            "scope": f"{MANAGEMENT}/.default",
        }
        answer = self._http.post(f"{self.azure.login_server.url}/{held['tenantId']}/oauth2/v2.0/token", data=form)
        if not answer.is_success:
            return f"login: {answer.status_code}"
        answer = self._http.get(
            f"{self.azure.server.url}/subscriptions/{held['subscriptionId']}?api-version=2022-12-01",
            headers={"Authorization": f"Bearer {answer.json()['access_token']}"},
        )
        return "" if answer.is_success else f"subscription: {answer.status_code}"


open_scene: OpenScene = AzureScene
