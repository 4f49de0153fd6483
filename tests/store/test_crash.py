"""Death and full disks, in real processes: whatever was acknowledged is there afterwards, and nothing is half there."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from rotator.audit.sinks import FileSink
from rotator.audit.verify import verify
from rotator.errors import StoreError
from rotator.model import State
from rotator.store.journal import Journal
from tests.audit.lines import is_intact
from tests.store.children import child, commit_for_ever, commit_on_a_full_disk, touch_on_a_full_disk
from tests.store.stores import audit_file, open_journal, told

pytestmark = pytest.mark.realtime


def acknowledged(directory: Path, messages: int) -> tuple[int, int]:
    """Kill a process that commits after it has said so much. Gives the last commit and the last flush it spoke of."""
    said = {"committed": 0, "flushed": 0}
    with child(commit_for_ever, directory) as process:
        for heard in count(1):
            try:
                word, attempts = process.hear()
            except EOFError:
                break
            said[word] = attempts
            if heard == messages:
                process.kill()
    return said["committed"], said["flushed"]


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    for messages in (1, 2, 3, 8, 21, 50):
        committed, flushed = acknowledged(tmp_path, messages)
        if flushed:
            assert f"attempt {flushed}, part 2" in audit_file(tmp_path).read_text()

        with open_journal(tmp_path) as journal:
            attempts = journal.load("prod").attempts
            assert attempts in {committed, committed + 1}
            told_of = [record for record in journal.reader.records() if f"attempt {attempts}," in record.line.decode()]
            assert len(told_of) == 3
            journal.flush(required_only=True)
            report = verify(journal.reader, audit_file(tmp_path))
            assert is_intact(report), report
            assert report.file is not None
            assert report.file.records == report.store.records


def test_a_full_disk_refuses_the_commit_whole(tmp_path: Path) -> None:
    with child(commit_on_a_full_disk, tmp_path) as process:
        refused = process.hear()
    assert 5 < len(refused) < 39
    assert set(refused) == {(True, True)}  # each says what to do, and left nothing behind

    with open_journal(tmp_path) as journal:
        assert journal.load("prod") == State(attempts=99)
        journal.flush(required_only=True)
        assert is_intact(verify(journal.reader, audit_file(tmp_path)))


def test_a_full_disk_is_noticed_with_nothing_to_write(tmp_path: Path) -> None:
    with child(touch_on_a_full_disk, tmp_path) as process:
        assert process.hear() == [True, False, True]


def _mount(directory: Path, *options: str) -> bool:
    command = ["/bin/mount", *options, str(directory)]
    done = subprocess.run(command, check=False, stderr=subprocess.DEVNULL)  # noqa: S603  # our own arguments
    return done.returncode == 0


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of its own, which only root can have."""
    directory = Path(tempfile.mkdtemp(prefix="rotator-disk-"))
    mounted = os.geteuid() == 0 and _mount(directory, "-t", "tmpfs", "-o", "size=600k,mode=700", "tmpfs")
    try:
        if not mounted:
            pytest.skip("only root can mount a small disk")
        yield directory
    finally:
        if mounted:
            subprocess.run(["/bin/umount", "--lazy", str(directory)], check=True)  # noqa: S603  # our own arguments
        shutil.rmtree(directory, ignore_errors=True)


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as filler:
        while True:
            filler.write(b"x" * 4096)


def _commit_until_it_fails(journal: Journal) -> None:
    for attempts in range(2, 50):
        journal.commit("prod", State(attempts=attempts), events=[told("x" * 1000)] * 9, next_at=None)


def test_a_disk_that_fills_up_and_then_turns_read_only(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    with closing(FileSink(audit_file(small_disk))) as sink, open_journal(small_disk, sink) as journal:
        journal.commit("prod", State(attempts=1), events=[told("well")], next_at=None)
        journal.flush(required_only=True)
        with pytest.raises(OSError, match="No space"):
            _fill(ballast)
        with pytest.raises(StoreError, match="disk is full"):
            _commit_until_it_fails(journal)
        ballast.unlink()
        journal.commit(
            "prod", replace(journal.load("prod"), roll_forwards=1), events=[told("room again")], next_at=None
        )
        journal.flush(required_only=True)
        assert is_intact(verify(journal.reader, audit_file(small_disk)))
        kept = journal.load("prod")

    assert _mount(small_disk, "-o", "remount,ro")
    with pytest.raises(StoreError, match="Read-only") as refused:
        open_journal(small_disk)
    assert refused.value.remedy
    assert _mount(small_disk, "-o", "remount,rw")
    with open_journal(small_disk) as journal:
        assert journal.load("prod") == kept
