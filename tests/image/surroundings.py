"""What a build needs of the machine it runs on: pip's settings, the CAs of a mirror, the directories that both name.

All of it is handed over as an operator with a mirror would do it (docs/install/container.md), and none of it may stay.
"""

from __future__ import annotations

import ast
import configparser
import ssl
import subprocess
import sys
from pathlib import Path

CANARY = "a-line-that-no-layer-may-hold-5f0c9d"

_ADDRESSES = ("find-links", "index-url", "extra-index-url", "proxy", "trusted-host")


class Moment:
    """Reads them, and puts them into files for the build.

    Attributes:
        secrets: options for `docker build`.
        mounts: options for `buildah bud`: the directories that pip's settings name.
        traces: texts that would tell in an image where it was built.
    """

    def __init__(self, directory: Path) -> None:
        settings = _pip_settings()
        authority = settings["global"].pop("cert", None) or ssl.get_default_verify_paths().cafile
        self.traces = {CANARY} | {
            word for section in settings.values() for key in _ADDRESSES for word in section.get(key, "").split()
        }
        paths = {path for section in settings.values() for value in section.values() for path in _paths(value)}
        self.mounts = [f"--volume={path}:{path}:ro" for path in sorted(paths)]
        pip = directory / "pip.conf"
        with pip.open("w") as file:
            file.write(f"# {CANARY}\n")
            written = configparser.RawConfigParser()
            written.read_dict(settings)
            written.write(file)
        self.secrets = [f"--secret=id=pip,src={pip}"]
        if authority is not None:
            ca = directory / "ca.pem"
            ca.write_text(f"# {CANARY}\n{Path(authority).read_text()}")
            self.secrets.append(f"--secret=id=ca,src={ca}")


def _pip_settings() -> dict[str, dict[str, str]]:
    """By section, what pip's files say, with what the environment says over it."""
    asked = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    settings: dict[str, dict[str, str]] = {"global": {}}
    for line in sorted(asked.stdout.splitlines(), key=lambda line: line.startswith(":env:")):
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section == ":env:":
            for each in settings.values():
                each.pop(key, None)
            section = "global"
        settings.setdefault(section, {})[key] = ast.literal_eval(value)
    return settings


def _paths(value: str) -> list[Path]:
    """The files and directories of this machine that a setting names. An index, `simple`, links to files beside it."""
    named = (Path(word.removeprefix("file://")) for word in value.split())
    there = (path for path in named if path.is_absolute() and path.exists())
    return [path.parent if path.name == "simple" else path for path in there]
