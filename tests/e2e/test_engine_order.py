"""The order of a change, seen from where it leaves marks: the store, the sinks, the lock, and the stand-ins.

Intent in the store, intent in the required sinks, ownership proved, the call, its outcome: nothing may change places,
and nothing may come between the proof and the call. `Witness` is a required sink that acts at the moment it is given an
intent: the engine can't send anything before the sink returns.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from rotator.audit.chain import Record
from rotator.audit.sinks import Find, Resumed
from rotator.clock import Clock, new_id
from rotator.errors import AuditError, StaleFence
from rotator.model import Call, Change, Phase
from rotator.rotation.engine import Engine
from rotator.sandbox.wire.rules import Delay
from rotator.store.journal import Journal
from tests.support.fixtures import MakeRig
from tests.support.patience import patience
from tests.support.rig import Rig

pytestmark = pytest.mark.realtime

CHANGES = {
    "key.create": (Change.CREATE, "CreateAccessKey"),
    "integration.push": (Change.PUSH, None),
    "key.disable": (Change.DISABLE, "UpdateAccessKey"),
    "key.enable": (Change.ENABLE, "UpdateAccessKey"),
    "key.delete": (Change.DELETE, "DeleteAccessKey"),
}
"""The audit log's name of each change: what the journal calls it, and AWS's action (None: a push)."""

ROTATION = ("key.create", "integration.push", "key.disable", "key.delete")
"""The changes of one rotation."""

MOMENTS = 24
"""Enough for one at each look of a rotation (it has 18) and at the request; not for two."""

Act = Callable[[str], None]


def _nothing(event: str) -> None:
    del event


@dataclass
class Witness:
    """A required sink. `act` is called with the event of each intent, before the engine hears that it was taken."""

    name: str = "witness"
    required: bool = True
    act: Act = _nothing
    taken: list[str] = field(default_factory=list)

    def resume(self, cursor: int, find: Find) -> Resumed:
        del find
        return Resumed(cursor)

    def write(self, records: Sequence[Record]) -> None:
        for record in records:
            line = json.loads(record.line)
            if line.get("outcome") == "intent":
                self.act(line["event"])
                self.taken.append(line["event"])


class Interrupting:
    """A clock that lets something happen at the moment when a thread reads it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._reader: int | None = None
        self._act: Callable[[], None] | None = None

    def at_next_read_by(self, thread: int, act: Callable[[], None]) -> None:
        self._reader, self._act = thread, act

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        if threading.get_ident() == self._reader and self._act is not None:
            act, self._act = self._act, None
            act()
        return self._clock.monotonic()


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture
def rig(make_rig: MakeRig, witness: Witness) -> Rig:
    rig = make_rig()
    rig.sinks.append(witness)
    rig.restart()
    return rig


def changes(rig: Rig) -> int:
    """How many changes were sent, to both."""
    return sum(rig.asked(action) for action in {action for _, action in CHANGES.values()})


def open_call(rig: Rig) -> Call | None:
    """The intent without an outcome that another process sees in the store."""
    with Journal.open_read_only(rig.config.store.url) as reader:
        states = {row.name: row.state for row in reader.credentials()}
    return states[rig.name].call


def until_intended(rig: Rig, event: str) -> None:
    """Run until the rotation in flight has come to this change, an undo's included."""
    if event == "key.enable":
        rig.to(Phase.QUARANTINE)
        assert rig.ask("undo").accepted
    rig.run(lambda _: any(each["event"] == event for each in rig.events(outcome="intent")))


@contextmanager
def lock_moved_away(rig: Rig) -> Iterator[Callable[[], None]]:
    """Gives what makes this process lose the store; at the end it has it again."""
    lock = rig.stage.store_file.with_name(f"{rig.stage.store_file.name}.lock")
    away = lock.with_name("elsewhere")

    def lose() -> None:
        lock.rename(away)

    yield lose
    away.rename(lock)


