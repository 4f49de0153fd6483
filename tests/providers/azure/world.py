"""An application in Azure's stand-in, and the provider for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from rotator.providers.azure.provider import AzureApp, open_provider
from rotator.providers.azure.settings import AzureAdmin, AzureSection, AzureSettings
from rotator.providers.base import Minted
from rotator.sandbox.azure.directory import App
from rotator.sandbox.azure.stand_in import AzureStandIn
from rotator.sandbox.wire.rules import Canned, Rule
from rotator.settings.secret import SecretRef
from tests.support.given import tools
from tests.support.patience import patience

PATIENT = timedelta(seconds=patience(20))
IMPATIENT = timedelta(seconds=patience(1))
CREATE = {"method": "POST", "path": "/addPassword$"}
DELETE = {"method": "POST", "path": "/removePassword$"}
READ = {"method": "GET", "path": r"appId='[^']*'\)$"}
OWNERS = {"method": "GET", "path": "/owners$"}
TOKEN = {"method": "POST", "path": "/oauth2/v2.0/token$"}
REPORT = {"method": "GET", "path": "/appCredentialSignInActivities$"}
SUBSCRIPTION = {"method": "GET", "path": "^/subscriptions/"}


def says(status: int, code: str, message: str = "", *, request_id: str = "r-1", retry_after: str = "") -> Canned:
    headers = {"request-id": request_id} if request_id else {}
    if retry_after:
        headers["Retry-After"] = retry_after
    return Canned(status=status, body=f'{{"error": {{"code": "{code}", "message": "{message}"}}}}', headers=headers)


@dataclass(frozen=True, slots=True)
class World:
    azure: AzureStandIn
    app: App
    open: Callable[..., AzureApp]
    provider: AzureApp

    def mint(self) -> Minted:
        return self.provider.mint(self.provider.draft("7f3a", 1))

    def spoil(self, request: Mapping[str, Any], fault: Canned) -> None:
        self.azure.faults.put(Rule(**request, times=None, fault=fault))

    def count(self, request: Mapping[str, Any]) -> int:
        return len(self.azure.faults.requests(**request))

    def stop(self) -> None:
        self.azure.server.__exit__(None, None, None)


def forget_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its settings for Azure, and its proxies."""
    for name in tuple(os.environ):
        if name.startswith(("AZURE_", "IDENTITY_", "MSI_", "IMDS_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@contextmanager
def world_in(directory: Path) -> Iterator[World]:
    with AzureStandIn(directory) as azure, httpx.Client() as http:
        app = azure.add_app("northflank-byoc")
        secret = directory / "azure-admin-secret"
        secret.write_text(azure.admin_secret.get_secret_value())
        usual_admin = AzureAdmin(client_id=azure.admin.app_id, secret=SecretRef(file=str(secret)))

        def opened(deadline: timedelta = PATIENT, *, admin: AzureAdmin = usual_admin, **section: object) -> AzureApp:
            usual = {
                "tenant_id": azure.tenant.tenant,
                "client_id": app.app_id.upper(),  # Microsoft writes them in either case
                "object_id": app.principal_id,
                "subscription_id": azure.tenant.subscription,
                **azure.settings,
            }
            # Past what the config proves of the two: what the provider says by itself is to be seen.
            said = AzureSection.model_validate({**usual, **section}).model_copy(update={"admin": admin})
            return open_provider(AzureSettings.model_construct(azure=said), tools(deadline, http=http))

        yield World(azure, app, opened, opened())
