"""Audit files that logrotate has compressed, read as they are: unpacked as a stream, so memory stays flat."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from rotator.errors import AuditError

_UNPACK: Mapping[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
"""By how such a file begins. An audit file begins with a brace."""

_OTHERS = {b"\x28\xb5\x2f\xfd": ("zstd", "zstd -d"), b"PK\x03\x04": ("zip", "unzip")}
"""What Python 3.11 can't unpack, and what does."""


@contextmanager
def unpacked(file: Path) -> Iterator[tuple[IO[bytes], bool]]:
    """The file's content as a stream, and whether it was compressed.

    Raises:
        AuditError: it is compressed in a way that isn't known here, or is cut or damaged.
        OSError: it can't be read.
    """
    with file.open("rb") as raw:
        start = raw.read(max(map(len, (*_UNPACK, *_OTHERS))))
        for mark, (name, program) in _OTHERS.items():
            if start.startswith(mark):
                raise AuditError(
                    f"the audit file {file} is compressed by {name}, which rotator can't read",
                    remedy=f"unpack a copy (`{program}`), and verify that.",
                )
        unpack = next((unpack for mark, unpack in _UNPACK.items() if start.startswith(mark)), None)
        if unpack is None:
            raw.seek(0)
            yield raw, False
            return
    try:
        with unpack(file) as stream:
            yield cast("IO[bytes]", stream), True
    except EOFError:
        problem = "it ends in the middle of its compressed content"
    except (gzip.BadGzipFile, lzma.LZMAError, zlib.error, ValueError) as error:
        problem = f"its compressed content is damaged ({error})"
    else:
        return
    raise AuditError(
        f"the audit file {file} can't be read whole: {problem}",
        remedy="compare with another copy: the store has every record.",
    )
