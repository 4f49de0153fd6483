"""docs/commands.md: the fields of each command's JSON, and the exit codes, are those that it names."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from rotator.errors import ExitCode
from rotator.sandbox.stage import CREDENTIAL, Stage
from tests.chaos.trial import QUICK
from tests.support.desk import Desk, patient

PAGE = (Path(__file__).parents[2] / "docs/commands.md").read_text()
NAMES = re.compile(r"`([a-z][a-z_.\[\]]*)`")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Before a store with a finished first contact, and a rotation that has come to its grace."""
    policy = {**QUICK, "grace": "5m", "max_grace": "10m"}
    with Stage(tmp_path_factory.mktemp("page"), policy=policy, propagation=timedelta(0)) as stage:
        desk = Desk(stage.directory, patient(stage.config()), stage.environment)
        assert desk.rotator("run", "--once").code == 0
        assert desk.rotator("rotate", CREDENTIAL, "--standalone").code == 0
        forget_to_reload(desk)
        yield desk


def forget_to_reload(desk: Desk) -> None:
    """The config has had another credential for a day, and no service has taken it up: an alarm."""
    config = yaml.safe_load(desk.config_file.read_text())
    [first] = config["credentials"]
    config["credentials"].append({**first, "name": "second", "user": "second", "integrations": ["second"]})
    desk.config_file.write_text(json.dumps(config))
    os.utime(desk.config_file, (1, 1))


def documented(command: str) -> set[str]:
    """The fields that the page gives for a command, with the names within a field behind it."""
    table = re.search(rf"^`?{command}\b.*\n\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert table is not None, command
    named: set[str] = set()
    for row in table[1].splitlines()[2:]:
        fields, meaning = row.strip("|").split("|", 1)
        for field in NAMES.findall(fields):
            within = NAMES.findall(re.sub(r"\([^)]*\)", "", meaning)) if field.endswith("[]") else []
            named |= {f"{field}.{name}" for name in within} or {field}
    return named


def shown(document: object, path: str = "") -> Iterator[str]:
    """The fields of a document, as the page writes them, one level into each list."""
    match document:
        case dict() if document:
            for name, value in document.items():
                yield from shown(value, f"{path}.{name}".lstrip("."))
        case [dict() as first, *_]:
            yield from shown(first, f"{path}[]")
        case _:
            yield path


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("plan",),
        ("check",),
        ("discover",),
        ("policy", CREDENTIAL),
        ("audit", "verify"),
        ("pause", CREDENTIAL, "--standalone"),
        ("store", "backup", "."),
    ],
    ids=lambda arguments: arguments[0],
)
def test_the_fields_are_those_of_the_page(
    desk: Desk, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk.directory)
    page = {"audit": "audit verify", "pause": "Requests", "store": "store backup"}.get(arguments[0], arguments[0])
    document = desk.rotator(*arguments, "--json").json()
    assert set(shown(document)) == documented(page)


def test_show_has_the_fields_of_status_and_its_own(desk: Desk) -> None:
    document = desk.rotator("show", CREDENTIAL, "--json").json()
    del document["timeline"]  # docs/audit.md has its fields
    of_status = {field.removeprefix("credentials[].") for field in documented("status") if "credentials" in field}
    assert set(shown(document)) == of_status | {field for field in documented("show") if field != "timeline[]"}
    assert set(desk.rotator("show", "nobody", "--json").json()) == documented("Errors")


def test_the_exit_codes_are_those_of_the_page() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    assert codes == {*ExitCode, 130}


def test_the_list_of_commands_is_cut_nowhere(desk: Desk) -> None:
    told = desk.rotator("--help", COLUMNS="80").stdout
    listed = told.partition("Commands:")[2].split("Exit codes:")[0]
    sentences = [line.strip() for line in listed.splitlines() if line.strip()]
    assert len(sentences) == 23
    assert [line for line in sentences if not line.endswith(".") or line.endswith("..")] == []
