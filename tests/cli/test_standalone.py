"""No service runs: a pass by hand, and commands that do the work themselves."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from rotator.sandbox.aws.scene import USER
from rotator.sandbox.stage import CREDENTIAL, INTEGRATION, Stage
from tests.chaos.trial import QUICK
from tests.support.desk import Desk, patient

pytestmark = pytest.mark.realtime

NOBODY = 65534
SLOW = {**QUICK, "grace": "5m", "max_grace": "10m"}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path, policy=SLOW, propagation=timedelta(0)) as stage:
        yield stage


@pytest.fixture
def desk(stage: Stage) -> Desk:
    """Nobody has named the key in use yet."""
    config = yaml.safe_load(patient(stage.config()))
    del config["credentials"][0]["current_key"]
    return Desk(stage.directory, yaml.safe_dump(config), stage.environment)


def name_the_key_in_use(desk: Desk, key_id: str) -> None:
    config = yaml.safe_load(desk.config_file.read_text())
    config["credentials"][0]["current_key"] = key_id
    desk.config_file.write_text(yaml.safe_dump(config))


def test_each_remedy_for_a_key_in_use_that_is_not_listed_leads_out(stage: Stage, desk: Desk) -> None:
    name_the_key_in_use(desk, "AKIAOFANOTHERUSER000")
    [remedy] = [line["remedy"] for line in desk.rotator("check", "--json").json()["checks"] if line["result"] == "fail"]
    assert "`current_key: unmanaged`" in remedy
    assert desk.rotator("run", "--once").code == 4
    assert f"`rotator adopt {CREDENTIAL} --unmanaged`" in desk.rotator("status").stdout
    wrong = desk.rotator("adopt", CREDENTIAL, "AKIAOFANOTHERUSER000", "--yes", "--standalone", "--json").json()
    assert not wrong["accepted"]
    assert "`rotator adopt --unmanaged`" in wrong["answer"]

    for typed in ("", "something-else\n"):
        unconfirmed = desk.rotator("adopt", CREDENTIAL, "--unmanaged", "--standalone", typed=typed)
        assert (unconfirmed.code, unconfirmed.stdout) == (2, "")
        assert "nothing was changed" in unconfirmed.stderr
    adopted = desk.rotator("adopt", CREDENTIAL, "--unmanaged", "--standalone", typed=f"{CREDENTIAL}\n")
    assert f"Listed keys: {stage.first_key}." in adopted.stderr
    assert adopted.stdout.startswith(f"accepted: the key in use is none of the listed keys ({stage.first_key})")
    assert "slot_taken" in adopted.stderr, "both slots are full now: an alert, and so exit code 4"
    assert adopted.code == 4
    [shown] = desk.rotator("status", "--json").json()["credentials"]
    assert (shown["phase"], shown["held"]) == ("idle", None)
    assert shown["current_key"] not in {None, stage.first_key}


def test_unmanaged_in_the_config_leads_out_too_and_check_says_what_it_means(stage: Stage, desk: Desk) -> None:
    name_the_key_in_use(desk, "unmanaged")
    lines = desk.rotator("check", "--json").json()["checks"]
    [warned] = [line for line in lines if "`current_key` is unmanaged" in line["check"]]
    assert warned["result"] == "warn"
    assert stage.first_key in warned["check"]
    assert "slot_taken" in desk.rotator("run", "--once").stdout
    [shown] = desk.rotator("status", "--json").json()["credentials"]
    assert (shown["phase"], shown["held"]) == ("idle", None)
    assert stage.first_key in {key.key_id for key in stage.aws.keys(USER)}


def test_from_first_contact_to_the_grace_without_a_service(stage: Stage, desk: Desk) -> None:
    first = desk.rotator("run", "--once")
    assert first.code == 4
    assert "rotation.held" in first.stdout, "standard output is an audit sink"
    held = desk.rotator("status")
    assert held.code == 4
    assert "held (adopt_which)" in held.stdout
    assert f"`rotator adopt {CREDENTIAL}`" in held.stdout

    # A script that forgot to say which: nothing is guessed, and nothing waits for an answer that can't come.
    unanswered = desk.rotator("adopt", CREDENTIAL, "--standalone")
    assert unanswered.code == 2
    assert stage.first_key in unanswered.stderr, "it shows the keys"
    assert "nothing was changed" in unanswered.stderr
    wrong = desk.rotator("adopt", CREDENTIAL, "AKIAWRONG", "--yes", "--standalone", "--json")
    assert (wrong.code, wrong.json()["accepted"]) == (1, False)
    assert stage.first_key in wrong.json()["answer"]
    adopted = desk.rotator("adopt", CREDENTIAL, "--standalone", typed=f"{stage.first_key}\n")
    assert (adopted.code, adopted.stdout) == (0, f"accepted: {stage.first_key} is the current key\n")

    rotated = desk.rotator("rotate", CREDENTIAL, "--standalone", "--json")
    assert rotated.code == 0, rotated.stderr
    assert rotated.json()["accepted"] is True
    new = stage.account.held(INTEGRATION)["accessKey"]
    assert new != stage.first_key
    (credential,) = desk.rotator("status", "--json").json()["credentials"]
    assert (credential["phase"], credential["current_key"]) == ("grace", new)
    assert len([key for key in stage.aws.keys(USER) if key.enabled]) == 2


def test_a_store_that_cannot_be_used_is_one_clear_line(desk: Desk) -> None:
    desk.arrange({})
    store = desk.data / "rotator.db"
    good = store.read_bytes()

    with sqlite3.connect(store) as database:
        database.execute("UPDATE alembic_version SET version_num = 'from-the-future'")
    database.close()
    for arguments in (("status",), ("rotate", CREDENTIAL, "--standalone")):
        newer = desk.rotator(*arguments)
        assert newer.code == 1, newer
        assert "newer" in newer.stderr
        assert "unforeseen" not in newer.stderr

    for damaged in (b"not a database" * 1000, good[:4096] + os.urandom(8192)):
        store.write_bytes(damaged)
        for suffix in ("-wal", "-shm"):
            store.with_name(store.name + suffix).unlink(missing_ok=True)
        broken = desk.rotator("status", "--json")
        assert broken.code == 1
        assert "store" in broken.json()["error"]
        assert "restore the last backup" in broken.json()["remedy"]


def nobody_can_run_python() -> bool:
    """The interpreter may be in a home that is closed to others."""
    try:
        subprocess.run((sys.executable, "-c", ""), user=NOBODY, check=True, capture_output=True)
    except (PermissionError, subprocess.CalledProcessError):
        return False
    return True


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_root_becomes_the_owner_of_the_store_and_leaves_no_file_of_its_own(stage: Stage, desk: Desk) -> None:
    if not nobody_can_run_python():
        pytest.skip("the interpreter belongs to root alone")
    desk.data.mkdir(mode=0o700)
    os.chown(desk.data, NOBODY, NOBODY)
    stage.token_file.chmod(0o644)
    # The parents of a temporary directory are closed to others.
    for parent in (stage.directory, *stage.directory.parents):
        if parent.stat().st_uid == 0 and parent.stat().st_mode & 0o011 != 0o011:
            parent.chmod(parent.stat().st_mode | 0o011)
    asked = desk.rotator("adopt", CREDENTIAL, stage.first_key, "--yes", "--standalone")
    assert asked.code == 0, asked
    assert {file.stat().st_uid for file in desk.data.iterdir()} == {NOBODY}
    assert "uid:0" in desk.rotator("audit", "tail").stdout, "the audit log has who it really was"
