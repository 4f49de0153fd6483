"""All that only SQLite needs: the file and its permissions, the lock that makes one owner, pragmas, error messages."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import QueuePool

from rotator.errors import OtherOwner, StaleFence, StoreError
from rotator.http.outside_text import outside_text

_BUSY_SECONDS = 5.0
# `owner_alive` holds a shared lock for microseconds; a daemon that starts just then must not take that for an owner.
_LOCK_SECONDS, _LOCK_POLL_SECONDS = 0.5, 0.01
_SIDE_FILES = ("", "-wal", "-shm", "-journal")

_EXPLANATIONS = {
    "SQLITE_FULL": ("the disk is full", "make room; rotator goes on by itself"),
    "SQLITE_READONLY": ("it can't be written", "remount it writable, or correct its owner and permissions"),
    "SQLITE_BUSY": ("another process keeps it locked", "look for a stopped rotator, a backup or a sqlite3 shell on it"),
    "SQLITE_CORRUPT": ("the file is damaged", "keep it aside, and restore the last backup"),
    "SQLITE_NOTADB": ("the file is no SQLite database", "check `store.url`; restore the last backup if it is right"),
    "SQLITE_IOERR": ("the disk can't be read or written", "check the disk and its quota; dmesg may show more"),
    "SQLITE_CANTOPEN": (
        "the file can't be opened",
        "check `store.url`, and the owner and permissions of its directory",
    ),
}


class Database:
    """One SQLite file. With the lock it belongs to the owner; without, to a command beside the daemon."""

    def __init__(self, path: Path, engine: Engine, lock: _Lock | None = None) -> None:
        self.path = path
        self.engine = engine
        self._lock = lock
        self._inode = _inode(path)

    @classmethod
    def own(cls, url: str) -> Database:
        """Become the owner, for as long as the process lives; make the file if there is none.

        Raises:
            OtherOwner: another process is.
            StoreError: the file, its directory or the URL won't do.
        """
        path = _path(url)
        try:
            _private_directory(path.parent)
            with ExitStack() as undo:
                lock = _Lock.take(_lock_path(path))
                undo.callback(lock.release)
                _private_file(path)
                database = cls(path, _engine(path, "rw", owner=True), lock)
                undo.pop_all()
                return database
        except OSError as error:
            raise _unusable(path, error) from None

    @classmethod
    def beside(cls, url: str, *, read_only: bool) -> Database:
        """Open an existing file without becoming its owner. But for SQLite's own side files, nothing is made.

        Raises:
            StoreError: there is none, or it can't be opened.
        """
        path = _path(url)
        try:
            _refuse_public(path, path.lstat())
            return cls(path, _engine(path, "ro" if read_only else "rw", owner=False))
        except FileNotFoundError:
            raise StoreError(
                f"there is no store at {path}",
                remedy="the daemon makes it at its first start; is `store.url` the one that the daemon has?",
            ) from None
        except OSError as error:
            raise _unusable(path, error) from None

    def guard(self) -> None:
        """Prove, right before an external change, that this process still owns the file that it opened.

        Raises:
            StaleFence: it doesn't; nothing may be changed any more.
        """
        try:
            alive = self._lock is not None and self._lock.held() and _inode(self.path) == self._inode
        except OSError:
            alive = False
        if not alive:
            raise StaleFence(
                f"the store {self.path} or its lock was moved, replaced or deleted under this process;"
                " nothing more is changed outside",
                remedy="restart the daemon on the right file; never swap the store while it runs",
            )

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what the database raises into a StoreError that says what to do.

        The original is cut off: a driver's error may quote what was to be written.
        """
        try:
            yield
        except DBAPIError as error:
            raise self._explain(error.orig) from None
        except sqlite3.Error as error:  # raised while connecting
            raise self._explain(error) from None
        except UnicodeEncodeError:
            raise StoreError(
                f"the store {self.path} can't hold text that is not Unicode; nothing was written"
            ) from None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view of the store."""
        with self.errors(), self.engine.connect() as connection:
            yield connection

    def writer(self) -> Connection:
        """A connection whose transactions take the write lock as they begin."""
        with self.errors():
            return self.engine.connect().execution_options(writes=True)

    def close(self) -> None:
        """Close the file and let go of ownership."""
        self.engine.dispose()
        if self._lock is not None:
            self._lock.release()

    def _explain(self, error: object) -> StoreError:
        name = getattr(error, "sqlite_errorname", "")
        known = next((text for code, text in _EXPLANATIONS.items() if name.startswith(code)), None)
        what, remedy = known or (outside_text(error), "")
        return StoreError(f"the store {self.path}: {what} ({name or type(error).__name__})", remedy=remedy)


def owner_alive(url: str) -> bool:
    """True while some process owns this store.

    Raises:
        StoreError: that can't be found out.
    """
    lock = _lock_path(_path(url))
    try:
        fd = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unusable(lock, error) from None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


class _Lock:
    """An exclusive flock, held until the process ends or lets go. The file says who holds it."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd = fd

    @classmethod
    def take(cls, path: Path) -> _Lock:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with ExitStack() as undo:
            undo.callback(os.close, fd)
            _refuse_foreign(path, os.fstat(fd))
            until = time.monotonic() + _LOCK_SECONDS
            while not _flock(fd):
                if time.monotonic() > until:
                    holder = outside_text(os.pread(fd, 200, 0).decode("utf-8", "replace")) or "unknown"
                    raise OtherOwner(
                        f"another rotator owns this store: {holder}",
                        remedy="one daemon at a time; commands like `rotator rotate` reach it without being it",
                    )
                time.sleep(_LOCK_POLL_SECONDS)
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"pid {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
            undo.pop_all()
        return cls(path, fd)

    def held(self) -> bool:
        """True if this is still the lock that others would meet, and still ours."""
        return _flock(self._fd) and _identity(os.fstat(self._fd)) == _inode(self._path)

    def release(self) -> None:
        os.close(self._fd)


