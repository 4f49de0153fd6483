"""One rotation by the real service against the stand-ins, and what must be true at its end, whatever happened."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from math import ceil
from pathlib import Path
from typing import Any

import yaml

from rotator.audit.verify import verify
from rotator.clock import SystemClock, new_id
from rotator.model import Origin, Phase
from rotator.northflank.stamp import parse
from rotator.sandbox.aws.scene import USER
from rotator.sandbox.consumer import Consumer
from rotator.sandbox.stage import CREDENTIAL, INTEGRATION, Stage
from rotator.sandbox.wire.faults import Faults
from rotator.sandbox.wire.serving import Server
from rotator.store.journal import Journal
from rotator.store.reader import JournalReader
from rotator.store.requests import RequestWriter
from tests.audit.lines import is_intact
from tests.chaos.canary import leaks
from tests.chaos.process import RUN, Service, environment
from tests.support.books import check_nothing_under_way
from tests.support.patience import deadlines, milliseconds, patience

QUICK: Mapping[str, object] = {
    # A consumer has read a key and uses it within that. In whole seconds, as the clouds date their answers.
    "grace": f"{ceil(patience(1))}s",
    "quiet_for": "0s",
    "quarantine": "1s",
    "watch": "30s",
    "proving": {"successes": 2, "every": "200ms", "timeout": milliseconds(20)},
    "backoff": {"first": "200ms", "max": "1s"},
}
"""Waits so short, and polls so far apart, that a rotation makes the same calls each time: but for a look or two more
while it waits for the new key's use to be seen.
"""

CHANGES = {
    "CreateAccessKey": "key.create",
    "UpdateAccessKey": "key.disable",
    "DeleteAccessKey": "key.delete",
}


class Trial:
    """The stand-ins, a consumer, and the services that were run against them, one after the other.

    Attributes:
        stage: the accounts.
        aws: in front of AWS, for the service alone: the consumer's calls aren't among its requests.
        northflank: in front of Northflank.
        consumer: uses the held key all the time.
        output: what the services wrote to stdout and stderr.
    """

    def __init__(self, stage: Stage, aws: Faults, server: Server, consumer: Consumer) -> None:
        self.stage = stage
        self.aws = aws
        self.northflank = stage.faults
        self.consumer = consumer
        self.output = stage.directory / "output"
        self.output.mkdir()
        self._server = server
        self._asked = self._done = False
        self._running = ExitStack()

    def configure(self, *, northflank: Mapping[str, object] = {}, policy: Mapping[str, object] = {}) -> str:
        """Write the config: the stage's, with the service's own way to AWS, and with these keys over it. Returns it.

        A call has a second, or what that comes to on this machine now, and twice that to settle.
        """
        config: dict[str, Any] = yaml.safe_load(self.stage.config())
        config["log"] = {"level": "debug"}
        config["northflank"]["default"] |= {**deadlines(1), **northflank}
        config["policy"] |= policy
        for credential in config["credentials"]:
            credential["aws"] |= {"iam_endpoint": self._server.url, "sts_endpoint": self._server.url}
        text = yaml.safe_dump(config)
        self.stage.config_file.write_text(text)
        return text

    def start(self, command: Sequence[str] = RUN) -> Service:
        """Start the service. It is killed at the end of the trial, if it still runs then."""
        return self._running.enter_context(Service(command, self.environment(), self.output))

    def environment(self) -> dict[str, str]:
        """All that the service finds in its environment."""
        return environment(self.stage.directory, **self.stage.environment)

    def start_in(self, launcher: str, *arguments: str) -> Service:
        """Start the service within one of the scripts beside this file."""
        script = Path(__file__).with_name(launcher)
        return self.start((sys.executable, str(script), *arguments, *RUN[3:]))

    def shift(self, ahead: timedelta) -> None:
        """Say that at the stand-ins it is so much later than here."""
        for server in (self._server, self.stage.aws.server, self.stage.server):
            server.clock = lambda: SystemClock().now() + ahead

    def ask(
        self,
        kind: str = "rotate",
        *,
        credential: str = CREDENTIAL,
        late: timedelta = timedelta(0),
        **arguments: object,
    ) -> None:
        """Ask for a rotation, as a command does, by a clock that is so late."""
        url = f"sqlite:///{self.stage.store_file}"
        with RequestWriter.open(url, clock=lambda: SystemClock().now() - late, new_id=new_id) as writer:
            writer.submit(kind, credential=credential, arguments=arguments, uid=0)

    def follow(self, service: Service) -> bool:
        """Have one rotation done, once the first key is adopted. False if the service ended before it was."""
        records = service.records()
        while not self._done and (record := next(records, None)) is not None:
            if record["event"] == "key.adopted" and not self._asked:
                self._asked = True
                self.ask(now=True)
            self._done = record["event"] == "rotation.done"
        return self._done

    def reader(self) -> JournalReader:
        """The journal, read beside its owner."""
        return Journal.open_read_only(f"sqlite:///{self.stage.store_file}")

    def close(self) -> None:
        """End what still runs."""
        self._running.close()

    def check(self) -> None:
        """The rotation is done, once; nobody noticed; nothing is left but the audit log, which holds no secret."""
        (key,) = self.stage.aws.keys(USER)
        assert key.enabled
        assert self.stage.account.held(INTEGRATION)["accessKey"] == key.key_id
        with self.reader() as reader:
            (row,) = reader.credentials()
            state = row.state
            assert state.phase is Phase.IDLE
            assert state.hold is None
            assert state.current == key.key_id
            check_nothing_under_way(state)
            stamp = parse(self.stage.account.integration(INTEGRATION).description)
            assert stamp is not None
            assert (stamp.store, stamp.generation) == (reader.store_id, state.generation)
            assert stamp.hint == f"{key.key_id[:4]}..{key.key_id[-4:]}"
            assert not [known for known in reader.keys(CREDENTIAL) if known.origin is Origin.FOREIGN]
            assert [rotation.outcome for rotation in reader.rotations(CREDENTIAL)] == ["done"]
            report = verify(reader, self.stage.audit_file)
            assert is_intact(report), report
            assert report.file is not None
            assert report.file.records == report.store.records
        self._check_intents()
        assert not self.consumer.tally.failed, self.consumer.tally
        assert self.leaks() == []

    def leaks(self) -> list[str]:
        """Every secret that there was and that stands in some file now, but for the token in its own."""
        secrets = {*self.stage.aws.secrets, self.stage.token_file.read_text()}
        files = [file for file in self.stage.directory.rglob("*") if file.is_file() and file != self.stage.token_file]
        return leaks(secrets, files)

    def audited(self) -> list[dict[str, Any]]:
        """The audit file."""
        return [json.loads(line) for line in self.stage.audit_file.read_text().splitlines()]

    def _check_intents(self) -> None:
        """No change was asked of the outside without its intent in the audit log (P5)."""
        intents = [record["event"] for record in self.audited() if record.get("outcome") == "intent"]
        for action, event in CHANGES.items():
            assert len(self.aws.requests(action=action)) <= intents.count(event)
        assert len(self.northflank.requests(method="POST")) <= intents.count("integration.push")


@contextmanager
def trial(directory: Path, *, consumed_every: float = 0.2) -> Iterator[Trial]:
    """Set the stage, with the consumer at work, so many seconds apart."""
    stage = Stage(directory, policy=QUICK, propagation=timedelta(0))
    aws = Faults(stage.aws.faults)
    with (
        stage,
        Server(aws) as server,
        Consumer(stage.server.url, stage.scenes[0], every=consumed_every) as consumer,
    ):
        made = Trial(stage, aws, server, consumer)
        made.configure()
        try:
            yield made
        finally:
            made.close()