class TestBeforeTheCall:
    def test_the_intent_is_in_the_store_before_a_sink_and_in_the_sink_before_anything_is_sent(
        self, rig: Rig, witness: Witness
    ) -> None:
        seen: list[tuple[str, Call | None, int]] = []
        witness.act = lambda event: seen.append((event, open_call(rig), changes(rig)))
        rig.begin()
        until_intended(rig, "key.enable")
        assert rig.ask("resume").accepted
        rig.finish()
        assert {event for event, _, _ in seen} == set(CHANGES)
        for number, (event, call, sent) in enumerate(seen):
            assert call is not None, f"{event} was in the sink before it was in the store"
            assert call.change is CHANGES[event][0]
            assert sent == number, f"{event} was sent before its intent was in the required sink"
        assert changes(rig) == len(seen)

    @pytest.mark.parametrize("event", CHANGES)
    def test_ownership_lost_while_the_sink_takes_the_intent_sends_nothing(
        self, rig: Rig, witness: Witness, event: str
    ) -> None:
        """So the proof of ownership comes after the flush, however long that takes."""
        rig.begin()
        with lock_moved_away(rig) as lose:
            sent: list[int] = []

            def lost(intended: str) -> None:
                if intended == event:
                    sent.append(changes(rig))
                    lose()

            witness.act = lost
            with pytest.raises(StaleFence, match="moved, replaced or deleted"):
                until_intended(rig, event)
            assert sent == [changes(rig)]
        witness.act = _nothing
        rig.restart()
        rig.tick()
        told = rig.events(event)[1]
        assert (told["outcome"], told["actor"]) == ("unknown", "recovery"), "no outcome is claimed by who owns nothing"

    def test_ownership_lost_before_the_call_gets_its_thread_sends_nothing(self, rig: Rig, witness: Witness) -> None:
        """So the proof is the call's own: nothing comes between the two, not even the wait for a free thread."""
        clock = Interrupting(rig.clock)
        rig.engine.close()
        rig.engine = Engine(rig.journal, clock, new_id=new_id, threads=1)
        rig.begin()
        ours = threading.get_ident()
        with lock_moved_away(rig) as lose:
            # The next thing that this thread does is a sign of life, right before it asks for the call's thread.
            witness.act = lambda _: clock.at_next_read_by(ours, lose)
            with pytest.raises(StaleFence, match="moved, replaced or deleted"):
                rig.tick()
        assert rig.asked("CreateAccessKey") == 0
        rig.engine.close()
        witness.act = _nothing
        rig.restart()
        rig.finish()
        assert rig.listed() == {rig.held(): True}

    @pytest.mark.parametrize("event", ROTATION)
    def test_a_required_sink_that_does_not_take_the_intent_stops_the_call(
        self, rig: Rig, witness: Witness, event: str
    ) -> None:
        rig.begin()
        sent: list[int] = []

        def refuse(intended: str) -> None:
            if intended == event and not sent:
                sent.append(changes(rig))
                raise AuditError("the disk is full")

        witness.act = refuse
        rig.run(lambda _: bool(sent))
        assert sent == [changes(rig)]
        [_, told] = rig.events(event)[:2]
        assert told["outcome"] == "not_applied"
        assert "the disk is full" in told["reason"]
        rig.finish()
        assert rig.listed() == {rig.held(): True}

    def test_a_mint_that_a_sink_kept_from_being_sent_is_none_that_came_to_nothing(
        self, make_rig: MakeRig, witness: Witness
    ) -> None:
        """Not in the last week before `max_age` either, when a cloud that fails counts."""
        rig = make_rig({"max_attempts": 2})
        rig.sinks.append(witness)
        rig.restart()
        rig.adopt()
        rig.wait(timedelta(days=85))
        refused: list[str] = []

        def refuse(intended: str) -> None:
            if intended == "key.create" and len(refused) < 10:
                refused.append(intended)
                raise AuditError("the disk is full")

        witness.act = refuse
        rig.finish()
        assert len(rig.events("key.create", outcome="intent")) > 3
        assert rig.asked("CreateAccessKey") == 1
        assert rig.listed() == {rig.held(): True}

    @pytest.mark.parametrize("event", ROTATION)
    def test_a_drain_that_begins_while_the_sink_takes_the_intent_stops_the_call(
        self, rig: Rig, witness: Witness, event: str
    ) -> None:
        rig.begin()
        sent: list[int] = []

        def stop(intended: str) -> None:
            if intended == event:
                sent.append(changes(rig))
                rig.engine.drain()

        witness.act = stop
        rig.run(lambda _: bool(sent))
        assert sent == [changes(rig)]
        assert rig.events(event)[-1]["outcome"] == "not_applied"
        witness.act = _nothing
        rig.restart()
        rig.finish()
        assert rig.listed() == {rig.held(): True}


class TestAfterTheCall:
    @pytest.mark.parametrize("event", ROTATION)
    def test_no_outcome_is_journalled_before_the_answer_is_there(self, rig: Rig, event: str) -> None:
        """The change is made, and its answer is on the way."""
        change, action = CHANGES[event]
        rig.begin()
        faults, match = (rig.faults, {"method": "POST"}) if action is None else (rig.aws.faults, {"action": action})
        rig.spoil(Delay(when="after", seconds=None), aws=action, northflank=None if action else "POST")
        with ThreadPoolExecutor(1) as thread:
            working = thread.submit(until_intended, rig, event)
            faults.wait_for(1, state="processed", timeout=patience(), **match)
            call = open_call(rig)
            told = [record["outcome"] for record in rig.events(event)]
            faults.release()
            working.result()
        assert call is not None
        assert call.change is change
        assert told == ["intent"]
        assert [record["outcome"] for record in rig.events(event)] == ["intent", "done"]
        assert open_call(rig) is None


class TestALook:
    def test_builds_its_moment_once(self, rig: Rig) -> None:
        """Each moment has an id for a rotation that may begin at it; so the ids count the moments."""
        moments: list[str] = []

        def counted() -> str:
            moments.append(new_id())
            return moments[-1]

        rig.adopt()
        rig.engine.close()
        rig.engine = Engine(rig.journal, rig.clock, new_id=counted, threads=4)
        assert rig.ask("rotate", now=True).accepted
        rig.finish()
        assert 10 < len(moments) <= MOMENTS, "a look, or a call's outcome, builds a second one"
        rig.engine.close()
