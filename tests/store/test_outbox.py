"""Delivery from the store to the sinks: complete, in order, and no sink holds up another."""

from __future__ import annotations

import os
import threading
from contextlib import closing
from pathlib import Path

import pytest

from rotator.audit.sinks import FileSink, StdoutSink
from rotator.errors import AuditError
from rotator.store.journal import Journal
from tests.store.stores import audit_file, open_journal, told

pytestmark = pytest.mark.realtime


def lines(journal: Journal) -> bytes:
    return b"".join(record.line + b"\n" for record in journal.reader.records())


def test_each_sink_gets_everything_in_order(tmp_path: Path) -> None:
    stdout = tmp_path / "stdout"
    with stdout.open("wb") as stream:
        with open_journal(tmp_path, FileSink(audit_file(tmp_path)), StdoutSink(stream)) as journal:
            for number in range(5):
                journal.record([told(f"event {number}")])
                journal.flush(required_only=True)
            assert audit_file(tmp_path).read_bytes() == lines(journal)
            assert stdout.read_bytes() == b""

            journal.flush(required_only=False)
            assert stdout.read_bytes() == lines(journal)

        with open_journal(tmp_path, FileSink(audit_file(tmp_path)), StdoutSink(stream)) as journal:
            journal.flush(required_only=False)
            assert stdout.read_bytes() == audit_file(tmp_path).read_bytes() == lines(journal)


def test_a_sink_that_is_new_to_the_store_gets_it_from_the_first_record(tmp_path: Path) -> None:
    with open_journal(tmp_path, StdoutSink((tmp_path / "stdout").open("wb"))) as journal:
        journal.flush(required_only=False)
    with open_journal(tmp_path) as journal:
        journal.flush(required_only=True)
        assert audit_file(tmp_path).read_bytes() == lines(journal)


def test_a_required_sink_that_fails_fails_closed_and_heals_by_itself(tmp_path: Path) -> None:
    elsewhere = tmp_path / "log" / "audit.jsonl"
    with closing(FileSink(elsewhere)) as sink, open_journal(tmp_path, sink) as journal:
        for _ in range(2):
            with pytest.raises(AuditError) as failed:
                journal.flush(required_only=True)
            assert str(elsewhere) in failed.value.message
            assert failed.value.remedy
        journal.record([told("the journal itself goes on")])
        with pytest.raises(AuditError):
            journal.flush(required_only=False)
        assert "No such file" in str(journal.reader.cursors()["file"].error)

        elsewhere.parent.mkdir()
        journal.flush(required_only=True)
        assert elsewhere.read_bytes() == lines(journal)
        journal.flush(required_only=False)
        assert journal.reader.cursors()["file"].error is None


def test_other_sinks_may_fail(tmp_path: Path) -> None:
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        open_journal(tmp_path, StdoutSink(full), FileSink(audit_file(tmp_path))) as journal,
    ):
        journal.flush(required_only=False)
        assert audit_file(tmp_path).read_bytes() == lines(journal)
        assert "No space left" in str(journal.reader.cursors()["stdout"].error)


def test_a_sink_that_blocks_holds_up_nothing_but_its_own_delivery(tmp_path: Path) -> None:
    read, write = os.pipe()
    with os.fdopen(read, "rb") as pipe, os.fdopen(write, "wb", buffering=0) as stream:
        os.set_blocking(write, False)
        try:
            while os.write(write, b"x" * 4096):  # fill the pipe: its reader sleeps
                pass
        except BlockingIOError:
            os.set_blocking(write, True)
        with open_journal(tmp_path, StdoutSink(stream), FileSink(audit_file(tmp_path))) as journal:
            stuck = threading.Thread(target=lambda: journal.flush(required_only=False))
            stuck.start()
            for number in range(20):
                journal.record([told(f"event {number}")])
                journal.flush(required_only=True)
            assert audit_file(tmp_path).read_bytes() == lines(journal)
            assert stuck.is_alive()
            delivered = len(lines(journal))

            os.set_blocking(read, False)
            taken = b""
            while stuck.is_alive() or len(taken.lstrip(b"x")) < delivered:
                taken += pipe.read() or b""
            stuck.join()
            assert taken.lstrip(b"x") == lines(journal)


def test_threads_that_write_and_flush_at_once_make_one_unbroken_file(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:

        def work(worker: int) -> None:
            for number in range(25):
                journal.record([told(f"worker {worker}, event {number}")] * 2)
                journal.flush(required_only=True)

        workers = [threading.Thread(target=work, args=[number]) for number in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

        assert audit_file(tmp_path).read_bytes() == lines(journal)
        assert len(journal.reader.records()) == 1 + 4 * 25 * 2
