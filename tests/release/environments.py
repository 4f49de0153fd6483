"""A virtual environment with nothing but pip in it, and what is installed and run there."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.release.building import run

_OURS = ("ROTATOR_", "AWS_", "PYTHON", "VIRTUAL_ENV", "KUBECONFIG", "AZURE_", "GOOGLE_")


def bare() -> dict[str, str]:
    """This process's environment without what belongs to rotator, its clouds and its Python."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}


class Environment:
    """A virtual environment, made by one Python."""

    def __init__(self, directory: Path, python: Path) -> None:
        run(python, "-m", "venv", directory, environment=bare())
        self.bin = directory / "bin"

    def install(self, wheel: Path, extra: str | None = None) -> None:
        """By pip, with what the wheel needs from wherever this machine's pip finds it. Raises Failed."""
        what = f"northflank-rotator[{extra}] @ {wheel.as_uri()}" if extra else str(wheel)
        run(self.bin / "python", "-m", "pip", "install", "--quiet", what, environment=bare())

    def python(self, script: str) -> str:
        """What a script prints. Raises Failed."""
        return run(self.bin / "python", "-I", "-c", script, environment=bare())

    def rotator(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command that was installed."""
        return self.rotator_in(environment, *arguments)

    def rotator_in(self, over: Mapping[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """The same, with these variables."""
        return subprocess.run(  # noqa: S603  # the program that is tested
            (self.bin / "rotator", *arguments), env={**bare(), **over}, capture_output=True, text=True, check=False
        )
