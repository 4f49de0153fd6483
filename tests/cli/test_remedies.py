"""Each hold has a way out: a sentence where it is seen, and a section of the guide."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from rotator.attention import Hold, HoldReason
from rotator.cli.app import app
from rotator.cli.remedies import GUIDE, REMEDIES, remedy
from rotator.model import State

ROOT = Path(__file__).parents[2]
SPAN = re.compile(r"`(rotator [^`]*)`")
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
LINE = re.compile(r"^(rotator [^#\n]*)", re.MULTILINE)
PAGES = (GUIDE, "README.md", "docs/audit.md", "docs/state-machine.md")


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("reason", HoldReason)
def test_each_hold_has_a_remedy_and_a_section(reason: HoldReason) -> None:
    said = remedy(Hold(reason, "detail"), "prod-aws", State())
    assert "`rotator " in said
    assert not re.search(r"NAME|OLD|CURRENT|CANDIDATE", said)
    page, _, anchor = said.rpartition("See ")[2].partition("#")
    assert (page, anchor) == (GUIDE, reason.value)
    assert anchor in anchors(GUIDE)


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        (HoldReason.STILL_USED, "move what uses old key AKIAOLD to key AKIANOW"),
        (HoldReason.NOT_TAKEN_UP, "a use of key AKIANOW"),
        (HoldReason.UNDONE, "old key AKIAOLD stays enabled"),
        (HoldReason.CURRENT_DISABLED, "who disabled key AKIANOW"),
        (HoldReason.DEPENDENTS_DEGRADED, "key AKIANOW still works"),
        (HoldReason.STAMP_LOST, "the stamp of key AKIANEW"),
    ],
)
def test_a_remedy_names_the_keys_that_it_is_about(reason: HoldReason, says: str) -> None:
    state = State(current="AKIANOW", candidate="AKIANEW", to_revoke=("AKIAOLD",))
    assert says in remedy(Hold(reason, "detail"), "prod-aws", state)


def test_the_guide_has_what_isnt_a_hold_too() -> None:
    wanted = {"a-key-leaked", "undo", "a-lost-journal", "a-restored-backup", "the-northflank-token-expired"}
    assert wanted <= anchors(GUIDE)


def section(page: str, anchor: str) -> str:
    """What stands under a heading of the third level."""
    return (ROOT / page).read_text().partition(f"\n### {anchor}\n")[2].partition("\n### ")[0]


def test_where_no_mark_shows_who_made_a_key_the_guide_has_the_clouds_audit_log_and_what_follows() -> None:
    said = section(GUIDE, HoldReason.UNATTRIBUTED.value)
    for words in (
        "aws cloudtrail lookup-events --region us-east-1",
        "AttributeValue=CreateAccessKey",
        "gcloud logging read",
        "google.iam.admin.v1.CreateServiceAccountKey",
        "rotator resume NAME --ours KEY",
        "rotator resume NAME --foreign KEY",
    ):
        assert words in said
    for page in ("docs/providers/aws.md", "docs/providers/gcp.md"):
        assert "recovery.md#unattributed" in (ROOT / page).read_text(), page


def said_in(path: Path) -> Iterator[str]:
    """Every text of a module that isn't a docstring: a statement of its own."""
    tree = ast.parse(path.read_text())
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


@pytest.mark.parametrize("room", ["http", "northflank", "providers", "service", "settings", "store"])
def test_what_check_prints_does_not_send_to_check(room: str) -> None:
    """All that these rooms say may be a line of `rotator check`; settings describe the config."""
    modules = [module for module in (ROOT / "rotator" / room).rglob("*.py") if module.name != "settings.py"]
    assert modules
    assert [text for module in modules for text in said_in(module) if "`rotator check`" in text] == []


@pytest.mark.parametrize("reason", HoldReason)
def test_no_hold_sends_back_to_the_command_that_shows_it(reason: HoldReason) -> None:
    hold = Hold(reason, "detail")
    assert "`rotator status`" not in remedy(hold, "prod-aws", State())
    assert "`rotator show" not in remedy(hold, "prod-aws", State(), below="show")


def test_every_command_that_people_are_told_to_type_can_be_parsed() -> None:
    pages = "".join((ROOT / page).read_text() for page in PAGES)
    told = [*SPAN.findall(pages + " ".join(REMEDIES.values())), *LINE.findall("".join(BLOCK.findall(pages)))]
    assert len(told) > 50
    for line in told:
        _, *words = line.partition(">>")[0].rstrip("& ").split()
        command: Any = get_command(app)  # typer has no public name for a group
        while hasattr(command, "commands"):
            name, *words = words
            command = command.commands[name].make_context(name, words).command  # a command loads itself when called
