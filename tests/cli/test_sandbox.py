"""`rotator sandbox`: stand-ins to try a config against."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from tests.support.desk import Desk, Running

pytestmark = pytest.mark.realtime


def banner(sandbox: Running) -> str:
    """All that it prints until it serves."""
    told = ""
    while "Ctrl-C stops." not in told:
        line = sandbox.next_line()
        assert line, told
        told += line
    return told


def exported(told: str) -> dict[str, str]:
    """The variables that it tells a person to set."""
    return dict(re.findall(r"^export (\w+)=(\S+)$", told, re.MULTILINE))


def test_the_sandbox_serves_what_its_config_needs_until_it_is_interrupted(desk: Desk, tmp_path: Path) -> None:
    with desk.started(
        "sandbox", "--dir", str(tmp_path / "sandbox"), "--rate-limit", "5", PYTHONUNBUFFERED="1"
    ) as sandbox:
        told = banner(sandbox)
        assert len(re.findall(r"http://127\.0\.0\.1:[0-9]+$", told, re.MULTILINE)) >= 2
        checked = desk.rotator("check", "--json", **exported(told))
        assert checked.code == 0, checked
        assert checked.json()["ok"] is True
        sandbox.interrupt()
        assert sandbox.wait() == 0
    assert (tmp_path / "sandbox").stat().st_mode & 0o777 == 0o700

    nowhere = desk.rotator("sandbox", "--dir", "/dev/null/x")
    assert nowhere.code == 2
    assert "the sandbox can't be set up" in nowhere.stderr


def test_all_clouds_can_be_tried_at_once_and_a_person_can_make_civos_key(desk: Desk, tmp_path: Path) -> None:
    with desk.started("sandbox", "--all", "--dir", str(tmp_path / "sandbox"), PYTHONUNBUFFERED="1") as sandbox:
        told = banner(sandbox)
        variables = exported(told)
        once = desk.rotator("run", "--once", **variables)
        assert once.code == 0, once
        names = {each["credential"] for each in desk.rotator("status", "--json", **variables).json()["credentials"]}
        assert len(names) == 7

        button = re.search(r"^curl -X POST (\S+) -o (\S+)$", told, re.MULTILINE)
        assert button is not None
        Path(button[2]).write_bytes(httpx.post(button[1]).content)
        assert desk.rotator("run", "--once", **variables).code == 0
        shown = desk.rotator("show", "prod-civo", "--json", **variables).json()
        assert shown["generation"] == 1
