"""`rotator sandbox`: stand-ins that a person tries a config against."""

from __future__ import annotations

import re
from pathlib import Path

from tests.cli.desk import Desk


def test_the_sandbox_serves_what_its_config_needs_until_it_is_interrupted(desk: Desk, tmp_path: Path) -> None:
    with desk.started(
        "sandbox", "--dir", str(tmp_path / "sandbox"), "--rate-limit", "5", PYTHONUNBUFFERED="1"
    ) as sandbox:
        told = ""
        while "Ctrl-C stops." not in told:
            line = sandbox.next_line()
            assert line, told
            told += line
        assert len(re.findall(r"http://127\.0\.0\.1:[0-9]+$", told, re.MULTILINE)) >= 2
        variables = dict(re.findall(r"^export (\w+)=(\S+)$", told, re.MULTILINE))
        checked = desk.rotator("check", "--json", **variables)
        assert checked.code == 0, checked
        assert checked.json()["ok"] is True
        sandbox.interrupt()
        assert sandbox.wait() == 0
    assert (tmp_path / "sandbox").stat().st_mode & 0o777 == 0o700

    nowhere = desk.rotator("sandbox", "--dir", "/dev/null/x")
    assert nowhere.code == 2
    assert "the sandbox can't be set up" in nowhere.stderr
