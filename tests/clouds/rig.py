"""rotator between one cloud and Northflank, on a clock that a test moves.

Everything else is real: sockets, the cloud's SDK, httpx, SQLite, the audit file. After each tick a workload uses what
Northflank holds, over the wire, and the foreign keys are looked at; at the end of each test the books are read.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import httpx
import yaml

from rotator.config.load import load
from rotator.model import Capabilities, Key, State
from rotator.sandbox.northflank.account import HeldIntegration
from rotator.sandbox.stage import Stage
from rotator.sandbox.wire.rules import Fault, Rule
from tests.clouds.clouds import Cloud, Kind, Requests
from tests.support.books import check_chain, check_looked_after, check_outcomes, check_secrets
from tests.support.clocks import Clock
from tests.support.running import Running
from tests.support.settings import SLOW, Overlay, merged

SECOND = "second"
"""Of the connection and of the integration that are there beside the first where a test fans out."""

CHANGES: Mapping[Kind, tuple[str, ...]] = {
    "create": ("key.create",),
    "disable": ("key.disable", "key.enable"),
    "delete": ("key.delete",),
}
"""The intents of each kind of change, as the audit log calls them."""


class Rig(Running):
    """One credential of one cloud, fed into one integration.

    Args:
        cloud: which.
        directory: private to the test.
        http: the client that rotator uses.
        overlay: merged into the stage's config; its `credential` into the cloud's.
        propagation: how long a fresh key is unknown.

    Attributes:
        foreign: keys that a person made: nobody may touch them.
        cut: integrations that a person gave up.
        by_people: the changes that people made as rotator makes them.
    """

    def __init__(
        self, cloud: Cloud, directory: Path, http: httpx.Client, overlay: Overlay, *, propagation: timedelta
    ) -> None:
        clock = Clock()
        scenes = () if cloud.scene is None else (cloud.scene,)
        stage = Stage(directory, scenes=scenes, propagation=propagation, clock=clock.world)
        self.cloud = cloud
        self.scene = stage.scenes[-1]
        super().__init__(stage, clock, http, self.scene.name)
        cloud.prepare(self.scene)
        self.account = stage.account
        self.first = self.scene.held.reveal()
        self.foreign: set[str] = set()
        self.cut: set[str] = set()
        self.by_people: Counter[Kind] = Counter()
        self._overlay = overlay
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.stage)
        self.configure({})
        return self

    def __exit__(self, *_: object) -> None:
        for faults in {self.stage.faults, *(requests.faults(self.scene) for requests in self.cloud.requests.values())}:
            faults.release()
        self.stop()
        self._stack.close()

    def configure(self, overlay: Overlay) -> None:
        """Change the config file. A running rotator doesn't notice."""
        self._overlay = merged(self._overlay, overlay)
        settings = merged(yaml.safe_load(self.stage.config()), SLOW)
        own = next(one for one in settings["credentials"] if one["name"] == self.name)
        parts = dict(self._overlay)
        whole = merged(
            settings, {"credentials": [merged(merged(own, self.cloud.settings), parts.pop("credential", {}))], **parts}
        )
        self.stage.config_file.write_text(json.dumps(whole))
        self.config = load(self.stage.config_file, {})

    def fan_out(self) -> None:
        """The credential feeds a second integration, through another connection: the team's."""
        one = self.account.integration(self.name)
        self.account.put(replace(one, id=SECOND, name=SECOND, description="The team's."))
        connection = yaml.safe_load(self.stage.config())["northflank"]["default"]
        team = merged(merged(connection, SLOW["northflank"]["default"]), {"team": self.account.team})
        integrations = [self.name, {"id": SECOND, "connection": SECOND}]
        self.configure({"northflank": {SECOND: team}, "credential": {"integrations": integrations}})

    # Faults.

    def spoil(self, kind: Kind, fault: Fault, **when: Any) -> None:
        """The next such request to the cloud suffers the fault. `when`: `times`, `skip` of the rule."""
        requests = self.cloud.requests[kind]
        faults = requests.faults(self.scene)
        faults.put(*faults.rules(), Rule.model_validate({**requests.match, **when, "fault": fault}))

    def spoil_push(self, fault: Fault, integration: str = "", **when: Any) -> None:
        """The next push suffers the fault."""
        rule = {"method": "POST", "path": f"{integration}$", **when, "fault": fault}
        self.stage.faults.put(*self.stage.faults.rules(), Rule.model_validate(rule))

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        for faults in (self.stage.faults, *(requests.faults(self.scene) for requests in self.cloud.requests.values())):
            faults.put()

    def die_in(self, kind: Kind) -> None:
        """The process ends in the middle of the next such call: it is answered, and no journal has its outcome."""
        requests = self.cloud.requests[kind]
        self.die_at(requests.faults(self.scene), **requests.match)

    # People.

    def make_key(self) -> str:
        """A person makes a key."""
        assert self.cloud.make_key is not None
        key_id = self.cloud.make_key(self.scene)
        self.foreign.add(key_id)
        return key_id

    def delete(self, key_id: str) -> None:
        """A person deletes a key."""
        self.managed().provider.delete(key_id)
        self.by_people["delete"] += 1
        self.foreign.discard(key_id)

    def begin(self) -> None:
        """A person asks for a rotation; where a person makes the keys, makes one."""
        super().begin()
        if self.cloud.bring is not None:
            self.bring()

    def bring(self) -> None:
        """A person makes the next key, and brings it."""
        assert self.cloud.bring is not None
        self.cloud.bring(self.scene)

    # What is to be seen, inside and outside.

    @property
    def can(self) -> Capabilities:
        return self.managed().provider.abilities.capabilities

    def listed(self) -> dict[str, Key]:
        """What the cloud lists."""
        listed = self.scene.keys()
        return {key.key_id: key for key in listed}

    def alive(self) -> set[str]:
        """The keys that are enabled, without those of other people."""
        return {key_id for key_id, key in self.listed().items() if key.enabled} - self.foreign

    def held(self, integration: str | None = None) -> Mapping[str, str]:
        """What Northflank holds."""
        return self.account.held(integration or self.name)

    def shown(self, integration: str | None = None) -> str:
        """The integration's description."""
        return self.account.integration(integration or self.name).description or ""

    def asked(self, kind: Kind) -> int:
        """How often the cloud was asked for this, whatever became of it."""
        requests = self.cloud.requests.get(kind)
        return 0 if requests is None else len(requests.faults(self.scene).requests(**requests.match))

    def mints(self) -> int:
        """How many mints were intended; the books see to it that no more were asked for."""
        return len(self.events("key.create", outcome="intent"))

    def pushes(self, integration: str = "") -> int:
        """How often Northflank was asked for an update."""
        return len(self.stage.faults.requests(method="POST", path=f"{integration}$"))

    def at_rest(self) -> State:
        """To the end of the rotation in flight, and of all that it left behind; a hold on the way is a failure."""
        self.finish()
        return self.run(lambda state: not state.suspects)

    # The promises, whatever a test is about.

    def check_promises(self) -> None:
        """P1: what an integration holds works. P3: foreign keys are as they were."""
        for integration in self._fed():
            trouble = self.scene.use(integration.credentials)
            assert not trouble or self._interrupted(integration), f"{integration.id} is locked out: {trouble}"
        if self.foreign:
            keys = self.listed()
            touched = [key_id for key_id in self.foreign if key_id not in keys or not keys[key_id].enabled]
            assert not touched, f"foreign keys were touched: {touched}"

    def _interrupted(self, integration: HeldIntegration) -> bool:
        return self.cloud.interrupted(self.scene, integration.credentials)

    def _fed(self) -> list[HeldIntegration]:
        others = {scene.name for scene in self.stage.scenes} - {self.name}
        return [one for one in self.account.integrations() if one.id not in others | self.cut]

    def check_books(self) -> None:
        """What must be true after whatever happened."""
        check_chain(self)
        self._check_changes(check_outcomes(self))
        check_secrets(self, self.cloud.secrets(self.scene))
        if self.state.mint is None:
            check_looked_after(self.state, self.listed().keys() - self.foreign)

    def _check_changes(self, intents: Counter[str]) -> None:
        """P5, P7: no cloud was asked for more changes than were intended. Some are asked for alike."""
        intended: Counter[Requests] = Counter()
        for kind, requests in self.cloud.requests.items():
            intended[requests] += self.by_people[kind] + sum(intents[event] for event in CHANGES.get(kind, ()))
        for kind in CHANGES.keys() & self.cloud.requests.keys():
            assert self.asked(kind) <= intended[self.cloud.requests[kind]], kind
