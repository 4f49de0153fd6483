"""The health listener over real sockets, and what the real service says there when something is wrong."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from rotator.errors import RotatorError
from rotator.service.health import HealthListener
from rotator.service.vitals import Vitals
from tests.chaos.process import RUN, Service
from tests.chaos.trial import Trial, trial
from tests.support.patience import patience
from tests.support.ports import free_port

pytestmark = pytest.mark.realtime

WELL = Vitals(store=True, audit=True, work=True, config=True, ownership=True)


class Patient:
    """Vitals that a test changes."""

    def __init__(self) -> None:
        self.vitals = WELL

    def __call__(self) -> Vitals:
        return self.vitals


@pytest.fixture
def patient() -> Patient:
    return Patient()


@pytest.fixture
def url(patient: Patient) -> Iterator[str]:
    with HealthListener("127.0.0.1", 0, patient) as listener:
        yield f"http://127.0.0.1:{listener.port}"


@pytest.mark.parametrize(
    ("path", "part", "said"),
    [
        ("/healthz", None, {"status": "ok", "process": "ok", "store": "ok", "audit": "ok", "work": "ok"}),
        ("/healthz", "store", {"status": "failing", "store": "failing", "work": "ok"}),
        ("/healthz", "audit", {"status": "failing", "audit": "failing", "work": "ok"}),
        ("/healthz", "work", {"status": "failing", "work": "failing", "store": "ok"}),
        ("/healthz", "config", {"status": "ok"}),
        ("/healthz", "ownership", {"status": "ok"}),
        (
            "/readyz",
            None,
            {"status": "ready", "config": "ok", "ownership": "ok", "store": "ok", "audit": "ok", "work": "ok"},
        ),
        ("/readyz", "config", {"status": "not ready", "config": "failing", "ownership": "ok"}),
        ("/readyz", "ownership", {"status": "not ready", "config": "ok", "ownership": "failing"}),
        *(("/readyz", part, {"status": "not ready", part: "failing"}) for part in ("store", "audit", "work")),
    ],
)
def test_each_path_says_what_it_is_for(
    patient: Patient, url: str, path: str, part: str | None, said: dict[str, str]
) -> None:
    if part is not None:
        patient.vitals = replace(WELL, **{part: False})
    answer = httpx.get(url + path)
    status = 200 if said["status"] in {"ok", "ready"} else 503
    assert answer.status_code == status
    assert said.items() <= answer.json().items()
    assert set(answer.json().values()) <= {"ok", "failing", "ready", "not ready"}
    assert httpx.head(url + path).status_code == status


@pytest.mark.parametrize("path", ["/", "/healthz/", "/healthz/x", "/metrics", "/readyz?x=/healthz/..", "/docs"])
def test_there_is_no_other_path(url: str, path: str) -> None:
    assert httpx.get(url + path).status_code == (200 if path.startswith("/readyz?") else 404)


def test_nothing_can_be_changed_and_nothing_is_told_of_what_serves_it(url: str) -> None:
    refused = httpx.post(f"{url}/healthz", content=b"x" * 1000)
    assert refused.status_code == 405
    assert "server" not in refused.headers


def test_it_listens_on_ipv6_as_well() -> None:
    with HealthListener("::1", 0, lambda: WELL) as listener:
        assert httpx.get(f"http://[::1]:{listener.port}/readyz").status_code == 200


def test_after_its_end_nobody_listens(patient: Patient) -> None:
    with HealthListener("127.0.0.1", 0, patient) as listener:
        url = f"http://127.0.0.1:{listener.port}/healthz"
        assert httpx.get(url).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_an_address_that_is_taken_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RotatorError, match=f"can't listen on 127.0.0.1 port {port}: Address already in use"):
            HealthListener("127.0.0.1", port, lambda: WELL).__enter__()


def test_silent_connections_cost_a_probe_no_answer(url: str) -> None:
    address = urlsplit(url)
    assert address.hostname is not None
    assert address.port is not None
    with ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(socket.create_connection((address.hostname, address.port)))
        assert [httpx.get(f"{url}/healthz").status_code for _ in range(20)] == [200] * 20


def test_a_connection_that_asks_nothing_is_closed(url: str) -> None:
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port)) as silent:
        silent.settimeout(patience(10))
        with suppress(ConnectionResetError):
            assert silent.recv(1) == b""


# The real service.


class Watched:
    """A service with a health listener, and somebody who asks."""

    def __init__(self, made: Trial) -> None:
        self.made = made
        self.listen = f"127.0.0.1:{free_port()}"
        self.service: Service = made.start(("env", f"ROTATOR_HEALTH__LISTEN={self.listen}", *RUN))
        self.service.wait_for("key.adopted")

    def says(self, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = httpx.get(f"http://{self.listen}{path}", timeout=patience(10)).json()
        return answer

    def comes_to(self, path: str, wanted: Callable[[dict[str, Any]], bool]) -> None:
        until = time.monotonic() + patience()
        while not wanted(said := self.says(path)):
            assert time.monotonic() < until, said
            time.sleep(0.05)

    def reload(self) -> None:
        self.service.process.send_signal(signal.SIGHUP)

    def asked_by_command(self, *arguments: str, listen: str | None = None) -> tuple[int, str]:
        """What `rotator health` prints, and its exit code."""
        environment = {**self.made.environment(), "ROTATOR_HEALTH__LISTEN": self.listen if listen is None else listen}
        done = subprocess.run(  # noqa: S603  # our own program
            [*RUN[:-1], "health", *arguments],
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=patience(),
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with trial(tmp_path) as made:
        yield Watched(made)


def test_a_refused_config_makes_it_not_ready_but_not_ill(watched: Watched) -> None:
    assert watched.says("/readyz")["status"] == "ready"
    sound = watched.made.stage.config_file.read_text()
    watched.made.stage.config_file.write_text(sound.replace("watch:", "wotch:"))
    watched.reload()
    watched.comes_to("/readyz", lambda said: said["config"] == "failing")
    assert watched.says("/healthz")["status"] == "ok"
    code, told = watched.asked_by_command("--ready")
    assert code == 2, "where to ask can't be read"
    assert "wotch" in told
    watched.made.stage.config_file.write_text(sound)
    watched.reload()
    watched.comes_to("/readyz", lambda said: said["status"] == "ready")
    assert watched.asked_by_command() == (0, "ok: process ok, store ok, audit ok, work ok\n")
    assert watched.asked_by_command("--ready") == (
        0,
        "ready: config ok, ownership ok, store ok, audit ok, work ok\n",
    )
    assert watched.asked_by_command(listen="") == (0, "ok: process ok, store ok, audit ok\n")
    assert watched.asked_by_command("--ready", listen="") == (
        0,
        "ready: config ok, ownership ok, store ok, audit ok\n",
    )

    assert watched.service.stop() == 0
    code, told = watched.asked_by_command()
    assert code == 1
    assert "no answer from" in told
    assert watched.asked_by_command(listen="") == (1, "failing: process failing, store ok, audit ok\n")


def test_what_the_service_owns_can_not_change_by_a_reload(watched: Watched) -> None:
    config = watched.made.stage.config_file
    config.write_text(config.read_text().replace("audit.jsonl", "other.jsonl"))
    watched.reload()
    watched.comes_to("/readyz", lambda said: said["status"] == "not ready")
    assert "audit can't change while the service runs" in watched.service.said
    watched.service.wait_for("config.reloaded", where=lambda record: record["outcome"] == "refused")


def test_a_required_sink_that_takes_nothing_is_told_until_it_does(watched: Watched) -> None:
    file = watched.made.stage.audit_file
    kept = file.rename(file.with_suffix(".kept"))
    file.mkdir()
    watched.reload()
    watched.comes_to("/healthz", lambda said: said["audit"] == "failing" and said["store"] == "ok")
    assert httpx.get(f"http://{watched.listen}/healthz").status_code == 503
    file.rmdir()
    kept.rename(file)
    watched.comes_to("/healthz", lambda said: said["status"] == "ok")


def test_a_store_that_can_not_be_written_is_told_until_it_can(watched: Watched) -> None:
    with closing(sqlite3.connect(watched.made.stage.store_file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        watched.reload()
        watched.comes_to("/healthz", lambda said: said["store"] == "failing" and said["audit"] == "ok")
        other.execute("ROLLBACK")
    watched.comes_to("/healthz", lambda said: said["status"] == "ok")
    assert watched.service.stop() == 0


def test_a_store_that_was_taken_away_is_not_its_own_any_more(watched: Watched) -> None:
    lock = watched.made.stage.store_file.with_name("rotator.db.lock")
    assert lock.exists(), sorted(lock.parent.iterdir())
    lock.rename(lock.with_suffix(".moved"))
    watched.comes_to("/readyz", lambda said: said["ownership"] == "failing")
