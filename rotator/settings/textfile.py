"""Small text files that an operator put somewhere: the config itself, and secrets."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from rotator.errors import RotatorError


class Unreadable(Exception):
    """The file can't be read. The text says why and holds nothing of its content."""


def must_be_regular(path: str) -> None:
    """Let nothing through to a reader but a file: the open of a named pipe would wait for a writer, for ever.

    Raises:
        RotatorError: something else is there. That nothing is there, the reader says.
    """
    try:
        real = Path(path).expanduser().resolve()
        mode = real.stat().st_mode
    except (OSError, ValueError, RuntimeError):  # RuntimeError: there is no home
        return
    if not stat.S_ISREG(mode) and str(real) != os.devnull:  # which is how an SDK's file is switched off
        raise RotatorError(
            f"{path} can't be read: it is not a regular file.", remedy="Put a file there, or a link to one."
        )


def read_text(path: Path, largest: int) -> str:
    """The UTF-8 text of a regular file of at most `largest` bytes, without a byte order mark.

    Raises:
        Unreadable: it isn't such a file, or the system refuses it.
    """
    try:
        # Without O_NONBLOCK the open of a named pipe would wait for a writer.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Unreadable("it is not a regular file")
            content = file.read(largest + 1)
    except OSError as error:
        raise Unreadable(error.strerror or type(error).__name__) from None
    if len(content) > largest:
        raise Unreadable(f"it is larger than {largest // 1024} KiB")
    if b"\0" in content:
        raise Unreadable("it is not text but binary")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
    raise Unreadable(f"line {line} is not UTF-8")
