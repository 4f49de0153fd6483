"""Kill -9 of the real service at every journal write and every external call, before and after, and then a restart.

Which calls and writes there are is written down here, and the first test proves that it is all of them. A few points
are in the default run; `make test-chaos` runs every one.
"""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from _pytest.mark import ParameterSet

from rotator.sandbox.stage import INTEGRATION
from rotator.sandbox.wire.faults import Faults, RequestStage
from rotator.sandbox.wire.rules import Delay, Fault, Reset, Rule
from tests.chaos.die_at_write import AUDITED, PLAIN
from tests.chaos.process import RUN, Service
from tests.chaos.trial import CHANGES, Trial, trial
from tests.support.patience import deadlines, patience

pytestmark = pytest.mark.realtime

WRITES = {AUDITED: 17, PLAIN: 6}
"""Journal writes of a service that makes one rotation, from the making of the store to its orderly end. Of the plain
ones there are more: one after each delivery to the sinks.
"""

INTENTS = {**CHANGES, "push": "integration.push"}
ONE = f"/cloud-providers/integrations/{INTEGRATION}$"


@dataclass(frozen=True, slots=True)
class Kind:
    """Requests of one kind, and how many of them the same service makes."""

    name: str
    count: int
    method: Literal["GET", "POST"] = "POST"
    path: str = "^/$"
    action: str | None = None

    @property
    def intent(self) -> str | None:
        """The audit log's word for it, if it changes something."""
        return INTENTS.get(self.name)

    def faults(self, made: Trial) -> Faults:
        return made.aws if self.action else made.northflank


def aws(action: str, count: int) -> Kind:
    return Kind(action, count, action=action)


KINDS = (
    aws("ListAccessKeys", 9),
    aws("CreateAccessKey", 1),
    aws("GetCallerIdentity", 3),
    aws("GetAccessKeyLastUsed", 2),
    aws("UpdateAccessKey", 1),
    aws("DeleteAccessKey", 1),
    Kind("read", 7, "GET", ONE),
    Kind("push", 1, "POST", ONE),
)

Moment = Literal["lost", "late", "unanswered"]
"""The request is never processed; only while the next service is at work already; processed, but not answered."""

MOMENTS: dict[Moment, tuple[Fault, RequestStage]] = {
    "lost": (Reset(when="before", hold=None), "arrived"),
    "late": (Delay(when="before", seconds=None), "arrived"),
    "unanswered": (Delay(when="after", seconds=None), "processed"),
}


@dataclass(frozen=True, slots=True)
class AtCall:
    """The service dies while this request is under way."""

    kind: Kind
    number: int
    moment: Moment

    def __str__(self) -> str:
        return f"{self.kind.name}-{self.number}-{self.moment}"

    @contextmanager
    def killing(self, made: Trial) -> Iterator[Service]:
        fault, state = MOMENTS[self.moment]
        kind = self.kind
        rule = Rule(method=kind.method, path=kind.path, action=kind.action, skip=self.number - 1, fault=fault)
        faults = kind.faults(made)
        faults.put(rule)
        if self.moment == "late":
            made.configure(northflank=deadlines(4))  # to settle takes longer than to start the next service
        service = made.start()

        def kill() -> None:
            faults.wait_for(
                self.number,
                method=kind.method,
                path=kind.path,
                action=kind.action,
                state=state,
                timeout=patience(),
            )
            service.kill()
            if self.moment != "late":
                faults.release()

        killer = threading.Thread(target=kill)
        killer.start()
        yield service
        killer.join()
        if kind.intent:
            intent = made.audited()[-1]
            assert (intent["event"], intent["outcome"]) == (kind.intent, "intent"), "P5: it was told of before"

    def survived(self, made: Trial) -> None:
        """The next service is at work."""
        if self.moment == "late":
            self.kind.faults(made).release()


When = Literal["before", "after"]
WHEN: tuple[When, ...] = ("before", "after")


@dataclass(frozen=True, slots=True)
class AtWrite:
    """The service dies at this journal write, before or after it has become durable."""

    kind: str
    number: int
    when: When

    def __str__(self) -> str:
        return f"{self.kind}-{self.number}-{self.when}"

    @contextmanager
    def killing(self, made: Trial) -> Iterator[Service]:
        yield made.start_in("die_at_write.py", self.kind, str(self.number), self.when)

    def survived(self, made: Trial) -> None:
        """Nothing is under way."""


