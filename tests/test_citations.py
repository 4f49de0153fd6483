"""Nothing cites a row, a rule or a section that this repository doesn't define."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from rotator.rotation.rows import Row
from rotator.rotation.rules import SafetyRule

ROOT = Path(__file__).parents[1]
ROOMS = ("rotator", "tests", "docs", "bench", "config")
KINDS = {".py", ".md", ".yaml", ".toml"}

LIST = r"(\d+[a-z]?(?:(?:\s*[-–]\s*|,?\s+and\s+|,?\s+or\s+|,\s*)\d+[a-z]?)*)\b"
CITED = re.compile(rf"\b(row|rule)s?\s+{LIST}", re.IGNORECASE)
ITEM = re.compile(r"(\d+)([a-z]?)(?:\s*[-–]\s*(\d+)[a-z]?)?")
ELSEWHERE = re.compile(r"\bDESIGN\b|\bSTATE_MACHINE\b|\b(?:FACTS|TESTING)(?:\.md)?\b|(?<!RFC )\bsections? \d+|§ ?\d")
"""Pages that aren't in the repository, and sections by number: no page here numbers its sections."""
LINK = re.compile(r"\]\(([^)\s]+)\)")
DEFINED = {"row": {row.value for row in Row}, "rule": {rule.value for rule in SafetyRule}}


def undefined(text: str) -> list[str]:
    """The citations in a text that lead nowhere."""
    wrong = [found[0] for found in ELSEWHERE.finditer(re.sub(r"(RFC \d+),? section", "RFC section", text))]
    for found in CITED.finditer(text):
        kind = found[1].lower()
        wrong += [f"{kind} {number}" for number in _numbers(found[2]) if number not in DEFINED[kind]]
    return wrong


def _numbers(cited: str) -> Iterator[str]:
    for first, suffix, last in ITEM.findall(cited):
        yield from map(str, range(int(first), int(last) + 1)) if last else (first + suffix,)


def texts() -> Iterator[tuple[str, str]]:
    """Every file that may cite, and its text. This one holds examples of what is wrong."""
    files = chain(*((ROOT / room).rglob("*") for room in ROOMS), ROOT.glob("*.md"), ROOT.glob("*.toml"))
    for path in sorted(files):
        ours = path != Path(__file__) and "node_modules" not in path.parts
        if ours and path.suffix in KINDS and path.is_file():
            yield str(path.relative_to(ROOT)), path.read_text()


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_row_rule_and_section_that_is_cited_is_defined() -> None:
    assert [f"{name}: {citation}" for name, text in texts() for citation in undefined(text)] == []


def test_every_link_to_a_page_or_a_section_leads_there() -> None:
    wrong = []
    for name, text in texts():
        for target in LINK.findall(text) if name.endswith(".md") else ():
            file, _, anchor = target.partition("#")
            page = (ROOT / name).parent / file if file else ROOT / name
            if "://" in target or target.startswith("mailto:"):
                continue
            if not page.exists() or (anchor and anchor not in anchors(page)):
                wrong.append(f"{name}: {target}")
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("as row 74 says", ["row 74"]),
        ("row 5, 13d and 80", ["row 13d", "row 80"]),
        ("Rows 58-62", ["row 61", "row 62"]),
        ("rows 13a, 13b or 42; rule 13", []),
        ("rule 13, rules 34-35", ["rule 34", "rule 35"]),
        ("as DESIGN 5 has it", ["DESIGN"]),
        ("see section 9", ["section 9"]),
        ("RFC 9110, section 15.5", []),
    ],
)
def test_a_citation_that_leads_nowhere_is_found(text: str, wrong: list[str]) -> None:
    assert undefined(text) == wrong
