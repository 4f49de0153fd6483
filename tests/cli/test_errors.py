"""What goes wrong is reported in two lines: what happened, and what to do. Never a traceback, never a value."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rotator import __version__
from rotator.model import Phase, State
from tests.support.desk import NAME, Desk

pytestmark = pytest.mark.realtime

CANARY = "wJalrXUtnFEMIcanaryCANARYcanary0123456789"

BROKEN_PROVIDER = f"""
from rotator.providers.base import Plugin
from rotator.settings.section import Section

def open_provider(settings, tools):
    secret = "{CANARY}"
    raise ValueError("can't parse " + secret)

plugin = Plugin(settings=Section, open=open_provider)
"""


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """A directory for PYTHONPATH with a provider that breaks in an unforeseen way."""
    directory = tmp_path / "plugins"
    metadata = directory / "broken-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[rotator.providers]\nbroken = broken_provider:plugin\n")
    (directory / "broken_provider.py").write_text(BROKEN_PROVIDER)
    return directory


def test_a_bug_is_one_line_that_quotes_nothing(desk: Desk, plugins: Path) -> None:
    credential = {"name": NAME, "provider": "broken", "integrations": [NAME]}
    desk.config_file.write_text(desk.config(plugins=["broken"], credentials=[credential]))
    desk.arrange({NAME: State(phase=Phase.IDLE)})
    done = desk.rotator("plan", PYTHONPATH=str(plugins))
    assert done.code == 1
    assert "an unforeseen ValueError at" in done.stderr
    assert "ROTATOR_DEBUG=1" in done.stderr
    assert "Traceback" not in done.stderr
    debugged = desk.rotator("plan", PYTHONPATH=str(plugins), ROTATOR_DEBUG="1")
    assert "in open_provider" in debugged.stderr
    assert CANARY not in done.stderr + debugged.stderr + done.stdout + debugged.stdout


def test_a_config_error_names_every_problem_and_exits_2(desk: Desk) -> None:
    desk.config_file.write_text(desk.config(policy={"every": "soon", "grase": "1d"}))
    done = desk.rotator("status")
    assert (done.code, done.stdout) == (2, "")
    assert "policy.every" in done.stderr
    assert "did you mean grace?" in done.stderr
    told = desk.rotator("status", "--json")
    assert (told.code, told.stderr) == (2, "")
    assert set(told.json()) == {"error", "remedy"}
    checked = desk.rotator("check", "--json")
    assert checked.code == 1
    assert [line["result"] for line in checked.json()["checks"]] == ["fail", "fail"]


def test_usage(desk: Desk) -> None:
    assert desk.rotator("--version").stdout == f"{__version__}\n"
    no_config = desk.rotator("status", ROTATOR_CONFIG="")
    assert no_config.code == 2
    assert "ROTATOR_CONFIG" in no_config.stderr
    nonsense = desk.rotator("rotate", NAME, "--[red]nonsense[/red]")
    assert nonsense.code == 2
    assert "--[red]nonsense[/red]" in nonsense.stderr
    help_text = desk.rotator("--help").stdout
    assert all(f"  {command}" in help_text for command in ("run", "rotate", "undo", "unfreeze", "audit", "sandbox"))


def test_check_names_each_thing_that_is_missing_and_hides_passwords(desk: Desk) -> None:
    done = desk.rotator("check", "--json", TOKEN="t", https_proxy=f"http://me:{CANARY}@127.0.0.1:9")
    assert done.code == 1
    checks = {(line["about"], line["result"]): line for line in reversed(done.json()["checks"])}
    assert checks["store", "ok"]["check"].startswith("the service creates ")
    assert "http://127.0.0.1:9" in checks["northflank default", "warn"]["check"]
    assert checks["northflank default", "fail"]["remedy"]
    assert checks[NAME, "fail"]["check"].startswith("reading the list of integrations")
    assert checks["proxy", "warn"]["check"] == "https goes through http://127.0.0.1:9"
    assert CANARY not in done.stdout + done.stderr


def test_the_service_loads_nothing_that_it_has_no_use_for(desk: Desk) -> None:
    desk.arrange({NAME: State(phase=Phase.IDLE)})
    ran = desk.python("-X", "importtime", "-m", "rotator", "run", "--once")
    modules = [line.rpartition("|")[2].strip() for line in ran.stderr.splitlines() if "|" in line]
    # Of a package whose import is tried and refused, its own name alone is listed.
    loaded = {module.partition(".")[0] for module in modules if "." in module}
    assert {"apscheduler", "boto3", "httpx", "sqlalchemy"} <= loaded
    clouds = {"azure", "google", "grpc", "lightkube"}
    assert not loaded & {*clouds, "alembic", "click", "flask", "moto", "pygments", "rich", "werkzeug"}


LOG = f"""
import logging
from rotator.host import logs
logs.set_up("debug")
logging.getLogger("botocore.parsers").setLevel(logging.DEBUG)
logging.getLogger("botocore.parsers").debug("{CANARY}")
logging.getLogger("google.auth").info("{CANARY}")
try:
    raise ValueError("{CANARY}")
except ValueError:
    logging.getLogger("apscheduler.executors").exception("a job broke")
    logging.getLogger("rotator.test").debug("ours is heard", exc_info=True)
"""


def test_logs_are_json_lines_without_what_libraries_leak(desk: Desk) -> None:
    done = desk.python("-c", LOG)
    assert (done.code, done.stdout) == (0, "")
    assert CANARY not in done.stderr
    job, ours = (json.loads(line) for line in done.stderr.splitlines())
    assert (job["event"], job["exception"], job["level"]) == ("a job broke", "ValueError", "error")
    assert (ours["event"], ours["logger"]) == ("ours is heard", "rotator.test")
