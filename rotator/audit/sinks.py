"""Where audit records go from the store: a file of JSON lines, stdout, and systemd's journal."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

import structlog

from rotator.audit.chain import Record, sequence_of
from rotator.audit.event import EventName
from rotator.errors import AuditError
from rotator.host.journald import JournalSocket, fields

Find = Callable[[int], Record | None]
"""Asks the store for the record with this sequence."""

_CHAIN = frozenset({"time", "prev", "hash"})
"""What is of use in the line alone."""

_GRAVE = frozenset({EventName.ROTATION_HELD, EventName.FINDING, EventName.READ_FAILED})
"""Events that an operator should look at."""

_WARNING, _INFO = 4, 6
"""syslog's."""

# Longer than any record: 20 fields of at most 1,000 characters, and room for key ids.
_TAIL_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Resumed:
    """Where a sink goes on: the last sequence that it holds, and what was not as it had been left, if anything."""

    cursor: int
    note: str = ""


class Sink(Protocol):
    """A place that audit records are delivered to, in order, at least once."""

    @property
    def name(self) -> str:
        """What the config and the outbox call it. One sink of a name."""

    @property
    def required(self) -> bool:
        """Nothing outside is changed before this sink has flushed the intent."""

    def resume(self, cursor: int, find: Find) -> Resumed:
        """Get ready to write. Called before each delivery, so it is cheap when nothing has changed.

        Args:
            cursor: the last sequence that this sink is known to hold, 0 for none.
            find: asks the store for a record, to compare.

        Raises:
            AuditError: the sink can't be opened, or what it holds contradicts the store.
        """

    def write(self, records: Sequence[Record]) -> None:
        """Append the records; on return they are as durable as this sink makes them.

        Raises:
            AuditError: they could not be written. They will be offered again.
        """


class StdoutSink:
    """Writes each record as a line to a stream. After a crash, the last few may come again: `sequence` shows which."""

    name = "stdout"

    def __init__(self, stream: BinaryIO, *, required: bool = False) -> None:
        self.required = required
        self._log = structlog.BytesLogger(stream)

    def resume(self, cursor: int, find: Find) -> Resumed:  # noqa: ARG002  # a stream can't be read back to compare
        """Nothing to get ready."""
        return Resumed(cursor)

    def write(self, records: Sequence[Record]) -> None:
        """Write and flush the lines."""
        try:
            for record in records:
                self._log.msg(record.line)
        except (OSError, ValueError) as error:  # ValueError: the stream is closed
            raise AuditError(f"audit records can't be written to stdout: {error}") from None


class JournalSink:
    """Sends each record to systemd's journal: the line as the message, and what it says as fields to search by.

    It stands in for stdout where that is the journal's own stream. What the journal keeps, and how long, is for its
    own settings to say.
    """

    name = StdoutSink.name

    def __init__(self, socket: JournalSocket, *, required: bool = False) -> None:
        self.required = required
        self._socket = socket

    def resume(self, cursor: int, find: Find) -> Resumed:  # noqa: ARG002  # the journal isn't read back
        """Nothing to get ready."""
        return Resumed(cursor)

    def write(self, records: Sequence[Record]) -> None:
        """Send the lines."""
        try:
            for record in records:
                said = json.loads(record.line)
                shown = {name: value for name, value in said.items() if name not in _CHAIN}
                self._socket.send(record.line.decode(), _WARNING if said["event"] in _GRAVE else _INFO, fields(shown))
        except OSError as error:
            raise AuditError(f"audit records can't be sent to the journal: {error.strerror}") from None


@dataclass(frozen=True, slots=True)
class _Mark:
    """Which file is at a path, and how long it is: if this is unchanged, so is all that we wrote."""

    device: int
    inode: int
    size: int

    @classmethod
    def of(cls, status: os.stat_result) -> _Mark:
        return cls(status.st_dev, status.st_ino, status.st_size)


