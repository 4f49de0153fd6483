"""`make release-check`: is this tree ready to be released? A line for each check; exit 1 if one fails.

docs/release.md has the rest of the list. The checks are run on made-up trees by test_check.py.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from tests.release.building import ROOT, TOOLS, Built, Failed, build, epoch, git, run, tracked

DUMPS = "tests/store/released"
SCRIPTS = "rotator/store/migrations/versions"
LOCKS = {"requirements.lock": "dev", "requirements-tools.lock": "tools"}
"""Each lock, and the dependency group that it has."""

ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
RESERVED = re.compile(r"[@.](?:(?:invalid|example|test|localhost)|example\.(?:com|net|org))$", re.IGNORECASE)
"""Domains that never receive mail (RFC 2606, RFC 6761)."""

Problems = Iterator[str]


def version_of(tree: Path) -> str:
    found = re.search(r'^__version__ = "(.*)"$', (tree / "rotator/__init__.py").read_text(), re.MULTILINE)
    return found[1] if found else ""


def last_tag(tree: Path) -> str | None:
    """The tag of the newest released version, if there is any."""
    tags = re.findall(r"^v[0-9]+(?:\.[0-9]+)*$", git(tree, "tag"), re.MULTILINE)
    return max(tags, key=Version, default=None)


def version(tree: Path) -> Problems:
    """The version is a final one by PEP 440, and newer than the last tag."""
    text, tag = version_of(tree), last_tag(tree)
    try:
        mine = Version(text)
    except InvalidVersion:
        yield f"rotator/__init__.py: {text!r} is no version (PEP 440)"
        return
    if str(mine) != text or mine.is_prerelease or mine.local or mine.epoch:
        yield f"rotator/__init__.py: {text} is not a final release in its usual spelling"
    if tag is not None and mine <= Version(tag):
        yield f"rotator/__init__.py: {text} is not newer than {tag}"


def changelog(tree: Path) -> Problems:
    """CHANGELOG.md has a dated section of this version with something in it, and nothing waits under Unreleased."""
    text = (tree / "CHANGELOG.md").read_text()
    sections = dict(re.findall(r"^## (.*)\n((?:(?!## ).*\n?)*)", text, re.MULTILINE))
    waiting = next((body for heading, body in sections.items() if heading.strip("[]") == "Unreleased"), "")
    if waiting.strip():
        yield "CHANGELOG.md: there is something under Unreleased; give it the version and the day"
    wanted = version_of(tree)
    heading = next((each for each in sections if re.match(rf"\[?{re.escape(wanted)}\]?( |$)", each)), None)
    if heading is None:
        yield f"CHANGELOG.md: no section for {wanted}; write: ## {wanted} - {datetime.now(UTC):%Y-%m-%d}"
        return
    if not sections[heading].strip():
        yield f"CHANGELOG.md: nothing is said of {wanted}"
    try:
        if date.fromisoformat(heading.rpartition(" - ")[2]) > datetime.now(UTC).date():
            yield f"CHANGELOG.md: {heading} is in the future"
    except ValueError:
        yield f"CHANGELOG.md: {heading} has no day; write: ## {wanted} - {datetime.now(UTC):%Y-%m-%d}"


def contact(tree: Path) -> Problems:
    """SECURITY.md has an address that can receive mail."""
    page = tree / "SECURITY.md"
    addresses = ADDRESS.findall(page.read_text()) if page.exists() else []
    if not addresses:
        yield "SECURITY.md: it names no address to report a vulnerability to"
    for address in addresses:
        if RESERVED.search(address):
            yield f"SECURITY.md: {address} is a placeholder; write an address that a maintainer reads"


def clean(tree: Path) -> Problems:
    """Git knows of every file, and as it is."""
    changed = git(tree, "status", "--porcelain").splitlines()
    if changed:
        yield f"not committed: {', '.join(line[3:] for line in changed)}"


def locks(tree: Path) -> Problems:
    """What pyproject.toml asks for is in the locks, in a version that fits, with hashes; parts of them agree."""
    project = tomllib.loads((tree / "pyproject.toml").read_text())
    pinned: set[tuple[str, str]] = set()
    for name, group in LOCKS.items():
        locked = _locked((tree / name).read_text())
        pinned |= {(package, each) for package, versions in locked.items() for each in versions}
        for text in (*(_wanted(project) if group == "dev" else ()), *project["dependency-groups"][group]):
            wanted = Requirement(text)
            if canonicalize_name(wanted.name) == project["project"]["name"]:
                continue
            versions = locked.get(canonicalize_name(wanted.name), ())
            if not any(wanted.specifier.contains(each, prereleases=True) for each in versions):
                yield f"{name}: {text} is not in it ({', '.join(versions) or 'nothing'} is); make lock"
    for part in sorted(tree.glob("requirements/*.lock")):
        for package, versions in _locked(part.read_text()).items():
            if not {(package, each) for each in versions} <= pinned:
                yield f"requirements/{part.name}: {package} {' '.join(versions)} is in neither lock; make lock"


def _wanted(project: Mapping[str, Any]) -> Iterator[str]:
    yield from project["build-system"]["requires"]
    yield from project["project"]["dependencies"]
    for extra in project["project"]["optional-dependencies"].values():
        yield from extra


def _locked(lock: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, pinned, rest in re.findall(r"^([\w.-]+)==([^\s;\\]+)(.*(?:\n .*)*)", lock, re.MULTILINE):
        if "--hash=sha256:" in rest:
            found[canonicalize_name(name)] = (*found.get(canonicalize_name(name), ()), pinned)
    return found


def dumps(tree: Path) -> Problems:
    """Each schema has the dump of its store, and no dump that was released has changed."""
    for script in sorted((tree / SCRIPTS).glob("[0-9]*.py")):
        schema = script.name.partition("_")[0]
        for kind in ("sql", "json"):
            if not (tree / DUMPS / f"{schema}.{kind}").exists():
                yield f"{DUMPS}/{schema}.{kind} is missing: python -m tests.store.dump"
    tag = last_tag(tree)
    for name in git(tree, "ls-tree", "-r", "--name-only", tag, f"{DUMPS}/").split() if tag is not None else ():
        if not (tree / name).exists() or (tree / name).read_text() != git(tree, "show", f"{tag}:{name}"):
            yield f"{name} is not as it was released with {tag}"


def packages(tree: Path) -> Problems:
    """Two builds, far from one another, are the same to the last bit; twine finds nothing."""
    with TemporaryDirectory() as directory:
        try:
            one, other = twice(tree, Path(directory))
            run(TOOLS / "bin/python", "-m", "twine", "check", "--strict", one.wheel, one.sdist)
        except Failed as failed:
            yield str(failed)
            return
        for name, digest in one.hashes().items():
            if other.hashes().get(name) != digest:
                yield f"{name} is another one each time it is built"
            sys.stdout.write(f"        {digest}  {name}\n")


def twice(tree: Path, directory: Path) -> tuple[Built, Built]:
    """Build in two places, as two people on two machines would."""
    when = epoch(tree)
    one = tracked(tree, directory / "one")
    other = tracked(tree, directory / "somewhere" / "else")
    for path in other.rglob("*"):
        path.chmod(0o700 if path.is_dir() or path.stat().st_mode & 0o100 else 0o600)
    here = {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1"}
    there = {"TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "4711"}
    return (
        build(one, directory / "dist1", epoch=when, umask=0o022, environment=here),
        build(other, directory / "dist2", epoch=when, umask=0o077, environment=there),
    )


CHECKS: tuple[Callable[[Path], Problems], ...] = (version, changelog, contact, clean, locks, dumps, packages)


def main() -> int:
    ready = True
    for check in CHECKS:
        problems = list(check(ROOT))
        ready = ready and not problems
        sys.stdout.write(f"{'fail' if problems else 'ok':6}  {check.__name__}: {check.__doc__}\n")
        sys.stdout.writelines(f"        -> {problem}\n" for problem in problems)
    sys.stdout.write(f"\n{'ready' if ready else 'NOT ready'}: rotator {version_of(ROOT)}\n")
    return 0 if ready else 1


if __name__ == "__main__":
    sys.exit(main())
