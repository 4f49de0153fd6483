"""Copies of the store, taken while it is in use: each is under its name only once it is whole, on the disk and checked.

A copy is one file without side files. It is the journal of its moment: what happened later isn't in it.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import structlog
from sqlalchemy import text

from rotator.audit.chain import Record
from rotator.audit.verify import Stored, verify
from rotator.errors import StoreError
from rotator.http.outside_text import outside_text
from rotator.store.migrate import HEAD, require_head, schema_of
from rotator.store.reader import REPEATED, JournalReader
from rotator.store.sqlite import Database

_REMEDIES = {
    errno.EEXIST: "nothing is ever overwritten: choose another name, or name a directory.",
    errno.ENOENT: "make its directory first.",
    errno.EACCES: "name a place where uid {uid}, the store's owner, may write.",
    errno.EROFS: "name a place where uid {uid}, the store's owner, may write.",
    errno.ENOSPC: "make room, or name another disk.",
    errno.EPERM: "its file system can't link files: back up to a local disk, and copy the backup there.",
}

_WORKPLACE = ".rotator-backup-"
_MOUNTS = Path("/proc/self/mountinfo")  # its fields: proc_pid_mountinfo(5)

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("rotator.store")


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy that was made.

    Args:
        path: where it is.
        store_id: of the store that it is a copy of.
        schema: the store's.
        records: how many records the audit log in it has.
        size: in bytes.
    """

    path: Path
    store_id: str
    schema: str
    records: int
    size: int


def back_up(url: str, destination: Path, *, at: datetime) -> Backup:
    """Copy the store beside its owner, who goes on meanwhile.

    Args:
        url: the store's.
        destination: a file that doesn't exist, or a directory: the name is then made of the store's id and the time.
        at: what time it is (aware).

    Raises:
        StoreError: the store can't be read, isn't sound, or has another schema; or the copy can't be written. Nothing
            is left under the copy's name.
    """
    with closing(Database.beside(url, read_only=True)) as database:
        with database.reading() as connection:
            require_head(connection)
        name = f"rotator-{JournalReader(database).store_id}-{_moment(at)}.db"
        with _making(destination):
            into = destination.absolute()
            whole = into / name if into.is_dir() else into
        return _copy(database, HEAD, whole)


def send(url: str, stream: BinaryIO, *, at: datetime) -> Backup:
    """Copy the store beside its owner into a stream: the one way that works wherever the store is.

    The copy is made and checked beside the store first: what is sent is sound, or nothing is sent.

    Args:
        url: the store's.
        stream: takes the copy.
        at: what time it is (aware).

    Raises:
        StoreError: as `back_up`; or the stream does not take it.
    """
    with closing(Database.beside(url, read_only=True)) as database:
        beside = database.path.parent
    with _making(beside), TemporaryDirectory(prefix=_WORKPLACE, dir=beside) as workplace:
        made = back_up(url, Path(workplace), at=at)
        try:
            with made.path.open("rb") as copy:
                shutil.copyfileobj(copy, stream)
            stream.flush()
        except OSError as error:
            raise StoreError(
                f"the backup could not be written to standard output: {error.strerror}; what arrived is no backup",
                remedy="delete what arrived, make room, and run the command again.",
            ) from None
        return replace(made, path=Path("-"))


def keep_before_migration(database: Database) -> None:
    """Copy a store of an older schema to a file beside it, unless that was done: the way back.

    The name holds the schema and the time of the last audit record. A start that fails repeatedly makes one copy.

    Raises:
        StoreError: it can't be copied, so it must not be migrated.
    """
    with database.reading() as connection:
        schema = schema_of(connection)
        if not "" < schema < HEAD:
            return
        last = connection.execute(text("SELECT max(time) FROM audit_event")).scalar()
    moment = _moment(datetime.fromisoformat(last)) if last else "empty"
    kept = database.path.with_name(f"{database.path.name}.schema-{schema}.{moment}.bak")
    if kept.exists():
        return
    try:
        _copy(database, schema, kept)
    except StoreError as error:
        raise StoreError(
            f"the store has schema {schema} and was not migrated to {HEAD}: {error.message}", remedy=error.remedy
        ) from None
    log.warning("the store has an older schema and is migrated; a copy was kept", schema=schema, copy=str(kept))


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _copy(database: Database, schema: str, destination: Path) -> Backup:
    with _making(destination):
        directory = destination.parent.resolve()
        _refuse_what_vanishes(directory)
        if destination.exists() or destination.is_symlink():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        # SQLite makes side files at work; in a directory of their own a kill leaves them all in one private place.
        with TemporaryDirectory(prefix=_WORKPLACE, dir=directory) as workplace:
            copy = Path(workplace) / destination.name
            os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
            with database.errors():
                _fill(database, copy)
                _sync(copy)
                store_id, records = _check(copy, schema)
            os.link(copy, directory / destination.name)  # unlike a rename, it replaces nothing
        _sync(directory)
        return Backup(destination, store_id, schema, records, destination.stat().st_size)


