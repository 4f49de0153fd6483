"""Kill -9 of the real service in the middle of a mint, a push and a delete of every cloud, and then a restart.

AWS's access keys have test_kill.py to themselves, with every call and every write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml

from rotator.audit.verify import verify
from rotator.clock import SystemClock, new_id
from rotator.model import Origin, Phase
from rotator.sandbox.consumer import Consumer
from rotator.sandbox.scene import Scene
from rotator.sandbox.stage import Stage
from rotator.sandbox.wire.faults import Faults
from rotator.sandbox.wire.rules import Rule
from rotator.store.journal import Journal
from rotator.store.requests import RequestWriter
from tests.audit.lines import is_intact
from tests.chaos.canary import leaks
from tests.chaos.process import RUN, Service, environment
from tests.chaos.test_kill import MOMENTS
from tests.chaos.trial import QUICK
from tests.clouds.clouds import EVERY, SUPPLIED, Cloud
from tests.support.books import check_nothing_under_way
from tests.support.patience import deadlines, patience

pytestmark = pytest.mark.realtime

Kind = Literal["create", "push", "delete"]
Moment = Literal["late", "unanswered"]

KINDS: tuple[Kind, ...] = ("create", "push", "delete")
INTENTS: Mapping[Kind, str] = {"create": "key.create", "push": "integration.push", "delete": "key.delete"}


class CloudTrial:
    """One cloud, its consumer, and the services that were run against it, one after the other."""

    def __init__(self, cloud: Cloud, stage: Stage, consumer: Consumer) -> None:
        self.cloud = cloud
        self.stage = stage
        self.consumer = consumer
        self.scene: Scene = stage.scenes[-1]
        self.output = stage.directory / "output"
        self.output.mkdir()

    def configure(self, northflank: Mapping[str, str]) -> None:
        """This cloud's credential alone."""
        config: dict[str, Any] = yaml.safe_load(self.stage.config())
        config["log"] = {"level": "debug"}
        config["northflank"]["default"] |= northflank
        config["credentials"] = [each for each in config["credentials"] if each["name"] == self.scene.name]
        self.stage.config_file.write_text(yaml.safe_dump(config))

    def start(self) -> Service:
        return Service(RUN, environment(self.stage.directory, **self.stage.environment), self.output)

    def begin(self) -> None:
        """A person asks for a rotation, or makes a key where only a person can."""
        if self.cloud.bring is not None:
            self.cloud.bring(self.scene)
            return
        with RequestWriter.open(self.url, clock=SystemClock().now, new_id=new_id) as writer:
            writer.submit("rotate", credential=self.scene.name, arguments={"now": True}, uid=0)

    @property
    def url(self) -> str:
        return f"sqlite:///{self.stage.store_file}"

    def calls(self, kind: Kind) -> tuple[Faults, dict[str, Any]]:
        """The fault plan that such calls pass, and what selects them in it."""
        if kind == "push":
            return self.stage.faults, {"method": "POST", "path": f"/integrations/{self.scene.name}$"}
        requests = self.cloud.requests[kind]
        match = {name: value for name, value in requests.match.items() if value is not None}
        return requests.faults(self.scene), match

    def alike(self, kind: Kind) -> int:
        """Calls that look like these and come before them: a role has its trust policy written at each change."""
        return int(kind == "delete" and self.cloud.requests["create"] == self.cloud.requests["delete"])

    def check(self) -> None:
        """The rotation is done; nobody noticed; no key is left over and no secret was written down."""
        assert self.scene.use(self.stage.account.held(self.scene.name)) == ""
        assert not self.consumer.tally.failed, self.consumer.tally
        with Journal.open_read_only(self.url) as reader:
            (row,) = reader.credentials()
            state = row.state
            assert (state.phase, state.hold) == (Phase.IDLE, None)
            check_nothing_under_way(state)
            listed = self.scene.keys()
            assert [key.key_id for key in listed] == [state.current]
            assert not [known for known in reader.keys(self.scene.name) if known.origin is Origin.FOREIGN]
            report = verify(reader, self.stage.audit_file)
            assert is_intact(report), report
        written = [file for file in self.stage.directory.rglob("*") if file.is_file()]
        ours = [file for file in written if file.parent.name in {"data", "output"}]
        assert ours
        assert leaks(self.cloud.secrets(self.scene), ours) == []


@contextmanager
def cloud_trial(cloud: Cloud, directory: Path) -> Iterator[CloudTrial]:
    scenes = () if cloud.scene is None else (cloud.scene,)
    stage = Stage(directory, policy=QUICK, scenes=scenes, propagation=timedelta(0))
    with stage, Consumer(stage.server.url, stage.scenes[-1], every=0.2) as consumer:
        yield CloudTrial(cloud, stage, consumer)


def cases() -> Iterator[Any]:
    for cloud in (*EVERY, *SUPPLIED):
        for kind in KINDS if cloud in EVERY else ("push",):
            for moment in ("late", "unanswered"):
                if cloud.name != "aws":
                    yield pytest.param(cloud, kind, moment, id=f"{cloud.name}-{kind}-{moment}")


@pytest.mark.soak
@pytest.mark.parametrize(("cloud", "kind", "moment"), list(cases()))
def test_a_kill_in_the_middle_of_a_call(tmp_path: Path, cloud: Cloud, kind: Kind, moment: Moment) -> None:
    with cloud_trial(cloud, tmp_path) as made:
        made.configure(deadlines(4 if moment == "late" else 1))  # to settle takes longer than to start the next service
        faults, match = made.calls(kind)
        fault, state = MOMENTS[moment]
        with made.start() as service:
            service.wait_for("key.adopted")
            others = made.alike(kind)
            before = len(faults.requests(**match)) + others
            faults.put(Rule.model_validate({**match, "skip": others, "fault": fault}))
            made.begin()
            faults.wait_for(before + 1, **match, state=state, timeout=patience())
            service.kill()
        intent = yaml.safe_load(made.stage.audit_file.read_text().splitlines()[-1])
        assert (intent["event"], intent["outcome"]) == (INTENTS[kind], "intent"), "P5: it was told of before"
        if moment == "unanswered":
            faults.release()
        with made.start() as service:
            service.wait_for("daemon.started")
            if moment == "late":
                faults.release()
            service.wait_for("rotation.done")
            assert service.stop() == 0
        made.check()
