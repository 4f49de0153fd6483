"""The journal's native protocol: a message with fields, so that `journalctl ROTATOR_CREDENTIAL=prod-aws` finds it.

systemd documents it as JOURNAL_NATIVE_PROTOCOL: one datagram, a line for each field.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable, Mapping

SOCKET = "/run/systemd/journal/socket"

JournaldFields = Mapping[str, object]


def connected(descriptor: int, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this descriptor is the stream to the journal that systemd has given to the service.

    systemd says in `JOURNAL_STREAM` which device and inode that is: a descriptor that was redirected is another.
    """
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def fields(values: JournaldFields) -> Iterable[tuple[str, str]]:
    """The journal's fields for these values: `credential` is `ROTATOR_CREDENTIAL`. What says nothing is left out."""
    for name, value in values.items():
        for one in value if isinstance(value, list | tuple) else (value,):
            if one is not None and one != "":
                yield f"ROTATOR_{name.upper()}", str(one)


class JournalSocket:
    """The way to the journal.

    Args:
        path: the socket's.
        identifier: who speaks, as `journalctl -t` knows it.
    """

    def __init__(self, path: str = SOCKET, identifier: str = "rotator") -> None:
        self._path = path
        self._identifier = identifier
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def send(self, message: str, priority: int, more: Iterable[tuple[str, str]] = ()) -> None:
        """Send one message.

        Args:
            message: the line that journalctl shows.
            priority: syslog's, 0 to 7.
            more: further fields; a name may come several times.

        Raises:
            OSError: the journal doesn't take it.
        """
        first = (("MESSAGE", message), ("PRIORITY", str(priority)), ("SYSLOG_IDENTIFIER", self._identifier))
        self._socket.sendto(b"".join(_encoded(*field) for field in (*first, *more)), self._path)


def _encoded(name: str, value: str) -> bytes:
    data = value.encode("utf-8", "backslashreplace")
    if b"\n" not in data:
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"
