"""The service under a systemd that starts, stops, kills, watches and reloads it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from rotator.sandbox.stage import CREDENTIAL, INTEGRATION
from rotator.sandbox.wire.rules import Delay, Fault, Reset, Rule
from tests.support.patience import patience
from tests.systemd.site import CONFIG, SERVICE, TOKEN, Site
from tests.systemd.trees import SUITES

pytestmark = [pytest.mark.machine, pytest.mark.timeout(300)]

ONE = f"/cloud-providers/integrations/{INTEGRATION}$"
WATCHED = "4"
"""WatchdogSec= of these tests, in seconds."""
STUCK_AFTER = 31
"""Seconds until the service calls a worker stuck: half of the stage's `settle`, and 30."""


def hold_push(site: Site, fault: Fault) -> None:
    """The next push suffers this. On return it is under way, asked for by a person."""
    site.trial.northflank.put(Rule(method="POST", path=ONE, fault=fault))
    site.rotator("rotate", CREDENTIAL, "--now")
    site.trial.northflank.wait_for(1, method="POST", path=ONE, timeout=patience())


def main_pid(site: Site) -> str:
    return site.machine.show(SERVICE, "MainPID")


def test_it_starts_rotates_and_tells_of_it(site: Site) -> None:
    site.start()
    assert site.machine.show(SERVICE, "ActiveState") == "active", "READY=1 came, for the start has returned"
    site.adopted()
    site.rotator("rotate", CREDENTIAL, "--now", "--wait")
    done = site.wait_to_be_told("rotation.done", credential=CREDENTIAL)
    assert done["_SYSTEMD_UNIT"] == SERVICE
    assert done["SYSLOG_IDENTIFIER"] == "rotator"
    (pushed,) = site.told("integration.push", credential=CREDENTIAL, outcome="done")
    assert pushed["ROTATOR_ROTATION"] == done["ROTATOR_ROTATION"]
    site.machine.wait_until(
        lambda: site.machine.show(SERVICE, "StatusText") == "credentials: 1, in rotation: 0, held: 0", "the status"
    )
    site.check()


@pytest.mark.parametrize(
    "fault",
    [Reset(when="before", hold=None), Delay(when="after", seconds=None)],
    ids=["not applied", "applied, not answered"],
)
def test_killed_in_the_middle_of_a_push_it_is_started_again_and_ends_the_rotation(site: Site, fault: Fault) -> None:
    site.start()
    site.adopted()
    hold_push(site, fault)
    killed = main_pid(site)
    site.machine.systemctl("kill", "--signal=KILL", SERVICE)
    site.trial.northflank.release()
    site.wait_to_be_told("rotation.done", credential=CREDENTIAL)
    assert main_pid(site) not in {"0", killed}
    assert site.machine.show(SERVICE, "NRestarts") == "1"
    site.check()


def test_a_stuck_worker_misses_the_watchdog_and_an_idle_service_does_not(site: Site) -> None:
    (aws,) = site.credentials()
    settings = {"user": aws.pop("user"), "aws": aws.pop("aws")}
    stuck = aws | {"provider": "stuck", "integration_provider": "aws", "settings": settings}
    site.configure(plugins=["stuck"], credentials=[stuck])
    site.override(SERVICE, WatchdogSec=WATCHED, RestartSec="1")
    site.start()
    site.adopted()
    first = main_pid(site)
    idle_until = time.monotonic() + 4 * float(WATCHED)
    site.machine.wait_until(lambda: main_pid(site) != first or time.monotonic() > idle_until, "four periods")
    assert main_pid(site) == first, "nothing to do is no reason to be killed"

    site.machine.write("/etc/rotator/in-the-way", "")
    site.rotator("rotate", CREDENTIAL, "--now")
    asked = time.monotonic()
    site.machine.wait_until(lambda: main_pid(site) not in {"0", first}, "a new process", timeout=STUCK_AFTER + 30)
    assert time.monotonic() - asked > STUCK_AFTER, "what may still be a call under way isn't killed"
    assert site.systemd_said("Watchdog timeout")
    assert site.systemd_said("Failed with result 'watchdog'")
    site.machine.run("rm", "/etc/rotator/in-the-way")
    site.wait_to_be_told("rotation.done", credential=CREDENTIAL)
    assert site.machine.show(SERVICE, "NRestarts") == "1"
    site.check()


