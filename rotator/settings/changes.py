"""Whether files that were read have changed since."""

from __future__ import annotations

import os
from collections.abc import Iterable

Seen = tuple[tuple[str, int, int, int], ...]
"""Of each file: its path, and what differs when it was written or replaced."""


def seen(files: Iterable[str]) -> Seen:
    """What the files look like now, through symbolic links; a file that isn't there looks like none."""
    return tuple((file, *_look(file)) for file in sorted(set(files)))


def _look(file: str) -> tuple[int, int, int]:
    try:
        status = os.stat(os.path.expanduser(file))  # noqa: PTH111, PTH116  # each call costs a Path else
    except OSError:
        return 0, 0, 0
    return status.st_ino, status.st_mtime_ns, status.st_size
