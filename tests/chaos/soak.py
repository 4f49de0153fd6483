"""Everything at once, for minutes: rotations in every cloud, kills, clock jumps, others who act on keys, waves of 48.

    make soak MINUTES=10 SEED=1

Consumers use what Northflank holds all the time. What is counted is counted outside: by them, by the clouds' lists, and
by the audit log.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import yaml

from rotator.attention import Hold, HoldReason
from rotator.clock import SystemClock, new_id
from rotator.config.load import load
from rotator.model import Origin, Phase
from rotator.providers.base import Provider
from rotator.sandbox.northflank.account import HeldIntegration
from rotator.sandbox.scene import Regenerated, Scene, beside_aws
from rotator.sandbox.stage import Stage
from rotator.service.fleet import assemble
from rotator.store.journal import Journal
from rotator.store.requests import RequestWriter
from tests.chaos.others import Others
from tests.chaos.process import RUN, Service, environment

IN_HAND = 16  # the default
WAVE = tuple(f"wave-{number}" for number in range(48))
POLICY: Mapping[str, object] = {
    "every": "15s",
    "max_age": "2m",
    "grace": "1s",
    "quiet_for": "500ms",
    "max_grace": "6s",
    "quarantine": "1s",
    "watch": "1s",
    "max_attempts": 1000,
    "backoff": {"first": "200ms", "max": "2s"},
    "proving": {"successes": 2, "every": "200ms", "timeout": "20s"},
}
WAVE_POLICY: Mapping[str, object] = {"every": "1d", "max_age": "2d", "on_lost": "replace"}
_SHOWN = 8  # of what was wrong, so many are printed
_SILENT = frozenset({HoldReason.SLOTS_FULL, HoldReason.NOT_TAKEN_UP})  # an operator may have to accept silence
_JUMPING = str(Path(__file__).with_name("jump_clock.py"))


@dataclass(slots=True)
class Report:
    """What was counted."""

    calls: int = 0
    by_others: int = 0
    failures: list[str] = field(default_factory=list)
    kills: int = 0
    jumps: int = 0
    waves: int = 0
    lost_at_once: int = 0
    acts: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    enabled_against_others: list[str] = field(default_factory=list)
    unknown_keys: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    resumed: Counter[str] = field(default_factory=Counter)

    @property
    def sound(self) -> bool:
        """No promise was broken."""
        broken = (self.failures, self.enabled_against_others, self.unknown_keys, self.unfinished)
        return not any(broken) and self.lost_at_once <= IN_HAND


class Soak:
    """The stage with its consumers, the service, and those who trouble it."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.report = Report()
        self.stage = Stage(
            directory, policy=POLICY, scenes=beside_aws(), propagation=timedelta(milliseconds=300), rate_limit=10**6
        )
        self._chance = Random(seed)  # noqa: S311  # which trouble comes next is no secret
        self._output = directory / "output"
        self._output.mkdir()
        self._stop = threading.Event()
        self._counting = threading.Lock()

    def run(self, minutes: float, say: Callable[[str], None]) -> Report:
        """Trouble the service for so long, then leave it in peace, and look at what is left."""
        with self.stage, self._consumers(), httpx.Client() as http:
            self._configure()
            os.environ.update(self.stage.environment)
            fleet = assemble(load(self.stage.config_file, os.environ), SystemClock(), http)
            providers: Mapping[str, Provider] = {name: one.provider for name, one in fleet.managed.items()}
            users = {name: name for name in WAVE} | {self.stage.scenes[0].name: "northflank-byoc"}
            others = Others(self.stage, providers, users, self._chance)
            self._others = others
            end = time.monotonic() + 60 * minutes
            while time.monotonic() < end:
                with self._service() as service:
                    self._trouble(service, others, until=min(end, time.monotonic() + self._chance.uniform(4, 12)))
                    service.kill()
                self._count_what_was_lost()
                say(f"{self.report.calls} calls, {len(self.report.failures)} failed, {self.report.kills} kills")
            others.relent()
            with self._service() as service:
                self._settle()
                service.stop()
            self._judge(providers, others)
        return self.report

    def _configure(self) -> None:
        config: dict[str, Any] = yaml.safe_load(self.stage.config())
        config["northflank"]["default"] |= {"timeout": "2s", "settle": "4s"}
        first = config["credentials"][0]
        for name in WAVE:
            self.stage.aws.add_user(name)
            material = self.stage.aws.create_key(name)
            self.stage.account.put(HeldIntegration(name, name, "aws", description=name, credentials=material.reveal()))
            own = {"name": name, "user": name, "integrations": [name], "policy": WAVE_POLICY}
            config["credentials"].append({**first, **own, "current_key": material.public["accessKey"]})
        self.stage.config_file.write_text(json.dumps(config))

    @contextmanager
    def _service(self) -> Iterator[Service]:
        command = (sys.executable, _JUMPING, *RUN[3:])
        with Service(command, environment(self.stage.directory, **self.stage.environment), self._output) as service:
            service.wait_for("daemon.started")
            yield service

    # Trouble.

    def _trouble(self, service: Service, others: Others, *, until: float) -> None:
        ahead = 0
        while time.monotonic() < until:
            match self._chance.randrange(8):
                case 0:
                    step = self._chance.choice((-1, 1)) if ahead == 0 else -ahead
                    ahead += step
                    service.process.send_signal(signal.SIGUSR1 if step > 0 else signal.SIGUSR2)
                    self.report.jumps += 1
                case 1:
                    self._ask("rotate", WAVE, now=True)
                    self.report.waves += 1
                case 2:
                    others.relent()
                case 3:
                    self._regenerate()
                case _:
                    others.act(self._chance.choice([*(scene.name for scene in self.stage.scenes), *WAVE]))
            time.sleep(self._chance.uniform(0.1, 0.8))  # the pace of the trouble; nothing waits for it
        self.report.kills += 1

    def _regenerate(self) -> None:
        """An operator presses Civo's button, where rotator has pushed the key from before."""
        for scene in self.stage.scenes:
            if isinstance(scene, Regenerated) and not scene.awaiting(self.stage.account.held(scene.name)):
                scene.regenerate()

    def _ask(self, kind: str, names: Sequence[str], **arguments: object) -> None:
        with RequestWriter.open(self._url, clock=SystemClock().now, new_id=new_id) as writer:
            for name in names:
                writer.submit(kind, credential=name, arguments=arguments, uid=0)

    @property
    def _url(self) -> str:
        return f"sqlite:///{self.stage.store_file}"

    # Counting.

    def _count_what_was_lost(self) -> None:
        with Journal.open_read_only(self._url) as reader:
            in_hand = [
                row.name
                for row in reader.credentials()
                if row.state.candidate is not None and row.state.phase is not Phase.CONFIRMING
            ]
        self.report.lost_at_once = max(self.report.lost_at_once, len(in_hand))

    @contextmanager
    def _consumers(self) -> Iterator[None]:
        aws = self.stage.scenes[0]
        loads: list[list[tuple[str, Scene]]] = [[(scene.name, scene)] for scene in self.stage.scenes]
        loads += [[(name, aws) for name in WAVE[part::3]] for part in range(3)]
        with ExitStack() as stack:
            for load_ in loads:
                thread = threading.Thread(target=self._consume, args=(load_,), daemon=True)
                stack.callback(thread.join)
                thread.start()
            stack.callback(self._stop.set)
            yield

    def _consume(self, load_: Sequence[tuple[str, Scene]]) -> None:
        while not self._stop.wait(0.1):
            for name, scene in load_:
                others: Others | None = getattr(self, "_others", None)
                if others is not None:
                    self._use(name, scene, others)

    def _use(self, name: str, scene: Scene, others: Others) -> None:
        held, began = self.stage.account.held(name), SystemClock().now()
        trouble = scene.use(held)
        if isinstance(scene, Regenerated):
            theirs = scene.awaiting(held)
        else:
            theirs = bool({"accessKey", "keyfileJson"} & held.keys()) and others.took(held, began)
        with self._counting:
            self.report.calls += 1
            if trouble and theirs:
                self.report.by_others += 1
            elif trouble:
                self.report.failures.append(f"{began:%H:%M:%S.%f} {name}: {trouble}")

    # The end.

    def _settle(self) -> None:
        """Wait until all are at rest; where others have left a hold that only an operator ends, be that operator."""
        end = time.monotonic() + 180
        while time.monotonic() < end:
            with Journal.open_read_only(self._url) as reader:
                states = {row.name: row.state for row in reader.credentials()}
            busy = [
                name for name, state in states.items() if state.hold is not None or (name in WAVE and state.in_flight)
            ]
            if not busy:
                return
            time.sleep(3)  # between looks, up to `end`: an operator who comes back
            for name in busy:
                hold = states[name].hold
                if hold is not None:
                    self.report.resumed[hold.reason.value] += 1
                    self._ask("resume", [name], **self._knows(name, hold))

    def _knows(self, name: str, hold: Hold) -> dict[str, object]:
        """What the operator adds to a `resume`: which keys others made, and that silence has to do."""
        if hold.reason is not HoldReason.UNATTRIBUTED:
            return {"accept_silence": True} if hold.reason in _SILENT else {}
        named = [key.key_id for key in self.stage.aws.keys(name) if key.key_id in hold.detail]
        theirs = {act.key_id for act in self._others.acts}
        return {
            "ours": [key_id for key_id in named if key_id not in theirs],
            "foreign": [key_id for key_id in named if key_id in theirs],
        }

    def _judge(self, providers: Mapping[str, Provider], others: Others) -> None:
        with Journal.open_read_only(self._url) as reader:
            for row in reader.credentials():
                if row.state.hold is not None:
                    self.report.unfinished.append(f"{row.name}: {row.state.hold.reason.value}: {row.state.hold.detail}")
                elif row.name in WAVE and row.state.in_flight:
                    self.report.unfinished.append(f"{row.name}: {row.state.phase.value}: {row.state.error}")
                known = {key.key_id for key in reader.keys(row.name) if key.origin is not Origin.FOREIGN}
                listed = {key.key_id for key in providers[row.name].list_keys().keys if key.enabled}
                theirs = {act.key_id for act in others.acts}
                self.report.unknown_keys += [f"{row.name}: {key_id}" for key_id in listed - known - theirs]
        self.report.acts = others.counted()
        records = [json.loads(line) for line in self.stage.audit_file.read_text().splitlines()]
        self.report.events = Counter(
            f"{record['event']} {record['outcome']}" for record in records if record.get("outcome") != "fact"
        )
        self._judge_enables(records, others)

    def _judge_enables(self, records: Sequence[Mapping[str, Any]], others: Others) -> None:
        """Each enable is of a key that rotator disabled, and that others didn't disable since."""
        last: dict[str, str] = {}
        disables = [(act.at.isoformat(), act.key_id, "theirs") for act in others.acts if "was disabled" in act.what]
        ours = [
            (record["time"], key_id, record["event"])
            for record in records
            if record.get("outcome") == "intent" and record["event"] in {"key.disable", "key.enable"}
            for key_id in record["key_ids"]
        ]
        for at, key_id, what in sorted([*disables, *ours]):
            if what == "key.enable" and last.get(key_id) != "key.disable":
                self.report.enabled_against_others.append(f"{at} {key_id}, after {last.get(key_id)}")
            last[key_id] = what


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--directory", type=Path, help="Kept afterwards; must be there. By default one that is removed."
    )
    chosen = parser.parse_args(arguments)

    def say(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    with tempfile.TemporaryDirectory() as directory:
        report = Soak(chosen.directory or Path(directory), chosen.seed).run(chosen.minutes, say)
    for name in Report.__dataclass_fields__:
        value = getattr(report, name)
        shown = f"{len(value)}: {value[:_SHOWN]}" if isinstance(value, list) and value else value
        say(f"{name}: {shown}")
    return 0 if report.sound else 1


if __name__ == "__main__":
    sys.exit(main())