def test_a_process_that_stands_still_misses_the_watchdog(site: Site) -> None:
    site.override(SERVICE, WatchdogSec=WATCHED, RestartSec="1")
    site.start()
    first = main_pid(site)
    site.machine.systemctl("kill", "--signal=STOP", SERVICE)
    site.machine.wait_until(lambda: site.machine.show(SERVICE, "NRestarts") == "1", "a restart")
    site.machine.wait_for_state(SERVICE, "active")
    assert main_pid(site) != first
    assert site.systemd_said("Watchdog timeout")


@pytest.mark.parametrize("drop_in", [None, "notify-reload"])
def test_a_good_config_is_taken_and_a_bad_one_refused(site: Site, suite: str, drop_in: str | None) -> None:
    if drop_in is not None:
        if SUITES[suite] < 253:
            pytest.skip("systemd 252 doesn't know Type=notify-reload; the drop-in says so")
        site.add_drop_in(drop_in)
    site.start()
    process = main_pid(site)

    site.configure(log={"level": "warning"})
    site.machine.systemctl("reload", SERVICE)
    site.wait_to_be_told("config.reloaded", outcome="done")

    site.machine.write(CONFIG, "credentials: [")
    site.machine.systemctl("reload", SERVICE)
    site.wait_to_be_told("config.reloaded", outcome="refused")
    assert len(site.told("config.reloaded")) == 2, "each reload is one"

    site.configure()
    site.rotator("rotate", CREDENTIAL, "--now", "--wait")
    assert main_pid(site) == process
    assert site.machine.show(SERVICE, "NRestarts") == "0"
    site.check()


def test_without_its_token_it_does_not_start_and_with_it_it_does_by_itself(site: Site) -> None:
    token = site.machine.root / TOKEN.lstrip("/")
    token.rename(token.with_name("elsewhere"))
    failed = site.machine.systemctl("start", SERVICE, check=False)
    assert failed.code
    assert site.machine.show(SERVICE, "ExecMainStatus") == "243"  # EXIT_CREDENTIALS in systemd.exec(5)
    told = site.machine.journal(f"UNIT={SERVICE}") + site.machine.journal(f"_SYSTEMD_UNIT={SERVICE}")
    assert any("credentials" in entry["MESSAGE"] for entry in told)
    token.with_name("elsewhere").rename(token)
    site.machine.wait_for_state(SERVICE, "active")


def test_a_bad_config_at_the_start_is_left_to_a_person(site: Site) -> None:
    site.machine.write(CONFIG, "credentials: [")
    assert site.machine.systemctl("start", SERVICE, check=False).code
    site.machine.wait_for_state(SERVICE, "failed")
    assert site.machine.show(SERVICE, "ExecMainStatus") == "2"
    told: list[dict[str, Any]] = site.machine.journal(f"_SYSTEMD_UNIT={SERVICE}")
    assert any(CONFIG in entry["MESSAGE"] for entry in told), "the journal says where the mistake is"


def test_it_stops_within_ten_seconds_with_a_push_under_way(site: Site) -> None:
    site.configure(northflank={"timeout": "20s", "settle": "40s"})
    site.start()
    site.adopted()
    hold_push(site, Delay(when="before", seconds=None))
    began = time.monotonic()
    site.machine.systemctl("stop", SERVICE)
    assert time.monotonic() - began < patience(10)
    assert site.machine.show(SERVICE, "Result") == "success"
    assert site.machine.show(SERVICE, "ExecMainStatus") == "0"
    assert not site.systemd_said("timed out")
    (given_up,) = site.told("integration.push", outcome="unknown")
    assert given_up["ROTATOR_CREDENTIAL"] == CREDENTIAL
    site.trial.northflank.release()


def test_a_replaced_token_needs_a_restart(site: Site) -> None:
    site.start()
    site.adopted()
    copied = site.machine.root / "run/credentials"  # another file system there: nothing to see of it from here
    assert not copied.exists()
    site.machine.write(TOKEN, "replaced", mode=0o600)
    directory = f"/run/credentials/{SERVICE}/northflank-token"
    token = site.trial.stage.token_file.read_text()
    assert site.machine.run("cat", directory).stdout == token
    site.machine.systemctl("restart", SERVICE)
    assert site.machine.run("cat", directory).stdout == "replaced"
    assert "restart the service" in site.rotator("check", check=False).stdout
