"""The wheel and the sdist, built as a release is: from tracked files alone, by the locked tools, the same each time.

`python -m tests.release.building` leaves them in `dist/`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
TOOLS = Path(sys.prefix) / "tools"
"""The environment of requirements-tools.lock; `make` sets it up."""

PURE = "py3-none-any"


@dataclass(frozen=True, slots=True)
class Built:
    """What one build made."""

    wheel: Path
    sdist: Path

    def hashes(self) -> dict[str, str]:
        """The SHA-256 of each file, by its name."""
        return {path.name: sha256(path.read_bytes()).hexdigest() for path in (self.sdist, self.wheel)}


class Failed(Exception):
    """A command failed; the message is what it said."""


def run(*command: str | Path, environment: Mapping[str, str] | None = None, umask: int = -1, put: bytes = b"") -> str:
    """Run a command to its end. Returns its standard output.

    Args:
        environment: all of it; None for this process's own.
        umask: of the command; -1 for this process's own.
        put: on its standard input.

    Raises:
        Failed: it exited with anything but 0.
    """
    done = subprocess.run(  # noqa: S603  # commands of our own
        command, capture_output=True, check=False, env=environment, umask=umask, input=put
    )
    if done.returncode:
        said = (done.stdout + done.stderr).decode(errors="replace")
        raise Failed(f"{' '.join(map(str, command))} exited with {done.returncode}:\n{said}")
    return done.stdout.decode()


def git(tree: Path, *arguments: str) -> str:
    """What git says of a tree. Raises Failed."""
    return run("git", "-C", tree, *arguments)


def tracked(tree: Path, into: Path) -> Path:
    """Copy a tree without whatever git doesn't know: that must never get into a package."""
    for name in filter(None, git(tree, "ls-files", "-z").split("\0")):
        if (tree / name).exists():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(tree / name, into / name, follow_symlinks=False)
    return into


def exported(tree: Path, tag: str, into: Path) -> Path:
    """The files of a tag."""
    into.mkdir(parents=True, exist_ok=True)
    archive = into / ".tar"
    git(tree, "archive", f"--output={archive}", tag)
    run("tar", "-x", "-f", archive, "-C", into)
    archive.unlink()
    return into


def epoch(tree: Path, revision: str = "HEAD") -> str:
    """The time of a commit: all files in the packages have it."""
    return git(tree, "log", "-1", "--format=%ct", revision).strip()


def build(tree: Path, out: Path, *, epoch: str, umask: int = 0o022, environment: Mapping[str, str] = {}) -> Built:
    """Build the sdist from a tree and the wheel from the sdist. Raises Failed.

    Args:
        tree: a copy that nothing else is in.
        out: where the files go.
        epoch: what time all files in them have.
        umask: of the build.
        environment: put over the process's own.
    """
    # `build` is the tools', the backend is the project's own environment's: both are locked by their hashes.
    (packages,) = TOOLS.glob("lib/python*/site-packages")
    run(
        *(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, tree),
        umask=umask,
        environment={**os.environ, "PYTHONPATH": str(packages), "SOURCE_DATE_EPOCH": epoch, **environment},
    )
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return Built(wheel, sdist)


def main() -> None:
    changed = [line[3:] for line in git(ROOT, "status", "--porcelain", "--untracked-files=no").splitlines()]
    out = ROOT / "dist"
    shutil.rmtree(out, ignore_errors=True)
    with TemporaryDirectory() as directory:
        built = build(tracked(ROOT, Path(directory)), out, epoch=epoch(ROOT))
    for name, digest in built.hashes().items():
        sys.stdout.write(f"{digest}  dist/{name}\n")
    if changed:
        sys.stdout.write(f"with changes that are not committed: {', '.join(changed)}\n")


if __name__ == "__main__":
    main()
