"""The one `docker` that the tests and the pages of the documentation call.

With a Docker engine at hand it is that, sharing the host's network, where the stand-ins listen. Else it is a
script in front of buildah and podman, which take the same words, with a storage of its own: nothing of it shows in
`podman images`, and what earlier runs built there makes the next one quick.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.image.base import REFERENCE, import_base
from tests.image.surroundings import Moment

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rotator-tests"
STORAGE = ("--root", str(CACHE / "containers"), "--runroot", "/run/rotator-tests/containers")

_DOCKER = """#!/bin/sh
set -eu
command=$1; shift
case $command in
  build) exec {docker} build {secrets} "$@" ;;
  run) exec {docker} run --network host "$@" ;;
  *) exec {docker} "$command" "$@" ;;
esac
"""

# The stages that the image is made of are built before the machine's directories are mounted: of a mounted one there
# stays an empty directory in the layer.
_PODMAN = """#!/bin/sh
set -eu
command=$1; shift
case $command in
  build)
    buildah {storage} bud --isolation chroot --pull-never --format docker --layers --target base "$@"
    exec buildah {storage} bud --isolation chroot --pull-never --format docker --layers {secrets} {mounts} "$@" ;;
  run) exec podman {storage} --runtime runc run --network host --read-only-tmpfs=false \\
    --ulimit nofile=20000:20000 --ulimit nproc=20000:20000 "$@" ;;
  *) exec podman {storage} "$command" "$@" ;;
esac
"""


class Engine:
    """Calls `docker`.

    Args:
        directory: where the script is put; with it in the PATH, other scripts find it as well.
        surroundings: what a build needs of this machine.
    """

    def __init__(self, directory: Path, surroundings: Moment) -> None:
        self.command = directory / "docker"
        docker = _docker()
        self.is_podman = docker is None
        self.command.write_text(
            _DOCKER.format(docker=docker, secrets=shlex.join(surroundings.secrets))
            if docker is not None
            else _PODMAN.format(
                storage=shlex.join(STORAGE),
                secrets=shlex.join(surroundings.secrets),
                mounts=shlex.join(surroundings.mounts),
            )
        )
        self.command.chmod(0o755)

    def prepare(self) -> None:
        """Have a base to build on. Docker pulls one itself."""
        if self.is_podman and self("image", "exists", REFERENCE, check=False).returncode != 0:
            import_base(CACHE, ("podman", *STORAGE))

    def __call__(self, *arguments: str, check: bool = True, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run one command to its end.

        Raises:
            AssertionError: it failed, and `check` was said.
        """
        done = subprocess.run(  # noqa: S603  # our own script
            [str(self.command), *arguments], capture_output=True, text=True, timeout=timeout, check=False
        )
        assert not check or done.returncode == 0, (
            f"docker {shlex.join(arguments)} ended with {done.returncode}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
        return done

    def close(self) -> None:
        """Leave nothing mounted, whatever broke; and of the cache what is younger than a week."""
        if self.is_podman:
            for command in (
                ("podman", *STORAGE, "rm", "--all", "--force", "--volumes"),
                ("buildah", *STORAGE, "rm", "--all"),  # of builds that failed
                ("podman", *STORAGE, "image", "prune", "--force", "--filter", "until=168h"),
                ("umount", str(CACHE / "containers/overlay")),  # podman may leave it mounted on itself
            ):
                subprocess.run(command, capture_output=True, check=False)  # noqa: S603  # Debian's own tools

    def build(self, tag: str, *arguments: str) -> None:
        """Build the checkout's image."""
        self("build", *arguments, "--tag", tag, str(Path(__file__).parents[2]), timeout=900)

    def inspect(self, kind: str, name: str) -> Any:
        """What it knows of an image or a container."""
        return json.loads(self(kind, "inspect", name).stdout)[0]

    def python(self, where: Sequence[str], script: str) -> Any:
        """Run a script in a container (`exec NAME`), or in a new one of an image. Returns the JSON that it printed."""
        return json.loads(self(*where, "-c", script).stdout)

    def healthy(self, name: str) -> bool:
        """Run the image's own health check now."""
        if self.is_podman:
            return self("healthcheck", "run", name, check=False).returncode == 0
        test = self.inspect("container", name)["Config"]["Healthcheck"]["Test"]
        assert test[0] == "CMD"
        return self("exec", name, *test[1:], check=False).returncode == 0

    def remove(self, name: str) -> None:
        """End a container, and the volumes that have no name but its."""
        self("rm", "--force", "--volumes", name, check=False)


def _docker() -> str | None:
    """Where Docker's command is, if its engine runs."""
    for directory in os.environ["PATH"].split(os.pathsep):
        docker = Path(directory, "docker")
        if docker.is_file():
            up = subprocess.run([docker, "info"], capture_output=True, check=False, timeout=60)  # noqa: S603  # Docker's
            return str(docker) if up.returncode == 0 else None
    return None
