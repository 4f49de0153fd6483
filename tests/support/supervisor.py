"""Stands where systemd would, and hears what a service reports: a datagram socket at a path of its own."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.patience import patience

_MARK = b"-"
"""What comes after all that was said before it."""


class Supervisor:
    """Listens between entering and leaving its `with` block."""

    def __init__(self, directory: Path) -> None:
        self.address = str(directory / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._heard: list[str] = []
        self._marks = 0
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self) -> Self:
        self._socket.bind(self.address)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.address)
        self._thread.join()
        self._socket.close()

    def heard(self) -> list[str]:
        """The lines so far, in order: all that was said before."""
        with self._changed, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mark:
            marks = self._marks
            mark.sendto(_MARK, self.address)
            if not self._changed.wait_for(lambda: self._marks > marks, patience()):
                raise TimeoutError("nobody listens any more")
            return list(self._heard)

    def wait_for(self, line: str, *, after: int = 0) -> int:
        """How many lines there were once this one had come, not counting the first `after`.

        Raises:
            TimeoutError: it didn't come.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: line in self._heard[after:], patience()):
                raise TimeoutError(f"{line} was not heard: {self._heard}")
            return self._heard.index(line, after) + 1

    def _listen(self) -> None:
        while message := self._socket.recv(4096):
            with self._changed:
                if message == _MARK:
                    self._marks += 1
                else:
                    self._heard += message.decode().split("\n")
                self._changed.notify_all()
