"""The programs that judge the manifests: where they are, and how they are run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "config" / "kubernetes"
CHART = ROOT / "config" / "helm" / "rotator"
JS = Path(__file__).parent / "js"

_TOOLS = Path(sys.prefix) / "tools"
_OURS = {
    "kubectl": _TOOLS / "kubernetes" / "kubectl" / "kubectl",
    "helm": _TOOLS / "kubernetes" / "helm" / "helm",
    "kubernetes-validate": _TOOLS / "bin" / "kubernetes-validate",
}


def program(name: str) -> str:
    """Where a program is: one that `make test-kubernetes` fetched, else the machine's own.

    Raises:
        FileNotFoundError: there is none.
    """
    ours = _OURS.get(name)
    found = str(ours) if ours is not None and ours.exists() else shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} isn't here: `make test-kubernetes` says what is needed, and fetches the rest")
    return found


def ran(
    name: str, *arguments: str | Path, stdin: str | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A program's end, whatever it is."""
    return subprocess.run(  # noqa: S603  # our own arguments
        [program(name), *map(str, arguments)],
        input=stdin,
        env={**os.environ, **(environment or {})},
        text=True,
        capture_output=True,
        check=False,
        timeout=120,
    )


def said(name: str, *arguments: str | Path, stdin: str | None = None) -> str:
    """What a program wrote to its standard output.

    Raises:
        AssertionError: it failed.
    """
    done = ran(name, *arguments, stdin=stdin)
    assert done.returncode == 0, f"{name} {' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}"
    return done.stdout
