"""The containers of one trial: the config and the volume that they get, and how they are run."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.chaos.process import Service
from tests.chaos.trial import Trial
from tests.image.engine import Engine
from tests.support.patience import patience

UID = 10001
HARDENED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--ipc=none")

_numbers = itertools.count(1)


class Place:
    """What a person prepares on the host before the first `docker run`.

    Args:
        engine: runs the containers.
        made: the stand-ins. Their data directory is the containers' volume.
        directory: where the config is put.

    Attributes:
        name: of the service's container.
    """

    def __init__(self, engine: Engine, made: Trial, directory: Path) -> None:
        self.name = f"rotator-test-{os.getpid()}-{next(_numbers)}"
        self.data = made.stage.store_file.parent
        self.config_file = directory / "rotator.yaml"
        self._engine = engine
        self._made = made
        self._directory = directory
        directory.mkdir(mode=0o755)
        directory.chmod(0o755)
        self.data.mkdir(mode=0o700)
        own(self.data)
        self.private("northflank-token", made.stage.token_file.read_text())
        self.private("aws-credentials", aws_credentials(made.stage.environment))
        self.configure()

    def configure(self, **sections: object) -> None:
        """Write the config, with these sections in place of its own."""
        config: dict[str, Any] = yaml.safe_load(self._made.configure())
        config["northflank"]["default"]["token"] = {"file": "/etc/rotator/northflank-token"}
        config["store"] = {"url": "sqlite:////var/lib/rotator/rotator.db"}
        config["audit"] = {"file": "/var/lib/rotator/audit.jsonl"}
        config["health"] = {"listen": f"127.0.0.1:{free_port()}"}
        self.config_file.write_text(yaml.safe_dump(config | sections))

    def config(self) -> dict[str, Any]:
        """The config as it is now."""
        return dict(yaml.safe_load(self.config_file.read_text()))

    def private(self, name: str, text: str) -> None:
        """Write a file that only rotator reads."""
        file = self._directory / name
        file.touch(mode=0o400)
        file.write_text(text)
        own(file)

    def run(self, image: str, *command: str, options: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Run a command in a container of its own, to its end."""
        return self._engine("run", "--rm", *HARDENED, *self._mounts(), *options, image, *command, check=False)

    @contextmanager
    def service(self, image: str, *, options: Sequence[str] = ()) -> Iterator[Service]:
        """The service, listened to at its output."""
        command = (str(self._engine.command), "run", "--name", self.name, *HARDENED, *self._mounts(), *options, image)
        try:
            with Service(command, os.environ, self._made.output) as service:
                yield service
        finally:
            self._engine.remove(self.name)

    @contextmanager
    def detached(self, image: str) -> Iterator[None]:
        """The service, in the background."""
        self._engine("run", "--detach", "--name", self.name, *HARDENED, *self._mounts(), image)
        try:
            yield
        finally:
            self._engine.remove(self.name)

    def rotator(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command beside the service, in its container."""
        return self._engine("exec", self.name, "rotator", *arguments, check=check)

    def _mounts(self) -> tuple[str, ...]:
        return (
            f"--volume={self._directory}:/etc/rotator:ro",
            f"--volume={self.data}:/var/lib/rotator",
            "--env=AWS_SHARED_CREDENTIALS_FILE=/etc/rotator/aws-credentials",
            "--env=AWS_EC2_METADATA_DISABLED=true",
        )


def until(happened: Callable[[], bool]) -> None:
    """Wait for it, and no longer than tests wait for anything."""
    limit = time.monotonic() + patience()
    while not happened():
        assert time.monotonic() < limit
        time.sleep(0.01)


def own(path: Path) -> None:
    """Give it to the image's user."""
    shutil.chown(path, UID, UID)


def aws_credentials(environment: Mapping[str, str]) -> str:
    """Rotator's own key, as AWS's SDKs read it from a file."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    return "\n".join(("[default]", *(f"{name.lower()} = {environment[name]}" for name in names), ""))


def free_port() -> int:
    """A port of loopback that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
