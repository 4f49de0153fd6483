"""No remedy leads back to the command that printed it: an operator who follows one gets further."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import rotator
from rotator.sandbox.stage import Stage
from tests.chaos.trial import QUICK
from tests.support.desk import Desk, patient

ROOT = Path(rotator.__file__).parent
LOOKING = {"check", "plan", "status", "show", "run", "health", "discover"}
"""What an operator types to learn what is wrong. A command that changes something may well be its own way on."""

EVERYWHERE = ("providers", "northflank", "http", "settings", "store", "audit", "host")
"""Rooms whose errors any command may print, these among them."""

PRINTS: dict[str, set[str]] = {
    **dict.fromkeys(EVERYWHERE, LOOKING),
    "rotation": {"status", "show", "plan"},
    "service": {"run"},
    **{f"cli/{name}.py": {name} for name in sorted(LOOKING - {"run"})},
    "cli/remedies.py": {"status", "show"},
}
NAMED = re.compile(r"`rotator ([a-z]+)")


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every string that is not a docstring or a description of the config, its f-string parts joined."""
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):  # a docstring
            skipped |= {id(inner) for inner in ast.walk(node.value)}
        if isinstance(node, ast.keyword) and node.arg in {"description", "help"}:
            skipped |= {id(inner) for inner in ast.walk(node.value)}
        if id(node) in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(inner) for inner in ast.walk(node)}
            yield node.lineno, "".join(str(p.value) for p in node.values if isinstance(p, ast.Constant))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def circles(source: str, prints: set[str]) -> list[tuple[int, str]]:
    """The texts that name one looking command alone, which may be the one that prints them."""
    found = []
    for line, text in texts(ast.parse(source)):
        named = set(NAMED.findall(text))
        if len(named) == 1 and named <= prints:
            found.append((line, text))
    return found


@pytest.mark.parametrize("place", PRINTS)
def test_no_text_names_only_the_command_that_prints_it(place: str) -> None:
    path = ROOT / place
    # What a cloud's rights are, `rotator policy` prints alone.
    sources = [path] if path.suffix else [file for file in sorted(path.rglob("*.py")) if "rights" not in file.name]
    assert sources
    found = [
        f"{source.relative_to(ROOT)}:{line}: {text}"
        for source in sources
        for line, text in circles(source.read_text(), PRINTS[place])
    ]
    assert found == []


def test_a_circle_would_be_found() -> None:
    text = 'raise E(f"{what} failed", remedy="`rotator check` shows it")'
    assert circles(text, {"check"})
    assert not circles(text, {"status"})
    assert not circles('x = "`rotator show NAME`, then `rotator resume NAME`"', {"show"})
    assert not circles('"""`rotator check` does it."""', {"check"})


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path, policy=QUICK, propagation=timedelta(0)) as stage:
        yield stage


@pytest.mark.realtime
def test_a_check_that_fails_says_what_to_do_next(stage: Stage) -> None:
    desk = Desk(stage.directory, patient(stage.config()), stage.environment)
    stage.aws.revoke()
    stage.token_file.write_text("wrong")
    checked = desk.rotator("check")
    assert checked.code == 1
    assert "`rotator check`" not in checked.stdout
    assert "Put a valid token where the connection's `token` says" in checked.stdout
    assert "Grant this policy: " in checked.stdout
