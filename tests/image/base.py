"""A base image where no registry is asked: the distribution of the real one, tagged with the very name in FROM."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

SUITE = "trixie"
REFERENCE = f"docker.io/library/debian:{SUITE}-slim"

_LEFT_OUT = ("./var/cache/apt/*", "./var/lib/apt/lists/*", "./var/log/*", "./usr/share/man/*", "./usr/share/locale/*")
_SLIM = """path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/locale/*
path-exclude /usr/share/man/*
"""


def import_base(cache: Path, podman: Sequence[str]) -> None:
    """Make the base image, from the mirror that this machine's apt has."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as directory:
        tree = Path(directory, SUITE)
        _run("debootstrap", "--variant=minbase", SUITE, str(tree), *_mirror())
        for page in tree.glob("usr/share/doc/*/*"):
            if page.is_file() and page.name != "copyright":
                page.unlink()
        (tree / "etc/dpkg/dpkg.cfg.d/slim").write_text(_SLIM)
        archive = Path(directory, "base.tar")
        _run(
            "tar",
            "-C",
            str(tree),
            "--one-file-system",
            *(f"--exclude={each}" for each in _LEFT_OUT),
            "-cf",
            str(archive),
            ".",
        )
        _run(*podman, "import", "--quiet", str(archive), REFERENCE)


def _mirror() -> list[str]:
    """The one of this machine's apt; without an answer, debootstrap's own."""
    asked = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"],  # noqa: S607  # Debian's own tool
        capture_output=True,
        text=True,
        check=False,
    )
    return [uri for uri in asked.stdout.split() if uri.rstrip("/").endswith("/debian")][:1]


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # Debian's own tools
    assert done.returncode == 0, f"{command[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
