"""The Pythons that this machine has, of those that rotator supports."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.release.building import Failed, run

SUPPORTED = ("3.11", "3.12", "3.13")
LOOK = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2], sys.executable)"


def interpreters() -> dict[str, Path]:
    """One of each version: those that PYTHONS names, else those on PATH and those that pyenv knows."""
    found: dict[str, Path] = {}
    for command in (os.environ.get("PYTHONS") or " ".join(_candidates())).split():
        try:
            version, executable = run(command, "-c", LOOK).split()
        except (Failed, OSError):  # a shim of a version that isn't chosen, or a Python that can't make environments
            continue
        if version in SUPPORTED:
            found.setdefault(version, Path(executable))
    return found


def _candidates() -> Iterator[str]:
    for version in SUPPORTED:
        if on_path := shutil.which(f"python{version}"):
            yield on_path
    try:
        root = Path(run("pyenv", "root").strip())
    except (Failed, OSError):
        return
    for version in SUPPORTED:
        yield from map(str, sorted(root.glob(f"versions/{version}.*/bin/python{version}")))
