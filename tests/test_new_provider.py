"""`make new-provider` in a copy of the tree: what it changes, that it passes lint, that its tests fail one by one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FEW = 6
"""Files that were there, and that a new provider may change."""

pytestmark = pytest.mark.timeout(600)


def git(directory: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=directory, check=True, capture_output=True, text=True).stdout  # noqa: S603, S607  # ours


def python(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(directory)}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)  # noqa: S603  # ours


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree as it is here, in a repository of its own, with the provider `foo`."""
    copy = tmp_path_factory.mktemp("tree")
    for name in git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    git(copy, "init", "--quiet")
    git(copy, "add", "--all")
    git(copy, "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "--message", "before")
    done = python(copy, "tests.support.new_provider", "foo")
    assert done.returncode == 0, done.stderr
    return copy


def test_it_changes_few_files(tree: Path) -> None:
    changed = git(tree, "diff", "--name-only").splitlines()
    assert "rotator/providers/registry.py" in changed
    assert len(changed) <= FEW, changed
    new = git(tree, "ls-files", "--others", "--exclude-standard").splitlines()
    assert {"rotator/providers/foo/provider.py", "docs/providers/foo.md", "tests/providers/foo/test_provider.py"} <= {
        *new
    }
    assert not [name for name in new if "skeleton" in (tree / name).read_text().lower()]


def test_it_passes_lint(tree: Path) -> None:
    for arguments in (["check"], ["format", "--check"]):
        judged = python(tree, "ruff", *arguments, "--no-cache", ".")
        assert judged.returncode == 0, judged.stdout
    new = ["rotator/providers/foo", "rotator/sandbox/foo", "tests/providers/foo", "rotator/providers/registry.py"]
    if (ROOT / ".mypy_cache").exists():
        shutil.copytree(ROOT / ".mypy_cache", tree / ".mypy_cache", dirs_exist_ok=True)
    typed = python(tree, "mypy", *new)
    assert typed.returncode == 0, typed.stdout


def test_all_that_follows_from_the_registry_is_there(tree: Path) -> None:
    suites = ("tests/test_registry.py", "tests/test_layers.py", "tests/config/test_schema.py")
    passed = python(tree, "pytest", "-q", "-p", "no:cacheprovider", *suites)
    assert passed.returncode == 0, passed.stdout


def test_its_contract_fails_one_by_one(tree: Path) -> None:
    failed = python(tree, "pytest", "-q", "-p", "no:cacheprovider", "--tb=line", "tests/providers/foo")
    summary = failed.stdout.splitlines()[-1]
    assert failed.returncode == 1, failed.stdout
    assert "error" not in summary
    count = re.search(r"(\d+) failed", summary)
    assert count is not None
    assert int(count[1]) >= 20, summary
    assert "foo: mint isn't written" in failed.stdout


def test_a_name_that_can_be_none_is_refused(tree: Path) -> None:
    before = git(tree, "status", "--porcelain")
    for name in ("", "foo", "Foo", "fo-o", "class"):
        assert python(tree, "tests.support.new_provider", name).returncode == 1, name
    assert git(tree, "status", "--porcelain") == before
