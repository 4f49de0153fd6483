"""rotator between stand-ins for AWS and Northflank, on a clock that a test moves.

Everything else is real: sockets, boto3, httpx, SQLite, the audit file. A rotation with production's waits takes as long
as its calls. Whatever a test is about, each tick also proves that no integration has lost its access and that no
foreign key was touched; at the end of each test the books are read (`books.check_books`).
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import httpx
import yaml
from pydantic import SecretStr

from rotator.clock import new_id
from rotator.config.load import load
from rotator.material import Material
from rotator.model import Origin, State
from rotator.providers.base import Disables
from rotator.sandbox.aws.scene import USER
from rotator.sandbox.northflank.account import ApiToken, HeldIntegration
from rotator.sandbox.stage import CREDENTIAL, INTEGRATION, Stage
from rotator.sandbox.wire.faults import Faults
from rotator.sandbox.wire.rules import Fault, Rule
from tests.support.clocks import Clock
from tests.support.running import Running
from tests.support.settings import SLOW, Overlay, merged

ADMIN_FILE = "aws-credentials"
"""Where rotator's own AWS key is: AWS_SHARED_CREDENTIALS_FILE names it."""


@dataclass
class Rig(Running):
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
    consumes: bool = False
    """A consumer uses, after each tick, what each integration holds."""

    def __post_init__(self) -> None:
        stage = Stage(self.directory, propagation=timedelta(0), clock=self.clock.world)
        super().__init__(stage, self.clock, self.http, CREDENTIAL)
        self.aws, self.account, self.faults = self.stage.aws, self.stage.account, self.stage.faults
        self.aws.signing_clock = lambda: datetime.now(UTC)
        self.first_key = self.stage.first_key
        admin = self.aws.admin.reveal()
        (self.directory / ADMIN_FILE).write_text(
            f"[default]\naws_access_key_id={admin['accessKey']}\naws_secret_access_key={admin['secretKey']}\n"
        )
        self._stack = ExitStack()

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
        self.config = load(self.stage.config_file, {})

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
        faults, match = self._change(action)
        self.die_at(faults, **match)

    def until_asked(self, action: str | None) -> State:
        """Run until the next such change was asked for: AWS's action, or None for a push."""
        before = self.asked(action)
        return self.run(lambda _: self.asked(action) > before)

    # People.

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
        key_id = self.aws.create_key(user).public["accessKey"]
        self.foreign.add(key_id)
        return key_id

    def enable(self, key_id: str) -> None:
        """A person enables a key in AWS."""
        self._by_hand.enable(key_id)
        self.by_people["UpdateAccessKey"] += 1

    def disable(self, key_id: str) -> None:
        """A person disables a key in AWS."""
        self._by_hand.disable(key_id)
        self.by_people["UpdateAccessKey"] += 1

    @property
    def _by_hand(self) -> Disables:
        able = self.managed().provider.abilities.disables
        assert able is not None
        return able

    def delete(self, key_id: str) -> None:
        """A person deletes a key in AWS."""
        self.managed().provider.delete(key_id)
        self.by_people["DeleteAccessKey"] += 1
        self.foreign.discard(key_id)

    def renew_token(self) -> None:
        """A person puts another token into the token's file, and ends the old one."""
        self.account.put_token(self.stage.token_file.read_text(), ApiToken(expires_at=self.clock.world()))
        token = f"renewed-{new_id()}"
        self.account.put_token(token, ApiToken())
        self.stage.token_file.write_text(token)

    def describe(self, text: str | None, integration: str = INTEGRATION) -> None:
        """A person edits the description."""
        self.put(integration, description=text)

    def put(self, integration: str, *, description: str | None, credentials: Mapping[str, str] | None = None) -> None:
        """A person or another program changes an integration."""
        held = self.account.held(integration) if credentials is None else credentials
        self.account.put(HeldIntegration(integration, integration, "aws", description=description, credentials=held))

    # Faults.

    def spoil(self, fault: Fault, *, northflank: str | None = None, aws: str | None = None, **when: Any) -> None:
        """The next matching request suffers the fault: by method at Northflank, by action at AWS.

        Args:
            when: `times`, `skip`, `path` of the rule.
        """
        faults, match = (self.faults, {"method": northflank}) if aws is None else (self.aws.faults, {"action": aws})
        faults.put(*faults.rules(), Rule.model_validate({**match, **when, "fault": fault}))

    def stalled(self, action: str | None) -> AbstractContextManager[None]:
        """The next such change waits, once it has arrived, until this block is left.

        Meanwhile rotator works in another thread, up to the end of the tick that made the call.

        Args:
            action: AWS's; None for a push.
        """
        faults, match = self._change(action)
        return self.stalled_at(faults, **match)

    def _change(self, action: str | None) -> tuple[Faults, dict[str, Any]]:
        return (self.faults, {"method": "POST"}) if action is None else (self.aws.faults, {"action": action})

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

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        self.faults.put()
        self.aws.faults.put()

    # What is to be seen, inside and outside.

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
        held = self.account.held(integration)
        return Material(public={"accessKey": held["accessKey"]}, secret={"secretKey": SecretStr(held["secretKey"])})

    def shown(self, integration: str = INTEGRATION) -> str:
        """The integration's description."""
        return self.account.integration(integration).description or ""

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
                if self.consumes:
                    assert self.aws.works(self.material(integration.id))
        for key_id in self.foreign:
            assert keys.get(key_id), f"the foreign key {key_id} was touched"
