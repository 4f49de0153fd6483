"""Tampering, done by hand on real files, and the name that `verify` gives it."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from rotator.audit.chain import Record, genesis, link, sha256, unseal
from rotator.audit.verify import Report, Walk, verify, verify_rotated
from rotator.errors import AuditError
from rotator.store.journal import Journal
from tests.audit.lines import is_intact
from tests.store.children import child, record_for_ever, verify_a_long_log
from tests.store.stores import TickingClock, audit_file, open_journal, told, url

Lines = list[bytes]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A store and its file, with 10 records, at rest."""
    with open_journal(tmp_path) as journal:
        for number in range(2, 11):
            journal.record([told(f"event {number}")])
        journal.flush(required_only=True)
    return tmp_path


def check(directory: Path) -> Report:
    with Journal.open_read_only(url(directory)) as reader:
        return verify(reader, audit_file(directory))


def reseal(line: bytes) -> bytes:
    """What somebody does who knows how the hash is made."""
    body, _ = unseal(line)
    return body[:-1] + b',"hash":"' + sha256(body).encode() + b'"}'


def altered(lines: Lines) -> Lines:
    return [*lines[:4], lines[4].replace(b"event 5", b"event 6"), *lines[5:]]


def resealed(lines: Lines) -> Lines:
    return [*lines[:4], reseal(lines[4].replace(b"event 5", b"event 6")), *lines[5:]]


def relinked(lines: Lines) -> Lines:
    """Everything from record 5 on is made anew: only the store can tell."""
    head = Record(4, unseal(lines[3])[1], b"")
    forged = link(head, [told("nothing happened")] * 6, at=TickingClock()(), fence=1)
    return [*lines[:4], *(record.line for record in forged)]


def of_another_store(lines: Lines) -> Lines:
    return [record.line for record in link(genesis("another"), [told("x")] * len(lines), at=TickingClock()(), fence=1)]


@pytest.mark.parametrize(
    ("tamper", "record", "line", "problem"),
    [
        (altered, 5, 5, "was changed"),
        (resealed, 5, 5, "differs from the store's in: hash, reason"),
        (relinked, 5, 5, "differs from the store's in: "),
        (lambda lines: [*lines[:4], *lines[5:]], 5, 5, "is missing: record 6 stands in its place"),
        (
            lambda lines: lines[:7],
            8,
            8,
            "is missing, and so is every record after it: the file has taken records up to 10",
        ),
        (lambda lines: [*lines[:4], lines[2], *lines[4:]], 5, 5, "is missing: record 3 stands in its place"),
        (lambda lines: [*lines[:4], lines[5], lines[4], *lines[6:]], 5, 5, "is missing: record 6"),
        (lambda lines: [*lines[:4], b'{"sequence":5}', *lines[5:]], 5, 5, "is not an audit record"),
        (lambda lines: [*lines[:4], b"", *lines[4:]], 5, 5, "is not an audit record"),
        (lambda lines: [*lines[:4], b"[" * 100_000, *lines[5:]], 5, 5, "is not an audit record"),
        (
            lambda lines: [*lines, reseal(lines[9].replace(b'"sequence":10', b'"sequence":11'))],
            11,
            11,
            "doesn't follow",
        ),
        (of_another_store, 1, 1, "doesn't follow the one before: it names store:another"),
        (lambda lines: [*lines[:9], lines[9] + b" "], 10, 10, "is not an audit record"),
        (lambda _: [], 10, 1, "is missing, and so is every record after it"),
    ],
)
def test_a_file_that_was_tampered_with(
    log: Path, tamper: Callable[[Lines], Lines], record: int, line: int, problem: str
) -> None:
    lines = audit_file(log).read_bytes().splitlines()
    assert len(lines) == 10
    audit_file(log).write_bytes(b"".join(each + b"\n" for each in tamper(lines)))

    report = check(log)
    assert not is_intact(report)
    assert report.store.finding is None
    assert report.file is not None
    assert report.file.finding is not None
    assert (report.file.finding.record, report.file.finding.line) == (record, line)
    assert problem in report.file.finding.problem


