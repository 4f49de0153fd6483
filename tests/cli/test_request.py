"""Commands that ask the store's owner: the request, the answer, and what is said when there is none."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from typer.testing import CliRunner

from rotator.attention import Hold, HoldReason
from rotator.audit.event import Event, EventName
from rotator.cli.app import app
from rotator.model import Phase, Rotation, State
from rotator.rotation.commands import Kind
from rotator.store.journal import Journal
from rotator.store.requests import Answered, Request
from tests.cli.test_looking import HELD, IDLE, NOW
from tests.support.desk import NAME, Desk

pytestmark = pytest.mark.realtime


@contextmanager
def answering(journal: Journal, *, accepted: bool) -> Iterator[list[Request]]:
    """The owner answers each request in the same way; gives those that it was asked."""
    asked: list[Request] = []
    stop = threading.Event()

    def answer() -> None:
        while not stop.wait(0.05):
            for row in journal.open_requests():
                asked.append(row)
                journal.answer(Answered(request_id=row.request_id, accepted=accepted, text="so be it"), events=[])

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield asked
    finally:
        stop.set()
        thread.join()


def open_requests(desk: Desk) -> int:
    with Journal.open_read_only(desk.url) as reader:
        return len(reader.open_requests())


def test_without_an_owner_nothing_is_asked_and_the_command_says_what_to_do(desk: Desk) -> None:
    desk.arrange({NAME: IDLE})
    done = desk.rotator("rotate", NAME)
    assert (done.code, done.stdout) == (1, "")
    assert "no rotator runs on this store" in done.stderr
    assert "`rotator run`" in done.stderr
    assert open_requests(desk) == 0


def test_each_request_has_the_options_of_all_and_only_a_rotation_can_be_followed() -> None:
    common = {"--config", "--standalone", "--why", "--as", "--json", "--help"}
    for kind in (*Kind, "forget", "freeze", "unfreeze"):
        shown = CliRunner().invoke(app, [str(kind), "--help"]).stdout
        options = set(re.findall(r"^  (--[a-z]+)", shown, re.MULTILINE))
        assert common <= options, kind
        assert ("--wait" in options) == (kind in {Kind.ROTATE, Kind.RESUME}), kind


def test_each_command_asks_for_what_it_was_told(desk: Desk) -> None:
    desk.arrange({NAME: HELD, "gone": IDLE})
    with desk.owner() as journal, answering(journal, accepted=True) as asked:
        commands = (
            (["rotate", NAME, "AKIAX", "--leaked", "--why", "in a public repository", "--as", "ada"], ""),
            (["resume", NAME, "--cut", NAME], f"{NAME}\n"),
            (["resume", NAME, "--ours", "A", "--ours", "B", "--foreign", "C"], ""),
            (["adopt", NAME, "AKIAX", "--take-over", "--yes"], ""),
            (["forget", "gone"], "y\n"),
            (["freeze"], ""),
        )
        for arguments, typed in commands:
            done = desk.rotator(*arguments, typed=typed, SUDO_USER="bob")
            assert (done.code, done.stdout) == (0, "accepted: so be it\n")
    assert [(row.kind, row.credential) for row in asked] == [
        ("rotate", NAME),
        ("resume", NAME),
        ("resume", NAME),
        ("adopt", NAME),
        ("forget", "gone"),
        ("freeze", None),
    ]
    rotate, cut, doubt, adopt, *_ = asked
    assert rotate.arguments == {"key_id": "AKIAX", "now": False, "leaked": True}
    assert (rotate.why, rotate.claimed) == ("in a public repository", "ada, sudo by bob")
    assert cut.arguments["cut"] == NAME
    assert (doubt.arguments["ours"], doubt.arguments["foreign"]) == (["A", "B"], ["C"])
    assert adopt.arguments == {"key_id": "AKIAX", "take_over": True}


@pytest.mark.parametrize(
    ("arguments", "typed"),
    [
        (["resume", NAME, "--cut", NAME], "something-else\n"),
        (["forget", "gone"], "\n"),
        (["rotate", NAME, "AKIAX"], ""),
        (["rotate", NAME, "--wait", "--standalone"], ""),
    ],
)
def test_what_is_not_confirmed_or_makes_no_sense_is_not_asked(desk: Desk, arguments: list[str], typed: str) -> None:
    desk.arrange({NAME: IDLE})
    with desk.owner() as journal:
        done = desk.rotator(*arguments, typed=typed)
        assert not journal.open_requests()
    assert (done.code, done.stdout) == (2, "")
    assert "  -> " in done.stderr


def test_wait_tells_each_phase_as_it_happens_and_ends_with_the_rotation(desk: Desk) -> None:
    desk.arrange({NAME: IDLE})
    rotation = Rotation("01J", "asked for", NOW)

    def moves(journal: Journal, state: State, name: EventName, reason: str) -> None:
        told = Event(event=name, credential=NAME, phase=state.phase.value, reason=reason)
        journal.commit(NAME, state, events=[told], next_at=None)

    with desk.owner() as journal:
        moves(journal, State(phase=Phase.MINTING, rotation=rotation, paused=True), EventName.ROTATION_STARTED, "due")
        with answering(journal, accepted=True), desk.started("rotate", NAME, "--wait") as command:
            assert command.next_line(stderr=True) == "in the way: paused\n"
            moves(journal, State(phase=Phase.PROVING, rotation=rotation), EventName.ROTATION_PHASE, "a key")
            assert command.next_line(stderr=True).endswith("rotation.phase  proving: a key\n")
            moves(journal, IDLE, EventName.ROTATION_DONE, "the old keys are gone")
            assert command.next_line(stderr=True).endswith("rotation.done  the old keys are gone\n")
            assert command.wait() == 0

        hold = Hold(HoldReason.STILL_USED, "by ec2")
        rotation = Rotation("02J", "asked for", NOW)
        moves(journal, State(phase=Phase.GRACE, rotation=rotation), EventName.ROTATION_PHASE, "confirmed")
        with answering(journal, accepted=True), desk.started("rotate", NAME, "--wait", "--json") as command:
            assert command.next_line() == "{\n"
            moves(journal, State(phase=Phase.GRACE, hold=hold, rotation=rotation), EventName.ROTATION_HELD, "by ec2")
            assert command.next_line(stderr=True).endswith("rotation.held  by ec2\n")
            assert "rotator resume prod-aws --accept-use" in command.next_line(stderr=True)
            assert command.wait() == 4


@pytest.fixture
def ctrl_c_is_heard() -> Iterator[None]:
    """Tests that were started in the background ignore Ctrl-C, and so would the commands that they start."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_ctrl_c_while_waiting_leaves_the_rotation_alone_and_says_so(desk: Desk) -> None:
    desk.arrange({NAME: State(phase=Phase.GRACE, rotation=Rotation("01J", "asked for", NOW), paused=True)})
    with desk.owner() as journal, answering(journal, accepted=True):
        with desk.started("rotate", NAME, "--wait") as command:
            assert command.next_line(stderr=True) == "in the way: paused\n"
            command.interrupt()
            assert "the rotation goes on" in command.next_line(stderr=True)
            assert command.wait() == 130
        assert journal.load(NAME).phase is Phase.GRACE


def test_waiting_ends_when_the_owner_does(desk: Desk) -> None:
    desk.arrange({NAME: State(phase=Phase.GRACE, rotation=Rotation("01J", "asked for", NOW))})
    with ExitStack() as running:
        with desk.owner() as journal, answering(journal, accepted=True):
            command = running.enter_context(desk.started("rotate", NAME, "--wait"))
            assert command.next_line() == "accepted: so be it\n"
        assert "rotator has stopped" in command.next_line(stderr=True)
        assert command.wait() == 1
