"""Log lines on their way out: standard error may be a pipe whose reader sleeps, and nothing may wait for it."""

from __future__ import annotations

import logging
import queue
import threading
from logging.handlers import QueueHandler

_KEPT = 10_000
"""Lines that wait for a reader; more are dropped, and counted."""


class Spool(QueueHandler):
    """Has another handler write, on a thread of its own. The line is made at once, so its time is right.

    Args:
        writer: writes one line after the other; it may block.
    """

    def __init__(self, writer: logging.Handler) -> None:
        self._lines: queue.Queue[logging.LogRecord | None] = queue.Queue(_KEPT)
        super().__init__(self._lines)
        self._writer = writer
        self._dropped = 0
        self._thread = threading.Thread(target=self._write, name="log lines", daemon=True)
        self._thread.start()

    def enqueue(self, record: logging.LogRecord) -> None:
        """Keep the line until it is written, if there is room. Called under the handler's lock."""
        try:
            if self._dropped:
                self._lines.put_nowait(self.prepare(self._loss()))
                self._dropped = 0
            self._lines.put_nowait(record)
        except queue.Full:
            self._dropped += 1

    def drain(self, seconds: float) -> None:
        """End once every line is written, or after so long."""
        try:
            self._lines.put(None, timeout=seconds)
        except queue.Full:
            return
        self._thread.join(seconds)

    def _write(self) -> None:
        while (record := self._lines.get()) is not None:
            self._writer.handle(record)

    def _loss(self) -> logging.LogRecord:
        lost = f"{self._dropped} log lines were dropped: standard error took nothing"
        return logging.LogRecord(__name__, logging.WARNING, "", 0, lost, None, None)