def _flock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _engine(path: Path, mode: str, *, owner: bool) -> Engine:
    address = f"{path.as_uri()}?mode={mode}"

    def connect() -> sqlite3.Connection:
        # isolation_level None: transactions begin where `_begin` says so, not where the driver guesses.
        return sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)

    # hide_parameters: no exception ever quotes a value.
    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: Any) -> None:
        if owner:
            connection.execute("PRAGMA journal_mode=WAL")
        else:
            # The check of the audit log must be able to read what another process put there.
            connection.text_factory = lambda data: data.decode("utf-8", "replace")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that will write takes the lock at once: one that reads first may find it gone when it writes.
        writes = connection.get_execution_options().get("writes", False)
        connection.connection.cursor().execute("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _path(url: str) -> Path:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError("store.url is not a URL", remedy="e.g. sqlite:////var/lib/rotator/rotator.db") from None
    if parsed.get_backend_name() != "sqlite" or parsed.database in {None, "", ":memory:"} or "?" in url:
        raise StoreError(
            f"store.url names no SQLite file ({parsed.get_backend_name()})",
            remedy="write a path after three slashes, absolute with a fourth: sqlite:////var/lib/rotator/rotator.db",
        )
    return Path(str(parsed.database)).absolute()


def _lock_path(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _private_directory(directory: Path) -> None:
    """Make the data directory, or refuse one that others can write: they could swap the files."""
    for missing in reversed([each for each in (directory, *directory.parents) if not each.exists()]):
        missing.mkdir(mode=0o700)
    status = directory.stat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise StoreError(
            f"the data directory {directory} must belong to uid {os.geteuid()} and be writable by no other user",
            remedy=f"chown {os.geteuid()} {directory}; chmod 700 {directory}"
            " (or name a new directory below it in `store.url`: rotator makes it as it must be)",
        )


def _private_file(path: Path) -> None:
    """Make the database file, empty and private. SQLite gives its side files the same mode.

    Closing a descriptor of the file would drop every lock that SQLite holds on it (POSIX locks belong to the process):
    this runs before SQLite opens it, and nothing else in the process ever opens it again.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    for suffix in _SIDE_FILES:
        side = path.with_name(path.name + suffix)
        if side.is_symlink() or side.exists():
            _refuse_foreign(side, side.lstat())


def _refuse_foreign(path: Path, status: os.stat_result) -> None:
    _refuse_public(path, status)
    if status.st_uid != os.geteuid():
        raise StoreError(
            f"{path} belongs to uid {status.st_uid}, but this process is uid {os.geteuid()}",
            remedy=f"run as that user, or: chown {os.geteuid()} {path}",
        )


def _refuse_public(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise StoreError(f"{path} is not a regular file (symlinks are not followed)", remedy="check `store.url`")
    if status.st_mode & 0o077:
        raise StoreError(f"{path} is open to other users", remedy=f"chmod 600 {path}")


def _inode(path: Path) -> tuple[int, int]:
    return _identity(path.lstat())


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _unusable(path: Path, error: OSError) -> StoreError:
    why = "symlinks are not followed" if error.errno == errno.ELOOP else error.strerror
    return StoreError(
        f"the store {path} can't be used: {why}",
        remedy="check `store.url`, and the owner and permissions of its directory",
    )
