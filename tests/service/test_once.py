"""One pass, as a timer makes it: what is due is carried from mint to confirm, the waits are left to later passes."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from rotator.attention import HoldReason
from rotator.errors import ExitCode
from rotator.model import Phase
from rotator.sandbox.stage import CREDENTIAL
from rotator.sandbox.wire.rules import Canned, Reset
from rotator.service.once import run_once
from tests.support.clocks import Clock
from tests.support.fixtures import MakeRig, http, make_rig, prepare, rig
from tests.support.rig import Rig

__all__ = ("http", "make_rig", "prepare", "rig")  # the fixtures

HOURS = timedelta(hours=25)
OTHER = {"name": "other", "user": "other", "integrations": ["other"], "current_key": None}


class Stop(threading.Event):
    """Who waits for it lets the test's time pass, and none of ours."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.advance(timedelta(seconds=timeout or 0))
        return self.is_set()


def once(rig: Rig, *names: str, stop: threading.Event | None = None) -> ExitCode:
    """A process of its own: what it knew ends with it."""
    code = run_once(
        rig.fleet,
        rig.journal,
        rig.engine,
        clock=rig.clock,
        stop=stop or Stop(rig.clock),
        workers=8,
        names=names or None,
    )
    rig.check_promises()
    rig.restart()
    return code


class TestAPass:
    def test_with_nothing_due_makes_first_contact_and_no_change(self, rig: Rig) -> None:
        assert once(rig) is ExitCode.FINE
        assert rig.state.current == rig.first_key
        assert rig.pushes() == rig.asked("CreateAccessKey") == 0

    def test_carries_what_is_due_to_its_confirm(self, rig: Rig) -> None:
        rig.adopt()
        rig.wait(timedelta(days=30))
        assert once(rig) is ExitCode.FINE
        assert rig.state.phase is Phase.GRACE
        assert rig.held() != rig.first_key
        assert rig.listed() == {rig.first_key: True, rig.held(): True}

    def test_leaves_grace_and_quarantine_to_later_ones(self, rig: Rig) -> None:
        rig.adopt()
        rig.wait(timedelta(days=30))
        seen = []
        for _ in range(3):
            assert once(rig) is ExitCode.FINE
            seen.append((rig.state.phase, rig.listed().get(rig.first_key)))
            rig.wait(HOURS)
        assert seen == [(Phase.GRACE, True), (Phase.QUARANTINE, False), (Phase.IDLE, None)]
        assert rig.listed() == {rig.held(): True}
        assert rig.asked("CreateAccessKey") == 1

    def test_waits_for_a_slow_key_and_for_settle(self, make_rig: MakeRig) -> None:
        rig = make_rig({"proving": {"every": "1m"}})
        rig.aws.propagation = timedelta(minutes=9)
        rig.spoil(Reset(when="after"), northflank="POST")
        rig.begin()
        assert once(rig) is ExitCode.FINE
        assert rig.state.phase is Phase.GRACE
        assert rig.asked("CreateAccessKey") == 1

    def test_answers_what_people_asked(self, rig: Rig) -> None:
        rig.adopt()
        asked = rig.submit("rotate", now=True)
        assert once(rig) is ExitCode.FINE
        answered = rig.journal.reader.request(asked.request_id)
        assert answered is not None
        assert answered.accepted
        assert rig.state.phase is Phase.GRACE

    def test_with_the_window_closed_leaves_what_is_due(self, make_rig: MakeRig) -> None:
        rig = make_rig({"window": "Tue 09:00-17:00 UTC", "every": "60d", "max_age": "120d"})
        rig.adopt()
        assert rig.ask("rotate").accepted
        assert once(rig) is ExitCode.FINE
        assert rig.asked("CreateAccessKey") == 0


class TestItsExitCode:
    def test_tells_of_a_hold(self, rig: Rig) -> None:
        rig.aws.denied.add("iam:CreateAccessKey")
        rig.begin()
        assert once(rig) is ExitCode.HELD
        assert once(rig) is ExitCode.HELD
        assert rig.state.hold is not None
        assert rig.state.hold.reason is HoldReason.MINT_REFUSED

    def test_tells_that_a_key_is_overdue(self, rig: Rig) -> None:
        rig.adopt()
        assert rig.ask("pause").accepted
        rig.wait(timedelta(days=89))
        assert once(rig) is ExitCode.FINE
        rig.wait(timedelta(days=2))
        assert once(rig) is ExitCode.HELD

    def test_tells_that_first_contact_is_not_made(self, make_rig: MakeRig) -> None:
        rig = make_rig(credentials=[{"current_key": None}])
        assert once(rig) is ExitCode.HELD

    def test_tells_that_an_account_can_not_be_read(self, rig: Rig) -> None:
        rig.aws.denied.add("iam:ListAccessKeys")
        assert once(rig) is ExitCode.HELD
        assert rig.state.phase is Phase.NEW

    def test_tells_that_a_push_could_not_be_brought_to_an_end(self, rig: Rig) -> None:
        """Northflank is down: the material is lost with the process, and a later pass clears up behind it."""
        rig.spoil(Canned(status=502, body="<html>"), northflank="POST", times=None)
        rig.begin()
        candidate = rig.to(Phase.PROVING).candidate
        assert once(rig) is ExitCode.HELD
        assert rig.listed()[candidate or ""]
        rig.heal()
        rig.wait(timedelta(hours=1))
        assert once(rig) is ExitCode.FINE
        assert candidate not in rig.listed()
        assert rig.listed() == {rig.first_key: True, rig.held(): True}

    @pytest.mark.parametrize("names", [(), (CREDENTIAL,)])
    def test_is_that_of_the_credentials_named(self, make_rig: MakeRig, names: tuple[str, ...]) -> None:
        rig = make_rig(credentials=[{}, OTHER])
        self.add_other(rig)
        assert once(rig, *names) is (ExitCode.FINE if names else ExitCode.HELD)
        assert rig.state.current == rig.first_key

    def test_of_one_in_trouble_does_not_keep_the_others_from_their_way(self, make_rig: MakeRig) -> None:
        rig = make_rig(credentials=[{}, OTHER])
        self.add_other(rig)
        rig.aws.delete_user("other")
        rig.users.remove("other")
        rig.account.remove("other")
        rig.adopt()
        rig.wait(timedelta(days=30))
        assert once(rig) is ExitCode.HELD
        assert rig.state.phase is Phase.GRACE
        assert rig.state_of("other").unread

    def add_other(self, rig: Rig) -> None:
        rig.add_user("other")
        rig.put("other", description=None, credentials=rig.aws.create_key("other").reveal())


class TestAStop:
    def test_before_it_began_changes_nothing(self, rig: Rig) -> None:
        rig.begin()
        stop = Stop(rig.clock)
        stop.set()
        rig.engine.drain()
        once(rig, stop=stop)
        assert rig.asked("CreateAccessKey") == 0

    def test_in_the_middle_begins_no_new_change(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.PROVING)
        stop = Stop(rig.clock)
        stop.set()
        rig.engine.drain()
        assert once(rig, stop=stop) is ExitCode.HELD
        assert rig.pushes() == 0
        rig.finish()
        assert rig.listed() == {rig.held(): True}