@dataclass(slots=True)
class FileSink:
    """Appends each record as a line to a file and syncs it to disk.

    A line that a crash tore off is completed from the store. A file that contradicts the store is never written to. A
    file that was moved away or emptied (logrotate) begins again with the next record, whose `prev` continues the old
    one.
    """

    path: Path
    required: bool = True
    name: str = field(default="file", init=False)
    _fd: int | None = field(default=None, init=False, repr=False)
    _mark: _Mark | None = field(default=None, init=False, repr=False)

    def resume(self, cursor: int, find: Find) -> Resumed:
        """Open the file unless it is the very one that was last written, and compare its end with the store."""
        try:
            if self._unchanged():
                return Resumed(cursor)
            self.close()
            fd = self._open()
            resumed = self._compare(fd, cursor, find)
            self._mark = _Mark.of(os.fstat(fd))
        except AuditError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise self._unusable(error) from None
        return resumed

    def write(self, records: Sequence[Record]) -> None:
        """Append the records with one write and one fsync; on failure, take back what was written of them."""
        if self._fd is None or self._mark is None:
            raise AuditError(f"the audit file {self.path} is not open")
        data = b"".join(record.line + b"\n" for record in records)
        try:
            _write_all(self._fd, data)
            os.fsync(self._fd)
        except OSError as error:
            # After a failed fsync the pages count as clean: what is there may never reach the disk, so it is redone.
            with suppress(OSError):
                os.ftruncate(self._fd, self._mark.size)
            self.close()
            raise self._unusable(error) from None
        self._mark = _Mark(self._mark.device, self._mark.inode, self._mark.size + len(data))

    def close(self) -> None:
        """Close the file. A later `resume` opens it again."""
        self._mark = None
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _unchanged(self) -> bool:
        try:
            return self._fd is not None and self._mark == _Mark.of(self.path.lstat())
        except FileNotFoundError:
            return False

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._fd = os.open(self.path, flags)
        except FileNotFoundError:
            self._fd = os.open(self.path, flags | os.O_CREAT | os.O_EXCL, 0o600)
            _sync_directory(self.path.parent)
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise AuditError(
                f"the audit file {self.path} must be a regular file of uid {os.geteuid()} that no other user can write",
                remedy=f"look at it; if it is rightly there: chown {os.geteuid()} {self.path}; chmod 600 {self.path}",
            )
        return self._fd

    def _compare(self, fd: int, cursor: int, find: Find) -> Resumed:
        """Complete a torn end, and find the sequence that the file ends with."""
        size = os.fstat(fd).st_size
        start = max(0, size - _TAIL_LIMIT)
        *lines, torn = os.pread(fd, size - start, start).split(b"\n")
        if start > 0 and not lines:
            raise self._contradicts("its last line is longer than any audit record")
        last = self._known(lines[-1], find) if lines else cursor
        if torn:
            expected = find(last + 1)
            # A power cut may leave zeros where data was to come.
            if expected is None or not expected.line.startswith(torn.rstrip(b"\0")):
                raise self._contradicts(f"after record {last} it holds {len(torn)} bytes that are no record")
            os.ftruncate(fd, size - len(torn))
            os.fsync(fd)
            return Resumed(last, f"{self.path}: record {last + 1} was torn and is written again")
        if last < cursor:
            return Resumed(last, f"{self.path}: records {last + 1} to {cursor} had vanished and are written again")
        if cursor and not lines:
            return Resumed(last, f"{self.path} is a new file: it begins with record {last + 1}")
        return Resumed(last)

    def _known(self, line: bytes, find: Find) -> int:
        """The sequence of a line that the store holds to the letter."""
        sequence = sequence_of(line)
        if sequence is None:
            raise self._contradicts("its last line is not an audit record")
        stored = find(sequence)
        if stored is None:
            raise self._contradicts(f"it holds record {sequence}, which the store hasn't reached")
        if stored.line != line:
            raise self._contradicts(f"its record {sequence} is another than the store's")
        return sequence

    def _contradicts(self, how: str) -> AuditError:
        return AuditError(
            f"the audit file {self.path} contradicts the store: {how}; rotator did not write to it",
            remedy="run `rotator audit verify` for details. If the file comes from a backup or another store, move it"
            " away and keep it: rotator begins a new file with the next record.",
        )

    def _unusable(self, error: OSError) -> AuditError:
        why = "it is a symlink, and none is followed" if error.errno == errno.ELOOP else error.strerror
        return AuditError(
            f"the audit file {self.path} can't be written: {why}",
            remedy="free disk space, or correct `audit.file` or its permissions; rotator retries by itself.",
        )


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
