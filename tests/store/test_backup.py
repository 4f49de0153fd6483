"""Copies of the store: whole, private, checked, and never in the place of anything else."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from rotator.audit.verify import verify
from rotator.errors import StoreError
from rotator.store.backup import Backup, back_up
from rotator.store.journal import Journal
from tests.store.children import back_up_and_die, back_up_on_a_full_disk, child, record_for_ever
from tests.store.stores import START, open_journal, told, url

pytestmark = pytest.mark.realtime


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory for backups."""
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups"


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A store with a few records, and no owner."""
    with open_journal(tmp_path) as journal:
        journal.record([told("a"), told("b")])
    return tmp_path


def refusal(directory: Path, destination: Path) -> StoreError:
    with pytest.raises(StoreError) as refused:
        back_up(url(directory), destination, at=START)
    assert refused.value.remedy
    return refused.value


def whole(backup: Backup) -> bool:
    """A store of its own: what is in it is sound, and its audit log is complete."""
    with Journal.open_read_only(f"sqlite:///{backup.path}") as reader:
        walk = verify(reader, None).store
        return (reader.store_id, walk.records, walk.finding) == (backup.store_id, backup.records, None)


def test_it_is_whole_while_its_owner_writes_and_it_is_one_private_file(tmp_path: Path, place: Path) -> None:
    with child(record_for_ever, tmp_path) as owner:
        assert owner.hear() == "ready"
        usual = os.umask(0)
        try:
            made = [back_up(url(tmp_path), place / f"{number}.db", at=START) for number in range(5)]
        finally:
            os.umask(usual)
    assert sorted(place.iterdir()) == [backup.path for backup in made]
    assert {path.stat().st_mode & 0o7777 for path in place.iterdir()} == {0o600}
    assert [backup.records for backup in made] == sorted(backup.records for backup in made)
    assert made[0].records < made[-1].records
    for backup in made:
        assert backup.size == backup.path.stat().st_size
        assert whole(backup)


def test_in_a_directory_the_store_and_the_time_name_it(stored: Path, place: Path) -> None:
    made = back_up(url(stored), place, at=START)
    assert made.path == place / f"rotator-{made.store_id}-20261123T080000Z.db"
    assert whole(made)
    assert "File exists" in refusal(stored, place).message


def test_with_its_owner_dead_it_has_all_that_was_committed(tmp_path: Path, place: Path) -> None:
    with child(record_for_ever, tmp_path) as owner:
        owner.hear()
        owner.kill()
        owner.end()
        with Journal.open_read_only(url(tmp_path)) as reader:
            (last,) = reader.newest(1)
        made = back_up(url(tmp_path), place / "copy.db", at=START)
    assert made.records == last.sequence
    assert whole(made)


@pytest.mark.parametrize("kind", ["file", "dangling symlink", "symlink to a file", "fifo"])
def test_nothing_is_overwritten_or_followed(stored: Path, place: Path, kind: str) -> None:
    taken, other = place / "copy.db", stored / "other"
    match kind:
        case "file":
            taken.write_text("mine")
        case "fifo":
            os.mkfifo(taken)
        case _:
            taken.symlink_to(other)
            if kind == "symlink to a file":
                other.write_text("mine")
    before = taken.lstat()
    assert "File exists" in refusal(stored, taken).message
    assert taken.lstat() == before
    assert not other.exists() or other.read_text() == "mine"
    assert list(place.iterdir()) == [taken]


def test_where_nothing_can_be_made_the_reason_is_told(stored: Path, tmp_path: Path) -> None:
    assert "make its directory first" in refusal(stored, tmp_path / "no" / "copy.db").remedy
    assert "Not a directory" in refusal(stored, stored / "data" / "rotator.db" / "copy.db").message
    assert "too long" in refusal(stored, tmp_path / ("x" * 300)).message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_a_full_disk_leaves_nothing_and_the_next_one_is_made(stored: Path, place: Path) -> None:
    with child(back_up_on_a_full_disk, stored, place / "copy.db") as process:
        refused = process.hear()
    assert "no room" in refused.message
    assert "make room" in refused.remedy
    assert list(place.iterdir()) == []
    assert whole(back_up(url(stored), place / "copy.db", at=START))


@pytest.mark.parametrize("event", ["sqlite3.connect", "os.link"])
def test_a_kill_in_the_middle_leaves_nothing_under_its_name(stored: Path, place: Path, event: str) -> None:
    with child(back_up_and_die, stored, place / "copy.db", event) as process:
        assert process.hear() == "dying"
        assert process.end() == -signal.SIGKILL
    (left,) = place.iterdir()
    assert left.name.startswith(".rotator-backup-")
    assert left.stat().st_mode & 0o7777 == 0o700
    assert whole(back_up(url(stored), place / "copy.db", at=START))


def tamper(directory: Path, statement: str) -> None:
    with closing(sqlite3.connect(directory / "data" / "rotator.db")) as store, store:
        store.execute(statement)


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("UPDATE audit_event SET line = replace(line, 'fence', 'house') WHERE sequence = 2", "record 2: was changed"),
        ("UPDATE audit_event SET event = 'x' WHERE sequence = 3", "its row says otherwise"),
        ("DELETE FROM audit_event WHERE sequence = 2", "record 2: is missing"),
        ("INSERT INTO rotation VALUES ('r', 99, '', 0, 1, '2026-11-23', NULL, NULL)", "names one that is not there"),
    ],
)
def test_a_store_that_is_not_sound_is_not_backed_up(stored: Path, place: Path, statement: str, finding: str) -> None:
    tamper(stored, statement)
    assert finding in refusal(stored, place / "copy.db").message
    assert list(place.iterdir()) == []


def test_a_damaged_file_is_told(stored: Path, place: Path) -> None:
    file = stored / "data" / "rotator.db"
    pages = bytearray(file.read_bytes())
    pages[4096 * 4 :] = b"\xff" * (len(pages) - 4096 * 4)
    file.write_bytes(pages)
    assert "damaged" in refusal(stored, place / "copy.db").message
    assert list(place.iterdir()) == []
