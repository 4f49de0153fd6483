"""The table as code and as a page: the same rows, the same rules, and every field of the journal explained."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import fields
from pathlib import Path

import rotator.rotation
from rotator.model import State
from rotator.rotation.rows import Row
from rotator.rotation.rules import SafetyRule

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "state-machine.md").read_text()
NUMBER = re.compile(r"\b\d+[abc]?\b")


def table(columns: int) -> list[list[str]]:
    """The cells of every line of the page's tables with so many columns whose second is a name in capitals."""
    lines = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("|")]
    return [cells for cells in lines if len(cells) == columns and re.fullmatch(r"`[A-Z_]+`", cells[1])]


def test_the_page_has_every_row_in_order_and_word_for_word() -> None:
    assert table(3) == [[row.value, f"`{row.name}`", row.sentence] for row in Row]


def test_the_page_has_every_rule_and_the_rows_that_keep_it() -> None:
    stated = table(4)
    assert [cells[:3] for cells in stated] == [[rule.value, f"`{rule.name}`", rule.sentence] for rule in SafetyRule]
    for rule, cells in zip(SafetyRule, stated, strict=True):
        assert set(NUMBER.findall(cells[3])) == {row.value for row in Row if rule in row.rules}
        assert cells[3].strip(), f"nothing keeps rule {rule}"


def test_the_page_explains_every_field_of_the_journal_in_order() -> None:
    journal = PAGE.partition("## The journal of a credential")[2].partition("\n## ")[0]
    explained = re.findall(r"^\| `(\w+)` \| \S", journal, re.MULTILINE)
    assert explained == [field.name for field in fields(State)]


def test_every_row_is_one_that_some_step_names() -> None:
    room = Path(rotator.rotation.__file__).parent
    trees = [ast.parse(path.read_text()) for path in room.glob("*.py") if path.stem not in {"rows", "narrate"}]
    named = {
        node.attr
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Row"
    }
    assert named == set(Row.__members__)


def test_what_leaves_the_process_is_the_number() -> None:
    assert json.dumps({"row": Row.BEGIN}) == '{"row": "13a"}'
    assert f"{Row.ROLL_FORWARD}" == "42"