def _refuse_what_vanishes(directory: Path) -> None:
    """A unit with PrivateTmp= has a /tmp of its own: what it writes there is gone when it ends.

    Raises:
        StoreError: the directory is in there.
    """
    try:
        mounts = [line.split(" ", 5)[3:5] for line in _MOUNTS.read_text(encoding="utf-8").splitlines()]
    except OSError:  # a kernel without it has no such units
        return
    over = [(root, place) for root, place in mounts if directory.is_relative_to(place)]
    root, place = max(over, key=lambda mount: len(mount[1]), default=("", ""))
    if "/systemd-private-" in root:
        raise StoreError(
            f"no backup was made: {place} is this command's own (PrivateTmp=), and is deleted when the command ends",
            remedy="run `rotator store backup - >FILE`: your shell writes the file.",
        )


@contextmanager
def _making(destination: Path) -> Iterator[None]:
    """Turn what the operating system refuses into a StoreError that says what to do."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"the backup {destination} can't be made: {error.strerror}; the store is as it was",
            remedy=_REMEDIES.get(error.errno or 0, "check that path.").format(uid=os.geteuid()),
        ) from None


def _fill(database: Database, copy: Path) -> None:
    """One consistent view of the store, however long it takes and whatever its owner writes meanwhile."""
    with closing(database.engine.raw_connection()) as connection:
        try:
            connection.cursor().execute("VACUUM INTO ?", (str(copy),))
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname.startswith(("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC")):
                why = f"no room, or the disk can't be written ({error.sqlite_errorname})"
                raise OSError(errno.ENOSPC, why) from None
            raise


def _sync(path: Path) -> None:
    """To the disk: a name may outlive a power cut only together with all that is under it."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _check(copy: Path, schema: str) -> tuple[str, int]:
    """Read all of the copy. Returns the store's id, and the number of audit records."""
    # immutable: no side files, no locks.
    with closing(sqlite3.connect(f"{copy.as_uri()}?immutable=1&mode=ro", uri=True)) as connection:
        problems = [row[0] for row in connection.execute("PRAGMA integrity_check(1)") if row[0] != "ok"]
        problems += [f"a row of {row[0]} names one that is not there" for row in connection.execute(_BROKEN_KEYS)]
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        trail = _Trail(connection)
        store_id, walk = trail.store_id, verify(trail, None).store
    if found != (schema,):
        problems.append(f"its schema is {found and found[0]}, not {schema}")
    if walk.finding is not None:
        problems.append(f"its audit log is broken at {walk.finding}")
    if problems:
        raise StoreError(
            f"the store is not sound: {outside_text(problems[0])}; no backup was made",
            remedy="run `rotator audit verify` for details. Stop the service and keep all files of the data directory"
            " as evidence; restore the last backup, or go on with the store as it is.",
        )
    return store_id, walk.records


_BROKEN_KEYS = "PRAGMA foreign_key_check"


class _Trail:
    """The audit log in a copy, for the check. These columns have the same names in every schema."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        self._connection = connection

    @property
    def store_id(self) -> str:
        return str(self._connection.execute("SELECT store_id FROM owner").fetchone()[0])

    def stored(self, *, after: int = 0) -> Iterator[Stored]:
        columns = ", ".join(("sequence", "hash", "line", *REPEATED))
        query = f"SELECT {columns} FROM audit_event WHERE sequence > ? ORDER BY sequence"  # noqa: S608  # constants
        for sequence, digest, line, *repeated in self._connection.execute(query, (after,)):
            yield Stored(Record(sequence, digest, str(line).encode()), dict(zip(REPEATED, repeated, strict=True)))

    def delivered(self) -> Mapping[str, int]:
        return dict(self._connection.execute("SELECT sink, delivered FROM outbox").fetchall())
