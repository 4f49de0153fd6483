"""The check of the audit log: walk the store and the file, and name the first bad record of each.

Records are streamed: memory stays flat however long the log is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from stat import S_ISREG
from typing import Protocol

from rotator.audit.chain import Record, genesis, sequence_of, sha256, unseal
from rotator.audit.packed import unpacked
from rotator.errors import AuditError
from rotator.http.outside_text import outside_text

Progress = Callable[[int], None]
"""Called now and then with the number of records that this walk has checked."""

Fields = dict[str, object]
"""A record's line, read."""

_LINE_LIMIT = 1 << 20
_PROGRESS_EVERY = 10_000


@dataclass(frozen=True, slots=True)
class Stored:
    """A row of the store: the record, and the columns that repeat fields of its line."""

    record: Record
    columns: Mapping[str, str | None]


class Trail(Protocol):
    """The store, as far as the check needs it."""

    @property
    def store_id(self) -> str:
        """What the first record names."""

    def stored(self, *, after: int = 0) -> Iterator[Stored]:
        """The rows after this sequence, in order, streamed."""

    def delivered(self) -> Mapping[str, int]:
        """For each sink, the last sequence that it is known to have taken."""


@dataclass(frozen=True, slots=True)
class ChainFault:
    """The first bad record of a walk.

    Args:
        record: the sequence that is due at this place.
        line: the line of the file, from 1; None for the store.
        problem: what differs.
    """

    record: int
    line: int | None
    problem: str

    def __str__(self) -> str:
        place = f"record {self.record}" if self.line is None else f"record {self.record} (line {self.line})"
        return f"{place}: {self.problem}"


@dataclass(frozen=True, slots=True)
class Walk:
    """The result for the store or for one file.

    Args:
        where: `store`, or the file's path.
        records: how many good records there were before the finding, or in all.
        first: the sequence of the first one.
        pending: how many records the store has yet to deliver to this file; a daemon at work does so at once.
        finding: the first bad record, or None.
    """

    where: str
    records: int
    first: int
    pending: int
    finding: ChainFault | None


@dataclass(frozen=True, slots=True)
class Report:
    """What came of the check. `file` is None where none was asked for."""

    store: Walk
    file: Walk | None


class _Bad(Exception):
    """The record at hand is not what is due here."""


def verify(trail: Trail, file: Path | None, *, sink: str = "file", progress: Progress = lambda _: None) -> Report:
    """Check the store's chain; then the file that `sink` writes, against itself and against the store.

    Raises:
        AuditError: the file can't be read.
        StoreError: the store can't be read.
    """
    # Asked in this order, a daemon at work can't make anything look short: what a sink had taken is in the file by
    # the time its size is read, and what the file holds is in the store by the time that is read.
    delivered = trail.delivered()
    size = _size(file) if file else 0
    store = _walk_store(trail, max(delivered.values(), default=0), progress)
    return Report(store, _walk_file(trail, file, size, delivered.get(sink, 0), progress) if file else None)


def verify_rotated(trail: Trail, file: Path, *, progress: Progress = lambda _: None) -> Walk:
    """Check a file that was moved away (logrotate), compressed or not: it may begin and end anywhere in the chain.

    Raises:
        AuditError: the file isn't there, or can't be read.
        StoreError: the store can't be read.
    """
    if not file.exists():
        raise AuditError(f"the audit file {file} can't be read: there is none", remedy="check the file's name.")
    return _walk_file(trail, file, _size(file), 0, progress)


