"""The real `rotator` command in processes of its own, before a store that a test has arranged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from rotator.audit.event import Event, EventName
from rotator.audit.sinks import FileSink
from rotator.model import State
from rotator.store.journal import Journal
from rotator.store.registry import Registration
from tests.support.patience import patience

ROTATOR = ("-m", "rotator")
NOWHERE = "http://127.0.0.1:9"

USER = "northflank-byoc"
NAME = "prod-aws"
IDENTITY = f"aws:user/{USER}"


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        """Standard output, which must be one JSON document and nothing else."""
        return json.loads(self.stdout)


class Running:
    """A command that is still running."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def next_line(self, *, stderr: bool = False) -> str:
        """The next line that it writes; waits for it. Empty at the end."""
        stream = self._process.stderr if stderr else self._process.stdout
        assert stream is not None
        return stream.readline()

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def wait(self) -> int:
        """Its exit code."""
        return self._process.wait(patience())


class Desk:
    """A config, its store, and a person with a shell.

    Args:
        directory: where all of it is.
        config: the config, as YAML; by default one whose cloud and Northflank are down.
        environment: put over the process's own, from which AWS and rotator are taken out.
    """

    def __init__(
        self, directory: Path, config: str | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.config_file = directory / "rotator.yaml"
        self.config_file.write_text(config or self.config())
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "ROTATOR_", "SUDO_", "COLUMNS"))},
            "AWS_ACCESS_KEY_ID": "AKIANOBODY",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(directory / "aws-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(directory / "aws-credentials"),
            "ROTATOR_CONFIG": str(self.config_file),
            **(environment or {}),
        }

    def config(self, *names: str, **overlay: object) -> str:
        """A config of these credentials, `prod-aws` alone by default, with other parts put over it."""
        credentials = [
            {
                "name": name,
                "provider": "aws",
                "user": USER if name == NAME else name,
                "integrations": [name],
                "aws": {"iam_endpoint": NOWHERE, "sts_endpoint": NOWHERE},
            }
            for name in names or (NAME,)
        ]
        sections: dict[str, object] = {
            "northflank": {"default": {"api_url": NOWHERE, "token": {"env": "TOKEN"}}},
            "store": {"url": f"sqlite:///{self.data / 'rotator.db'}"},
            "audit": {"file": str(self.data / "audit.jsonl"), "stdout": False},
            "credentials": credentials,
        }
        return yaml.safe_dump(sections | overlay)

    @property
    def url(self) -> str:
        """The store's."""
        return f"sqlite:///{self.data / 'rotator.db'}"

    def rotator(self, *arguments: str, typed: str = "", **environment: str) -> Done:
        """Run a command to its end, with its output in pipes."""
        return self.python(*ROTATOR, *arguments, typed=typed, **environment)

    def python(self, *arguments: str, typed: str = "", **environment: str) -> Done:
        """Run Python as the command does."""
        done = subprocess.run(  # noqa: S603  # our own program
            [sys.executable, *arguments],
            env={**self.environment, **environment},
            input=typed,
            capture_output=True,
            text=True,
            timeout=patience(),
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def started(self, *arguments: str, **environment: str) -> Iterator[Running]:
        """A command that is still running; at the end it is killed if it still does."""
        with subprocess.Popen(  # noqa: S603  # our own program
            [sys.executable, *ROTATOR, *arguments],
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield Running(process)
            finally:
                process.kill()

    @contextmanager
    def owner(self) -> Iterator[Journal]:
        """This process owns the store, and answers nothing by itself."""
        self.data.mkdir(mode=0o700, exist_ok=True)
        sink = FileSink(self.data / "audit.jsonl")
        with Journal.open(self.url, sinks=[sink], clock=lambda: datetime.now(UTC)) as journal:
            yield journal
            journal.flush(required_only=False)
        sink.close()

    def arrange(self, states: Mapping[str, State], *, events: Sequence[Event] = ()) -> None:
        """Make the journal say this of each credential; nobody owns the store afterwards."""
        with self.owner() as journal:
            identities = {name: IDENTITY if name == NAME else f"aws:user/{name}" for name in states}
            journal.register([Registration(name, "aws", identity) for name, identity in identities.items()])
            for name, state in states.items():
                told = [Event(event=EventName.FINDING, credential=name, reason="arranged"), *events]
                journal.commit(name, state, events=told, next_at=None)


def patient(config: str) -> str:
    """The same config with the deadlines of production: many tests share two cores."""
    read = yaml.safe_load(config)
    read["northflank"]["default"] |= {"timeout": "20s", "settle": "40s"}
    return yaml.safe_dump(read)
