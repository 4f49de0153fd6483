"""Many credentials due at once, by the real service: what a kill can lose is bounded, and pushes come early."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator.clock import new_id
from rotator.model import Origin, Phase
from rotator.rotation.admission import FULL
from rotator.sandbox.azure.scene import AzureScene
from rotator.sandbox.northflank.account import HeldIntegration
from rotator.sandbox.stage import Stage
from rotator.sandbox.wire.rules import Canned, Delay, Rule
from rotator.sandbox.wire.serving import utc_now
from rotator.store.requests import RequestWriter
from tests.chaos.process import RUN, Service, environment
from tests.chaos.trial import QUICK, Trial, trial
from tests.support.patience import deadlines, patience

pytestmark = pytest.mark.realtime

COUNT = 48
IN_HAND = 16  # the default
NAMES = tuple(f"user-{n}" for n in range(COUNT))


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Trial]:
    """48 users, each with a key that an integration of its own holds, and asked to be rotated."""
    with trial(tmp_path) as stage:
        config = yaml.safe_load(stage.configure(northflank=deadlines(5), policy={"watch": "10m"}))
        config["credentials"] = [credential(stage, config["credentials"][0], name) for name in NAMES]
        stage.stage.config_file.write_text(json.dumps(config))
        yield stage


def credential(made: Trial, first: dict[str, Any], name: str) -> dict[str, Any]:
    aws, account = made.stage.aws, made.stage.account
    aws.add_user(name)
    material = aws.create_key(name)
    account.put(HeldIntegration(name, name, "aws", description=name, credentials=material.reveal()))
    return {
        **first,
        "name": name,
        "user": name,
        "integrations": [name],
        "current_key": material.public["accessKey"],
    }


def in_hand(made: Trial) -> int:
    """Keys that AWS has and no integration holds: the former one of each user is held while nothing is pushed."""
    return sum(
        key.key_id != made.stage.account.held(name)["accessKey"] for name in NAMES for key in made.stage.aws.keys(name)
    )


def start(made: Trial) -> Service:
    """Every key is adopted, and every credential asked to be rotated."""
    service = made.start()
    heard(service, "key.adopted", COUNT)
    for name in NAMES:
        made.ask(credential=name, now=True)
    return service


def heard(service: Service, event: str, count: int, *, reason: str = "") -> None:
    """So many credentials have such a record."""
    names: set[str] = set()
    for record in service.records():
        if record["event"] == event and reason in (record.get("reason") or ""):
            names.add(record["credential"])
            if len(names) == count:
                return
    raise AssertionError(f"the service ended after {len(names)} of {count} {event}: {service.said[-2000:]}")


def check(made: Trial) -> None:
    """Each user has one key, which its integration holds and which the journal calls current; nothing is left over."""
    with made.reader() as reader:
        rows = {row.name: row.state for row in reader.credentials()}
        foreign = [known for name in NAMES for known in reader.keys(name) if known.origin is Origin.FOREIGN]
    assert foreign == []
    for name in NAMES:
        (key,) = made.stage.aws.keys(name)
        assert key.enabled
        assert made.stage.account.held(name)["accessKey"] == key.key_id == rows[name].current
        assert (rows[name].phase, rows[name].hold) == (Phase.IDLE, None)
    assert made.leaks() == []


def test_a_kill_in_a_wave_loses_no_more_candidates_than_are_in_hand(made: Trial) -> None:
    made.northflank.put(Rule(method="POST", times=None, fault=Canned(status=503, body="<html>")))
    service = start(made)
    heard(service, "finding", COUNT - IN_HAND, reason=FULL)
    service.kill()
    assert in_hand(made) <= IN_HAND
    made.northflank.put()

    service = made.start()
    heard(service, "rotation.done", COUNT)
    assert service.stop() == 0
    check(made)


def test_in_a_wave_the_first_push_comes_before_the_mint_that_is_one_too_many(made: Trial) -> None:
    service = start(made)
    heard(service, "rotation.done", COUNT)
    assert service.stop() == 0
    check(made)
    hand: set[str] = set()
    for record in made.audited():
        if (record["event"], record.get("outcome")) == ("key.create", "intent"):
            hand.add(record["credential"])
            assert len(hand) <= IN_HAND
        if (record["event"], record.get("outcome")) == ("integration.push", "done"):
            hand.discard(record["credential"])
    assert not hand
    # Each integration is read for its own rotation, and never the whole list for one.
    assert len(made.northflank.requests(method="GET", path="/cloud-providers/integrations$")) <= 1
    assert len(made.northflank.requests()) <= 10 * COUNT, "eight, and a few that were asked again"


def test_a_cloud_that_hangs_leaves_workers_to_the_others(tmp_path: Path) -> None:
    stage = Stage(tmp_path, policy={**QUICK, "watch": "1s"}, scenes=(AzureScene,), propagation=timedelta(0))
    with stage:
        config = yaml.safe_load(stage.config())
        config["northflank"]["default"] |= deadlines(20)
        config["workers"] = 4
        aws, azure = config["credentials"]
        for name in NAMES[:8]:
            stage.aws.add_user(name)
            held = stage.aws.create_key(name)
            stage.account.put(HeldIntegration(name, name, "aws", description=name, credentials=held.reveal()))
            own = {"name": name, "user": name, "integrations": [name], "current_key": held.public["accessKey"]}
            config["credentials"].append({**aws, **own})
        stage.config_file.write_text(json.dumps(config))
        stage.aws.faults.put(Rule(action="ListAccessKeys", times=None, fault=Delay(when="before", seconds=None)))
        (tmp_path / "output").mkdir()
        with Service(RUN, environment(tmp_path, **stage.environment), tmp_path / "output") as service:
            service.wait_for("key.adopted")
            stage.aws.faults.wait_for(3, action="ListAccessKeys", timeout=patience())
            with RequestWriter.open(f"sqlite:///{stage.store_file}", clock=utc_now, new_id=new_id) as writer:
                writer.submit("rotate", credential=azure["name"], arguments={"now": True}, uid=0)
            heard(service, "rotation.done", 1)
            assert len(stage.aws.faults.requests(action="ListAccessKeys")) == 3, "three quarters of the workers"
            stage.aws.faults.put()
            stage.aws.faults.release()