@pytest.mark.parametrize("column", ["time", "event", "credential", "rotation", "hash", "sequence"])
def test_a_column_of_the_store_that_was_changed(log: Path, column: str) -> None:
    meddle(log, f"UPDATE audit_event SET {column} = 77 WHERE sequence = 5")  # noqa: S608  # the test's own names

    finding = check(log).store.finding
    assert finding is not None
    assert finding.record == 5
    assert column in finding.problem or column == "sequence"


def reason_in_store(log: Path, *, resealed: bool) -> None:
    with closing(sqlite3.connect(log / "data" / "rotator.db")) as shell, shell:
        (line,) = shell.execute("SELECT line FROM audit_event WHERE sequence = 5").fetchone()
        line = line.replace("event 5", "event 6")
        line = reseal(line.encode()).decode() if resealed else line
        shell.execute("UPDATE audit_event SET line = ?, hash = ? WHERE sequence = 5", (line, json.loads(line)["hash"]))


def meddle(log: Path, statement: str) -> None:
    with closing(sqlite3.connect(log / "data" / "rotator.db")) as shell, shell:
        shell.execute(statement)


@pytest.mark.parametrize(
    ("tamper", "record", "problem"),
    [
        (lambda log: reason_in_store(log, resealed=False), 5, "was changed"),
        (lambda log: reason_in_store(log, resealed=True), 6, "doesn't follow"),
        (lambda log: meddle(log, "DELETE FROM audit_event WHERE sequence = 5"), 5, "record 6 stands in its place"),
        (lambda log: meddle(log, "DELETE FROM audit_event WHERE sequence > 7"), 8, "a sink has taken records up to 10"),
        (lambda log: meddle(log, "DELETE FROM audit_event"), 1, "a sink has taken records up to 10"),
        (lambda log: meddle(log, "UPDATE owner SET store_id = 'another'"), 1, "due is store:another"),
        (lambda log: meddle(log, "UPDATE audit_event SET line = x'ff00' WHERE sequence = 5"), 5, "not an audit record"),
        (lambda log: meddle(log, "UPDATE audit_event SET line = CAST(x'ff' AS TEXT) WHERE sequence = 5"), 5, "not an"),
    ],
)
def test_a_store_that_was_tampered_with(log: Path, tamper: Callable[[Path], None], record: int, problem: str) -> None:
    tamper(log)

    report = check(log)
    assert not is_intact(report)
    assert report.store.finding is not None
    assert report.store.finding.record == record
    assert problem in report.store.finding.problem
    assert f"record {record}: " in str(report.store.finding)


def test_an_untouched_log_is_intact(log: Path) -> None:
    report = check(log)
    assert is_intact(report)
    assert report.file is not None
    assert (report.store.records, report.file.records, report.file.first, report.file.pending) == (10, 10, 1, 0)


def test_what_the_daemon_has_yet_to_deliver_is_pending_and_not_missing(log: Path) -> None:
    with open_journal(log) as journal:
        report = verify(journal.reader, audit_file(log))
        assert is_intact(report)
        assert report.file is not None
        assert (report.file.records, report.file.pending) == (10, 1)

        with audit_file(log).open("ab") as stream:
            stream.write(journal.reader.newest(1)[0].line[:100])
        report = verify(journal.reader, audit_file(log))
        assert is_intact(report)
        assert report.file is not None
        assert (report.file.records, report.file.pending) == (10, 1)


