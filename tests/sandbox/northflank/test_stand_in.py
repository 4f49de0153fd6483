"""The Northflank stand-in over real sockets: it answers as the real API does, and refuses what that refuses."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.sandbox.northflank.account import (
    ApiToken,
    Behaviour,
    Cluster,
    Echo,
    Grant,
    HeldIntegration,
    NorthflankAccount,
    Registry,
)
from rotator.sandbox.northflank.body import InvalidBody, read_update
from rotator.sandbox.northflank.stand_in import Northflank
from rotator.sandbox.wire.faults import Faults
from rotator.sandbox.wire.rules import Late, Rule
from rotator.sandbox.wire.serving import Server

SECRET = "nf-0123456789abcdef"
OLD = {"accessKey": "AKIAOLDOLDOLDOLDOLD0", "secretKey": "old/secret"}
NEW = {"accessKey": "AKIANEWNEWNEWNEWNEW0", "secretKey": "new/secret"}
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading certificates would take longer than most tests here
ITEM = "/v1/cloud-providers/integrations/prod-aws"
LIST = "/v1/cloud-providers/integrations"


@dataclass
class Clock:
    now: datetime = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@dataclass
class World:
    url: str
    account: NorthflankAccount
    faults: Faults
    clock: Clock
    client: httpx.Client = field(repr=False)
    anybody: httpx.Client = field(repr=False)

    def behave(self, **changes: Any) -> None:
        self.account.behaviour = replace(self.account.behaviour, **changes)


@pytest.fixture
def world() -> Iterator[World]:
    clock = Clock()
    account = NorthflankAccount(clock=clock)
    account.put_token(SECRET, ApiToken())
    account.put(HeldIntegration("prod-aws", "Prod AWS", "aws", description="The cloud", credentials=OLD))
    faults = Faults(Northflank(account))
    with (
        Server(faults) as server,
        httpx.Client(base_url=server.url, verify=NO_TLS, headers={"Authorization": f"Bearer {SECRET}"}) as client,
        httpx.Client(base_url=server.url, verify=NO_TLS) as anybody,
    ):
        yield World(server.url, account, faults, clock, client, anybody)


def error(answer: httpx.Response) -> Any:
    assert answer.headers["Content-Type"].startswith("application/json")
    return answer.json()["error"]


# Routing and authentication


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", f"Basic {SECRET}", SECRET])
@pytest.mark.parametrize("path", ["/v1/auth", LIST, ITEM, "/v1/teams/sandbox-team/cloud-providers/integrations"])
def test_missing_and_bad_tokens_get_the_same_401(world: World, path: str, header: str | None) -> None:
    answer = world.anybody.get(path, headers={} if header is None else {"Authorization": header})
    assert answer.status_code == 401
    assert answer.json() == {"error": {"status": 401, "message": "Unauthorized"}}


def test_a_token_ends(world: World) -> None:
    world.account.put_token(SECRET, ApiToken(expires_at=world.clock.now + timedelta(seconds=1)))
    assert world.client.get(ITEM).status_code == 200
    world.clock.now += timedelta(seconds=1)
    assert world.client.get(ITEM).status_code == 401


@pytest.mark.parametrize(
    ("update", "method", "allow"),
    [
        ({"PATCH"}, "POST", "GET, HEAD, PATCH"),
        ({"POST"}, "PATCH", "GET, HEAD, POST"),
        ({"POST", "PATCH"}, "PUT", "GET, HEAD, PATCH, POST"),
    ],
)
def test_a_wrong_method_is_a_405_in_text_before_authentication(
    world: World, update: set[str], method: str, allow: str
) -> None:
    world.behave(update=frozenset(update))
    for url in (ITEM, "/v1/teams/sandbox-team/cloud-providers/integrations/prod-aws", "/v1/teams/none" + ITEM[3:]):
        answer = world.anybody.request(method, url, json={"credentials": NEW})
        assert (answer.status_code, answer.text) == (405, "Method Not Allowed")
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["Allow"] == allow
    assert world.account.held("prod-aws") == OLD


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/auth", "/v1/auth/x", "/v1//auth", ITEM + "/x", "/v1/teams/x/auth"])
def test_unknown_routes_are_a_404_in_json(world: World, path: str) -> None:
    answer = world.anybody.get(path)
    assert answer.status_code == 404
    assert error(answer) == {"status": 404, "message": "Not found"}


@pytest.mark.parametrize(
    ("method", "path", "right"),
    [
        ("GET", LIST, Grant.READ),
        ("GET", ITEM, Grant.READ),
        ("POST", ITEM, Grant.UPDATE),
        ("PATCH", ITEM, Grant.UPDATE),
        ("GET", ITEM + "/workload-identity-provider", Grant.READ_WORKLOAD_IDENTITIES),
        ("GET", "/v1/cloud-providers/clusters", Grant.READ_CLUSTERS),
        ("GET", "/v1/integrations/registries", Grant.READ_REGISTRIES),
    ],
)
def test_a_token_needs_the_right_for_each_call(world: World, method: str, path: str, right: Grant) -> None:
    body = {"credentials": NEW} if right is Grant.UPDATE else None
    world.account.put_token("none-but", ApiToken(rights=frozenset({right})))
    world.account.put_token("all-but", ApiToken(rights=frozenset(Grant) - {right}))
    refused = world.anybody.request(method, path, json=body, headers={"Authorization": "Bearer all-but"})
    assert (refused.status_code, error(refused)["status"]) == (403, 403)
    assert world.account.held("prod-aws") == OLD
    allowed = world.anybody.request(method, path, json=body, headers={"Authorization": "Bearer none-but"})
    assert allowed.status_code == 200


def test_the_team_paths_are_the_same_and_other_teams_do_not_exist(world: World) -> None:
    for path in (LIST, ITEM, "/v1/cloud-providers/clusters", "/v1/integrations/registries"):
        assert world.client.get(f"/v1/teams/sandbox-team{path[3:]}").json() == world.client.get(path).json()
        assert world.client.get(f"/v1/teams/other{path[3:]}").status_code == 404
    assert world.client.post(f"/v1/teams/sandbox-team{ITEM[3:]}", json={"credentials": NEW}).status_code == 200
    assert world.account.held("prod-aws") == NEW


def test_the_token_tells_about_itself(world: World) -> None:
    end = datetime(2027, 1, 1, tzinfo=UTC)
    world.account.put_token(SECRET, ApiToken("ci", frozenset({Grant.READ, Grant.UPDATE}), end))
    data = world.client.get("/v1/auth").json()["data"]
    assert (data["tokenKind"], data["id"], data["entityId"]) == ("api", "ci", "sandbox-team")
    assert data["expiresAt"] == "2027-01-01T00:00:00.000Z"
    assert data["permissions"]["teamScope"] == [Grant.READ, Grant.UPDATE]
    world.account.put_token(SECRET, ApiToken())
    assert world.client.get("/v1/auth").json()["data"]["expiresAt"] is None


# Reading


def test_an_integration_is_shown_without_its_credentials(world: World) -> None:
    shown = world.client.get(ITEM).json()
    assert shown == {
        "data": {
            "id": "prod-aws",
            "name": "Prod AWS",
            "provider": "aws",
            "description": "The cloud",
            "features": ["byoc"],
            "aws": {"authenticationMode": "accessKey"},
            "registryCredentialRefresh": {"status": "healthy", "affectedCredentialCount": 0},
            "createdAt": "2026-11-23T12:00:00.000Z",
        }
    }


def test_google_clouds_integrations_show_the_account_and_whether_it_has_a_key(world: World) -> None:
    address = "nf@my-project.iam.gserviceaccount.com"
    key = {"keyfileJson": json.dumps({"project_id": "my-project", "client_email": address, "private_key": "secret"})}
    account = {"projectId": "my-project", "serviceAccountEmail": address}
    world.account.put(HeldIntegration("keyed", "Keyed", "gcp", credentials=key))
    world.account.put(HeldIntegration("keyless", "Keyless", "gcp", service_account=address))
    world.account.put(HeldIntegration("odd", "Odd", "gcp", credentials={"keyfileJson": "not JSON"}))
    shown = {name: world.client.get(f"{LIST}/{name}").json()["data"]["gcp"] for name in ("keyed", "keyless", "odd")}
    assert shown["keyed"] == {"authenticationMode": "accessKey", **account}
    assert shown["keyless"] == {"authenticationMode": "crossAccountRole", **account}
    assert shown["odd"] == {"authenticationMode": "accessKey", "projectId": ""}
    _, *listed = world.client.get(LIST).json()["data"]["integrations"]
    del account["serviceAccountEmail"]
    assert [each["gcp"] for each in listed] == [
        {"authenticationMode": "accessKey", **account},
        {"authenticationMode": "crossAccountRole", **account},
        shown["odd"],
    ]


def test_credentials_are_echoed_if_told_so_but_never_in_a_list(world: World) -> None:
    world.behave(echo=Echo.RAW)
    assert world.client.get(ITEM).json()["data"]["credentials"] == OLD
    world.behave(echo=Echo.MASKED)
    assert world.client.get(ITEM).json()["data"]["credentials"] == {"accessKey": "********", "secretKey": "********"}
    assert "credentials" not in world.client.get(LIST).json()["data"]["integrations"][0]


def test_lists_show_descriptions_or_not(world: World) -> None:
    assert world.client.get(LIST).json()["data"]["integrations"][0]["description"] == "The cloud"
    world.behave(listed_descriptions=False)
    assert "description" not in world.client.get(LIST).json()["data"]["integrations"][0]
    assert world.client.get(ITEM).json()["data"]["description"] == "The cloud"


def test_an_integration_without_a_description_has_no_such_key(world: World) -> None:
    world.account.put(HeldIntegration("bare", "Bare", "nebius"))
    data = world.client.get("/v1/cloud-providers/integrations/bare").json()["data"]
    assert "description" not in data
    assert "aws" not in data


def test_an_integration_that_is_gone_is_a_404(world: World) -> None:
    world.account.remove("prod-aws")
    for path in (ITEM, ITEM + "/workload-identity-provider"):
        assert error(world.client.get(path))["status"] == 404
    answer = world.client.post(ITEM, json={"credentials": NEW})
    assert error(answer) == {"status": 404, "message": "Not found"}
    assert answer.headers["x-ratelimit-remaining"] == "997"


def test_dependents(world: World) -> None:
    world.account.put(Cluster("c1", "aws", "team/prod-aws", state="error", reason="credentials rejected"))
    world.account.put(Cluster("c2", "aws", "prod-aws"))
    world.account.put(Registry("ecr", "ecr", "prod-aws", refresh="retrying"))
    world.account.put(
        replace(world.account.integration("prod-aws"), registries="degraded", workload_identity="installed")
    )
    clusters = world.client.get("/v1/cloud-providers/clusters").json()["data"]["clusters"]
    assert [(each["id"], each["integrationId"], each["status"]["state"]) for each in clusters] == [
        ("c1", "team/prod-aws", {"state": "error", "reason": "credentials rejected"}),
        ("c2", "prod-aws", {"state": "running"}),
    ]
    registries = world.client.get("/v1/integrations/registries").json()["data"]["credentials"]
    assert [(each["id"], each["registryCredentialRefresh"]["status"]) for each in registries] == [("ecr", "retrying")]
    assert world.client.get(ITEM + "/workload-identity-provider").json() == {"data": {"status": "installed"}}
    assert world.client.get(ITEM).json()["data"]["registryCredentialRefresh"]["status"] == "degraded"


@pytest.mark.parametrize("count", [0, 1, 50, 51, 100, 130])
@pytest.mark.parametrize("size", [None, 1, 7, 100])
def test_cursors_lead_through_the_whole_list_once(world: World, count: int, size: int | None) -> None:
    world.account.remove("prod-aws")
    for number in range(count):
        world.account.put(HeldIntegration(f"i-{number}", f"I {number}", "aws"))
    seen: list[str] = []
    options: dict[str, str | int] = {} if size is None else {"per_page": size}
    while True:
        page = world.client.get(LIST, params=options).json()
        ids = [each["id"] for each in page["data"]["integrations"]]
        seen += ids
        assert page["pagination"]["count"] == len(ids) <= (size or 50)
        assert page["pagination"]["hasNextPage"] is ("cursor" in page["pagination"])
        if not page["pagination"]["hasNextPage"]:
            break
        options["cursor"] = page["pagination"]["cursor"]
    assert seen == [f"i-{number}" for number in range(count)]


def test_pages_by_number(world: World) -> None:
    for number in range(4):
        world.account.put(HeldIntegration(f"i-{number}", f"I {number}", "aws"))
    page = world.client.get(LIST, params={"per_page": 2, "page": 3}).json()
    assert [each["id"] for each in page["data"]["integrations"]] == ["i-3"]
    assert page["pagination"] == {"hasNextPage": False, "count": 1}
    assert world.client.get(LIST, params={"page": 9}).json()["data"]["integrations"] == []


@pytest.mark.parametrize(
    "query",
    ["per_page=101", "per_page=0", "per_page=x", "page=0", "page=-1", "page=99999999999", "cursor=x", "cursor="],
)
def test_bad_paging_is_refused(world: World, query: str) -> None:
    answer = world.client.get(f"{LIST}?{query}")
    assert answer.status_code == 400
    assert list(error(answer)["details"]) == [query.partition("=")[0]]


# Updating


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_an_update_sets_credentials_and_description_together(world: World, method: str) -> None:
    answer = world.client.request(method, ITEM, json={"credentials": NEW, "description": "Now [rotator 7f3a g2]"})
    assert answer.status_code == 200
    assert answer.json()["data"]["description"] == "Now [rotator 7f3a g2]"
    assert "credentials" not in answer.json()["data"]
    assert answer.json() == world.client.get(ITEM).json()
    assert world.account.held("prod-aws") == NEW


def test_what_is_left_out_stays_as_it_is(world: World) -> None:
    world.client.post(ITEM, json={"credentials": NEW})
    assert world.account.integration("prod-aws").description == "The cloud"
    world.client.patch(ITEM, json={"description": "Only this"})
    assert world.account.integration("prod-aws").description == "Only this"
    world.client.patch(ITEM, json={"features": ["byoc", "registry-pull"]})
    world.client.patch(ITEM, json={})
    assert world.account.integration("prod-aws").features == ("byoc", "registry-pull")
    assert world.account.held("prod-aws") == NEW


def test_a_partial_credential_set_replaces_the_whole(world: World) -> None:
    world.client.patch(ITEM, json={"credentials": {"accessKey": NEW["accessKey"]}})
    assert world.account.held("prod-aws") == {"accessKey": NEW["accessKey"]}


def test_a_role_changes_the_mode_that_is_shown(world: World) -> None:
    role = {"roleArn": "arn:aws:iam::123456789012:role/northflank", "externalId": "x" * 32}
    answer = world.client.post(ITEM, json={"credentials": role})
    assert answer.json()["data"]["aws"] == {"authenticationMode": "crossAccountRole"}


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({"credentials": NEW, "name": "Other"}, "name"),
        ({"credentials": NEW, "provider": "aws"}, "provider"),
        ({"credentials": NEW, "gcp": {"projectId": "x"}}, "gcp"),
        ({"credentials": NEW, "description": ""}, "description"),
        ({"credentials": NEW, "description": None}, "description"),
        ({"credentials": NEW, "description": 7}, "description"),
        ({"credentials": NEW, "description": "x" * 201}, "description"),
        ({"credentials": NEW, "description": "café"}, "description"),
        *[({"credentials": NEW, "description": f"a {each} b"}, "description") for each in "#@+={}<>|~$"],
        ({"credentials": NEW | {"apiKey": "x"}}, "credentials.apiKey"),
        ({"credentials": NEW | {"sessionToken": "x"}}, "credentials.sessionToken"),
        ({"credentials": NEW | {"secretKey": 5}}, "credentials.secretKey"),
        ({"credentials": NEW | {"secretKey": None}}, "credentials.secretKey"),
        ({"credentials": None}, "credentials"),
        ({"credentials": [NEW]}, "credentials"),
        ([], "body"),
        ("credentials", "body"),
        (None, "body"),
    ],
)
def test_what_northflank_refuses_in_a_body(world: World, method: str, body: object, at: str) -> None:
    answer = world.client.request(method, ITEM, content=json.dumps(body), headers={"Content-Type": "application/json"})
    refused(world, answer, at)


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({}, "credentials"),
        ({"description": "only"}, "credentials"),
        ({"credentials": {}}, "credentials"),
        ({"credentials": {"accessKey": NEW["accessKey"]}}, "credentials"),
        ({"credentials": NEW | {"roleArn": "arn", "externalId": "x"}}, "credentials"),
        ({"credentials": NEW, "features": ["byoc"]}, "features"),
    ],
)
def test_what_only_the_older_contract_refuses(world: World, body: object, at: str) -> None:
    refused(world, world.client.post(ITEM, json=body), at)


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_of_another_type_is_refused(world: World, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    refused(world, world.client.post(ITEM, content=json.dumps({"credentials": NEW}), headers=headers), "body")


@pytest.mark.parametrize("content", [b"", b"{", b'{"credentials":', b"\xff\xfe"])
def test_a_body_that_is_not_json_is_refused(world: World, content: bytes) -> None:
    refused(world, world.client.post(ITEM, content=content, headers={"Content-Type": "application/json"}), "body")


def refused(world: World, answer: httpx.Response, at: str) -> None:
    assert answer.status_code == 400
    assert error(answer)["id"] == "nf-invalid-request-body"
    assert at in error(answer)["details"]
    assert world.account.held("prod-aws") == OLD
    assert world.account.integration("prod-aws").description == "The cloud"
    assert NEW["secretKey"] not in answer.text


COMPLETE = {
    "aws": NEW,
    "gcp": {"keyfileJson": "{}"},
    "azure": dict.fromkeys(("tenantId", "clientId", "objectId", "secret", "subscriptionId"), "x"),
    "civo": {"apiKey": "x"},
    "oci": dict.fromkeys(("region", "tenancyId", "userId", "fingerprint", "privateKey", "compartmentId"), "x"),
    "byok": {"kubeconfig": "x"},
}


@pytest.mark.parametrize("provider", COMPLETE)
def test_each_provider_has_its_own_fields(provider: str) -> None:
    def read(credentials: object) -> object:
        body = json.dumps({"credentials": credentials}).encode()
        return read_update("POST", provider, "application/json", body).credentials

    assert read(COMPLETE[provider]) == COMPLETE[provider]
    for other in set(COMPLETE) - {provider}:
        with pytest.raises(InvalidBody):
            read(COMPLETE[other])
    for name in COMPLETE[provider]:
        with pytest.raises(InvalidBody):
            read({key: value for key, value in COMPLETE[provider].items() if key != name})
    with pytest.raises(InvalidBody):
        read(COMPLETE[provider] | {"password": "x"})


def test_a_passphrase_is_optional_for_oci_and_unknown_providers_take_any_field() -> None:
    body = json.dumps({"credentials": COMPLETE["oci"] | {"passphrase": "x"}}).encode()
    assert read_update("POST", "oci", "application/json", body).credentials == COMPLETE["oci"] | {"passphrase": "x"}
    body = json.dumps({"credentials": {"apiToken": "x"}}).encode()
    assert read_update("POST", "of-tomorrow", "application/json", body).credentials == {"apiToken": "x"}


ALPHABET = "abcXYZ0189.,?\\/'\"()[];`%^&*-_:! \t\n\r\f\v"


@settings(max_examples=200)
@given(st.text(max_size=210))
def test_a_description_is_taken_exactly_if_it_keeps_to_alphabet_and_length(text: str) -> None:
    body = json.dumps({"credentials": NEW, "description": text}).encode()
    fine = 0 < len(text) <= 200 and all(each.isascii() and (each.isalnum() or each in ALPHABET) for each in text)
    if fine:
        assert read_update("POST", "aws", "application/json", body).description == text
    elif text.isascii():
        with pytest.raises(InvalidBody):
            read_update("POST", "aws", "application/json", body)


@given(st.text(alphabet=ALPHABET, min_size=1, max_size=200))
def test_every_allowed_description_is_taken(text: str) -> None:
    body = json.dumps({"credentials": NEW, "description": text}).encode()
    assert read_update("POST", "aws", "application/json", body).description == text


@pytest.mark.realtime
def test_readers_never_see_half_an_update(world: World) -> None:
    world.behave(echo=Echo.RAW, rate_limit=10**9)
    sets = [{"credentials": {"accessKey": each * 16, "secretKey": each}, "description": each} for each in "AB"]
    world.client.post(ITEM, json=sets[0])
    done = threading.Event()
    torn: list[object] = []

    def read() -> None:
        with httpx.Client(base_url=world.url, verify=NO_TLS, headers=world.client.headers) as client:
            while not done.is_set():
                data = client.get(ITEM).json()["data"]
                if {data["description"]} != set("".join(data["credentials"].values())):
                    torn.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    world.faults.wait_for(1, method="GET")
    for number in range(60):
        assert world.client.post(ITEM, json=sets[number % 2]).status_code == 200
    done.set()
    reader.join()
    assert len(world.faults.requests(method="GET")) > 0
    assert torn == []


def test_a_late_push_lands_after_a_newer_one(world: World) -> None:
    world.faults.put(Rule(method="POST", fault=Late()))
    with pytest.raises(httpx.ReadError):
        world.client.post(ITEM, json={"credentials": OLD, "description": "stale"})
    world.client.post(ITEM, json={"credentials": NEW, "description": "new"})
    world.faults.release()
    assert world.client.get(ITEM).json()["data"]["description"] == "stale"
    assert world.account.held("prod-aws") == OLD


# The rate limit, and the sandbox's own endpoint


def test_the_rate_limit_counts_and_resets_an_hour_after_its_first_request(world: World) -> None:
    world.behave(rate_limit=3)
    seen = []
    for _ in range(5):
        answer = world.client.get(ITEM)
        names = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
        seen.append((answer.status_code, *(int(answer.headers[name]) for name in names)))
        world.clock.now += timedelta(minutes=10)
    assert seen == [(200, 3, 2, 3600), (200, 3, 1, 3000), (200, 3, 0, 2400), (429, 3, 0, 1800), (429, 3, 0, 1200)]
    world.clock.now += timedelta(minutes=10)
    assert world.client.get(ITEM).headers["x-ratelimit-remaining"] == "2"


@pytest.mark.parametrize(("told", "header"), [(True, "3600"), (False, None)])
def test_over_the_limit_nothing_is_done(world: World, told: bool, header: str | None) -> None:
    world.behave(rate_limit=0, retry_after=told)
    answer = world.client.post(ITEM, json={"credentials": NEW})
    assert (answer.status_code, error(answer)["status"]) == (429, 429)
    assert answer.headers.get("Retry-After") == header
    assert world.account.held("prod-aws") == OLD


def test_consumers_of_other_processes_see_what_is_held(world: World) -> None:
    world.behave(rate_limit=1)
    for credentials in (OLD, NEW):
        world.account.put(replace(world.account.integration("prod-aws"), credentials=credentials))
        assert world.anybody.get("/_sandbox/integrations/prod-aws/held").json() == credentials
    assert world.anybody.get("/_sandbox/integrations/none/held").status_code == 404
    assert world.client.get(ITEM).status_code == 200


def test_nothing_prints_a_secret(world: World) -> None:
    update = read_update("POST", "aws", "application/json", json.dumps({"credentials": NEW}).encode())
    texts = [repr(update), repr(world.account.integration("prod-aws")), repr(world.account), repr(Behaviour())]
    assert not any(secret in text for text in texts for secret in (OLD["secretKey"], NEW["secretKey"], SECRET))
