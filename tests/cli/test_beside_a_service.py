"""Commands beside a running service. Each test leaves the credential idle, as it found it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rotator.sandbox.aws.scene import USER
from rotator.sandbox.stage import CREDENTIAL, INTEGRATION, Stage
from rotator.store.journal import Journal
from tests.chaos.process import RUN, Service, environment
from tests.chaos.trial import QUICK
from tests.support.desk import ROTATOR, Desk, Done, patient

pytestmark = pytest.mark.realtime


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("cli"), policy=QUICK, propagation=timedelta(0)) as stage:
        yield stage


@pytest.fixture(scope="module", autouse=True)
def service(stage: Stage) -> Iterator[Service]:
    """`rotator run`, after the first contact."""
    stage.config_file.write_text(patient(stage.config()))
    output: Path = stage.directory / "output"
    output.mkdir()
    with Service(RUN, environment(stage.directory, **stage.environment), output) as service:
        service.wait_for("key.adopted")
        yield service


@pytest.fixture(scope="module")
def desk(stage: Stage, service: Service) -> Desk:  # noqa: ARG001  # commands are given beside it
    return Desk(stage.directory, patient(stage.config()), stage.environment)


@pytest.fixture
def paused(desk: Desk) -> Iterator[Done]:
    yield desk.rotator("pause", CREDENTIAL, "--why", "a [bold]freeze\x1b[31m", "--as", "ada")
    desk.rotator("unpause", CREDENTIAL)


def standing(desk: Desk) -> Any:
    (credential,) = desk.rotator("status", "--json").json()["credentials"]
    return credential


def test_rotate_and_wait_follows_a_rotation_to_its_end(stage: Stage, desk: Desk) -> None:
    planned = desk.rotator("rotate", CREDENTIAL, "--dry-run")
    assert planned.code == 0
    assert "would be accepted" in planned.stdout
    assert "create" in planned.stdout
    before = stage.aws.keys(USER)

    followed = desk.rotator("rotate", CREDENTIAL, "--now", "--wait", "--json")
    assert followed.code == 0, followed.stderr
    assert followed.json()["accepted"] is True, "progress is on the other output"
    phases = ("proving:", "pushing:", "confirming:", "grace:", "disabling:", "quarantine:", "deleting:")
    assert [phase for phase in phases if phase in followed.stderr] == list(phases)
    assert followed.stderr.rindex("rotation.done") > followed.stderr.index("deleting:")

    (key,) = stage.aws.keys(USER)
    assert key not in before
    assert stage.account.held(INTEGRATION)["accessKey"] == key.key_id
    shown = desk.rotator("show", CREDENTIAL, "--json").json()
    assert shown["current_key"] == key.key_id
    assert shown["rotations"][-1]["outcome"] == "done"


def test_a_leaked_key_is_gone_at_once_and_its_sessions_are_thought_of(stage: Stage, desk: Desk) -> None:
    leaked = stage.account.held(INTEGRATION)["accessKey"]
    rotated = desk.rotator("rotate", CREDENTIAL, "--leaked", leaked, "--wait")
    assert rotated.code == 0
    assert "docs/recovery.md#a-key-leaked" in rotated.stderr
    assert leaked not in [key.key_id for key in stage.aws.keys(USER)]
    again = desk.rotator("rotate", CREDENTIAL, "--leaked", leaked)
    assert (again.code, again.stdout[:9]) == (1, "refused: ")


def test_a_pause_shows_and_its_reason_is_audited_and_never_drives_a_terminal(paused: Done, desk: Desk) -> None:
    assert paused.stdout == "accepted: paused; rotator still finishes a push that was sent\n"
    assert standing(desk)["in_the_way"] == ["paused"]
    record = desk.rotator("audit", "tail", "-n", "1", "--json")
    told = json.loads(record.stdout)
    assert told["actor"] == f"uid:{os.getuid()} claimed:ada"
    assert told["reason"].endswith("(why: a [bold]freeze [31m)")
    assert "a [bold]freeze [31m" in desk.rotator("audit", "tail", "-n", "1").stdout, "markup is text like any other"


def test_what_is_not_allowed_is_refused_with_1(desk: Desk) -> None:
    for arguments, why in (
        (("undo", CREDENTIAL), "there is nothing to undo"),
        (("rotate", CREDENTIAL, "--leaked", "AKIAFOREIGN"), "never touches a foreign key"),
    ):
        refused = desk.rotator(*arguments, typed=f"{INTEGRATION}\n")
        assert refused.code == 1, refused
        assert refused.stdout.startswith("refused: ")
        assert why in refused.stdout
        assert "\x1b" not in refused.stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("resume", CREDENTIAL, "--cut", INTEGRATION), "nothing is held"),
        (("resume", CREDENTIAL, "--still-holds"), "isn't lost"),
        (("forget", CREDENTIAL), "is in the config, so it can't be forgotten"),
        (("adopt", CREDENTIAL, "AKIAFOREIGN"), "name one of the credential's keys"),
        (("adopt", CREDENTIAL, "--unmanaged"), "--unmanaged is for"),
    ],
)
def test_what_would_be_refused_is_said_before_anything_is_asked(
    desk: Desk, arguments: tuple[str, ...], why: str
) -> None:
    refused = desk.rotator(*arguments)  # with nothing on standard input: a question would be an error of its own
    assert (refused.code, refused.stdout) == (1, ""), refused
    assert why in refused.stderr
    assert "nothing was changed" in refused.stderr
    assert "standard input" not in refused.stderr


def test_a_freeze_stops_everything_until_it_is_lifted(desk: Desk) -> None:
    assert desk.rotator("freeze", "--why", "an audit").code == 0
    try:
        assert "Every change is frozen since" in desk.rotator("status").stdout
        assert "every change is frozen" in desk.rotator("plan").stdout
    finally:
        assert desk.rotator("unfreeze").code == 0
    assert desk.rotator("status", "--json").json()["store"]["frozen"] is None


@pytest.mark.parametrize("arguments", [("run",), ("run", "--once"), ("pause", CREDENTIAL, "--standalone")])
def test_there_is_one_owner(desk: Desk, arguments: tuple[str, ...]) -> None:
    second = desk.rotator(*arguments)
    assert (second.code, second.stdout) == (3, "")
    assert "another rotator owns this store" in second.stderr


def test_a_service_that_hears_nothing_carries_the_request_out_later(service: Service, desk: Desk) -> None:
    service.process.send_signal(signal.SIGSTOP)
    try:
        unheard = desk.rotator("pause", CREDENTIAL)
        assert (unheard.code, unheard.stdout) == (1, "")
        assert "has not answered yet" in unheard.stderr
    finally:
        service.process.send_signal(signal.SIGCONT)
    assert desk.rotator("unpause", CREDENTIAL).code == 0
    with Journal.open_read_only(desk.url) as reader:
        assert reader.open_requests() == ()
        codes = [json.loads(record.line).get("code") for record in reader.newest(2)]
    assert codes == ["pause", "unpause"]


def test_commands_at_once_are_all_answered(desk: Desk) -> None:
    with desk.started("unpause", CREDENTIAL) as one, desk.started("unpause", CREDENTIAL) as other:
        assert [one.next_line()[:9], other.next_line()[:9]] == ["accepted:"] * 2
        assert [one.wait(), other.wait()] == [0, 0]


def test_a_reader_that_has_seen_enough_is_no_error(desk: Desk) -> None:
    piped = f"{shlex.join((sys.executable, *ROTATOR))} audit tail -n 500 --json | head -n 1"
    done = subprocess.run(  # noqa: S603  # our own program
        ["/bin/bash", "-o", "pipefail", "-c", piped], env=desk.environment, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["sequence"] == 1
