"""`rotator store backup`, as an operator or a timer calls it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from rotator.model import Phase, State
from rotator.store.journal import Journal
from tests.support.desk import NAME, Desk

pytestmark = pytest.mark.realtime


@pytest.fixture
def arranged(desk: Desk) -> Desk:
    desk.arrange({NAME: State(phase=Phase.IDLE, current="AKIACURRENT")})
    return desk


def test_beside_the_owner_it_copies_and_says_what_it_is_worth(arranged: Desk) -> None:
    copy = arranged.directory / "copy.db"
    with arranged.owner():
        made = arranged.rotator("store", "backup", str(copy))
    assert made.code == 0, made
    assert made.stdout.startswith(f"{copy}: ")
    assert made.stdout.endswith("checked\n")
    assert "docs/upgrade.md#put-a-backup-back" in made.stderr
    with Journal.open_read_only(f"sqlite:///{copy}") as reader:
        assert [row.state.current for row in reader.credentials()] == ["AKIACURRENT"]


def test_what_went_wrong_is_two_lines_and_1(arranged: Desk) -> None:
    copy = arranged.directory / "copy.db"
    copy.write_text("mine")
    refused = arranged.rotator("store", "backup", str(copy))
    assert (refused.code, refused.stdout) == (1, "")
    assert refused.stderr.splitlines() == [
        f"rotator: the backup {copy} can't be made: File exists; the store is as it was",
        "  -> nothing is ever overwritten: choose another name, or name a directory.",
    ]
    assert copy.read_text() == "mine"


INTERRUPTED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell's children ignore it
_, number, *arguments = sys.argv
def _at_the_end(event, _):
    if event == "os.link":
        os.kill(os.getpid(), int(number))
sys.addaudithook(_at_the_end)
sys.argv = ["rotator", *arguments]
from rotator.cli import main
main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_it_leaves_nothing(arranged: Desk, number: int, code: int) -> None:
    before = sorted(arranged.directory.rglob("*"))
    copy = str(arranged.directory / "copy.db")
    ended = arranged.python("-c", INTERRUPTED, str(int(number)), "store", "backup", copy)
    assert (ended.code, ended.stdout) == (code, ""), ended
    left = {path.name for path in arranged.directory.rglob("*")} - {path.name for path in before}
    assert left <= {"rotator.db-wal", "rotator.db-shm"}, "but for SQLite's own files beside the store"


def test_there_must_be_a_store_and_a_destination(desk: Desk) -> None:
    nothing = desk.rotator("store", "backup", "copy.db", "--json")
    assert nothing.code == 1
    assert "there is no store" in nothing.json()["error"]
    assert desk.rotator("store", "backup").code == 2


def sent(desk: Desk, stream: BinaryIO, *options: str) -> subprocess.CompletedProcess[bytes]:
    """The command with its standard output in this stream, as a shell opens it."""
    command = [sys.executable, "-m", "rotator", "store", "backup", "-", *options]
    return subprocess.run(command, env=desk.environment, stdout=stream, stderr=subprocess.PIPE, check=False)  # noqa: S603  # ours


def test_to_standard_output_comes_the_copy_and_nothing_else(arranged: Desk) -> None:
    copy = arranged.directory / "copy.db"
    copy.touch(0o600)
    with arranged.owner(), copy.open("wb") as stream:
        made = sent(arranged, stream, "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stderr)["size"] == copy.stat().st_size
    with Journal.open_read_only(f"sqlite:///{copy}") as reader:
        assert [row.state.current for row in reader.credentials()] == ["AKIACURRENT"]
    assert not [*arranged.data.glob(".rotator-backup-*")]


def test_a_full_disk_behind_standard_output_is_said(arranged: Desk) -> None:
    with Path("/dev/full").open("wb") as full:
        made = sent(arranged, full)
    assert made.returncode == 1
    assert b"what arrived is no backup" in made.stderr
