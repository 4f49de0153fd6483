"""A line that silences ruff or mypy says why."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("rotator", "tests", "bench", "docs")
SILENCED = re.compile(r"# (?:noqa|type: ignore)\b(?:: ?[A-Z]+\d+(?:, [A-Z]+\d+)*|\[[a-z-]+\])?")
REASON = re.compile(r"\s+# \S")


def unexplained(line: str) -> bool:
    """Whether a line silences a rule and gives no reason after it."""
    *_, rest = SILENCED.split(line)
    return rest != line and not REASON.match(rest)


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("import x  # noqa", True),
        ("import x  # noqa: F401", True),
        ("x = y  # type: ignore[misc]", True),
        ("x = y  # type: ignore[misc]  # noqa: F401", True),
        ("import x  # noqa: F401, PLC0415  # an extra's", False),
        ("x = y  # type: ignore[misc]  # mypy can't infer it", False),
        ("x = y", False),
    ],
)
def test_the_search_finds_them(line: str, is_one: bool) -> None:
    assert unexplained(line) == is_one


def test_every_line_that_silences_a_rule_gives_a_reason() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if unexplained(line)
    ]
    assert found == []
