"""The audit file: what a crash tears off is restored, what contradicts the store is left alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rotator.audit.chain import genesis, link
from rotator.audit.event import Event, EventName
from rotator.audit.sinks import FileSink, Resumed
from rotator.errors import AuditError
from tests.audit.lines import RECORDS, WHOLE, deliver, find, upto
from tests.store.children import child, deliver_on_a_full_disk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def sink(path: Path) -> Iterator[FileSink]:
    with closing(FileSink(path)) as opened:
        yield opened


def test_a_new_file_is_private_and_complete(path: Path, sink: FileSink) -> None:
    assert deliver(sink, 0) == Resumed(0)
    assert path.read_bytes() == WHOLE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("cursor", [0, 2, 3])
def test_a_tear_anywhere_in_a_line_is_mended(path: Path, cursor: int) -> None:
    third = len(upto(3))
    for length in (*range(third, len(upto(4)), 11), len(upto(4)) - 1, len(upto(4))):
        path.write_bytes(WHOLE[:length])
        with closing(FileSink(path)) as sink:
            resumed = deliver(sink, cursor)
        assert path.read_bytes() == WHOLE
        assert ("torn" in resumed.note) == (third < length < len(upto(4)))


def test_a_tear_in_the_first_line_is_mended(path: Path) -> None:
    for length in (*range(0, len(upto(1)), 11), len(upto(1)) - 1):
        path.write_bytes(WHOLE[:length])
        with closing(FileSink(path)) as sink:
            deliver(sink, 0)
        assert path.read_bytes() == WHOLE


def test_zeros_that_a_power_cut_left_are_mended(path: Path, sink: FileSink) -> None:
    path.write_bytes(upto(3) + RECORDS[3].line[:10] + bytes(200))
    assert "torn" in deliver(sink, 3).note
    assert path.read_bytes() == WHOLE


def test_lines_that_vanished_are_written_again_and_reported(path: Path, sink: FileSink) -> None:
    path.write_bytes(upto(2))
    assert "3 to 5 had vanished" in deliver(sink, 5).note
    assert path.read_bytes() == WHOLE


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (upto(2) + upto(3)[len(upto(2)) :].replace(b"number 3", b"number 9"), "record 3 is another"),
        (WHOLE + RECORDS[5].line.replace(b'"sequence":6', b'"sequence":7') + b"\n", "record 7, which the store"),
        (upto(3) + b"surely no record\n", "not an audit record"),
        (upto(3) + b'{"time":"2026-11-23T00:00:00.000000Z","sequence":4,"event":"forged', "no record"),
        (upto(6) + b"x", "no record"),
        (b"x" * (1 << 21), "longer than any"),
        (
            link(genesis("another"), [Event(event=EventName.FINDING)], at=datetime.now(UTC), fence=1)[0].line + b"\n",
            "1",
        ),
    ],
)
def test_a_file_that_contradicts_the_store_is_refused_and_never_touched(path: Path, content: bytes, named: str) -> None:
    path.write_bytes(content)
    with closing(FileSink(path)) as sink, pytest.raises(AuditError) as refused:
        sink.resume(3, find)

    assert named in refused.value.message
    assert "audit verify" in refused.value.remedy
    assert path.read_bytes() == content


def test_a_file_that_was_moved_away_is_continued_in_a_new_one(path: Path, sink: FileSink) -> None:
    sink.write(RECORDS[: sink.resume(0, find).cursor + 4])
    path.rename(path.with_suffix(".1"))
    assert deliver(sink, 4) == Resumed(4, f"{path} is a new file: it begins with record 5")

    assert path.with_suffix(".1").read_bytes() + path.read_bytes() == WHOLE


def test_a_file_that_was_emptied_in_place_is_continued(path: Path, sink: FileSink) -> None:
    sink.write(RECORDS[: sink.resume(0, find).cursor + 4])
    os.truncate(path, 0)
    assert "begins with record 5" in deliver(sink, 4).note

    assert path.read_bytes() == WHOLE[len(upto(4)) :]


def test_a_line_that_somebody_appends_at_run_time_stops_the_sink(path: Path, sink: FileSink) -> None:
    sink.write(RECORDS[: sink.resume(0, find).cursor + 4])
    with path.open("ab") as stream:
        stream.write(b'{"forged":1}\n')
    with pytest.raises(AuditError, match="not an audit record"):
        sink.resume(4, find)


def test_a_symlink_is_not_followed(path: Path, sink: FileSink) -> None:
    victim = path.with_name("victim")
    victim.touch()
    path.symlink_to(victim)
    with pytest.raises(AuditError, match="symlink"):
        sink.resume(0, find)
    assert victim.read_bytes() == b""


def test_a_file_that_others_can_write_is_refused(path: Path, sink: FileSink) -> None:
    path.touch()
    path.chmod(0o620)
    with pytest.raises(AuditError) as refused:
        sink.resume(0, find)
    assert "chmod 600" in refused.value.remedy


def test_a_fifo_is_refused_without_waiting_for_it(path: Path, sink: FileSink) -> None:
    os.mkfifo(path, 0o600)
    with pytest.raises(AuditError, match="regular file"):
        sink.resume(0, find)


def test_a_full_disk_leaves_whole_lines_only_and_is_mended_later(path: Path) -> None:
    with child(deliver_on_a_full_disk, path) as process:
        failures = list(iter(process.hear, None))
        assert process.end() == 0

    assert len(failures) > 5
    for message, left in failures:
        assert "File too large" in message
        assert left == upto(3)
    assert path.read_bytes() == WHOLE
