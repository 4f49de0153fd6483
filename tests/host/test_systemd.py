"""What the real service reports to systemd, over the socket that it would listen at."""

from __future__ import annotations

import signal
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rotator.host.systemd import Notifier
from tests.chaos.process import RUN
from tests.chaos.trial import Trial, trial
from tests.support.patience import patience
from tests.support.supervisor import Supervisor

pytestmark = pytest.mark.realtime


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Trial]:
    with trial(tmp_path) as stage:
        yield stage


def test_systemd_is_told_of_the_start_each_reload_the_work_and_the_end(made: Trial, tmp_path: Path) -> None:
    with Supervisor(tmp_path) as systemd:
        service = made.start(("env", f"NOTIFY_SOCKET={systemd.address}", *RUN))
        count = systemd.wait_for("READY=1")
        assert [line for line in systemd.heard()[:count] if not line.startswith("STATUS=")] == ["READY=1"]
        assert made.stage.store_file.exists(), "it is ready once it owns its store"
        service.wait_for("key.adopted")
        systemd.wait_for("STATUS=credentials: 1, in rotation: 0, held: 0")
        count = systemd.wait_for("WATCHDOG=1")
        count = systemd.wait_for("WATCHDOG=1", after=count)

        sound = made.stage.config_file.read_text()
        for text in (sound, sound + "\nmore: than is allowed"):
            made.stage.config_file.write_text(text)
            service.process.send_signal(signal.SIGHUP)
            count = systemd.wait_for("RELOADING=1", after=count)
            began = systemd.heard()[count]
            assert began.startswith("MONOTONIC_USEC=")
            assert began.removeprefix("MONOTONIC_USEC=").isdigit()
            count = systemd.wait_for("READY=1", after=count)

        assert service.stop() == 0
        systemd.wait_for("STOPPING=1", after=count)
        assert "WATCHDOG=1" not in systemd.heard()[systemd.wait_for("STOPPING=1") :]


def test_a_reload_that_takes_long_silences_nothing(made: Trial, tmp_path: Path) -> None:
    with Supervisor(tmp_path) as systemd:
        service = made.start(("env", f"NOTIFY_SOCKET={systemd.address}", *RUN))
        service.wait_for("key.adopted")
        count = systemd.wait_for("WATCHDOG=1")
        with closing(sqlite3.connect(made.stage.store_file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # the reload has to wait for it to end
            service.process.send_signal(signal.SIGHUP)
            count = systemd.wait_for("RELOADING=1", after=count)
            beat = systemd.wait_for("WATCHDOG=1", after=count)
            beat = systemd.wait_for("WATCHDOG=1", after=beat)
            assert "READY=1" not in systemd.heard()[count:beat]
            other.execute("ROLLBACK")
        systemd.wait_for("READY=1", after=count)
        assert service.stop() == 0


def test_a_socket_in_the_abstract_namespace_is_found_and_the_variable_is_for_nobody_else() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.settimeout(patience(10))
        systemd.bind("\0rotator-test-notify")
        environ = {"NOTIFY_SOCKET": "@rotator-test-notify", "HOME": "/"}
        Notifier(environ).ready()
        assert systemd.recv(100) == b"READY=1"
        assert environ == {"HOME": "/"}


def test_nobody_who_listens_is_no_trouble(tmp_path: Path) -> None:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "gone")}
    notifier = Notifier(environ)
    notifier.ready()
    notifier.alive()
    assert not (tmp_path / "gone").exists()
