"""The stand-ins in a process of their own, so that none of their work is counted: `stand_ins.py DIRECTORY N POLICY`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import yaml

from rotator.sandbox.aws.scene import USER
from rotator.sandbox.northflank.account import HeldIntegration
from rotator.sandbox.stage import Stage

DUE = timedelta(days=1)
"""How old the first keys are. More than any `every` here, so all are due at first contact."""


@dataclass(frozen=True, slots=True)
class StandIns:
    """AWS and Northflank as their client sees them, and a config that fits them."""

    pid: int
    environment: Mapping[str, str]

    @property
    def config(self) -> Path:
        return Path(self.environment["ROTATOR_CONFIG"])

    @property
    def data(self) -> Path:
        """Where the config has the store and the audit file."""
        return self.config.parent / "data"

    def requests(self) -> Counter[str]:
        """What was asked so far, by kind."""
        return Counter(
            seen["action"] or f"{seen['method']} {re.sub('/(prod-aws|i-[0-9]+)$', '/ID', seen['path'])}"
            for name in ("AWS", "NORTHFLANK")
            for seen in httpx.get(f"{self.environment[name]}/_sandbox/requests", timeout=60).json()
        )


@contextmanager
def stand_ins(policy: Mapping[str, object], *, credentials: int = 0) -> Iterator[StandIns]:
    """Start them with so many IAM users, one integration each; 0 is the stage's own one, whose key is fresh."""
    with TemporaryDirectory(prefix="rotator-bench-") as directory:
        command = (sys.executable, "-m", "bench.stand_ins", directory, str(credentials), json.dumps(policy))
        with subprocess.Popen(  # noqa: S603  # our own program
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            if process.stdin is None or process.stdout is None:
                raise SystemExit("the stand-ins have no pipes")
            yield StandIns(process.pid, json.loads(process.stdout.readline()))
            process.stdin.close()


def serve(directory: Path, credentials: int, policy: Mapping[str, object]) -> None:
    """Set the stage, say where it is, in one line, and serve until stdin is closed."""
    stage = Stage(directory, policy=policy, propagation=timedelta(0), rate_limit=10**9)
    sections = [fed(stage, number) for number in range(credentials)]
    with stage:
        config = yaml.safe_load(stage.config())
        (one,) = config["credentials"]
        config["credentials"] = [one | section for section in sections] or [one]
        config["northflank"]["default"] |= {"timeout": "10s", "settle": "20s"}
        config["audit"]["stdout"] = False
        config["log"] = {"level": "warning"}
        stage.config_file.write_text(json.dumps(config))  # which is YAML, without aliases
        where = {"AWS": stage.aws.server.url, "NORTHFLANK": stage.server.url}
        print(json.dumps({**stage.environment, **where}), flush=True)
        sys.stdin.read()


def fed(stage: Stage, number: int) -> Mapping[str, object]:
    """An IAM user with an integration that holds its key. Returns its place in the config."""
    user, integration = f"{USER}-{number}", f"i-{number}"
    stage.aws.add_user(user)
    clock = stage.aws.server.clock
    stage.aws.server.clock = lambda: clock() - DUE
    held = stage.aws.create_key(user).reveal()
    stage.aws.server.clock = clock
    stage.account.put(HeldIntegration(integration, integration, "aws", description="Bench.", credentials=held))
    return {"name": user, "user": user, "current_key": held["accessKey"], "integrations": [integration]}


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]))
