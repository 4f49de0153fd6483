"""Standard output and error that nothing reads: the work goes on, or stops where it must, and says why once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import httpx
import pytest
import yaml

from tests.chaos.process import RUN
from tests.chaos.trial import Trial, trial
from tests.support.patience import patience
from tests.support.ports import free_port

pytestmark = pytest.mark.realtime


@contextmanager
def full_pipe() -> Iterator[tuple[int, int]]:
    """A pipe whose reader sleeps: what is written to it now waits."""
    read, write = os.pipe()
    try:
        os.set_blocking(write, False)
        try:
            while os.write(write, b"\n" * 4096):
                pass
        except BlockingIOError:
            os.set_blocking(write, True)
        yield read, write
    finally:
        os.close(read)
        os.close(write)


@contextmanager
def service(made: Trial, stdout: int, stderr: int | IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(RUN, env=made.environment(), stdout=stdout, stderr=stderr) as process:  # noqa: S603  # our own program
        try:
            yield process
        finally:
            process.kill()


def configure(made: Trial, *required: str) -> str:
    """Have records go to the file and to standard output. Gives the address of the health checks."""
    config = yaml.safe_load(made.configure())
    config["audit"] |= {"stdout": True, "require": [*required]}
    config["health"] = {"listen": f"127.0.0.1:{free_port()}"}
    made.stage.config_file.write_text(yaml.safe_dump(config))
    return f"http://{config['health']['listen']}"


def until(seen: Callable[[], object]) -> None:
    end = time.monotonic() + patience()
    while not seen():
        assert time.monotonic() < end
        time.sleep(0.05)


def events(made: Trial) -> list[str]:
    return [record["event"] for record in made.audited()] if made.stage.audit_file.exists() else []


def status(made: Trial) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "rotator", "status", "--json")
    return subprocess.run(command, env=made.environment(), capture_output=True, text=True, check=False)  # noqa: S603  # our own program


def test_a_required_sink_that_is_stuck_stops_changes_and_nothing_else(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    with trial(tmp_path) as made, full_pipe() as (read, write), log.open("wb") as stderr:
        url = configure(made, "file", "stdout")
        with service(made, write, stderr) as process:
            until(lambda: "key.adopted" in events(made))
            made.ask(now=True)
            until(lambda: "takes nothing" in log.read_text())
            until(lambda: "key.create" in events(made))  # the intent
            until(lambda: status(made).returncode == 4)
            [alarm] = json.loads(status(made).stdout)["alarms"]
            assert (alarm["kind"], alarm["about"]) == ("sink", "stdout")
            said = httpx.get(f"{url}/healthz").json()
            assert (said["audit"], said["work"], said["store"]) == ("failing", "ok", "ok")
            process.send_signal(signal.SIGHUP)
            until(lambda: "the config was reloaded" in log.read_text())
            assert made.aws.requests(action="CreateAccessKey") == []

            os.set_blocking(read, False)

            def drained() -> bool:
                with suppress(BlockingIOError):
                    os.read(read, 1 << 20)
                return "rotation.done" in events(made)

            until(drained)
            process.terminate()
            assert process.wait(patience(15)) == 0
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        assert [line["event"] for line in lines if line.get("about") == "stdout"] == ["alarm", "alarm over"]
        assert [line for line in lines if line["logger"].startswith("apscheduler")] == []
        made.check()


def test_a_service_whose_output_and_log_are_stuck_goes_on_and_stops(tmp_path: Path) -> None:
    with trial(tmp_path) as made, full_pipe() as (_, write):
        url = configure(made, "file")
        with service(made, write, write) as process:
            until(lambda: "key.adopted" in events(made))
            made.ask(now=True)
            until(lambda: "rotation.done" in events(made))
            assert httpx.get(f"{url}/readyz").status_code == 200
            process.terminate()
            assert process.wait(patience(15)) == 0
        failing = json.loads(status(made).stdout)["store"]["failing_sinks"]
        assert "takes nothing" in failing["stdout"]
        made.check()


def test_a_sink_that_nothing_waits_for_is_named_once(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    with trial(tmp_path) as made, full_pipe() as (_, write), log.open("wb") as stderr:
        configure(made, "file")
        with service(made, write, stderr) as process:
            until(lambda: "an audit sink fails" in log.read_text())
            made.ask(now=True)
            until(lambda: "rotation.done" in events(made))
            process.terminate()
            assert process.wait(patience(15)) == 0
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        [named] = [line for line in lines if line.get("sink") == "stdout"]
        assert (named["level"], named["event"]) == ("warning", "an audit sink fails; its records wait in the store")
