"""`make new-provider NAME=foo`: a provider that passes `make lint`, and whose contract tests fail until it is written.

`skeleton/` beside this file is the tree that it writes, with the name in the place of `skeleton`. Of what exists it
changes the registry, and what follows from that.
"""

from __future__ import annotations

import keyword
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SKELETON = Path(__file__).parent / "skeleton"
REGISTRY = ROOT / "rotator/providers/registry.py"
EXAMPLE = ROOT / "config/rotator.example.yaml"
PYPROJECT = ROOT / "pyproject.toml"
ROOMS = ("rotator/providers", "rotator/sandbox", "tests/providers")

_ENTRY = """
  - name: prod-skeleton   # TODO
    provider: skeleton
    integrations: [prod-skeleton]
    skeleton:
      account: northflank
      token: {file: /run/secrets/skeleton-token}
      api_url: https://api.skeleton.example
"""


def new_provider(name: str) -> None:
    """Write the skeleton, and what follows from it.

    Raises:
        SystemExit: the name can't be one, or is taken.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]{1,20}", name) or keyword.iskeyword(name):
        raise SystemExit(f"{name!r} is no name for a provider: NAME=foo, of small letters and digits.")
    if (ROOT / "rotator/providers" / name).exists():
        raise SystemExit(f"rotator/providers/{name} is there already; nothing was written.")
    for template in sorted(SKELETON.rglob("*.txt")):
        target = ROOT / _named(str(template.relative_to(SKELETON)).removesuffix(".txt"), name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_named(template.read_text(), name))
    (ROOT / f"requirements/image-{name}.lock").touch()  # what its extra adds: nothing yet
    _insert(REGISTRY, f"from rotator.providers.{name}.settings import {_class(name)}Settings\n", "import")
    _insert(REGISTRY, f'    Registered("{name}", {_class(name)}Settings, "{_class(name)}", "TODO"),\n', "line")
    _insert(PYPROJECT, f"{name} = []\n", "extra")
    _insert(EXAMPLE, _named(_ENTRY, name), "entry")
    # The order of imports depends on the name.
    written = [str(REGISTRY), *(str(ROOT / room / name) for room in ROOMS)]
    for command in (["ruff", "check", "--quiet", "--fix-only", *written], ["tests.support.derived"]):
        subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True)  # noqa: S603  # ours


_BEFORE = {
    "import": re.compile(r"^from rotator\.settings\.section import", re.MULTILINE),
    "line": re.compile(r"^\)\n\nBUILT_IN", re.MULTILINE),
    "extra": re.compile(r"^sandbox = ", re.MULTILINE),
    "entry": re.compile(r"^\n  - name: prod-acme", re.MULTILINE),
}


def _insert(file: Path, text: str, before: str) -> None:
    whole = file.read_text()
    found = _BEFORE[before].search(whole)
    if found is None:
        raise SystemExit(f"{file} is not as it was: the place for {text.strip()!r} isn't found.")
    file.write_text(whole[: found.start()] + text + whole[found.start() :])


def _named(text: str, name: str) -> str:
    return text.replace("skeleton", name).replace("Skeleton", _class(name))


def _class(name: str) -> str:
    return name.capitalize()


if __name__ == "__main__":
    new_provider(*sys.argv[1:2] or [""])
