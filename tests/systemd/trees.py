"""Debian on disk: made once for each suite by debootstrap, kept in the user's cache, copied for each use."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SUITES = {"bookworm": 252, "trixie": 257}
"""Debian 12 and 13, and the systemd that each has."""

# What an installed Debian has beyond debootstrap's least, and what the README asks for.
PACKAGES = "systemd,systemd-sysv,dbus,libnss-systemd,ca-certificates,python3,python3-venv"

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rotator-tests"


def tree(suite: str) -> Path:
    """The tree of this suite, for reading. Takes two minutes where it isn't in the cache."""
    made = CACHE / f"machine-{suite}"
    if not made.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix=f"making-{suite}-") as directory:
            new = Path(directory) / "tree"
            command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, str(new)]
            # Debian's own server, unless a mirror is named; debootstrap takes proxies from the environment.
            run([*command, *filter(None, [os.environ.get("DEBIAN_MIRROR")])], timeout=1200)
            shutil.rmtree(new / "var/cache/apt/archives")
            new.rename(made)
    return made


@contextmanager
def copy(suite: str) -> Iterator[Path]:
    """A copy of the tree, gone at the end."""
    source = tree(suite)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix=f"run-{suite}-") as directory:
        root = Path(directory) / "root"
        run(["cp", "--archive", "--reflink=auto", str(source), str(root)], timeout=120)
        yield root


def run(command: list[str], *, timeout: float) -> str:
    """Run a program of this machine to its good end.

    Returns:
        What it wrote.

    Raises:
        RuntimeError: it failed; what it said is in the message.
    """
    done = subprocess.run(  # noqa: S603  # ours
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-5000:]}")
    return done.stdout
