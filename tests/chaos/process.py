"""`rotator run` as a process of its own: started, listened to by its audit records on stdout, and killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.patience import patience

RUN = (sys.executable, "-m", "rotator", "run")

Record = Mapping[str, Any]


class Service:
    """The service between its start and its end. What it writes is kept in `directory`.

    Args:
        command: what to run.
        environment: all of it.
        directory: where `stdout` and `stderr` go; those of former services there are added to.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], directory: Path) -> None:
        self._stderr = directory / "stderr"
        self._stderr.touch()
        self._said_before = self._stderr.stat().st_size
        self._changed = threading.Condition()
        self._records: list[Record] = []
        self._ended = False
        with self._stderr.open("ab") as errors:
            self.process = subprocess.Popen(  # noqa: S603  # our own program
                command, env=environment, stdout=subprocess.PIPE, stderr=errors
            )
        self._thread = threading.Thread(target=self._listen, args=(directory / "stdout",), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        self._thread.join()

    @property
    def pid(self) -> int:
        return self.process.pid

    def records(self) -> Iterator[Record]:
        """Its audit records, as they come, until it ends.

        Raises:
            TimeoutError: it goes on, and says nothing for too long.
        """
        read = 0
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: len(self._records) > read or self._ended, patience()):  # noqa: B023  # called before the loop goes on
                    raise TimeoutError(f"nothing after {self._records[-1:]}:\n{self.said[-3000:]}")
                if len(self._records) == read:
                    return
                record = self._records[read]
            read += 1
            yield record

    def records_so_far(self) -> list[Record]:
        with self._changed:
            return list(self._records)

    def wait_for(self, event: str, *, where: Callable[[Record], bool] = lambda _: True) -> Record:
        """The first record of this event, from the start on, that is as wanted.

        Raises:
            RuntimeError: the service ended without it.
        """
        for record in self.records():
            if record["event"] == event and where(record):
                return record
        raise RuntimeError(f"the service ended with {self.process.wait()} without {event}:\n{self.said[-3000:]}")

    def wait_to_say(self, text: str) -> None:
        """Wait until the text stands in the log, or the service has ended.

        Raises:
            TimeoutError: neither, for too long.
        """
        until = time.monotonic() + patience()
        while text not in self.said and self.process.poll() is None:
            if time.monotonic() > until:
                raise TimeoutError(f"it never said {text!r}:\n{self.said[-3000:]}")
            time.sleep(0.02)

    @property
    def said(self) -> str:
        """Its log."""
        return self._stderr.read_bytes()[self._said_before :].decode(errors="replace")

    def kill(self) -> None:
        """As by `kill -9`; gone on return."""
        self.process.kill()
        self.process.wait()

    def stop(self, *, within: float = 10.0) -> int:
        """As systemd stops it: within so many seconds, on a machine that is not busy. Returns the exit code.

        Raises:
            subprocess.TimeoutExpired: it took longer.
        """
        self.process.terminate()
        return self.process.wait(patience(within))

    def _listen(self, copy: Path) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stdout, copy.open("ab") as kept:
            for line in stdout:
                kept.write(line)
                with suppress(ValueError), self._changed:  # a line that was cut by a kill
                    self._records.append(json.loads(line))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


def environment(home: Path, **more: str) -> dict[str, str]:
    """As little as a service gets from systemd: nothing of this machine's AWS settings, proxies and locale."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {**kept, "HOME": str(home), **more}
