"""Keyless credentials: shown and checked, never rotated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator.model import Phase, State
from rotator.sandbox.northflank.account import HeldIntegration
from rotator.sandbox.stage import Stage
from tests.support.desk import IDENTITY, NAME, Desk, Done, patient

pytestmark = pytest.mark.realtime

KEYLESS = "keyless-gcp"
ADDRESS = "northflank@my-project.iam.gserviceaccount.com"
INTEGRATION = HeldIntegration(KEYLESS, "Keyless", "gcp", service_account=ADDRESS)
SECTION = {
    "name": KEYLESS,
    "provider": "gcp",
    "mode": "crossAccountRole",
    "service_account": ADDRESS,
    "integrations": [KEYLESS],
}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path, propagation=timedelta(0)) as stage:
        stage.account.put(INTEGRATION)
        yield stage


@pytest.fixture
def desk(stage: Stage) -> Desk:
    """A config that has nothing else."""
    config = yaml.safe_load(patient(stage.config())) | {"credentials": [SECTION]}
    return Desk(stage.directory, yaml.safe_dump(config), stage.environment)


def standing(desk: Desk, code: int = 0) -> list[Any]:
    told = desk.rotator("status", "--json")
    assert told.code == code
    found: list[Any] = told.json()["credentials"]
    return found


def test_a_config_of_nothing_else_runs_and_rotates_nothing(stage: Stage, desk: Desk) -> None:
    ran = desk.rotator("run", "--once")
    assert ran.code == 0, ran
    assert {request.method for request in stage.faults.requests()} <= {"GET"}
    assert desk.rotator("plan", "--json").json() == {"plans": []}

    (told,) = standing(desk)
    assert (told["credential"], told["provider"], told["phase"]) == (KEYLESS, "gcp", "keyless")
    assert (told["current_key"], told["due_at"], told["in_the_way"], told["in_config"]) == (None, None, [], True)
    shown = desk.rotator("status")
    assert shown.code == 0
    assert f"{KEYLESS}  gcp       keyless" in shown.stdout
    assert shown.stdout.count("Keyless, so there is nothing to rotate: keyless-gcp.") == 1


def test_the_service_stays_up_with_nothing_to_do(desk: Desk) -> None:
    with desk.started("run") as service:
        while "rotator is running" not in (line := service.next_line(stderr=True)):
            assert line
        assert standing(desk)[0]["phase"] == "keyless"
        service.interrupt()
        assert service.wait() == 0


@pytest.mark.parametrize(
    ("shown", "result", "told"),
    [
        ({}, "ok", "has provider gcp and mode crossAccountRole: keyless, nothing to rotate"),
        (
            {"service_account": None, "credentials": {"keyfileJson": "{}"}},
            "fail",
            "has provider gcp and mode accessKey",
        ),
        ({"provider": "aws"}, "fail", "has provider aws and mode accessKey"),
        (None, "fail", "reading integration keyless-gcp was refused: 404"),
    ],
)
def test_check_looks_whether_it_is_keyless_still(
    stage: Stage, desk: Desk, shown: dict[str, Any] | None, result: str, told: str
) -> None:
    if shown is None:
        stage.account.remove(KEYLESS)
    else:
        stage.account.put(replace(INTEGRATION, **shown))
    checked = desk.rotator("check", "--json")
    (line,) = (line for line in checked.json()["checks"] if line["about"] == KEYLESS)
    assert (line["result"], checked.code) == (result, 0 if result == "ok" else 1)
    assert told in line["check"]
    assert bool(line["remedy"]) == (result != "ok")


def refused(done: Done) -> None:
    assert done.code == 2, done
    assert f"{KEYLESS} is keyless: there is nothing to rotate." in done.stderr


def test_what_is_about_keys_is_refused_before_anything_is_asked(stage: Stage, desk: Desk) -> None:
    assert desk.rotator("run", "--once").code == 0
    for command in (
        ("rotate", KEYLESS, "--leaked", "--standalone"),
        ("plan", KEYLESS),
        ("show", KEYLESS),
        ("adopt", KEYLESS),
        ("policy", KEYLESS),
    ):
        refused(desk.rotator(*command))
    assert stage.faults.requests() == []


def test_a_credential_that_became_keyless_leaves_its_former_key_in_sight(desk: Desk) -> None:
    """Its key is still in its cloud: it is shown until somebody forgets it."""
    desk.arrange({NAME: State(phase=Phase.IDLE, current="AKIAOLD")})
    desk.config_file.write_text(desk.config(credentials=[{**SECTION, "name": NAME}]))
    first, second = sorted(standing(desk), key=lambda told: str(told["phase"]))
    assert (first["phase"], first["identity"], first["in_config"]) == ("idle", IDENTITY, False)
    assert (second["phase"], second["in_config"]) == ("keyless", True)
    assert desk.rotator("show", NAME, "--json").json()["current_key"] == "AKIAOLD"
    forgotten = desk.rotator("forget", NAME, "--yes", "--standalone", TOKEN="t")
    assert forgotten.code == 0, forgotten
    assert [told["phase"] for told in standing(desk)] == ["keyless"]
