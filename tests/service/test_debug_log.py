"""`log.level: debug` shows what rotator looked at, decided and called; info shows none of it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator.sandbox.stage import CREDENTIAL, INTEGRATION, Stage
from tests.chaos.process import RUN, Service, environment
from tests.chaos.trial import QUICK
from tests.support.desk import Desk, patient

pytestmark = pytest.mark.realtime

KINDS = ("look", "decision", "call")
CALLS = {
    "key.create": "create",
    "integration.push": f"push {{key}} into {INTEGRATION}",
    "key.disable": "disable {key}",
    "key.delete": "delete {key}",
}
LONGEST = 1500

Line = Mapping[str, Any]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path, policy=QUICK, propagation=timedelta(0)) as stage:
        yield stage


def log_at(stage: Stage, level: str) -> None:
    config = yaml.safe_load(patient(stage.config()))
    config["log"] = {"level": level}
    stage.config_file.write_text(yaml.safe_dump(config))


def lines(service: Service, *events: str) -> list[Line]:
    said = [json.loads(line) for line in service.said.splitlines() if line.startswith("{")]
    return [line for line in said if line["event"] in events]


def rotate(desk: Desk) -> None:
    rotated = desk.rotator("rotate", CREDENTIAL, "--now", "--wait")
    assert rotated.code == 0, rotated.stderr


def test_every_look_decision_and_call_of_a_rotation_is_shown_at_debug_and_none_at_info(stage: Stage) -> None:
    log_at(stage, "info")
    output = stage.directory / "output"
    output.mkdir()
    with Service(RUN, environment(stage.directory, **stage.environment), output) as service:
        service.wait_for("key.adopted")
        desk = Desk(stage.directory, stage.config_file.read_text(), stage.environment)
        rotate(desk)
        assert lines(service, *KINDS) == []

        log_at(stage, "debug")
        service.process.send_signal(signal.SIGHUP)
        service.wait_to_say("the config was reloaded")
        before = len(service.records_so_far())
        rotate(desk)
        service.wait_for("rotation.done", where=lambda record: record["sequence"] > before + 1)
        records = service.records_so_far()[before:]

        log_at(stage, "info")
        service.process.send_signal(signal.SIGHUP)
        service.wait_for("config.reloaded", where=lambda record: record["sequence"] > records[-1]["sequence"])
        rotate(desk)
        *_, last = lines(service, *KINDS, "the config was reloaded")
        assert last["event"] not in KINDS
    calls_are_shown(service, records)
    decisions_are_shown(service, records)
    looks_are_shown(service, stage)
    for line in service.said.splitlines():
        assert len(line) <= LONGEST
        assert not [secret for secret in stage.aws.secrets if secret in line]


def calls_are_shown(service: Service, records: Sequence[Line]) -> None:
    """Each change that the audit log has an answer of, with how long it took; and what was read."""
    made = [(line["operation"], line["outcome"]) for line in lines(service, "call")]
    assert all(line["seconds"] >= 0 and line["credential"] == CREDENTIAL for line in lines(service, "call"))
    answered = [record for record in records if record["event"] in CALLS and record["outcome"] == "done"]
    assert {record["event"] for record in answered} == CALLS.keys()
    for record in answered:
        keys = record["key_ids"]
        assert (CALLS[record["event"]].format(key=keys[0] if keys else None), "done") in made
    assert {"list keys", f"read {INTEGRATION}", "prove"} <= {operation for operation, _ in made}


def decisions_are_shown(service: Service, records: Sequence[Line]) -> None:
    """Each phase that the audit log has was decided on, with the row and the reason."""
    decided = lines(service, "decision")
    assert all(datetime.fromisoformat(line["next_at"]).tzinfo is not None for line in decided)
    moves = {(line["step"], line["reason"]) for line in decided if line["row"]}
    for record in records:
        if record["event"] in {"rotation.phase", "rotation.started"} and record["phase"] != "proving":
            assert (f"go on to {record['phase']}", record["reason"]) in moves
    assert {"create", "wait"} <= {line["step"] for line in decided}


def looks_are_shown(service: Service, stage: Stage) -> None:
    looks = lines(service, "look")
    assert {1, 2} <= {line["keys"] for line in looks}
    store = next(line["store"] for line in lines(service, "rotator is running"))
    stamps = {line["stamps"] for line in looks}
    assert {f"{INTEGRATION}: {store} g1", f"{INTEGRATION}: {store} g2"} <= stamps, stamps
    assert stage.aws.secrets
