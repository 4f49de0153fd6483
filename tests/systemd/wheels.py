"""What pip installs in the machines: the wheel of this checkout, and its dependencies for each suite's Python.

The dependencies are gathered once for each lock and kept in the cache, so that the machines need no registry. pip runs
within the suite's own tree, with this machine's settings of pip: another machine may use another mirror.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.systemd.trees import CACHE, copy, run

CHECKOUT = Path(__file__).parents[2]
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

_BUILD = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
_GATHER = """
python3 -m venv /tmp/pip
# By the file: it is this checkout's, whatever an index has under the name.
/tmp/pip/bin/pip wheel --quiet --disable-pip-version-check --wheel-dir /srv/out \\
  --constraint /srv/rotator/locked.txt "$(ls /srv/rotator/northflank_rotator-*.whl)[all]"
rm /srv/out/northflank_rotator-*.whl
"""


def build(source: Path, directory: Path) -> None:
    """Build the wheel of a source tree into the directory."""
    program = f"import os; os.chdir({str(source)!r}); {_BUILD}"
    run([sys.executable, "-c", program, str(directory)], timeout=120)


def dependencies(suite: str) -> Path:
    """A directory with a wheel of each dependency, as locked, all clouds' included."""
    lock = (CHECKOUT / "requirements.lock").read_bytes()
    made = CACHE / f"wheels-{suite}-{hashlib.sha256(lock).hexdigest()[:12]}"
    if not made.exists():
        with copy(suite) as root, tempfile.TemporaryDirectory(dir=CACHE) as directory:
            out, own = Path(directory) / "out", Path(directory) / "own"
            out.mkdir()
            build(CHECKOUT, own)
            (own / "locked.txt").write_text("\n".join(_versions(lock.decode())))
            _in_tree(root, _GATHER, f"--bind={out}:/srv/out", f"--bind-ro={own}:/srv/rotator")
            out.rename(made)
    return made


def _in_tree(root: Path, script: str, *options: str) -> None:
    settings = _pip_settings()
    binds = [f"--bind-ro={path}" for path in _places(settings)]
    given = [f"--setenv={name}={value}" for name, value in settings.items()]
    nspawn = ["systemd-nspawn", "--quiet", f"--directory={root}", "--pipe", "--register=no", "--keep-unit"]
    run([*nspawn, *options, *binds, *given, "/bin/sh", "-ec", script], timeout=1200)


def _versions(lock: str) -> Iterator[str]:
    """The versions of a lock as constraints: pip takes hashes only where everything is named."""
    for line in lock.splitlines():
        if re.match(r"[a-z0-9]", line):
            yield line.removesuffix("\\").strip()


def _pip_settings() -> Mapping[str, str]:
    """Where and how pip finds packages on this machine, as variables: from its files and from its environment."""
    settings: dict[str, str] = {}
    for line in run([sys.executable, "-m", "pip", "config", "list"], timeout=60).splitlines():
        name, _, value = line.partition("=")
        variable = f"PIP_{name.rpartition('.')[2].replace('-', '_').upper()}"
        settings.setdefault(variable, str(ast.literal_eval(value)))  # the environment's come first in the list
    if CERTIFICATES.exists():
        settings.setdefault("PIP_CERT", str(CERTIFICATES))
    return settings


def _places(settings: Mapping[str, str]) -> set[Path]:
    """The files and directories of this machine that the settings name."""
    places = set()
    for word in " ".join(settings.values()).split():
        path = Path(word.removeprefix("file://"))
        if path.is_absolute() and path.exists():
            # An index on disk refers to files beside it.
            places.add(path.parent if word.startswith("file://") else path)
    return places
