"""Podman as the kubelet: `podman play kube`, with the storage that the image's tests have."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.image.engine import STORAGE, Engine

NEEDED = {
    "buildah": "buildah",
    "podman": "podman",
    "runc": "runc",
    "debootstrap": "debootstrap",
    "catatonit": "catatonit",  # what a pod's first container runs
}
"""Programs, and Debian's packages that have them."""

# Of the limits that podman would raise, some machines allow none.
_CONF = """[containers]
default_ulimits = ["nofile=20000:20000", "nproc=20000:20000"]
[engine]
runtime = "runc"
"""


def lacking() -> str | None:
    """Why no pod can be run here, and what to do; None if one can."""
    if os.geteuid() != 0:
        return (
            "pods are run by podman as root: run `make test-kubernetes` as root; the manifests were judged without it"
        )
    path = f"{os.environ['PATH']}{os.pathsep}/usr/libexec/podman"
    packages = sorted(package for name, package in NEEDED.items() if shutil.which(name, path=path) is None)
    return (
        f"pods can't be run here: apt-get install -y --no-install-recommends {' '.join(packages)}" if packages else None
    )


class Podman:
    """Calls podman.

    Args:
        directory: where its settings are put.
    """

    def __init__(self, directory: Path) -> None:
        conf = directory / "containers.conf"
        conf.write_text(_CONF)
        self.command = ("podman", *STORAGE)
        self.environment = {**os.environ, "CONTAINERS_CONF": str(conf)}

    def __call__(self, *arguments: str, check: bool = True, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run one command to its end.

        Raises:
            AssertionError: it failed, and `check` was said.
        """
        done = subprocess.run(  # noqa: S603  # our own arguments
            [*self.command, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert not check or done.returncode == 0, f"podman {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done

    def take(self, image: str, engine: Engine, directory: Path) -> None:
        """Have an image that another engine built."""
        if not engine.is_podman:
            archive = directory / "image.tar"
            engine("save", "--output", str(archive), image, timeout=300)
            self("load", "--input", str(archive), timeout=300)
            archive.unlink()

    def inspect(self, container: str) -> Any:
        """What it knows of a container."""
        return json.loads(self("container", "inspect", container).stdout)[0]

    def volume(self, name: str, directory: Path, image: str) -> None:
        """Make a volume of this directory, as a kubelet hands it to a pod with `fsGroup: 10001`."""
        self("volume", "create", "--opt=type=none", "--opt=o=bind", f"--opt=device={directory}", name)
        # At its first use podman gives a volume to the container's user, which no kubelet does.
        self("run", "--rm", "--user=0", f"--volume={name}:/var/lib/rotator", "--entrypoint=/bin/true", image)
        shutil.chown(directory, 0, 10001)
        directory.chmod(0o2775)

    def play(self, manifests: Path, *options: str) -> None:
        """Have the manifests' pod."""
        self("play", "kube", *options, str(manifests), timeout=120)

    def end(self, pod: str) -> None:
        """End a pod at once; the volumes that have a name stay."""
        listed = self("ps", "--all", "--quiet", f"--filter=pod={pod}", check=False).stdout.split()
        if listed:
            self("rm", "--force", "--volumes", "--time=0", *listed, check=False)
        self("pod", "rm", "--force", "--time=0", pod, check=False)

    def remove(self, pod: str, *volumes: str) -> None:
        """End all of it."""
        self.end(pod)
        for volume in volumes:
            self("volume", "rm", "--force", volume, check=False)


if __name__ == "__main__":
    sys.exit(lacking())
