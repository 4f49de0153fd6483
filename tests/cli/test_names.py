"""A name that no credential has: one answer of every command, before anything is asked, made or written."""

from __future__ import annotations

import pytest

from rotator.store.journal import Journal
from tests.cli.test_looking import IDLE
from tests.support.desk import NAME, Desk

pytestmark = pytest.mark.realtime

COMMANDS = (
    ("show",),
    ("plan",),
    ("policy",),
    ("rotate",),
    ("rotate", "--dry-run"),
    ("rotate", "--leaked"),
    ("resume",),
    ("resume", "--still-holds"),
    ("resume", "--cut", NAME),
    ("abandon",),
    ("undo",),
    ("pause",),
    ("unpause",),
    ("adopt",),
    ("adopt", "--unmanaged"),
    ("forget",),
)
STANDALONE = tuple((*command, "--standalone") for command in COMMANDS if command[0] not in {"show", "plan", "policy"})


def named(command: tuple[str, ...]) -> str:
    return " ".join(command)


@pytest.mark.parametrize("command", [*COMMANDS, *STANDALONE], ids=named)
def test_without_a_store_nothing_is_made(desk: Desk, command: tuple[str, ...]) -> None:
    told = desk.rotator(command[0], "prod-awz", *command[1:])
    assert (told.code, told.stdout) == (2, "")
    assert told.stderr.splitlines()[-2:] == [
        "rotator: there is no credential prod-awz.",
        f"  -> did you mean {NAME}? the config has: {NAME}.",
    ]
    assert not desk.data.exists()


def test_with_a_store_no_request_is_written(desk: Desk) -> None:
    desk.arrange({NAME: IDLE, "retired": IDLE})
    with desk.owner():
        for command in COMMANDS:
            told = desk.rotator(command[0], "nobody", *command[1:])
            assert (told.code, told.stdout) == (2, ""), command
            assert "there is no credential nobody." in told.stderr
            assert f"the config has: {NAME}; the journal alone has: retired." in told.stderr
        left = desk.rotator("rotate", "retired")
        assert left.code == 2
        assert "retired left the config; the journal still has it." in left.stderr
        assert "`rotator forget retired`" in left.stderr
    with Journal.open_read_only(desk.url) as reader:
        assert reader.open_requests() == ()
    assert desk.rotator("show", "retired").code == 0
