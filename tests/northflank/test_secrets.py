"""A canary in the token and in the material: it must be nowhere but on the wire."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator

import pytest

from rotator.errors import CallFailed
from rotator.material import Material
from rotator.northflank.integration import Integration
from rotator.sandbox.northflank.account import Behaviour, Echo
from rotator.sandbox.wire.rules import Canned, Cut, Delay, Drip, Fault, Reset
from tests.northflank.conftest import NEW, OLD, SECRET_KEY, SHORT, STAMPED, TOKEN, Cloud
from tests.support.wire import Wire, response

pytestmark = pytest.mark.realtime

CANARIES = (TOKEN, SECRET_KEY, OLD["secretKey"])


def repeated(request: bytes) -> bytes:
    """What a careless server says: what it was sent, body first."""
    head, _, body = request.decode().partition("\r\n\r\n")
    return json.dumps({"error": {"status": 400, "message": f"bad request: {body or head}"}}).encode()


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.DEBUG):
        yield


def told(error: BaseException | None) -> str:
    """Everything that a logger could print of an exception: its frames with their locals, and what it came from."""
    seen: list[str] = []
    while error is not None:
        # The frames of the code under test only: a test's own locals hold the canary, as they must.
        frames = [
            frame
            for frame in traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), capture_locals=True)
            if "/tests/" not in frame.filename
        ]
        seen += [str(error), repr(error), repr(vars(error)), *traceback.StackSummary.from_list(frames).format()]
        error = error.__cause__ or error.__context__
    return "\n".join(seen)


def calls(integration: Integration, material: Material) -> Iterator[str]:
    """What each call's failure could show."""
    for call in (
        lambda: integration.push(material, description=STAMPED),
        lambda: integration.read(fresh=True),
        lambda: integration.read(fresh=False),
        integration.dependents,
    ):
        try:
            yield repr(call())
        except CallFailed as failure:
            yield told(failure)


@pytest.mark.parametrize(
    "fault",
    [
        None,
        Canned(status=401, body='{"error": {"status": 401, "message": "Unauthorized"}}'),
        Canned(status=500, when="after"),
        Canned(status=200, body="<html>"),
        Canned(status=200, body='{"data": {"id": "other", "provider": "aws"}}'),
        Reset(when="after"),
        Cut(keep=150),
        Drip(pause=0.05),
        Delay(seconds=None),
    ],
)
@pytest.mark.parametrize("echo", [Echo.RAW, Echo.NOTHING])
def test_nothing_shows_it(
    cloud: Cloud, material: Material, caplog: pytest.LogCaptureFixture, fault: Fault | None, echo: Echo
) -> None:
    cloud.account.behaviour = Behaviour(echo=echo)
    if fault is not None:
        cloud.spoil(fault)
    connection = cloud.connection(deadline=SHORT / 3)
    integration = cloud.integration(connection, dependents=("clusters", "registries"))
    shown = "\n".join(calls(integration, material))
    cloud.faults.release()
    assert "prod-aws" in shown
    assert "send_request_headers" in caplog.text, "httpcore's own debug log was heard"
    for canary in CANARIES:
        assert canary not in shown
        assert canary not in caplog.text


def test_a_server_that_repeats_what_it_was_sent(
    cloud: Cloud, material: Material, caplog: pytest.LogCaptureFixture
) -> None:
    with Wire(lambda request: [response(repeated(request), "400 Bad Request")]) as wire:
        shown = "\n".join(calls(cloud.integration(cloud.connection(url=wire.url)), material))
    assert "withheld" in shown
    assert TOKEN.encode() in wire.heard[0]
    for canary in CANARIES:
        assert canary not in shown
        assert canary not in caplog.text


def test_the_reprs_of_what_is_held(cloud: Cloud, material: Material) -> None:
    integration = cloud.integration()
    integration.push(material, description=STAMPED)
    for held in (integration, vars(integration), vars(cloud.connection()), vars(cloud.limits), material):
        assert TOKEN not in repr(held)
        assert NEW["secretKey"] not in repr(held)


def shown_by(**spoiled: str) -> dict[str, object]:
    seen = {"id": "prod-aws", "name": "Production", "provider": "aws", "description": "Production"}
    return {**seen, **spoiled}


@pytest.mark.parametrize("field", ["id", "name", "provider", "description"])
@pytest.mark.parametrize("secret", [TOKEN, SECRET_KEY])
def test_an_integration_whose_words_repeat_one_is_not_believed(
    cloud: Cloud, material: Material, field: str, secret: str
) -> None:
    spoiled = shown_by(**{field: f"see {secret}"})
    sound = {"id": "other", "name": "Other", "provider": "aws", "description": "Other"}
    connection = cloud.connection()
    integration = cloud.integration(connection)
    integration.push(material, description=STAMPED)
    cloud.spoil(Canned(status=200, body=json.dumps({"data": spoiled})))
    with pytest.raises(CallFailed) as caught:
        integration.read(fresh=True)
    assert secret not in told(caught.value)
    cloud.spoil(Canned(status=200, body=json.dumps({"data": {"integrations": [spoiled, sound]}})))
    assert [item.id for item in connection.list_integrations()] == ["other"]


@pytest.mark.parametrize("secret", [TOKEN, SECRET_KEY])
def test_a_dependent_whose_words_repeat_one_is_not_believed(cloud: Cloud, material: Material, secret: str) -> None:
    integration = cloud.integration(dependents=("clusters",))
    integration.push(material, description=STAMPED)
    for cluster in ({"id": secret, "status": "running"}, {"id": "eu", "status": {"state": {"state": secret}}}):
        body = {"data": {"clusters": [{**cluster, "integrationId": "prod-aws"}]}}
        cloud.spoil(Canned(status=200, body=json.dumps(body)))
        with pytest.raises(CallFailed) as caught:
            integration.dependents()
        assert secret not in told(caught.value)
