"""The Azure stand-in: azure-identity judges its login, unchanged; the rest is judged by Microsoft's documentation."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.identity import ClientSecretCredential

from rotator.material import Material
from rotator.sandbox.azure.directory import GRAPH, MANAGEMENT, App, AppPolicy
from rotator.sandbox.azure.scene import AzureScene
from rotator.sandbox.azure.stand_in import AzureStandIn
from rotator.sandbox.scene import OpenScene
from rotator.sandbox.wire.rules import Canned, Rule
from rotator.sandbox.wire.serving import utc_now
from tests.support.patience import patience

opens: OpenScene = AzureScene  # for the type checker: it is made as scenes are


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[AzureStandIn]:
    with AzureStandIn(tmp_path) as azure:
        yield azure


@pytest.fixture
def app(azure: AzureStandIn) -> App:
    return azure.add_app("northflank-byoc")


@pytest.fixture
def http(azure: AzureStandIn) -> Iterator[httpx.Client]:
    trust = ssl.create_default_context(cafile=str(azure.ca_file))
    with httpx.Client(verify=trust, timeout=patience()) as http:
        yield http


def credential(azure: AzureStandIn, client_id: str, secret: str, **options: Any) -> ClientSecretCredential:
    usual = {"disable_instance_discovery": True, "connection_verify": str(azure.ca_file), "retry_total": 0}
    return ClientSecretCredential(
        azure.tenant.tenant, client_id, secret, authority=azure.login_server.url, **{**usual, **options}
    )


def held_by(azure: AzureStandIn, material: Material) -> ClientSecretCredential:
    held = material.reveal()
    return credential(azure, held["clientId"], held["secret"])


class TestLogin:
    def test_azure_identity_gets_a_token_and_it_is_good(
        self, azure: AzureStandIn, app: App, http: httpx.Client
    ) -> None:
        _, material = azure.create_secret(app)
        token = held_by(azure, material).get_token(f"{MANAGEMENT}/.default")
        assert abs(token.expires_on - utc_now().timestamp() - 3600) < 120
        answer = http.get(
            f"{azure.server.url}/subscriptions/{azure.tenant.subscription}?api-version=2022-12-01",
            headers={"Authorization": f"Bearer {token.token}"},
        )
        assert answer.json()["tenantId"] == azure.tenant.tenant
        assert azure.works(material)

    def test_azure_identity_does_not_trust_it_without_the_ca(self, azure: AzureStandIn) -> None:
        stranger = credential(azure, azure.admin.app_id, "x", connection_verify=True)
        with pytest.raises((ClientAuthenticationError, ServiceRequestError), match="CERTIFICATE_VERIFY_FAILED"):
            stranger.get_token(f"{GRAPH}/.default")

    @pytest.mark.parametrize("secret", ["wrong", "x" * 40])
    def test_a_wrong_secret(self, azure: AzureStandIn, app: App, secret: str) -> None:
        with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
            credential(azure, app.app_id, secret).get_token(f"{GRAPH}/.default")

    def test_a_fresh_secret_is_unknown_for_a_while(self, azure: AzureStandIn, app: App, http: httpx.Client) -> None:
        start = utc_now()
        azure.tenant.clock = lambda: start
        azure.tenant.propagation = timedelta(seconds=15)
        made = add(azure, app, http)
        with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
            credential(azure, app.app_id, made["secretText"]).get_token(f"{MANAGEMENT}/.default")
        azure.tenant.clock = lambda: start + timedelta(seconds=15)
        assert credential(azure, app.app_id, made["secretText"]).get_token(f"{MANAGEMENT}/.default").token

    def test_an_ended_secret(self, azure: AzureStandIn, app: App) -> None:
        _, material = azure.create_secret(app)
        azure.tenant.clock = lambda: utc_now() + timedelta(days=181)
        with pytest.raises(ClientAuthenticationError, match="AADSTS7000222"):
            held_by(azure, material).get_token(f"{MANAGEMENT}/.default")
        assert not azure.works(material)

    def test_an_application_that_is_disabled_or_unknown(self, azure: AzureStandIn, app: App) -> None:
        _, material = azure.create_secret(app)
        app.enabled = False
        with pytest.raises(ClientAuthenticationError, match="AADSTS7000112"):
            held_by(azure, material).get_token(f"{MANAGEMENT}/.default")
        azure.delete_app(app)
        with pytest.raises(ClientAuthenticationError, match="AADSTS700016"):
            held_by(azure, material).get_token(f"{MANAGEMENT}/.default")

    @pytest.mark.parametrize(("scope", "code"), [("https://elsewhere/.default", 500011), (MANAGEMENT, 1002012)])
    def test_a_scope_that_is_none(self, azure: AzureStandIn, app: App, scope: str, code: int) -> None:
        _, material = azure.create_secret(app)
        with pytest.raises(ClientAuthenticationError, match=f"AADSTS{code}"):
            held_by(azure, material).get_token(scope)

    @pytest.mark.parametrize(
        ("form", "refusal"),
        [
            ({}, (400, 900144)),
            ({"grant_type": "password"}, (400, 70003)),
            ({"grant_type": "client_credentials"}, (400, 700016)),
            ({"grant_type": "client_credentials", "client_id": "APP"}, (401, 7000218)),
        ],
    )
    def test_an_incomplete_request(
        self, azure: AzureStandIn, app: App, http: httpx.Client, form: dict[str, str], refusal: tuple[int, int]
    ) -> None:
        named = {name: value.replace("APP", app.app_id) for name, value in form.items()}
        answer = http.post(f"{azure.login_server.url}/{azure.tenant.tenant}/oauth2/v2.0/token", data=named)
        (code,) = answer.json()["error_codes"]
        assert (answer.status_code, code) == refusal
        assert re.match(rf"AADSTS{code}: .* Trace ID: \S+ Correlation ID: ", answer.json()["error_description"])

    def test_another_tenant(self, azure: AzureStandIn, http: httpx.Client) -> None:
        answer = http.post(f"{azure.login_server.url}/elsewhere/oauth2/v2.0/token", data={})
        assert answer.json()["error_codes"] == [90002]


def admin_token(azure: AzureStandIn) -> str:
    own = credential(azure, azure.admin.app_id, azure.admin_secret.get_secret_value())
    return own.get_token(f"{GRAPH}/.default").token


def ask(
    azure: AzureStandIn, app: App, http: httpx.Client, path: str = "", *, token: str | None = None, **options: Any
) -> httpx.Response:
    method = "POST" if {"json", "content"} & options.keys() else "GET"
    url = f"{azure.server.url}/v1.0/applications(appId='{app.app_id}'){path}"
    headers = {"Authorization": f"Bearer {token or admin_token(azure)}"}
    return http.request(method, url, headers=headers, **options)


def add(azure: AzureStandIn, app: App, http: httpx.Client, **wanted: str) -> dict[str, Any]:
    answer = ask(azure, app, http, "/addPassword", json={"passwordCredential": wanted})
    assert answer.status_code == 200
    made: dict[str, Any] = answer.json()
    return made


@pytest.mark.realtime
class TestGraph:
    def test_a_secret_is_told_once(self, azure: AzureStandIn, app: App, http: httpx.Client) -> None:
        made = add(azure, app, http, displayName="a name", endDateTime="2099-01-01T00:00:00Z")
        shown = ask(azure, app, http, "?$select=id,appId,passwordCredentials").json()
        (listed,) = shown["passwordCredentials"]
        assert listed["secretText"] is None
        assert {name: listed[name] for name in ("keyId", "displayName", "endDateTime", "hint")} == {
            "keyId": made["keyId"],
            "displayName": "a name",
            "endDateTime": "2099-01-01T00:00:00Z",
            "hint": made["secretText"][:3],
        }
        assert shown.keys() == {"@odata.context", "id", "appId", "passwordCredentials"}
        assert made["secretText"] in azure.secrets

    def test_its_removal(self, azure: AzureStandIn, app: App, http: httpx.Client) -> None:
        key_id = add(azure, app, http)["keyId"]
        assert ask(azure, app, http, "/removePassword", json={"keyId": key_id}).status_code == 204
        assert azure.keys(app) == ()
        again = ask(azure, app, http, "/removePassword", json={"keyId": key_id})
        assert (again.status_code, again.json()["error"]["code"]) == (400, "Request_BadRequest")

    def test_two_years_unless_said_otherwise(self, azure: AzureStandIn, app: App, http: httpx.Client) -> None:
        add(azure, app, http)
        (key,) = azure.keys(app)
        assert key.expires_at == key.created_at + timedelta(days=730)

    @pytest.mark.parametrize(
        ("path", "options"),
        [
            ("/addPassword", {"json": {"passwordCredential": {"endDateTime": "2020-01-01T00:00:00Z"}}}),
            ("/addPassword", {"json": {"passwordCredential": {"endDateTime": "tomorrow"}}}),
            ("/addPassword", {"json": {"passwordCredential": {"endDateTime": "2099-01-01T00:00:00"}}}),
            ("/addPassword", {"json": {"passwordCredential": {"displayName": 3}}}),
            ("/addPassword", {"json": {"passwordCredential": {"secretText": "mine"}}}),
            ("/addPassword", {"json": {"displayName": "outside"}}),
            ("/addPassword", {"json": []}),
            ("/addPassword", {"content": b"{}"}),
            ("/removePassword", {"json": {}}),
            ("/removePassword", {"json": {"keyId": "none", "more": 1}}),
            ("?$select=passwords", {}),
        ],
    )
    def test_what_it_does_not_take(
        self, azure: AzureStandIn, app: App, http: httpx.Client, path: str, options: dict[str, Any]
    ) -> None:
        answer = ask(azure, app, http, path, **options)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "Request_BadRequest")
        assert answer.headers["request-id"]
        assert azure.keys(app) == ()

    def test_who_may_write(self, azure: AzureStandIn, app: App, http: httpx.Client) -> None:
        foreign = azure.tenant.add_app("somebody else's")
        assert ask(azure, foreign, http).status_code == 403
        azure.admin.roles.clear()
        other_token = azure.tenant.issue(azure.admin, GRAPH)[0]
        assert ask(azure, app, http, token=other_token).json()["error"]["code"] == "Authorization_RequestDenied"

    def test_tokens_that_are_none(self, azure: AzureStandIn, app: App, http: httpx.Client) -> None:
        for_another = azure.tenant.issue(azure.admin, MANAGEMENT)[0]
        ended = azure.tenant.issue(azure.admin, GRAPH)[0]
        for token in (for_another, "no-token"):
            assert ask(azure, app, http, token=token).status_code == 401
        azure.tenant.clock = lambda: utc_now() + timedelta(hours=2)
        answer = ask(azure, app, http, token=ended)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")

    def test_changes_at_once(self, azure: AzureStandIn, app: App, http: httpx.Client) -> None:
        azure.tenant.change_seconds = 3600
        token = admin_token(azure)
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(ask, azure, app, http, "/addPassword", token=token, json={}) for _ in range(4)]
            answered = as_completed(asked)
            refused = [next(answered).result() for _ in range(3)]
            azure.tenant.changed.set()
            done = next(answered).result()
        codes = [answer.json()["error"]["code"] for answer in refused]
        assert set(codes) == {"Directory_ConcurrencyViolation"}
        assert done.status_code == 200
        assert len(azure.keys(app)) == 1

    def test_policies(self, azure: AzureStandIn, app: App, http: httpx.Client) -> None:
        azure.tenant.policy = AppPolicy("p-1", max_lifetime=timedelta(days=30))
        answer = ask(azure, app, http, "/addPassword", json={})
        assert answer.json()["error"]["code"] == "CredentialInvalidLifetimeAsPerAppPolicy"
        assert "'p-1'" in answer.json()["error"]["message"]

    def test_the_date_is_the_stand_ins(self, azure: AzureStandIn, app: App, http: httpx.Client) -> None:
        then = utc_now().replace(microsecond=0) + timedelta(minutes=3)
        azure.tenant.clock = lambda: then
        answer = ask(azure, app, http)
        assert parsedate_to_datetime(answer.headers["date"]) == then


class TestResourceManager:
    def read(self, azure: AzureStandIn, app: App, http: httpx.Client, subscription: str, query: str) -> httpx.Response:
        token = azure.tenant.issue(app, MANAGEMENT)[0]
        url = f"{azure.server.url}/subscriptions/{subscription}{query}"
        return http.get(url, headers={"Authorization": f"Bearer {token}"})

    def test_its_refusals(self, azure: AzureStandIn, app: App, http: httpx.Client) -> None:
        own, version = azure.tenant.subscription, "?api-version=2022-12-01"
        assert self.read(azure, app, http, own, version).status_code == 200
        answer = self.read(azure, app, http, own, "")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "MissingApiVersionParameter")
        answer = self.read(azure, app, http, "another", version)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "SubscriptionNotFound")
        app.reader = False
        answer = self.read(azure, app, http, own, version)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "AuthorizationFailed")


def test_both_servers_are_behind_one_fault_plan(azure: AzureStandIn, app: App, http: httpx.Client) -> None:
    azure.faults.put(Rule(path="applications", fault=Canned(status=500)), Rule(path="token", fault=Canned(status=503)))
    assert ask(azure, app, http, token="any").status_code == 500
    answer = http.post(f"{azure.login_server.url}/{azure.tenant.tenant}/oauth2/v2.0/token", data={})
    assert answer.status_code == 503
    assert len(azure.faults.requests()) == 2


def test_a_workload_notices_when_its_secret_is_gone_and_when_its_role_is(tmp_path: Path) -> None:
    with AzureScene(tmp_path, clock=utc_now, propagation=timedelta(0)) as scene:
        held = scene.held.reveal()
        assert scene.use(held) == ""
        scene.app.reader = False
        assert scene.use(held) == "subscription: 403"
        scene.app.secrets.clear()
        told = scene.use(held)
        assert told == "login: 401"
        assert not [secret for secret in scene.azure.secrets if secret in told]
