"""The file, its permissions, and the lock that makes one owner."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import sys
from pathlib import Path

import pytest

from rotator.errors import ExitCode, OtherOwner, StaleFence, StoreError
from rotator.store.journal import Journal
from rotator.store.requests import RequestWriter
from rotator.store.sqlite import owner_alive
from tests.store.children import child, modes_without_a_umask
from tests.store.stores import TickingClock, open_journal, told, url


def data(directory: Path) -> Path:
    return directory / "data"


def refusal(directory: Path) -> StoreError:
    with pytest.raises(StoreError) as refused:
        open_journal(directory)
    assert refused.value.remedy
    return refused.value


def test_all_that_is_made_is_private_whatever_the_umask(tmp_path: Path) -> None:
    with child(modes_without_a_umask, tmp_path) as process:
        modes = process.hear()

    assert modes.pop("data") == 0o700
    assert set(modes) == {*("rotator.db", "rotator.db-wal", "rotator.db-shm", "rotator.db.lock", "audit.jsonl")}
    assert set(modes.values()) == {0o600}


def test_a_directory_that_others_can_write_is_refused(tmp_path: Path) -> None:
    data(tmp_path).mkdir()
    data(tmp_path).chmod(0o770)

    assert f"chmod 700 {data(tmp_path)}" in refusal(tmp_path).remedy
    assert list(data(tmp_path).iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    data(tmp_path).mkdir(mode=0o700)
    os.chown(data(tmp_path), 65534, 65534)

    assert "chown 0 " in refusal(tmp_path).remedy


@pytest.mark.parametrize("name", ["rotator.db", "rotator.db.lock", "rotator.db-wal"])
def test_a_symlink_is_never_followed(tmp_path: Path, name: str) -> None:
    data(tmp_path).mkdir(mode=0o700)
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (data(tmp_path) / name).symlink_to(victim)

    assert "symlink" in refusal(tmp_path).message
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("name", ["rotator.db", "rotator.db.lock"])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, name: str) -> None:
    open_journal(tmp_path).close()
    (data(tmp_path) / name).chmod(0o644)

    assert f"chmod 600 {data(tmp_path) / name}" in refusal(tmp_path).remedy


def test_a_symlinked_data_directory_is_fine(tmp_path: Path) -> None:
    # systemd's DynamicUser= makes /var/lib/rotator one.
    (tmp_path / "private").mkdir(mode=0o700)
    data(tmp_path).symlink_to(tmp_path / "private")
    open_journal(tmp_path).close()

    assert (tmp_path / "private" / "rotator.db").exists()


@pytest.mark.parametrize(
    "address",
    ["sqlite://", "sqlite:///:memory:", "nonsense", "postgresql://ada:hunter2@db/rotator", "sqlite:////x?mode=ro"],
)
def test_other_urls_are_refused_without_quoting_them(address: str) -> None:
    with pytest.raises(StoreError) as refused:
        Journal.open(address, sinks=(), clock=TickingClock())

    assert "sqlite:////" in refused.value.remedy
    assert "hunter2" not in str(refused.value)


def test_a_path_with_odd_characters_is_fine(tmp_path: Path) -> None:
    odd = tmp_path / "50% of #& ä b"
    odd.mkdir()
    open_journal(odd).close()

    assert (data(odd) / "rotator.db").exists()


def test_there_is_one_owner(tmp_path: Path) -> None:
    assert not owner_alive(url(tmp_path))
    with open_journal(tmp_path) as journal:
        fence = journal.fence
        assert owner_alive(url(tmp_path))
        with pytest.raises(OtherOwner) as refused:
            open_journal(tmp_path)
        assert refused.value.exit_code is ExitCode.OTHER_OWNER
        assert re.search(rf"pid {os.getpid()} on \S+", refused.value.message)
        assert journal.reader.owner().fence == fence

    assert not owner_alive(url(tmp_path))
    open_journal(tmp_path).close()


@pytest.mark.realtime
def test_a_look_for_the_owner_does_not_keep_a_new_one_out(tmp_path: Path) -> None:
    open_journal(tmp_path).close()
    with (data(tmp_path) / "rotator.db.lock").open("rb") as look:
        fcntl.flock(look, fcntl.LOCK_SH)
        tries = []

        def let_go_at_the_second(event: str, arguments: tuple[object, ...]) -> None:
            if event == "fcntl.flock" and not look.closed and arguments[0] != look.fileno():
                tries.append(arguments)
                if len(tries) == 2:
                    fcntl.flock(look, fcntl.LOCK_UN)

        sys.addaudithook(let_go_at_the_second)  # for good: it does nothing once the look is over
        with open_journal(tmp_path) as journal:
            assert journal.fence == 2
        assert len(tries) >= 2


def test_guard_notices_a_store_that_was_swapped(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        journal.guard()
        shutil.copy2(data(tmp_path) / "rotator.db", tmp_path / "copy")
        (tmp_path / "copy").replace(data(tmp_path) / "rotator.db")
        with pytest.raises(StaleFence):
            journal.guard()


def test_guard_notices_a_lock_that_was_deleted(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        (data(tmp_path) / "rotator.db.lock").unlink()
        with pytest.raises(StaleFence), open_journal(tmp_path):
            journal.guard()


def test_a_second_owner_behind_a_deleted_lock_shuts_the_first_one_out(tmp_path: Path) -> None:
    with open_journal(tmp_path) as first:
        (data(tmp_path) / "rotator.db.lock").unlink()
        with open_journal(tmp_path), pytest.raises(StaleFence):
            first.record([told("too late")])


def test_commands_beside_the_owner_read_and_make_nothing(tmp_path: Path) -> None:
    for look in (
        lambda: Journal.open_read_only(url(tmp_path)),
        lambda: RequestWriter.open(url(tmp_path), clock=TickingClock(), new_id=lambda: "R"),
    ):
        with pytest.raises(StoreError, match="no store"):
            look()
    assert list(tmp_path.iterdir()) == []

    with open_journal(tmp_path), Journal.open_read_only(url(tmp_path)) as reader:
        assert [row.name for row in reader.credentials()] == ["prod"]
    with Journal.open_read_only(url(tmp_path)) as reader:
        assert reader.owner().fence == 1
        assert not owner_alive(url(tmp_path))


@pytest.mark.parametrize("damage", [b"not a database at all" * 50, None])
def test_a_damaged_file_is_named(tmp_path: Path, damage: bytes | None) -> None:
    open_journal(tmp_path).close()
    file = data(tmp_path) / "rotator.db"
    whole = file.read_bytes()
    file.write_bytes(damage if damage is not None else whole[:4096] + b"\xff" * (len(whole) - 4096))

    refused = refusal(tmp_path)
    assert str(file) in refused.message
    assert "restore" in refused.remedy
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
