"""One sick neighbour after the other, beside kills: a cloud that drips, one that repeats secrets, a revoked token.

    make neighbours MINUTES=10 SEED=1

Consumers use what Northflank holds all the time. `rotator status` must call for an operator within a minute of each
trouble, and for none within a minute of its end; nothing that was written may hold a secret.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import yaml

from rotator.clock import SystemClock, new_id
from rotator.sandbox.azure.scene import AzureScene
from rotator.sandbox.scene import Regenerated, Scene, beside_aws
from rotator.sandbox.stage import Stage
from rotator.sandbox.wire.rules import Canned, Drip, Rule
from rotator.store.journal import Journal
from rotator.store.requests import RequestWriter
from tests.chaos.canary import leaks
from tests.chaos.process import RUN, Service, environment

POLICY: Mapping[str, object] = {
    "grace": "2s",
    "quiet_for": "1s",
    "max_grace": "20s",
    "quarantine": "2s",
    "watch": "5s",
    "alarm_after": "30s",
    "max_attempts": 1000,
    "confirm_use": "never",  # a kill may fall between two uses: that is not what is tried here
    "backoff": {"first": "500ms", "max": "5s"},
    "proving": {"successes": 2, "every": "300ms", "timeout": "30s"},
}
PROMPT = 60.0
"""Seconds in which an operator must learn of trouble, and of its end."""

_DRIPPING = ("ListAccessKeys", "CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey")


@dataclass(slots=True)
class Report:
    """What was counted. Silences are troubles that no alarm named in time, or alarms that outlived their trouble."""

    calls: int = 0
    failures: list[str] = field(default_factory=list)
    kills: int = 0
    rotations: int = 0
    alarm_after: dict[str, float] = field(default_factory=dict)
    over_after: dict[str, float] = field(default_factory=dict)
    silences: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """No promise was broken."""
        return not (self.failures or self.silences or self.leaks)


class Neighbours:
    """The stage with its consumers, the service, and what troubles it."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.report = Report()
        self.stage = Stage(directory, policy=POLICY, scenes=beside_aws(), rate_limit=10**6)
        self.token = self.stage.token_file.read_text()
        self._chance = Random(seed)  # noqa: S311  # when the next kill comes is no secret
        self._output = directory / "output"
        self._output.mkdir()
        self._stop = threading.Event()
        self._configured = threading.Event()
        self._held: set[str] = set()

    def run(self, minutes: float, say: Callable[[str], None]) -> Report:
        """Three troubles, each a share of the time, in peace between them."""
        [azure] = [scene for scene in self.stage.scenes if isinstance(scene, AzureScene)]
        share = 60 * minutes / 7
        with self.stage, self._threads():
            config = yaml.safe_load(self.stage.config())
            config["northflank"]["default"] |= {"timeout": "4s", "settle": "8s"}
            self.stage.config_file.write_text(json.dumps(config))
            self._configured.set()
            self._peace(share, say)
            troubles: tuple[tuple[str, Callable[[], None], Callable[[], None]], ...] = (
                ("a cloud that drips", self._drip, self.stage.aws.faults.put),
                ("a cloud that repeats secrets", lambda: self._echo(azure), azure.azure.faults.put),
                ("a revoked token", lambda: self._write_token("revoked"), lambda: self._write_token(self.token)),
            )
            for name, begin, end in troubles:
                begin()
                self.report.alarm_after[name] = self._within(name, 4)
                self._peace(share, say)
                end()
                self.report.over_after[name] = self._within(f"the end of {name}", 0)
                self._peace(share, say)
        known = {self.token.strip(), *self._held, azure.azure.admin_secret.get_secret_value()}
        kept = [*self._output.iterdir(), *self.stage.store_file.parent.iterdir()]
        self.report.leaks = leaks(known, [file for file in kept if file.is_file()])
        return self.report

    # Trouble.

    def _drip(self) -> None:
        rules = (Rule(action=action, times=None, fault=Drip(pause=0.5)) for action in _DRIPPING)
        self.stage.aws.faults.put(*rules)

    def _echo(self, scene: AzureScene) -> None:
        secrets = " ".join({scene.azure.admin_secret.get_secret_value(), *scene.azure.secrets})
        error = {"code": secrets, "message": secrets, "innerError": {"request-id": "r"}}
        fault = Canned(status=403, body=json.dumps({"error": error}), headers={"request-id": secrets[:60]})
        scene.azure.faults.put(Rule(path=re.compile("/applications"), times=None, fault=fault))

    def _write_token(self, token: str) -> None:
        self.stage.token_file.write_text(token)

    def _within(self, what: str, code: int) -> float:
        """Seconds until `rotator status` ends so; an operator ends what is held meanwhile, once the trouble is over."""
        began = time.monotonic()
        while (took := time.monotonic() - began) < PROMPT:
            if self._status() == code:
                return round(took, 1)
            if code == 0:
                self._resume()
            self._stop.wait(1)  # between looks, up to a minute
        self.report.silences.append(f"{what}: status did not exit {code} within {PROMPT:.0f} s")
        return round(took, 1)

    def _status(self) -> int:
        command = [sys.executable, "-m", "rotator", "status"]
        asked = environment(self.stage.directory, **self.stage.environment)
        done = subprocess.run(command, env=asked, capture_output=True, check=False)  # noqa: S603  # our own program
        (self._output / "status").open("ab").write(done.stdout + done.stderr)
        return done.returncode

    def _resume(self) -> None:
        with Journal.open_read_only(f"sqlite:///{self.stage.store_file}") as reader:
            self._ask("resume", [row.name for row in reader.credentials() if row.state.hold is not None])

    # What goes on all the time.

    def _peace(self, seconds: float, say: Callable[[str], None]) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._stop.wait(min(10.0, max(0.1, end - time.monotonic())))
            say(f"{self.report.calls} calls, {len(self.report.failures)} failed, {self.report.kills} kills")

    @contextmanager
    def _threads(self) -> Iterator[None]:
        targets = [self._serve, self._rotate, *((lambda one=scene: self._consume(one)) for scene in self.stage.scenes)]
        with ExitStack() as stack:
            for target in targets:
                thread = threading.Thread(target=target, daemon=True)
                stack.callback(thread.join)
                thread.start()
            stack.callback(self._stop.set)
            yield

    def _serve(self) -> None:
        """The service, killed now and then."""
        self._configured.wait()
        while not self._stop.is_set():
            command = environment(self.stage.directory, **self.stage.environment)
            with Service(RUN, command, self._output) as service:
                self._stop.wait(self._chance.uniform(8, 20))
                service.kill()
                self.report.kills += 1

    def _rotate(self) -> None:
        """A rotation of each credential, one after the other, again and again."""
        while not self._stop.wait(4):
            for scene in self.stage.scenes:
                held = self.stage.account.held(scene.name)
                self._held |= {value for name, value in held.items() if name in _SECRET}
                if isinstance(scene, Regenerated):
                    if not scene.awaiting(held):
                        scene.regenerate()
                elif self.stage.store_file.exists():
                    self._ask("rotate", [scene.name], now=True)

    def _ask(self, kind: str, names: Sequence[str], **arguments: object) -> None:
        url = f"sqlite:///{self.stage.store_file}"
        with RequestWriter.open(url, clock=SystemClock().now, new_id=new_id) as writer:
            for name in names:
                writer.submit(kind, credential=name, arguments=arguments, uid=os.getuid())

    def _consume(self, scene: Scene) -> None:
        while not self._stop.wait(0.2):
            held = self.stage.account.held(scene.name)
            trouble = scene.use(held)
            self.report.calls += 1
            if trouble and not (isinstance(scene, Regenerated) and scene.awaiting(held)):
                self.report.failures.append(f"{scene.name}: {trouble}")


_SECRET = frozenset({"secretKey", "externalId", "secret", "privateKey", "passphrase", "apiKey"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.neighbours", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)

    def say(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    with tempfile.TemporaryDirectory() as directory:
        neighbours = Neighbours(Path(directory), chosen.seed)
        report = neighbours.run(chosen.minutes, say)
        records = neighbours.stage.audit_file.read_text()
    report.rotations = records.count('"event":"rotation.done"')
    for name in Report.__dataclass_fields__:
        say(f"{name}: {getattr(report, name)}")
    return 0 if report.sound else 1


if __name__ == "__main__":
    sys.exit(main())
