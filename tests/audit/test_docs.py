"""docs/audit.md is true: its vocabulary is complete, and its recipes work."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from rotator.audit.chain import FIELDS
from rotator.audit.event import EventName, Result
from tests.audit.lines import RECORDS, WHOLE, upto

PAGE = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()


def recipe(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def run(directory: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=directory, check=False, capture_output=True, text=True)  # noqa: S603  # the docs' own


def test_every_event_field_and_outcome_is_documented_and_no_other() -> None:
    first_cells = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    named = {name for cell in first_cells for name in re.findall(r"`(.+?)`", cell)}

    assert named == {*EventName, *FIELDS, "hash"}
    assert all(f"`{outcome}`" in PAGE for outcome in Result)


def test_the_shell_recipe_gives_the_first_hash(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").write_bytes(WHOLE)
    assert run(tmp_path, "/bin/sh", "-c", recipe("sh")).stdout.split()[0] == RECORDS[0].hash


def test_the_python_recipe_accepts_a_whole_chain_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "recipe.py").write_text(recipe("python"))
    (tmp_path / "whole").write_bytes(WHOLE)
    (tmp_path / "part").write_bytes(WHOLE.removeprefix(upto(2)))
    (tmp_path / "changed").write_bytes(WHOLE.replace(b"number 3", b"number 9"))
    (tmp_path / "shortened").write_bytes(upto(2) + WHOLE.removeprefix(upto(3)))
    said = {
        name: run(tmp_path, sys.executable, "recipe.py", name) for name in ("whole", "part", "changed", "shortened")
    }

    assert said["whole"].stdout == f"begins store:7f3a91c2\nends with record 6 {RECORDS[5].hash}\n"
    assert said["part"].stdout == f"ends with record 6 {RECORDS[5].hash}\n"
    assert "line 3 was changed" in said["changed"].stderr
    assert "line 3 doesn't follow" in said["shortened"].stderr
