"""What systemd's journal is sent: by its native protocol, to a socket that stands where the journal's would."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rotator.audit.chain import genesis, link
from rotator.audit.event import Event, EventName, Result
from rotator.audit.sinks import JournalSink
from rotator.errors import AuditError
from rotator.host.journald import JournalSocket, connected

EVENTS = (
    Event(event=EventName.KEY_DELETE, outcome=Result.INTENT, credential="prod-aws", generation=3, key_ids=("A", "B")),
    Event(event=EventName.ROTATION_HELD, credential="prod-aws", phase="grace", reason="still used"),
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.settimeout(10)
        listening.bind(str(tmp_path / "socket"))
        yield listening


def entry(journal: socket.socket) -> list[tuple[str, str]]:
    """The fields of the next entry, read as systemd reads them."""
    data, found = journal.recv(1 << 20), []
    while data:
        line, _, rest = data.partition(b"\n")
        if b"=" in line:
            name, _, value = line.partition(b"=")
        else:
            (length,) = struct.unpack("<Q", rest[:8])
            name, value, rest = line, rest[8 : 8 + length], rest[8 + length + 1 :]
        found.append((name.decode(), value.decode()))
        data = rest
    return found


def test_a_record_is_its_line_and_fields_to_search_by(journal: socket.socket, tmp_path: Path) -> None:
    records = link(genesis("7f3a"), EVENTS, at=datetime(2026, 11, 25, tzinfo=UTC), fence=7)
    JournalSink(JournalSocket(str(tmp_path / "socket"))).write(records)
    intent, held = entry(journal), entry(journal)
    assert intent[0] == ("MESSAGE", records[0].line.decode()), "to the letter: its hash can be checked"
    told = {
        ("PRIORITY", "6"),
        ("SYSLOG_IDENTIFIER", "rotator"),
        ("ROTATOR_CREDENTIAL", "prod-aws"),
        ("ROTATOR_EVENT", "key.delete"),
        ("ROTATOR_OUTCOME", "intent"),
        ("ROTATOR_GENERATION", "3"),
        ("ROTATOR_KEY_IDS", "A"),
        ("ROTATOR_KEY_IDS", "B"),
        ("ROTATOR_SEQUENCE", "1"),
    }
    assert told <= set(intent)
    assert {("PRIORITY", "4"), ("ROTATOR_PHASE", "grace"), ("ROTATOR_REASON", "still used")} <= set(held)
    assert not {name for name, _ in intent} & {"ROTATOR_HASH", "ROTATOR_PREV", "ROTATOR_TIME"}


def test_text_of_several_lines_can_make_no_field_of_its_own(journal: socket.socket, tmp_path: Path) -> None:
    JournalSocket(str(tmp_path / "socket")).send("one\nPRIORITY=0\n_UID=0", 6)
    assert entry(journal) == [
        ("MESSAGE", "one\nPRIORITY=0\n_UID=0"),
        ("PRIORITY", "6"),
        ("SYSLOG_IDENTIFIER", "rotator"),
    ]


def test_a_journal_that_is_gone_is_an_audit_error(tmp_path: Path) -> None:
    records = link(genesis("7f3a"), EVENTS, at=datetime(2026, 11, 25, tzinfo=UTC), fence=7)
    with pytest.raises(AuditError, match="can't be sent to the journal: No such file or directory"):
        JournalSink(JournalSocket(str(tmp_path / "gone"))).write(records)


def test_only_the_very_stream_that_systemd_gave_is_the_journal(tmp_path: Path) -> None:
    with (tmp_path / "stream").open("wb") as stream:
        status = os.fstat(stream.fileno())
        here = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert connected(stream.fileno(), here)
        assert not connected(stream.fileno(), {})
        assert not connected(stream.fileno(), {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"})
    assert not connected(stream.fileno() if not stream.closed else 99, here)