class _Chain:
    """The part of a walk that is the same for the store and a file: each record follows from the one before."""

    def __init__(self, head: Record, progress: Progress) -> None:
        self.due = head.sequence + 1
        self.records = 0
        self._hash = head.hash
        self._progress = progress

    def check(self, line: bytes) -> Fields:
        """Check the hash, the number and the predecessor of the record that is due; give its fields."""
        try:
            body, claimed = unseal(line)
            fields: Fields = json.loads(line)
            sequence, prev = fields["sequence"], fields["prev"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise _Bad("is not an audit record") from None
        if sha256(body) != claimed:
            raise _Bad("was changed: its hash is not that of its text")
        if sequence != self.due:
            raise _Bad(f"is missing: record {outside_text(sequence, 30)} stands in its place")
        if self._hash not in ("", prev):
            raise _Bad(f"doesn't follow the one before: it names {outside_text(prev, 70)}, due is {self._hash}")
        self._hash = claimed
        return fields

    def passed(self) -> None:
        """Go on to the next."""
        self.due += 1
        self.records += 1
        if self.records % _PROGRESS_EVERY == 0:
            self._progress(self.records)


def _walk_store(trail: Trail, delivered: int, progress: Progress) -> Walk:
    chained = _Chain(genesis(trail.store_id), progress)
    finding = None
    try:
        _follow_store(trail, delivered, chained)
    except _Bad as bad:
        finding = ChainFault(chained.due, None, str(bad))
    return Walk("store", chained.records, 1, 0, finding)


def _follow_store(trail: Trail, delivered: int, chained: _Chain) -> None:
    for row in trail.stored():
        _check_columns(row, chained.check(row.record.line))
        chained.passed()
    if chained.due <= delivered:
        raise _Bad(f"is missing, and so is every record after it: a sink has taken records up to {delivered}")


def _walk_file(trail: Trail, file: Path, size: int, delivered: int, progress: Progress) -> Walk:
    lines = _lines(file, size)
    opening = next(lines, b"")
    # A first record names its store; a file that begins later is tied to the chain by being the store's to the letter.
    first = (sequence_of(opening) or 1) if opening else max(1, delivered)
    chained = _Chain(genesis(trail.store_id) if first == 1 else Record(first - 1, "", b""), progress)
    rows = trail.stored(after=first - 1)
    finding, pending = None, 0
    try:
        torn = _follow_file(chain([opening] if opening else [], lines), rows, delivered, chained)
        pending = torn + sum(1 for _ in rows)
    except _Bad as bad:
        finding = ChainFault(chained.due, chained.records + 1, str(bad))
    return Walk(str(file), chained.records, first, pending, finding)


def _follow_file(lines: Iterable[bytes], rows: Iterator[Stored], delivered: int, chained: _Chain) -> int:
    """Check the lines against the rows. Gives 1 if a last line is torn, which the daemon completes, else 0."""
    torn = 0
    for line in lines:
        row = next(rows, None)
        if line.endswith(b"\n"):
            _check_same(line[:-1], chained.check(line[:-1]), row)
            chained.passed()
        elif row is None or not row.record.line.startswith(line):
            raise _Bad("is torn, and not the store's")
        else:
            torn = 1
    if chained.due <= delivered:
        raise _Bad(f"is missing, and so is every record after it: the file has taken records up to {delivered}")
    return torn


def _check_columns(row: Stored, fields: Fields) -> None:
    differing = [name for name, value in row.columns.items() if fields.get(name) != value]
    if row.record.sequence != fields["sequence"]:
        differing.insert(0, "sequence")
    if row.record.hash != fields["hash"]:
        differing.append("hash")
    if differing:
        raise _Bad(f"its row says otherwise than its text: {', '.join(differing)}")


def _check_same(line: bytes, fields: Fields, row: Stored | None) -> None:
    if row is None or row.record.sequence != fields["sequence"]:
        raise _Bad("is not in the store")
    if line == row.record.line:
        return
    try:
        stored: Fields = json.loads(row.record.line)
        differing = sorted(name for name in fields.keys() | stored.keys() if fields.get(name) != stored.get(name))
    except (ValueError, AttributeError, RecursionError):
        differing = ["all"]
    raise _Bad(f"differs from the store's in: {', '.join(differing) or 'its spelling'}")


def _size(file: Path) -> int:
    try:
        status = file.stat()
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise AuditError(f"the audit file {file} can't be read: {error.strerror}") from None
    if not S_ISREG(status.st_mode):
        raise AuditError(f"the audit file {file} can't be read: it is not a regular file")
    return status.st_size


def _lines(file: Path, size: int) -> Iterator[bytes]:
    """The lines within the first `size` bytes, each with its newline; a last one without it is torn.

    A compressed file is read to its end, unpacked as a stream.
    """
    if not size:
        return
    try:
        with unpacked(file) as (stream, packed):
            left = None if packed else size
            while left != 0 and (line := stream.readline(_LINE_LIMIT if left is None else min(left, _LINE_LIMIT))):
                left = None if left is None else left - len(line)
                yield line
    except OSError as error:
        raise AuditError(f"the audit file {file} can't be read: {error.strerror or error}") from None
