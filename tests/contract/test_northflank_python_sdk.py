"""Northflank's own Python SDK, unchanged, against the stand-in: what it can't do here, the stand-in gets wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from northflank import ApiClient
from northflank.errors import ApiCallError
from northflank.response import ApiCallResponse, Pagination

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
from rotator.sandbox.northflank.stand_in import Northflank
from rotator.sandbox.wire.faults import Faults
from rotator.sandbox.wire.rules import Canned, Reset, Rule
from rotator.sandbox.wire.serving import Server

SECRET = "nf-0123456789abcdef"
OLD = {"accessKey": "AKIAOLDOLDOLDOLDOLD0", "secretKey": "old/secret"}
NEW: Any = {"accessKey": "AKIANEWNEWNEWNEWNEW0", "secretKey": "new/secret"}
END = datetime(2126, 11, 23, 12, tzinfo=UTC)

Data = TypeVar("Data")


@dataclass
class World:
    account: NorthflankAccount
    faults: Faults
    url: str
    sdk: ApiClient


@pytest.fixture
def world() -> Iterator[World]:
    account = NorthflankAccount()
    account.put_token(SECRET, ApiToken(expires_at=END))
    account.put(HeldIntegration("prod-aws", "Prod AWS", "aws", description="The cloud", credentials=OLD))
    faults = Faults(Northflank(account))
    with Server(faults) as server:
        yield World(account, faults, server.url, ApiClient(api_token=SECRET, base_url=server.url))


def pages(answer: ApiCallResponse[Data]) -> Pagination[Data]:
    assert answer.pagination is not None
    return answer.pagination


@pytest.mark.parametrize("team", [None, "sandbox-team"])
def test_it_lists_page_by_page(world: World, team: str | None) -> None:
    for number in range(129):
        world.account.put(HeldIntegration(f"i-{number}", f"I {number}", "aws"))
    first = world.sdk.list.cloud.integrations(team_id=team)
    assert (len(first.data["integrations"]), pages(first).count, pages(first).has_next_page) == (50, 50, True)
    third = pages(pages(first).get_next_page()).get_next_page()
    assert (len(third.data["integrations"]), pages(third).has_next_page) == (30, False)
    every = world.sdk.list.cloud.integrations.all(team_id=team, per_page=100)
    assert [each["id"] for each in every.data["integrations"]] == ["prod-aws", *(f"i-{n}" for n in range(129))]


@pytest.mark.parametrize("team", [None, "sandbox-team"])
def test_it_reads_and_updates_an_integration(world: World, team: str | None) -> None:
    world.account.behaviour = Behaviour(echo=Echo.RAW)
    before = world.sdk.get.cloud.integration(integration_id="prod-aws", team_id=team)
    assert (before.data["provider"], before.data["credentials"]) == ("aws", OLD)
    after = world.sdk.patch.cloud.integration(
        integration_id="prod-aws", team_id=team, data={"credentials": NEW, "description": "Now"}
    )
    assert (after.status, after.data["description"], after.data["credentials"]) == (200, "Now", NEW)
    assert world.account.held("prod-aws") == NEW
    assert world.faults.requests(method="PATCH")[0].processed


def test_it_reads_how_an_integration_authenticates(world: World) -> None:
    address = "nf@my-project.iam.gserviceaccount.com"
    world.account.put(HeldIntegration("gcp", "Keyless", "gcp", service_account=address))
    aws, gcp = world.sdk.list.cloud.integrations().data["integrations"]
    assert aws["aws"]["authenticationMode"] == "accessKey"
    assert gcp["gcp"] == {"authenticationMode": "crossAccountRole", "projectId": "my-project"}
    whole = world.sdk.get.cloud.integration(integration_id="gcp").data
    assert whole["gcp"]["serviceAccountEmail"] == address


def test_it_reads_the_token_and_the_dependents(world: World) -> None:
    world.account.put(Cluster("c1", "aws", "prod-aws"))
    world.account.put(Registry("ecr", "ecr", "prod-aws"))
    auth = world.sdk.get.auth().data
    assert (auth["tokenKind"], auth["expiresAt"]) == ("api", "2126-11-23T12:00:00.000Z")
    assert world.sdk.list.cloud.clusters().data["clusters"][0]["status"]["state"]["state"] == "running"
    registry = world.sdk.list.registry_credentials().data["credentials"][0]
    assert registry["registryCredentialRefresh"]["status"] == "healthy"


def refused(call: object, **arguments: object) -> ApiCallError:
    assert callable(call)
    with pytest.raises(ApiCallError) as caught:
        call(**arguments)
    assert isinstance(caught.value, ApiCallError)
    return caught.value


def test_it_understands_every_refusal(world: World) -> None:
    get, patch = world.sdk.get.cloud.integration, world.sdk.patch.cloud.integration
    invalid = refused(patch, integration_id="prod-aws", data={"description": "a > b"})
    assert (invalid.status, invalid.id) == (400, "nf-invalid-request-body")
    assert list(invalid.details) == ["description"]
    gone = refused(get, integration_id="gone")
    assert (gone.status, gone.message) == (404, "Not found")
    world.account.behaviour = replace(world.account.behaviour, update=frozenset({"POST"}))
    unrouted = refused(patch, integration_id="prod-aws", data={"credentials": NEW})
    assert (unrouted.status, unrouted.message) == (405, "Method Not Allowed")
    world.account.behaviour = Behaviour(rate_limit=0)
    assert refused(get, integration_id="prod-aws").status == 429
    world.account.behaviour = Behaviour()
    world.account.put_token(SECRET, ApiToken(rights=frozenset({Grant.READ})))
    assert refused(patch, integration_id="prod-aws", data={"credentials": NEW}).status == 403
    world.account.put_token(SECRET, ApiToken(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    unknown = refused(get, integration_id="prod-aws")
    assert (unknown.status, unknown.message) == (401, "Unauthorized")
    assert world.account.held("prod-aws") == OLD


def test_it_sends_an_update_again_after_a_reset_and_nothing_is_harmed(world: World) -> None:
    world.faults.put(Rule(method="PATCH", fault=Reset(when="after")))
    answer = world.sdk.patch.cloud.integration(integration_id="prod-aws", data={"credentials": NEW})
    assert answer.status == 200
    assert len(world.faults.requests(method="PATCH", state="processed")) == 2
    assert world.account.held("prod-aws") == NEW


def test_a_proxys_page_is_an_error_to_it_too(world: World) -> None:
    world.faults.put(Rule(fault=Canned(status=502, body="<html>Bad gateway</html>", content_type="text/html")))
    error = refused(world.sdk.get.cloud.integration, integration_id="prod-aws")
    assert (error.status, error.message) == (502, "<html>Bad gateway</html>")
