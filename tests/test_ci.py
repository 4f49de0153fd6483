"""What `.ci/run` says of second chances, and how it ends."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CI = Path(__file__).parents[1] / ".ci" / "run"
TOOLS = ("bash", "dirname", "id", "rm")
"""Beside Python, all that it finds: without apt-get it boots no machine and ends early."""

MAKE = """#!/bin/bash
# Stands in for make: test-chaos has two tests that fail as often as it is told.
[ "$1" = test-chaos ] || exit 0
echo "$*" >>runs
[ "$(wc -l <runs)" -le "$(<failures)" ] || exit 0
mkdir -p .pytest_cache/v/cache
echo '{"tests/a.py::test_it[x y]": true, "tests/b.py::test_b": true}' >.pytest_cache/v/cache/lastfailed
exit 2
"""


@pytest.mark.parametrize(("failures", "code", "runs"), [(0, 0, 1), (1, 0, 2), (2, 2, 2)])
def test_its_last_lines_name_what_needed_a_second_chance(tmp_path: Path, failures: int, code: int, runs: int) -> None:
    tools = tmp_path / "bin"
    (tmp_path / ".ci").mkdir()
    tools.mkdir()
    for name in (*TOOLS, "mkdir", "wc"):
        found = shutil.which(name)
        assert found is not None
        (tools / name).symlink_to(found)
    (tools / "python3").symlink_to(sys.executable)
    shutil.copy(CI, tmp_path / ".ci/run")
    (tools / "make").write_text(MAKE)
    (tools / "make").chmod(0o755)
    (tmp_path / "failures").write_text(str(failures))
    stale = tmp_path / ".pytest_cache/v/cache/lastfailed"
    stale.parent.mkdir(parents=True)
    stale.write_text('{"tests/old.py::test_of_another_run": true}')

    done = subprocess.run(  # noqa: S603  # our own program
        [tools / "bash", ".ci/run"], cwd=tmp_path, env={"PATH": str(tools)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done
    assert (tmp_path / "runs").read_text().splitlines() == ["test-chaos", "test-chaos ARGS=--last-failed"][:runs]
    lines = done.stdout.splitlines()
    if failures:
        assert lines[-2:] == [
            "needed a second chance: tests/a.py::test_it[x y]",
            "needed a second chance: tests/b.py::test_b",
        ]
        assert "second chance" not in lines[-3]
    else:
        assert lines[-1] == "no test needed a second chance"
        assert done.stdout.count("second chance") == 1
    assert ("not root on a Debian" in done.stdout) is (code == 0)
