"""Whether others than root and this process can write what rotator goes by: they could have it do anything."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Exposure:
    """One file that others can write.

    Args:
        path: the file itself, behind any links.
        text: what is wrong, in a sentence without a full stop.
        command: puts it right.
        open_to_all: every user of the machine can write it; of a directory, can take away the files of others too.
    """

    path: str
    text: str
    command: str
    open_to_all: bool = False


def exposures(files: Iterable[str]) -> Iterator[Exposure]:
    """Those of these files that others can write. What isn't there, or is mounted read-only, is none of them.

    Kubernetes mounts secrets and config maps read-only and owned by root; an `fsGroup` is a group of the process's own.
    """
    for path in sorted({real for file in files if (real := _real(file)) is not None}):
        try:
            status, mount = path.stat(), os.statvfs(path)
        except OSError:
            continue  # its reader says so
        if stat.S_ISREG(status.st_mode) and not mount.f_flag & os.ST_RDONLY:
            yield from _writers(path, status)


def directory_exposure(directory: Path) -> Exposure | None:
    """How others can replace the files of this directory; None where they can't, or it isn't there."""
    try:
        status = directory.stat()
    except OSError:
        return None
    return next(_writers(directory, status), None)


def _writers(path: Path, status: os.stat_result) -> Iterator[Exposure]:
    """The ways in, the widest first."""
    quoted = shlex.quote(str(path))
    if status.st_mode & stat.S_IWOTH:
        sticky = bool(status.st_mode & stat.S_ISVTX)
        text = f"{path} can be written by every user of this machine"
        yield Exposure(str(path), text, f"chmod o-w {quoted}", open_to_all=not sticky)
    if status.st_mode & stat.S_IWGRP and status.st_gid not in {os.getegid(), *os.getgroups()}:
        yield Exposure(
            str(path), f"{path} can be written by group {status.st_gid}, which rotator is not in", f"chmod g-w {quoted}"
        )
    if status.st_uid not in {0, os.geteuid()}:
        yield Exposure(
            str(path),
            f"{path} belongs to uid {status.st_uid}, neither root nor the uid of rotator ({os.geteuid()})",
            f"chown {os.geteuid()} {quoted}",
        )


def _real(file: str) -> Path | None:
    try:
        return Path(file).expanduser().resolve()
    except (OSError, ValueError, RuntimeError):  # RuntimeError: there is no home, or the links go round
        return None
