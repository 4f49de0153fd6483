"""What is said of a config that went wrong, as an operator reads it: what was found, where, and the right form.

`wrong.yaml` is the table: a part of the example, what was written in its place, and every line that comes of it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.config.fine import Problems

EXAMPLE = (Path(__file__).parents[2] / "config" / "rotator.example.yaml").read_text()
TABLE = yaml.safe_load((Path(__file__).parent / "wrong.yaml").read_text())
LINE = re.compile(r"@([+-]\d+)")
ALIKE = re.compile(r"[\^$]|\[[a-zA-Z0-9_^-]+-[a-zA-Z0-9_-]+\]|\{\d+,\d*\}|\(\?")
"""What a regular expression looks like."""


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["written"].strip())
def test_what_is_said_of_a_wrong_config(problems: Problems, row: dict[str, Any]) -> None:
    before, _, after = EXAMPLE.partition(row["instead_of"])
    assert after
    line = before.count("\n") + 1
    says = [LINE.sub(lambda offset: str(line + int(offset[1])), each) for each in row["says"]]
    assert problems(text=f"{before}{row['written']}{after}") == says


def test_no_message_shows_a_regular_expression_or_a_secret() -> None:
    said = [line for row in TABLE for line in row["says"]]
    assert len(said) > 100
    # Northflank's alphabet lists what it does not take, and an address to listen on has brackets.
    plain = [line.replace("| ~ $", "").replace("[::]", "") for line in said]
    assert [line for line in plain if ALIKE.search(line)] == []
    secrets = ("wJalr", "nf-0123456789", "Zx8Q", "abcdefghijklmnopqrstuvwxyz", "me:pw", "secret@db")
    assert [line for line in said for secret in secrets if secret in line] == []
