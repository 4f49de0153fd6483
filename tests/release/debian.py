"""A bare Debian in a directory of its own, as a new machine has it. Needs root and debootstrap.

Everything runs in a mount and process namespace that ends with the command: no mount and no process outlives it. The
network is the host's, so stand-ins on its loopback can be reached.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.release.building import run

SUITE = "bookworm"
USER, UID = "ada", 1000

_ENTER = """
set -e
tree=$1; shift
mount --make-rprivate /
mount -t proc proc "$tree/proc"
for shared in $SHARED; do
  if test -d "$shared"; then mkdir -p "$tree$shared"; else mkdir -p "$tree${shared%/*}"; touch "$tree$shared"; fi
  mount --bind -o ro "$shared" "$tree$shared"
done
exec chroot "$tree" "$@"
"""


def lacking() -> str:
    """What this machine must have first; empty if it has it."""
    if os.geteuid() != 0:
        return "the install page is tried on a bare Debian, which needs root"
    missing = [name for name in ("debootstrap", "unshare") if shutil.which(name) is None]
    return f"apt-get install -y {' '.join(missing)}" if missing else ""


class Debian:
    """A machine as the installer leaves it, with one ordinary user.

    Args:
        tree: where; made here.
    """

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.home = tree / "home" / USER
        run("cp", "--archive", _cached(), tree)
        for name in ("/etc/resolv.conf", "/etc/hosts"):
            shutil.copy(name, tree / name[1:])
        (tree / "etc/apt/apt.conf.d/99host").write_text(run("sh", "-c", "apt-config dump | grep ^Acquire::http || :"))
        self.root("useradd", "--create-home", "--uid", str(UID), USER)

    def root(self, *command: str) -> None:
        """Run a command as root, who sees nothing of the host's: packages put files there. Raises Failed."""
        run(*self._entered(), *command, environment=_environment("root"))

    def user(self, script: Path, typed: str, over: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a script as the user, with nothing of the host's environment but pip's settings, and these variables.

        Args:
            script: for sh; it stops at the first command that fails.
            typed: at the prompts.
            over: the variables.
        """
        become = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups")
        return self._script(script, f"home/{USER}", become, typed, over)

    def root_shell(self, script: Path, typed: str, over: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """The same as root."""
        return self._script(script, "root", (), typed, over)

    def _script(
        self, script: Path, home: str, become: tuple[str, ...], typed: str, over: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        shutil.copy(script, self.tree / home)
        there = f'cd /{home} && exec "$@"'
        return subprocess.run(  # noqa: S603  # our own page
            (*self._entered(), "sh", "-c", there, "sh", *become, "sh", "-eu", script.name),
            env={**_environment(home), "SHARED": " ".join(map(str, _shared())), **_pip(), **over},
            input=typed,
            capture_output=True,
            text=True,
            check=False,
        )

    def _entered(self) -> tuple[str, ...]:
        apart = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
        return (*apart, "sh", "-c", _ENTER, "sh", str(self.tree))


def _environment(home: str) -> dict[str, str]:
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": path, "HOME": f"/{home}", "DEBIAN_FRONTEND": "noninteractive", "SHARED": ""}


def _cached() -> Path:
    """The tree that debootstrap makes, once and for all tests to come."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rotator-tests"
    tree = cache / f"bare-{SUITE}"
    if not tree.exists():
        cache.mkdir(parents=True, exist_ok=True)
        begun = tree.with_suffix(f".{os.getpid()}")
        run("debootstrap", "--variant=minbase", SUITE, begun)
        begun.rename(tree)
    return tree


def _pip() -> dict[str, str]:
    """How this machine's pip finds packages, as variables: mirrors, certificates, directories."""
    settings: dict[str, str] = {}
    for line in run(sys.executable, "-m", "pip", "config", "list").splitlines():
        key, _, value = line.partition("=")
        if (name := key.rpartition(".")[2]) and key.startswith(("global.", "install.", ":env:")):
            settings[f"PIP_{name.replace('-', '_').upper()}"] = value.strip("'\"").replace("\\n", " ")
    return settings


def _shared() -> tuple[Path, ...]:
    """The files and directories of the host that those settings name: the user sees them, read-only."""
    words = [word for value in _pip().values() for word in value.split()]
    # An index in a directory may point beside itself.
    indexes = [Path(word.removeprefix("file://")).parent for word in words if word.startswith("file://")]
    return (*indexes, *(Path(word) for word in words if word.startswith("/") and Path(word).exists()))
