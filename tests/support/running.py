"""rotator in this process, beside whatever stands in for the world, on a clock that a test moves."""

from __future__ import annotations

import json
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import datetime, timedelta
from types import EllipsisType
from typing import Any

import httpx

from rotator.attention import Hold, HoldReason
from rotator.audit.sinks import FileSink, Sink
from rotator.clock import new_id
from rotator.config.models import Config
from rotator.errors import StoreError
from rotator.model import Phase, State
from rotator.rotation.engine import Engine
from rotator.rotation.managed import Managed
from rotator.sandbox.stage import Stage
from rotator.sandbox.wire.faults import Faults
from rotator.sandbox.wire.rules import Delay, Rule
from rotator.service.fleet import Fleet, assemble, register
from rotator.service.people import serve_requests
from rotator.store.journal import Journal
from rotator.store.requests import Request, RequestWriter
from tests.support.clocks import Clock

Event = dict[str, Any]
About = str | None | EllipsisType
"""The credential that a request is about: `...` is the test's own, None is none of them."""

UID = 4711
_TICKS = 400


class Running(ABC):
    """rotator between entering its stage and the end of the test. What a test says of no credential is `name`'s.

    Args:
        stage: the world.
        clock: moves it, and rotator.
        http: the client that rotator uses.
        name: of the credential.

    Attributes:
        config: what rotator is started with.
        sinks: what audit records go to beside the audit file, from the next start on.
    """

    config: Config

    def __init__(self, stage: Stage, clock: Clock, http: httpx.Client, name: str) -> None:
        self.stage = stage
        self.clock = clock
        self.http = http
        self.name = name
        self.sinks: list[Sink] = []
        self._process: ExitStack | None = None

    @abstractmethod
    def check_promises(self) -> None:
        """What must be true at every moment."""

    # The process.

    def start(self) -> None:
        """What the daemon does at its start: the store, the config, an engine without any memory."""
        with ExitStack() as undo:
            self.fleet: Fleet = assemble(self.config, self.clock, self.http)
            sink = FileSink(self.stage.audit_file, required="file" in self.config.audit.require)
            undo.callback(sink.close)
            store = Journal.open(self.config.store.url, sinks=(sink, *self.sinks), clock=self.clock.now)
            self.journal = undo.enter_context(store)
            register(self.fleet, self.journal)
            self.engine = Engine(self.journal, self.clock, new_id=new_id, threads=4, in_hand=self.config.in_hand)
            undo.callback(self.engine.close)
            self._process = undo.pop_all()

    def stop(self) -> None:
        """End at once, as by `kill -9`: nothing is drained, journalled or waited for."""
        if self._process is not None:
            process, self._process = self._process, None
            process.close()

    def restart(self) -> None:
        self.stop()
        self.start()

    # Time.

    def tick(self, name: str | None = None) -> datetime:
        """One tick. Proves that every promise holds after it."""
        at = self.engine.tick(self.managed(name))
        self.check_promises()
        return at

    def run(self, until: Callable[[State], bool], name: str | None = None) -> State:
        """Tick, and let time pass to the next look, until the journal says so."""
        for _ in range(_TICKS):
            at = self.tick(name)
            state = self.state_of(name)
            if until(state):
                return state
            self.clock.advance(max(at - self.clock.now(), timedelta(milliseconds=1)))
        raise AssertionError(f"not reached after {_TICKS} ticks: {state}")

    def to(self, phase: Phase, name: str | None = None) -> State:
        """Run to a phase, unless it is there; a hold on the way is a failure."""
        if self.state_of(name).phase is not phase:
            self.run(lambda state: state.phase is phase or state.hold is not None, name)
        state = self.state_of(name)
        assert state.hold is None, state.hold
        return state

    def hold(self, reason: HoldReason, name: str | None = None) -> Hold:
        """Run until the rotation is held, for this reason."""
        state = self.run(lambda state: state.hold is not None, name)
        assert state.hold is not None
        assert state.hold.reason is reason, state.hold
        return state.hold

    def adopt(self) -> None:
        """First contact, by the config's `current_key`."""
        self.to(Phase.IDLE)

    def begin(self) -> None:
        """A person asks for a rotation, whatever the window."""
        self.adopt()
        assert self.ask("rotate", now=True).accepted

    def rotate(self) -> None:
        """A whole rotation."""
        self.begin()
        self.finish()

    def finish(self) -> State:
        """To the end of the rotation in flight; a hold on the way is a failure."""
        state = self.run(lambda state: state.hold is not None or _at_rest(state))
        assert state.hold is None, state.hold
        return state

    def wait(self, by: timedelta) -> None:
        """Let time pass without a tick."""
        self.clock.advance(by)

    # People.

    def ask(self, kind: str, *, credential: About = ..., **arguments: Any) -> Request:
        """Ask beside the owner, as a command does. Returns the row with its answer."""
        asked = self.submit(kind, credential=credential, **arguments)
        serve_requests(self.fleet, self.journal, self.engine, self.clock)
        self.check_promises()
        answered = self.journal.reader.request(asked.request_id)
        assert answered is not None
        assert answered.accepted is not None, "the request was not answered"
        return answered

    def submit(self, kind: str, *, credential: About = ..., **arguments: Any) -> Request:
        """Ask, and leave it unanswered."""
        return self.write(kind, arguments, credential=credential)

    def write(
        self, kind: str, arguments: Mapping[str, Any], *, credential: About = ..., why: str | None = None
    ) -> Request:
        """Write a request's row."""
        about = self.name if credential is ... else credential
        with RequestWriter.open(self.config.store.url, clock=self.clock.now, new_id=new_id) as writer:
            return writer.submit(kind, credential=about, arguments=arguments, uid=UID, claimed="ada", why=why)

    # Faults.

    @contextmanager
    def stalled_at(self, faults: Faults, **match: Any) -> Iterator[None]:
        """The next matching request waits, once it has arrived, until this block is left.

        Meanwhile rotator works in another thread, up to the end of the tick that made the call.

        Args:
            faults: whose requests.
            match: `method`, `path`, `action` of a rule.
        """
        before = len(faults.requests(**match))
        faults.put(Rule.model_validate({**match, "fault": Delay(seconds=None)}))
        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(self.run, lambda _: len(faults.requests(**match)) > before)
            faults.wait_for(before + 1, **match)
            try:
                yield
            finally:
                faults.release()
            working.result()

    def die_at(self, faults: Faults, **match: Any) -> None:
        """The process ends in the middle of this call: it is answered, and no journal has its outcome.

        Args:
            faults: whose requests.
            match: `method`, `path`, `action` of a rule.
        """
        with suppress(StoreError), self.stalled_at(faults, **match):
            self.break_store()
        self.mend_store()
        self.restart()

    def break_store(self) -> None:
        """The store takes no transition any more."""
        self._in_store("CREATE TRIGGER broken BEFORE UPDATE ON credential BEGIN SELECT RAISE(ABORT, 'broken'); END")

    def mend_store(self) -> None:
        self._in_store("DROP TRIGGER broken")

    def _in_store(self, statement: str) -> None:
        with closing(sqlite3.connect(self.stage.store_file)) as store, store:
            store.execute(statement)

    # What is to be seen, inside and outside.

    def managed(self, name: str | None = None) -> Managed:
        return self.fleet.managed[name or self.name]

    @property
    def state(self) -> State:
        return self.state_of()

    def state_of(self, name: str | None = None) -> State:
        return self.journal.load(name or self.name)

    def events(self, name: str | None = None, **fields: object) -> list[Event]:
        """The records of the audit file, of one event and with these fields if they are given."""
        self.journal.flush(required_only=False)
        records = [json.loads(line) for line in self.stage.audit_file.read_text().splitlines()]
        wanted = fields if name is None else {"event": name, **fields}
        return [record for record in records if all(record.get(key) == value for key, value in wanted.items())]


def _at_rest(state: State) -> bool:
    return state.phase is Phase.IDLE and state.asked is None and not state.to_delete
