"""rotator in this process, between stand-ins for AWS and Northflank, on a clock that a test moves.

Everything else is real: sockets, boto3, httpx, SQLite, the audit file. A rotation with production's waits takes as long
as its calls. Whatever a test is about, each tick also proves that no integration has lost its access and that no
foreign key was touched; at the end of each test the books are read (`books.check_books`).
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import httpx
import yaml
from pydantic import SecretStr

from rotator.audit.sinks import FileSink
from rotator.clock import new_id
from rotator.config.load import load
from rotator.config.models import Config
from rotator.errors import StoreError
from rotator.fleet import Fleet, assemble, register
from rotator.material import Material
from rotator.model import Hold, HoldReason, Origin, Phase, State
from rotator.people import serve_requests
from rotator.rotation.engine import Engine
from rotator.rotation.managed import Managed
from rotator.sandbox.aws_scene import USER
from rotator.sandbox.northflank_account import Integration, Token
from rotator.sandbox.rules import Delay, Fault, Rule
from rotator.sandbox.stage import CREDENTIAL, INTEGRATION, Stage
from rotator.store.journal import Journal
from rotator.store.requests import Request, RequestWriter
from tests.e2e.clock import Clock
from tests.e2e.settings import SLOW, Overlay, merged

Event = dict[str, Any]

ADMIN_FILE = "aws-credentials"
"""Where rotator's own AWS key is: AWS_SHARED_CREDENTIALS_FILE names it."""

UID = 4711
_TICKS = 400


