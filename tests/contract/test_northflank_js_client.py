"""Northflank's own JavaScript client, unchanged, in the two versions that matter: the last that sends POST, and PATCH.

Not in the default run, which needs no node: `make test-contract`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rotator.sandbox.northflank.account import (
    ApiToken,
    Behaviour,
    Cluster,
    Echo,
    HeldIntegration,
    NorthflankAccount,
    Registry,
)
from rotator.sandbox.northflank.stand_in import Northflank
from rotator.sandbox.wire.faults import Faults
from rotator.sandbox.wire.rules import Canned, Reset, Rule
from rotator.sandbox.wire.serving import Server

pytestmark = pytest.mark.contract_js

HERE = Path(__file__).parent / "js"
SECRET = "nf-0123456789abcdef"
OLD = {"accessKey": "AKIAOLDOLDOLDOLDOLD0", "secretKey": "old/secret"}
NEW = {"accessKey": "AKIANEWNEWNEWNEWNEW0", "secretKey": "new/secret"}
OF_PROD_AWS = {"parameters": {"integrationId": "prod-aws"}}


@dataclass(frozen=True)
class Client:
    """One version of the client: how it updates an integration, and whether it knows teams."""

    version: str
    update: str
    method: str
    knows_teams: bool


@dataclass
class World:
    account: NorthflankAccount
    faults: Faults
    url: str
    client: Client

    def call(self, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
        """Make these calls in one run of node; one result each."""
        node = shutil.which("node")
        assert node is not None, "node is not installed: the contract with js-client can't be tested"
        asked = {"version": self.client.version, "host": self.url, "token": SECRET, "calls": calls}
        done = subprocess.run(  # noqa: S603  # node, and our own script
            [node, "calls.js"], cwd=HERE, input=json.dumps(asked), text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        results = json.loads(done.stdout)
        assert isinstance(results, list)
        return results


@pytest.fixture(
    params=[
        Client("0.7.25", update="update.cloud.integration", method="POST", knows_teams=False),
        Client("0.9.5", update="patch.cloud.integration", method="PATCH", knows_teams=True),
    ],
    ids=lambda client: client.version,
)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    account = NorthflankAccount()
    account.put_token(SECRET, ApiToken())
    account.put(HeldIntegration("prod-aws", "Prod AWS", "aws", description="The cloud", credentials=OLD))
    faults = Faults(Northflank(account))
    with Server(faults) as server:
        yield World(account, faults, server.url, request.param)


def test_it_lists_page_by_page(world: World) -> None:
    for number in range(129):
        world.account.put(HeldIntegration(f"i-{number}", f"I {number}", "aws"))
    first, every, team = world.call(
        ("list.cloud.integrations", {"options": {"per_page": 100}}),
        ("list.cloud.integrations.all", {"options": {"per_page": 50}}),
        ("list.cloud.integrations.all", {"parameters": {"teamId": "sandbox-team"}, "options": {"per_page": 50}}),
    )
    assert (len(first["data"]["integrations"]), first["pagination"]["hasNextPage"]) == (100, True)
    ids = ["prod-aws", *(f"i-{number}" for number in range(129))]
    assert [each["id"] for each in every["data"]["integrations"]] == ids
    assert [each["id"] for each in team["data"]["integrations"]] == ids
    assert len(world.faults.requests(path="^/v1/teams/sandbox-team/")) == (3 if world.client.knows_teams else 0)


def test_it_reads_and_updates_an_integration(world: World) -> None:
    world.account.behaviour = Behaviour(echo=Echo.RAW)
    before, updated, after = world.call(
        ("get.cloud.integration", OF_PROD_AWS),
        (world.client.update, {**OF_PROD_AWS, "data": {"credentials": NEW, "description": "Now"}}),
        ("get.cloud.integration", OF_PROD_AWS),
    )
    assert before["data"]["credentials"] == OLD
    assert (updated["status"], updated["data"]["description"]) == (200, "Now")
    assert after["data"] == updated["data"]
    assert world.account.held("prod-aws") == NEW
    assert [seen.processed for seen in world.faults.requests(method=world.client.method)] == [True]


def test_it_reads_the_dependents(world: World) -> None:
    world.account.put(Cluster("c1", "aws", "prod-aws"))
    world.account.put(Registry("ecr", "ecr", "prod-aws"))
    clusters, registries = world.call(("list.cloud.clusters", {}), ("list.registryCredentials", {}))
    assert clusters["data"]["clusters"][0]["status"]["state"]["state"] == "running"
    assert registries["data"]["credentials"][0]["registryCredentialRefresh"]["status"] == "healthy"


def test_it_understands_the_refusals(world: World) -> None:
    invalid, gone = world.call(
        (world.client.update, {**OF_PROD_AWS, "data": {"credentials": NEW, "name": "Other"}}),
        ("get.cloud.integration", {"parameters": {"integrationId": "gone"}}),
    )
    assert (invalid["error"]["status"], invalid["error"]["id"]) == (400, "nf-invalid-request-body")
    assert list(invalid["error"]["details"]) == ["name"]
    assert gone["error"] == {"status": 404, "message": "Not found"}
    world.account.behaviour = Behaviour(rate_limit=0)
    world.account.put_token(SECRET, ApiToken())
    assert world.call(("get.cloud.integration", OF_PROD_AWS))[0]["error"]["status"] == 429
    world.account.behaviour = Behaviour()
    world.account.put_token(SECRET, ApiToken(rights=frozenset()))
    assert world.call((world.client.update, {**OF_PROD_AWS, "data": {"credentials": NEW}}))[0]["error"]["status"] == 403
    assert world.account.held("prod-aws") == OLD


def test_an_unrouted_method_is_text_that_it_shows(world: World) -> None:
    world.account.behaviour = Behaviour(update=frozenset({"POST", "PATCH"}) - {world.client.method})
    (refused,) = world.call((world.client.update, {**OF_PROD_AWS, "data": {"credentials": NEW}}))
    assert "405" in refused["error"]
    assert "Method Not Allowed" in refused["error"]


def test_it_sends_an_update_again_after_a_reset_and_nothing_is_harmed(world: World) -> None:
    world.faults.put(Rule(method=world.client.method, fault=Reset(when="after")))
    (updated,) = world.call((world.client.update, {**OF_PROD_AWS, "data": {"credentials": NEW}}))
    assert updated["status"] == 200
    assert len(world.faults.requests(method=world.client.method, state="processed")) == 2
    assert world.account.held("prod-aws") == NEW


def test_a_proxys_page_is_an_error_to_it_too(world: World) -> None:
    world.faults.put(Rule(fault=Canned(status=502, body="<html>Bad gateway</html>", content_type="text/html")))
    (refused,) = world.call(("get.cloud.integration", OF_PROD_AWS))
    assert "Bad gateway" in refused["error"]
