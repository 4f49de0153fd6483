"""The image's locks: the versions and hashes that the tests run with, and all that each extra needs."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from rotator.host.distribution import NAME

ROOT = Path(__file__).parents[2]
EXTRAS = sorted(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
LOCKS = sorted(ROOT.glob("requirements/image*.lock"))
RENEW = "run `make lock-image`"


def locked(*files: Path) -> dict[str, set[str]]:
    """By name, the versions that are locked, and their hashes."""
    entries: dict[str, set[str]] = {}
    for line in "\n".join(file.read_text() for file in files).replace("\\\n", "").splitlines():
        if line and not line.lstrip().startswith("#"):
            pin, *hashes = re.split(r"\s+--hash=", line)
            assert hashes, f"{pin} has no hash"
            requirement = Requirement(pin)
            entry = entries.setdefault(canonicalize_name(requirement.name), set())
            entry |= {str(requirement.specifier), *(each.strip() for each in hashes)}
    return entries


def needed(extra: str | None) -> set[str]:
    """What rotator needs here with this extra, all the way down."""
    found: set[tuple[str, str]] = set()
    todo = [Requirement(NAME if extra is None else f"{NAME}[{extra}]")]
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        for wanted in {"", *requirement.extras} - {seen for other, seen in found if other == name}:
            found.add((name, wanted))
            of_it = map(Requirement, distribution(name).requires or ())
            todo += [each for each in of_it if each.marker is None or each.marker.evaluate({"extra": wanted})]
    return {name for name, _ in found} - {NAME}


@pytest.mark.parametrize("file", LOCKS, ids=lambda file: file.name)
def test_a_lock_has_what_the_tests_run_with(file: Path) -> None:
    tools = (ROOT / "requirements-tools.lock",) if file.name == "image-build.lock" else ()
    tested = locked(ROOT / "requirements.lock", *tools)
    for name, entry in locked(file).items():
        assert entry <= tested.get(name, set()), f"{name}: {RENEW}"


@pytest.mark.parametrize("extra", [None, *EXTRAS])
def test_the_locks_hold_all_that_an_extra_needs(extra: str | None) -> None:
    of_the_extra = () if extra is None else (ROOT / f"requirements/image-{extra}.lock",)
    assert needed(extra) <= locked(ROOT / "requirements/image.lock", *of_the_extra).keys(), RENEW


def test_nothing_but_rotators_own_needs_is_locked_for_all() -> None:
    there = locked(ROOT / "requirements/image.lock", ROOT / "requirements/image-all.lock")
    assert {name for name in there if name in {"moto", "pytest", "mypy", "hatchling", "pip", "setuptools"}} == set()