@dataclass(frozen=True, slots=True)
class AtSync:
    """A thread of the service dies as it is about to sync a file, for this number of times in that thread."""

    number: int

    def __str__(self) -> str:
        return f"sync-{self.number}"

    @contextmanager
    def killing(self, made: Trial) -> Iterator[Service]:
        fatal = f"inject=fsync,fdatasync:signal=KILL:when={self.number}"
        yield made.start(("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", fatal, *RUN))

    def survived(self, made: Trial) -> None:
        """Nothing is under way."""


Point = AtCall | AtWrite | AtSync

CALLS = [
    AtCall(kind, number, moment)
    for kind in KINDS
    for number in range(1, kind.count + 1)
    for moment in MOMENTS
    if kind.intent or moment != "late"
]
WRITTEN = [
    AtWrite(kind, number, when) for kind, count in WRITES.items() for number in range(1, count + 1) for when in WHEN
]
POINTS: tuple[Point, ...] = (*CALLS, *WRITTEN)
SAMPLE = {
    "CreateAccessKey-1-unanswered",
    "push-1-unanswered",
    "DeleteAccessKey-1-late",
    "audited-3-before",
}
"""In every run of the tests; the others are for `make test-chaos`."""


def point(at: Point) -> ParameterSet:
    return pytest.param(at, id=str(at), marks=() if str(at) in SAMPLE else pytest.mark.soak)


def die(made: Trial, at: Point) -> None:
    """Have a service run until it dies there."""
    with at.killing(made) as service:
        if made.follow(service):
            service.process.terminate()
        code = service.process.wait(patience())
    assert code == -9, f"it was to die at {at}"


def recover(made: Trial, at: Point) -> None:
    """Have the next service finish, and look at what is left."""
    service = made.start()
    service.wait_for("daemon.started")
    at.survived(made)
    made.follow(service)
    assert service.stop() == 0
    assert made.consumer.tally.calls
    made.check()


def test_these_are_all_the_points(tmp_path: Path) -> None:
    with trial(tmp_path) as made:
        made.configure(policy={"confirm_use": "never"})  # how often it looks for the new key's use is up to the machine
        service = made.start_in("die_at_write.py", AUDITED, "0", "")
        assert made.follow(service)
        assert service.stop() == 0
        made.check()
        seen = Counter(request.action for request in made.aws.requests())
        seen += Counter(
            kind.name
            for kind in KINDS
            if not kind.action
            for _ in made.northflank.requests(method=kind.method, path=kind.path)
        )
        assert seen == {kind.name: kind.count for kind in KINDS}
        assert seen.total() == len(made.aws.requests()) + len(made.northflank.requests())
        written = Counter(line.split()[0] for line in service.said.splitlines() if " writes: " in line)
        assert written[AUDITED] == WRITES[AUDITED], "WRITES is to say how many there are"
        assert written[PLAIN] >= WRITES[PLAIN]


@pytest.mark.parametrize("at", [point(at) for at in POINTS])
def test_a_kill_anywhere(tmp_path: Path, at: Point) -> None:
    with trial(tmp_path) as made:
        die(made, at)
        recover(made, at)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(first, AtWrite(AUDITED, number, when), id=f"{first}-{number}-{when}")
        for first in CALLS
        if first.kind.intent and first.moment != "lost"
        for number in (3, 4, 6, 8)
        for when in WHEN
    ],
)
def test_a_second_kill_during_recovery(tmp_path: Path, first: AtCall, second: AtWrite) -> None:
    with trial(tmp_path) as made:
        die(made, first)
        with second.killing(made) as service:
            service.wait_to_say("is running")
            first.survived(made)
            if made.follow(service):
                service.process.terminate()
            service.process.wait(patience())
        recover(made, second)


@pytest.mark.soak
@pytest.mark.skipif(
    shutil.which("strace") is None, reason="needs strace; the points between the syncs are covered without"
)
@pytest.mark.parametrize("number", range(1, 11))
def test_a_kill_at_a_sync(tmp_path: Path, number: int) -> None:
    with trial(tmp_path) as made:
        die(made, AtSync(number))
        recover(made, AtSync(number))
