"""`rotator run` as a process: how it stops, reloads, keeps others out, and lives through jumps of the clock."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from rotator.model import Phase
from rotator.sandbox.aws.scene import USER
from rotator.sandbox.northflank.account import HeldIntegration
from rotator.sandbox.stage import CREDENTIAL, INTEGRATION
from rotator.sandbox.wire.rules import Delay, Rule
from tests.chaos.jump_clock import DAY
from tests.chaos.process import RUN, Record, Service
from tests.chaos.trial import Trial, trial
from tests.support.patience import patience

pytestmark = pytest.mark.realtime

ONE = f"/cloud-providers/integrations/{INTEGRATION}$"
PUSH = Rule(method="POST", path=ONE, fault=Delay(when="before", seconds=None))


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Trial]:
    with trial(tmp_path) as stage:
        yield stage


def outcomes(made: Trial, event: str) -> list[str]:
    return [record["outcome"] for record in made.audited() if record["event"] == event]


def phase(made: Trial) -> Phase:
    with made.reader() as reader:
        (row,) = reader.credentials()
        return row.state.phase


def asked(made: Trial) -> Service:
    """A service that was asked for a rotation."""
    service = made.start()
    service.wait_for("key.adopted")
    made.ask(now=True)
    return service


# Stopping.


def test_a_stop_lets_no_new_change_begin(made: Trial) -> None:
    # The list that the mint is decided by: the third, after first contact's and the request's.
    made.aws.put(Rule(action="ListAccessKeys", skip=2, fault=Delay(when="before", seconds=None)))
    service = asked(made)
    made.aws.wait_for(3, action="ListAccessKeys", timeout=patience())
    service.process.terminate()
    service.wait_to_say("no new change is begun")
    made.aws.release()
    assert service.process.wait(patience(10)) == 0
    assert made.aws.requests(action="CreateAccessKey") == []

    service = made.start()
    assert made.follow(service)
    assert service.stop() == 0
    made.check()


def test_a_call_that_hangs_at_a_stop_is_journalled_as_unknown_and_resolved_by_the_next_start(made: Trial) -> None:
    made.configure(northflank={"timeout": "60s", "settle": "120s"})
    made.northflank.put(PUSH)
    service = asked(made)
    made.northflank.wait_for(1, method="POST", timeout=patience())
    began = time.monotonic()
    assert service.stop(within=10) == 0
    assert time.monotonic() - began > 7, "the call had its 8 seconds"
    assert outcomes(made, "integration.push") == ["intent", "unknown"]
    assert made.audited()[-1]["event"] == "daemon.stopped"

    made.northflank.release()
    made.northflank.wait_for(1, method="POST", state="processed", timeout=patience())
    made.configure()
    service = made.start()
    service.wait_for("rotation.done")
    assert service.stop() == 0
    made.check()


def test_a_stop_waits_for_no_reader_of_its_output(made: Trial) -> None:
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    os.write(write, b"#" * 4096)
    with (made.output / "stderr").open("ab") as errors:
        process = subprocess.Popen(  # noqa: S603  # our own program
            RUN, env=made.environment(), stdout=write, stderr=errors
        )
    try:
        made.northflank.wait_for(1, path=ONE, state="answered", timeout=patience())
        process.terminate()
        assert process.wait(patience(10)) == 0
        assert made.audited()[-1]["event"] == "daemon.stopped"
    finally:
        process.kill()
        process.wait()
        os.close(read)
        os.close(write)


# Reloading.


def reload(made: Trial, service: Service, config: str) -> Record:
    before = len(service.records_so_far())
    made.stage.config_file.write_text(config)
    service.process.send_signal(signal.SIGHUP)
    return next(
        record
        for number, record in enumerate(service.records())
        if number >= before and record["event"] == "config.reloaded"
    )


def test_what_was_found_is_said_once_though_a_credential_leaves_the_config_and_comes_back(made: Trial) -> None:
    sound = made.configure()
    other = yaml.safe_load(sound)
    other["credentials"][0] |= {"name": "other", "user": "other", "integrations": ["other"]}
    del other["credentials"][0]["current_key"]
    made.stage.aws.add_user("other")
    service = made.start()
    service.wait_for("key.adopted")
    made.ask("freeze")
    frozen = service.wait_for("finding", where=lambda record: "frozen" in record["reason"])
    assert reload(made, service, yaml.safe_dump(other))["outcome"] == "done"
    assert reload(made, service, sound)["outcome"] == "done"
    made.ask("unfreeze")
    service.wait_for("request.answered", where=lambda record: record["code"] == "unfreeze")
    assert service.stop() == 0
    said = [record for record in made.audited() if record["event"] == "finding" and "frozen" in record["reason"]]
    assert [record["sequence"] for record in said if record["credential"] == CREDENTIAL] == [frozen["sequence"]]


def test_a_reload_takes_a_sound_config_and_refuses_all_others(made: Trial) -> None:
    sound = made.configure(policy={"grace": "1h", "max_grace": "2h", "every": "6h"})
    service = asked(made)
    service.wait_for("rotation.phase", where=lambda record: record["phase"] == "grace")

    refused = reload(made, service, sound.replace("watch:", "wotch:"))
    assert refused["outcome"] == "refused"
    assert "wotch" in refused["reason"]
    assert "rotator.yaml" in service.said

    other = yaml.safe_load(sound)
    other["credentials"][0] |= {"name": "other", "user": "other", "integrations": ["other"]}
    del other["credentials"][0]["current_key"]
    refused = reload(made, service, yaml.safe_dump(other))
    assert refused["outcome"] == "refused"
    assert CREDENTIAL in refused["reason"]
    assert "rotation in flight" in refused["reason"]
    assert phase(made) is Phase.GRACE

    stage = made.stage
    stage.aws.add_user("other")
    held = stage.aws.create_key("other").reveal()
    stage.account.put(HeldIntegration("other", "other", "aws", description="Another team's.", credentials=held))
    both = yaml.safe_load(sound)
    both["policy"]["grace"] = "1s"
    both["credentials"].append(other["credentials"][0] | {"current_key": held["accessKey"]})
    assert reload(made, service, yaml.safe_dump(both))["outcome"] == "done"
    service.wait_for("key.adopted", where=lambda record: record["credential"] == "other")
    service.wait_for("rotation.done", where=lambda record: record["credential"] == CREDENTIAL)

    # A handler may interrupt anything, its like included.
    until = time.monotonic() + 2
    while time.monotonic() < until:
        service.process.send_signal(signal.SIGHUP)
        time.sleep(0.0003)
    assert service.stop() == 0


# One owner.


def test_a_second_service_on_the_same_store_ends_with_3(made: Trial) -> None:
    first = made.start()
    first.wait_for("daemon.started")
    second = subprocess.run(  # noqa: S603  # our own program
        RUN,
        env=made.environment(),
        check=False,
        capture_output=True,
        text=True,
        timeout=patience(),
    )
    assert second.returncode == 3
    assert f"another rotator owns this store: pid {first.pid} on " in second.stderr
    assert "Traceback" not in second.stderr
    began = time.monotonic()
    first.process.send_signal(signal.SIGINT)
    assert first.process.wait(patience()) == 0
    assert time.monotonic() - began < patience(5), "an idle service ends at once"
    assert [record["event"] for record in made.audited()] == [
        *("ownership.taken", "daemon.started", "key.adopted", "daemon.stopped")
    ]


# The clock.


def test_a_jump_of_the_clock_wakes_what_sleeps(tmp_path: Path) -> None:
    # A consumer would have to live in the service's time.
    with trial(tmp_path, consumed_every=3600) as made:
        made.configure(
            policy={
                "every": "30d",
                "max_age": "90d",
                "grace": "1d",
                "max_grace": "2d",
                "quarantine": "1d",
                "watch": "1h",
            }
        )
        service = made.start_in("jump_clock.py")
        service.wait_for("key.adopted")

        made.shift(-DAY)
        service.process.send_signal(signal.SIGUSR2)
        service.wait_to_say("the clock jumped")
        made.ask(now=True, late=DAY)
        service.wait_for("integration.confirmed")

        made.shift(timedelta(0))
        service.process.send_signal(signal.SIGUSR1)
        service.wait_for("rotation.phase", where=lambda record: record["phase"] == "quarantine")
        made.shift(DAY)
        service.process.send_signal(signal.SIGUSR1)
        service.wait_for("rotation.done")
        assert service.stop() == 0
        made.check()


# One pass.


def once(made: Trial) -> int:
    with (made.output / "stdout").open("ab") as output, (made.output / "stderr").open("ab") as errors:
        command = (*RUN, "--once")
        done = subprocess.run(  # noqa: S603  # our own program
            command, env=made.environment(), check=False, stdout=output, stderr=errors, timeout=patience()
        )
    return done.returncode


def test_passes_carry_a_rotation_from_phase_to_phase_and_end_without_material(made: Trial) -> None:
    assert once(made) == 0
    made.ask(now=True)
    # Neither wait is over before its pass is.
    long = {"every": "12h", "grace": "1h", "max_grace": "2h", "quarantine": "1h"}
    made.configure(policy=long)
    assert once(made) == 0
    assert phase(made) is Phase.GRACE
    made.configure(policy=long | {"grace": "1s"})
    while phase(made) is Phase.GRACE:
        assert once(made) == 0
    assert phase(made) is Phase.QUARANTINE
    made.configure()
    while phase(made) is Phase.QUARANTINE:
        assert once(made) == 0
    assert phase(made) is Phase.IDLE
    made.check()

    made.stage.aws.create_key(USER)
    made.ask(now=True)
    assert once(made) == 4
    assert made.audited()[-1]["code"] == "slots_full"


def test_a_stop_ends_a_pass_before_its_next_change(made: Trial) -> None:
    assert once(made) == 0
    made.ask(now=True)
    made.aws.put(Rule(action="ListAccessKeys", skip=1, fault=Delay(when="before", seconds=None)))
    service = made.start((*RUN, "--once"))
    made.aws.wait_for(3, action="ListAccessKeys", timeout=patience())
    service.process.terminate()
    made.aws.release()
    assert service.process.wait(patience()) == 0
    assert made.aws.requests(action="CreateAccessKey") == []


# What it weighs, and what it keeps to itself.


def test_a_rotation_fits_into_100_mb_loads_nothing_in_vain_and_leaves_no_core(made: Trial) -> None:
    assert once(made) == 0, "the store is made: from now on nothing is migrated"
    service = made.start(("env", "PYTHONVERBOSE=1", *RUN))
    made.ask(now=True)
    service.wait_for("rotation.done")
    inside = Path(f"/proc/{service.pid}")
    peak = re.search(r"VmHWM:\s+(\d+) kB", (inside / "status").read_text())
    assert peak is not None
    assert int(peak[1]) <= 100_000
    assert re.search(r"Max core file size +0 +0 ", (inside / "limits").read_text())
    assert (inside / "mem").stat().st_uid == 0, "what may not be dumped is root's: proc(5)"
    if os.geteuid() != 0:
        with pytest.raises(PermissionError):
            (inside / "environ").read_bytes()
    assert service.stop() == 0
    imported = set(re.findall(r"^import '(\w+)", service.said, re.MULTILINE))
    assert "botocore" in imported
    assert "apscheduler" in imported
    assert not imported & {
        *("alembic", "azure", "django", "flask", "google", "grpc", "jinja2", "mako", "moto"),
        *("rich", "starlette", "uvicorn", "werkzeug"),
    }
