"""Every page names what exists: paths of the repository, links to pages and their headings, and the rooms."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.test_layers import LAYERS

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    str(page.relative_to(ROOT))
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob(".github/**/*.md"))
    if page.name != "CHANGELOG.md"  # history may name what is gone
)
PATH = re.compile(
    r"(?<![\w/.~-])(?:rotator/[\w./*-]*(?:\.py|/)|(?:tests|docs|config|systemd|requirements|bench)/[\w./*-]*[\w*/])"
    r"(?![\w-])"
)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
STANDS_FOR = {"NAME": "aws", "NNNN": "0001"}
"""What a page writes in the place of a provider's name or a schema's number, and one that exists."""


def text_of(page: str) -> str:
    return (ROOT / page).read_text()


def exists(path: str) -> bool:
    for word, one in STANDS_FOR.items():
        path = path.replace(word, one)
    return any(ROOT.glob(path))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_each_path_that_a_page_names_exists(page: str) -> None:
    assert [path for path in PATH.findall(text_of(page)) if not exists(path)] == []


@pytest.mark.parametrize("page", PAGES)
def test_each_link_leads_to_a_page_and_its_heading(page: str) -> None:
    wrong = []
    for path, anchor in LINK.findall(text_of(page)):
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(f"{path}#{anchor}")
    assert wrong == []


def test_the_patterns_find_what_they_are_for() -> None:
    named = {path for page in PAGES for path in PATH.findall(text_of(page))}
    links = {link for page in PAGES for link in LINK.findall(text_of(page))}

    assert {"rotator/rotation/decide.py", "tests/clouds/", "rotator/providers/NAME/provider.py"} <= named
    assert ("recovery.md", "journal_behind") in links
    assert not exists("rotator/rotation/nothing.py")


def test_the_page_of_the_architecture_has_each_room_in_its_order() -> None:
    rows = re.findall(
        r"^\| ((?:`\w+`(?:, )?)+) \|", text_of("docs/architecture.md").partition("## The pure part")[0], re.MULTILINE
    )
    rooms = [set(re.findall(r"\w+", row)) for row in rows]

    assert rooms == [room - {"__main__"} for room in LAYERS]