def test_rotated_files_are_checked_as_parts_of_the_chain(log: Path) -> None:
    old = audit_file(log).rename(log / "audit.jsonl.1")
    with open_journal(log) as journal:
        journal.flush(required_only=True)
        report = verify(journal.reader, audit_file(log))
        assert is_intact(report)
        assert report.file is not None
        assert (report.file.first, report.file.records) == (11, 2)
        assert b"audit.resumed" in journal.reader.newest(1)[0].line

        walk = verify_rotated(journal.reader, old)
        assert (walk.finding, walk.first, walk.records) == (None, 1, 10)
        lines = old.read_bytes().splitlines(keepends=True)
        old.write_bytes(b"".join(lines[3:7]))
        assert (verify_rotated(journal.reader, old).first, verify_rotated(journal.reader, old).records) == (4, 4)
        old.write_bytes(b"".join([*lines[3:5], *lines[6:]]))
        finding = verify_rotated(journal.reader, old).finding
        assert finding is not None
        assert (finding.record, finding.line) == (6, 3)


def test_without_a_file_only_the_store_is_walked(log: Path) -> None:
    with Journal.open_read_only(url(log)) as reader:
        assert verify(reader, None).file is None
        assert is_intact(verify(reader, None))


def test_a_file_that_cannot_be_read_is_an_error(log: Path) -> None:
    with Journal.open_read_only(url(log)) as reader, pytest.raises(AuditError, match="can't be read"):
        verify_rotated(reader, log)


def test_a_daemon_at_work_never_makes_the_check_cry_wolf(tmp_path: Path) -> None:
    with child(record_for_ever, tmp_path) as daemon:
        daemon.hear()
        reports = [check(tmp_path) for _ in range(15)]

    assert [report for report in reports if not is_intact(report)] == []
    assert reports[-1].store.records > reports[0].store.records


def test_memory_stays_flat_and_progress_is_told(tmp_path: Path) -> None:
    with child(verify_a_long_log, tmp_path) as process:
        intact, growth, progress = process.hear()

    assert intact
    assert growth < 6_000  # kB
    assert progress == [10_000, 20_000] * 2


PACKERS: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("packer", PACKERS)
class TestCompressed:
    """What logrotate leaves where it compresses."""

    def moved(self, log: Path, packer: str, change: Callable[[bytes], bytes] = lambda content: content) -> Walk:
        old = log / f"audit.jsonl.1.{packer}"
        old.write_bytes(change(PACKERS[packer](audit_file(log).read_bytes())))
        with Journal.open_read_only(url(log)) as reader:
            return verify_rotated(reader, old)

    def test_it_is_checked_as_it_is(self, log: Path, packer: str) -> None:
        walk = self.moved(log, packer)
        assert (walk.finding, walk.first, walk.records) == (None, 1, 10)

    def test_a_changed_record_is_found(self, log: Path, packer: str) -> None:
        lines = altered(audit_file(log).read_bytes().splitlines())
        audit_file(log).write_bytes(b"\n".join(lines) + b"\n")
        finding = self.moved(log, packer).finding
        assert finding is not None
        assert (finding.record, finding.line) == (5, 5)

    def test_one_that_was_cut_or_damaged_is_said_to_be(self, log: Path, packer: str) -> None:
        with pytest.raises(AuditError, match=f"audit.jsonl.1.{packer} can't be read whole|can't be read: "):
            self.moved(log, packer, lambda packed: packed[: len(packed) // 2])
        with pytest.raises(AuditError, match=f"audit.jsonl.1.{packer} can't be read"):
            self.moved(log, packer, lambda packed: packed[:40] + bytes(20) + packed[60:])


@pytest.mark.parametrize(("mark", "said"), [(b"\x28\xb5\x2f\xfd", "zstd -d"), (b"PK\x03\x04", "unzip")])
def test_what_python_can_not_unpack_is_named(log: Path, mark: bytes, said: str) -> None:
    (log / "old").write_bytes(mark + bytes(100))
    with Journal.open_read_only(url(log)) as reader, pytest.raises(AuditError) as caught:
        verify_rotated(reader, log / "old")
    assert said in caught.value.remedy


def test_a_file_that_is_none_is_no_intact_one(log: Path) -> None:
    os.mkfifo(log / "pipe")
    for name, said in (("none", "there is none"), (".", "not a regular file"), ("pipe", "not a regular file")):
        with Journal.open_read_only(url(log)) as reader, pytest.raises(AuditError, match=said):
            verify_rotated(reader, log / name)
