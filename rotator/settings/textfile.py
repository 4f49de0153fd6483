"""Small files that an operator put somewhere: the config itself, secrets, CAs. One reader, with a bound."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from rotator.errors import RotatorError

LARGEST = 4 * 1024 * 1024
"""Bytes of what an SDK may read: many times a bundle of all the world's CAs."""


class Unreadable(Exception):
    """The file can't be read. The text says why and holds nothing of its content."""


def must_be_sane(path: str) -> None:
    """Let nothing through to a reader of an SDK but a file of a sane size: the open of a named pipe waits for ever.

    Raises:
        RotatorError: something else is there. That nothing is there, the reader says.
    """
    try:
        real = Path(path).expanduser().resolve()
        status = real.stat()
    except (OSError, ValueError, RuntimeError):  # RuntimeError: there is no home
        return
    if str(real) == os.devnull:  # which is how an SDK's file is switched off
        return
    if not stat.S_ISREG(status.st_mode):
        raise RotatorError(
            f"{path} can't be read: it is not a regular file.", remedy="Put a file there, or a link to one."
        )
    if status.st_size > LARGEST:
        raise RotatorError(
            f"{path} can't be read: it is larger than {_size(LARGEST)}.", remedy="Name the file that is meant."
        )


def read_bytes(path: Path, largest: int = LARGEST) -> bytes:
    """The content of a regular file of at most `largest` bytes.

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
    except ValueError:
        raise Unreadable("its name is none that a file can have") from None
    if len(content) > largest:
        raise Unreadable(f"it is larger than {_size(largest)}")
    return content


def read_text(path: Path, largest: int = LARGEST) -> str:
    """The UTF-8 text of such a file, without a byte order mark.

    Raises:
        Unreadable: it isn't such a file, or the system refuses it.
    """
    content = read_bytes(path, largest)
    if b"\0" in content:
        raise Unreadable("it is not text but binary")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
    raise Unreadable(f"line {line} is not UTF-8")


def _size(number: int) -> str:
    return f"{number // 1024} KiB"