@dataclass
class Rig:
    """One credential `prod-aws`, fed from one IAM user into one integration, unless `overlay` says more.

    Args:
        directory: private to the test.
        http: the client that rotator uses.
        overlay: merged into the stage's config; each of its `credentials` into the stage's only one.
        foreign: keys that a person made: nobody may touch them.
        locked_out: the test lets an integration lose its access on purpose.
        users: the IAM users that exist.
        forgetful: the test put an older store back.
        by_people: the changes that people made in AWS.
    """

    directory: Path
    http: httpx.Client
    overlay: Overlay = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    foreign: set[str] = field(default_factory=set)
    locked_out: bool = False
    users: list[str] = field(default_factory=lambda: [USER])
    forgetful: bool = False
    by_people: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.stage = Stage(self.directory, propagation=timedelta(0), clock=self.clock.world)
        self.aws, self.account, self.faults = self.stage.aws, self.stage.account, self.stage.faults
        self.aws.signing_clock = lambda: datetime.now(UTC)
        self.first_key = self.stage.first_key
        admin = self.aws.admin.reveal()
        (self.directory / ADMIN_FILE).write_text(
            f"[default]\naws_access_key_id={admin['accessKey']}\naws_secret_access_key={admin['secretKey']}\n"
        )
        self._stack = ExitStack()
        self._process: ExitStack | None = None

    def __enter__(self) -> Self:
        self._stack.enter_context(self.stage)
        self.configure({})
        return self

    def __exit__(self, *_: object) -> None:
        self.faults.release()
        self.aws.faults.release()
        self.stop()
        self._stack.close()

    # The process.

    def configure(self, overlay: Overlay) -> None:
        """Change the config file. A running rotator doesn't notice.

        Raises:
            ConfigError: it can't be used.
        """
        self.overlay = merged(self.overlay, overlay)
        settings = merged(yaml.safe_load(self.stage.config()), SLOW)
        [only] = settings["credentials"]
        credentials = [merged(only, over) for over in self.overlay.get("credentials", [{}])]
        whole = merged(settings, {**self.overlay, "credentials": credentials})
        self.stage.config_file.write_text(json.dumps(whole, indent=1))
        self.config: Config = load(self.stage.config_file, {})

    def start(self) -> None:
        """What the daemon does at its start: the store, the config, an engine without any memory."""
        with ExitStack() as undo:
            self.fleet: Fleet = assemble(self.config, self.clock, self.http)
            sink = FileSink(self.stage.audit_file, required="file" in self.config.audit.require)
            undo.callback(sink.close)
            store = Journal.open(self.config.store.url, sinks=(sink,), clock=self.clock.now)
            self.journal = undo.enter_context(store)
            register(self.fleet, self.journal)
            self.engine = Engine(self.journal, self.clock, new_id=new_id, threads=4)
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

    def backup(self) -> None:
        """Copy the store and the audit file aside."""
        self.stop()
        shutil.copytree(self.stage.store_file.parent, self.directory / "backup")
        self.start()

    def restore(self) -> None:
        """Put the backup back: what rotator did since then is in no book."""
        self.stop()
        shutil.rmtree(self.stage.store_file.parent)
        shutil.copytree(self.directory / "backup", self.stage.store_file.parent)
        self.forgetful = True
        self.start()

    def die_in(self, action: str | None) -> None:
        """The process ends in the middle of this change: it is made, and no journal has its outcome.

        Args:
            action: AWS's; None for a push.
        """
        with suppress(StoreError), self.stalled(action):
            self.break_store()
        self.mend_store()
        self.restart()

    # Time.

    def tick(self, name: str = CREDENTIAL) -> datetime:
        """One tick. Proves that nobody has lost access by it, and no foreign key was touched."""
        at = self.engine.tick(self.managed(name))
        self.check_promises()
        return at

    def run(self, until: Callable[[State], bool], name: str = CREDENTIAL) -> State:
        """Tick, and let time pass to the next look, until the journal says so."""
        for _ in range(_TICKS):
            at = self.tick(name)
            state = self.state_of(name)
            if until(state):
                return state
            self.clock.advance(max(at - self.clock.now(), timedelta(milliseconds=1)))
        raise AssertionError(f"not reached after {_TICKS} ticks: {state}")

    def to(self, phase: Phase, name: str = CREDENTIAL) -> State:
        """Run to a phase, unless it is there; a hold on the way is a failure."""
        if self.state_of(name).phase is not phase:
            self.run(lambda state: state.phase is phase or state.hold is not None, name)
        state = self.state_of(name)
        assert state.hold is None, state.hold
        return state

    def hold(self, reason: HoldReason, name: str = CREDENTIAL) -> Hold:
        """Run until the rotation is held, for this reason."""
        state = self.run(lambda state: state.hold is not None, name)
        assert state.hold is not None
        assert state.hold.reason is reason, state.hold
        return state.hold

    def until_asked(self, action: str | None) -> State:
        """Run until the next such change was asked for: AWS's action, or None for a push."""
        before = self.asked(action)
        return self.run(lambda _: self.asked(action) > before)

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

    def ask(self, kind: str, *, credential: str | None = CREDENTIAL, **arguments: Any) -> Request:
        """Ask beside the owner, as a command does. Returns the row with its answer."""
        asked = self.submit(kind, credential=credential, **arguments)
        serve_requests(self.fleet, self.journal, self.engine, self.clock)
        self.check_promises()
        answered = self.journal.reader.request(asked.request_id)
        assert answered is not None
        assert answered.accepted is not None, "the request was not answered"
        return answered

    def submit(self, kind: str, *, credential: str | None = CREDENTIAL, **arguments: Any) -> Request:
        """Ask, and leave it unanswered."""
        return self.write(kind, arguments, credential=credential)

    def write(
        self, kind: str, arguments: Mapping[str, Any], *, credential: str | None = CREDENTIAL, why: str | None = None
    ) -> Request:
        """Write a request's row."""
        with RequestWriter.open(self.config.store.url, clock=self.clock.now, new_id=new_id) as writer:
            return writer.submit(kind, credential=credential, arguments=arguments, uid=UID, claimed="ada", why=why)

    def add_user(self, user: str) -> None:
        """There is another IAM user, with rights for rotator to rotate its keys."""
        self.aws.add_user(user)
        self.users.append(user)

    def delete_user(self) -> None:
        """The IAM user is gone, and its keys with it."""
        self.aws.delete_user(USER)
        self.users.remove(USER)

    def make_key(self, user: str = USER) -> str:
        """A person makes a key."""
        key_id = self.aws.create_key(user).reveal()["accessKey"]
        self.foreign.add(key_id)
        return key_id

    def enable(self, key_id: str) -> None:
        """A person enables a key in AWS."""
        self.managed().provider.enable(key_id)
        self.by_people["UpdateAccessKey"] += 1

    def disable(self, key_id: str) -> None:
        """A person disables a key in AWS."""
        self.managed().provider.disable(key_id)
        self.by_people["UpdateAccessKey"] += 1

    def delete(self, key_id: str) -> None:
        """A person deletes a key in AWS."""
        self.managed().provider.delete(key_id)
        self.by_people["DeleteAccessKey"] += 1
        self.foreign.discard(key_id)

    def renew_token(self) -> None:
        """A person puts another token into the token's file, and ends the old one."""
        self.account.put_token(self.stage.token_file.read_text(), Token(expires_at=self.clock.world()))
        token = f"renewed-{new_id()}"
        self.account.put_token(token, Token())
        self.stage.token_file.write_text(token)

    def describe(self, text: str | None, integration: str = INTEGRATION) -> None:
        """A person edits the description."""
        self.put(integration, description=text)

    def put(self, integration: str, *, description: str | None, credentials: Mapping[str, str] | None = None) -> None:
        """A person or another program changes an integration."""
        held = self.account.held(integration) if credentials is None else credentials
        self.account.put(Integration(integration, integration, "aws", description=description, credentials=held))

    # Faults.

    def spoil(self, fault: Fault, *, northflank: str | None = None, aws: str | None = None, **when: Any) -> None:
        """The next matching request suffers the fault: by method at Northflank, by action at AWS.

        Args:
            when: `times`, `skip`, `path` of the rule.
        """
        faults, match = (self.faults, {"method": northflank}) if aws is None else (self.aws.faults, {"action": aws})
        faults.put(*faults.rules(), Rule.model_validate({**match, **when, "fault": fault}))

    @contextmanager
    def stalled(self, action: str | None) -> Iterator[None]:
        """The next such change waits, once it has arrived, until this block is left.

        Meanwhile rotator works in another thread, up to the end of the tick that made the call.

        Args:
            action: AWS's; None for a push.
        """
        method = "POST" if action is None else None
        faults = self.faults if action is None else self.aws.faults
        before = len(faults.requests(method=method, action=action))
        faults.put(Rule.model_validate({"method": method, "action": action, "fault": Delay(seconds=None)}))
        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(self.until_asked, action)
            faults.wait_for(before + 1, method=method, action=action)
            try:
                yield
            finally:
                faults.release()
            working.result()

    def break_audit(self) -> None:
        """The audit file can't be written, by nobody: something else is in its place."""
        self.journal.flush(required_only=False)
        file = self.stage.audit_file
        file.rename(file.with_suffix(".away"))
        file.mkdir()

    def mend_audit(self) -> None:
        file = self.stage.audit_file
        file.rmdir()
        file.with_suffix(".away").rename(file)

    def break_store(self) -> None:
        """The store takes no transition any more."""
        self._in_store("CREATE TRIGGER broken BEFORE UPDATE ON credential BEGIN SELECT RAISE(ABORT, 'broken'); END")

    def mend_store(self) -> None:
        self._in_store("DROP TRIGGER broken")

    def _in_store(self, statement: str) -> None:
        with closing(sqlite3.connect(self.stage.store_file)) as store, store:
            store.execute(statement)

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        self.faults.put()
        self.aws.faults.put()

    # What is to be seen, inside and outside.

    def managed(self, name: str = CREDENTIAL) -> Managed:
        return self.fleet.managed[name]

    @property
    def state(self) -> State:
        return self.state_of(CREDENTIAL)

    def state_of(self, name: str) -> State:
        return self.journal.load(name)

    def listed(self, user: str = USER) -> dict[str, bool]:
        """What AWS lists: each key, and whether it is active."""
        return {key.key_id: key.enabled for key in self.aws.keys(user)}

    def origin(self, key_id: str) -> Origin:
        """What the journal takes a key for."""
        record = self.state.record(key_id)
        assert record is not None, f"the journal doesn't know {key_id}"
        return record.origin

    def held(self, integration: str = INTEGRATION) -> str:
        """The key that Northflank holds in an integration."""
        return self.account.held(integration)["accessKey"]

    def material(self, integration: str = INTEGRATION) -> Material:
        """What Northflank holds, for a consumer to use."""
        return Material({name: SecretStr(value) for name, value in self.account.held(integration).items()})

    def shown(self, integration: str = INTEGRATION) -> str:
        """The integration's description."""
        return self.account.integration(integration).description or ""

    def events(self, name: str | None = None, **fields: object) -> list[Event]:
        """The records of the audit file, of one event and with these fields if they are given."""
        self.journal.flush(required_only=False)
        records = [json.loads(line) for line in self.stage.audit_file.read_text().splitlines()]
        wanted = fields if name is None else {"event": name, **fields}
        return [record for record in records if all(record.get(key) == value for key, value in wanted.items())]

    def asked(self, action: str | None) -> int:
        """How often AWS was asked for this action, whatever became of it; None: how often Northflank for an update."""
        if action is not None:
            return len(self.aws.faults.requests(action=action))
        return len([seen for seen in self.faults.requests() if seen.method != "GET"])

    def pushes(self) -> int:
        return self.asked(None)

    def requests(self) -> int:
        """All HTTP requests so far, to both."""
        return len(self.faults.requests()) + len(self.aws.faults.requests())

    # The promises, whatever a test is about.

    def check_promises(self) -> None:
        """P1: what an integration holds, AWS takes. P3: foreign keys are as they were."""
        keys = {key_id: live for user in self.users for key_id, live in self.listed(user).items()}
        if not self.locked_out:
            for integration in self.account.integrations():
                assert keys.get(integration.credentials["accessKey"]), f"{integration.id} is locked out"
        for key_id in self.foreign:
            assert keys.get(key_id), f"the foreign key {key_id} was touched"


def _at_rest(state: State) -> bool:
    return state.phase is Phase.IDLE and state.asked is None and not state.drop
