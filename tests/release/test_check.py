"""Each check of `make release-check` on made-up trees: it passes a good one, and names what is wrong with a bad one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.release import check
from tests.release.building import ROOT, git, tracked

INIT = "rotator/__init__.py"
CHANGELOG = "CHANGELOG.md"
SECURITY = "SECURITY.md"
DUMP = "tests/store/released/0001.sql"

PYPROJECT = """
[build-system]
requires = ["backend>=1"]
[project]
name = "northflank-rotator"
dependencies = ["one>=1.2", "Two_Three<4"]
[project.optional-dependencies]
aws = ["four[x]>=1; python_version < '3.12'"]
all = ["northflank-rotator[aws]"]
[dependency-groups]
dev = ["five"]
tools = ["six==6"]
"""
LOCK = "".join(
    f"{pinned} \\\n    --hash=sha256:00\n    # via northflank-rotator\n"
    for pinned in ("backend==1.9", "one==1.2.0", "two-three==3.9.1", "four==2 ; python_version < '3.12'", "five==5")
)
TODAY = f"{datetime.now(UTC):%Y-%m-%d}"
TOMORROW = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}"

FILES = {
    INIT: '__version__ = "1.2.0"\n',
    CHANGELOG: f"# Changelog\n\n## Unreleased\n\n## 1.2.0 - {TODAY}\n\n### Added\n\n- All.\n\n## 1.1.0 - 2026-01-01\n",
    SECURITY: "# Security\n\nWrite to **security@rotator.dev**.\n",
    "pyproject.toml": PYPROJECT,
    "requirements.lock": LOCK,
    "requirements-tools.lock": "six==6 \\\n    --hash=sha256:00\n",
    "requirements/image.lock": "one==1.2.0 --hash=sha256:00\nsix==6 --hash=sha256:00\n",
    "rotator/store/migrations/versions/0001_journal.py": "",
    DUMP: "one",
    "tests/store/released/0001.json": "{}",
}


class Tree:
    """A repository that is ready to be released."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        git(root, "init", "--quiet")
        for setting in ("user.name=somebody", "user.email=somebody@example.com", "commit.gpgsign=false"):
            git(root, "config", *setting.split("=", 1))
        for name, text in FILES.items():
            self.write(name, text)
        self.commit("v1.1.0")
        self.write("later", "")
        self.commit()

    def write(self, name: str, text: str | None) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)

    def commit(self, tag: str | None = None) -> None:
        git(self.root, "add", "--all")
        git(self.root, "commit", "--quiet", "--message", "-")
        if tag is not None:
            git(self.root, "tag", tag)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "tree")


QUICK = {each.__name__: each for each in check.CHECKS if each is not check.packages}


@pytest.mark.parametrize("name", QUICK)
def test_a_tree_that_is_ready_passes(tree: Tree, name: str) -> None:
    assert list(QUICK[name](tree.root)) == []


@pytest.mark.parametrize(
    ("name", "file", "text", "problem"),
    [
        ("version", INIT, '__version__ = "newest"\n', "'newest' is no version"),
        ("version", INIT, "VERSION = 1\n", "'' is no version"),
        ("version", INIT, '__version__ = "1.2.0rc1"\n', "not a final release"),
        ("version", INIT, '__version__ = "1.2.0.dev3"\n', "not a final release"),
        ("version", INIT, '__version__ = "1.2.0+mine"\n', "not a final release"),
        ("version", INIT, '__version__ = "v1.2.0"\n', "in its usual spelling"),
        ("version", INIT, '__version__ = "1.1.0"\n', "1.1.0 is not newer than v1.1.0"),
        ("version", INIT, '__version__ = "1.0.9"\n', "1.0.9 is not newer than v1.1.0"),
        ("changelog", CHANGELOG, "## Unreleased\n\n- All.\n", "no section for 1.2.0"),
        ("changelog", CHANGELOG, "## 1.2.0 - 2026-01-01\n\n## 1.1.0\n", "nothing is said of 1.2.0"),
        ("changelog", CHANGELOG, "## 1.2.0\n\n- All.\n", "has no day"),
        ("changelog", CHANGELOG, "## [1.2.0] - soon\n\n- All.\n", "has no day"),
        ("changelog", CHANGELOG, f"## 1.2.0 - {TOMORROW}\n\n- All.\n", "is in the future"),
        ("changelog", CHANGELOG, f"## Unreleased\n\n- More.\n\n## 1.2.0 - {TODAY}\n\n- All.\n", "under Unreleased"),
        ("changelog", CHANGELOG, "## 1.2.01 - 2026-01-01\n\n- All.\n", "no section for 1.2.0"),
        ("contact", SECURITY, "Write to **security@example.invalid**.\n", "security@example.invalid is a placeholder"),
        (
            "contact",
            SECURITY,
            "security@rotator.dev, or ops@mail.Example.com.\n",
            "ops@mail.Example.com is a placeholder",
        ),
        ("contact", SECURITY, "Write to us.\n", "it names no address"),
        ("contact", SECURITY, None, "it names no address"),
        ("clean", INIT, "", INIT),
        ("clean", "left-over", "", "left-over"),
        ("clean", DUMP, None, DUMP),
        ("locks", "requirements.lock", LOCK.replace("one==1.2.0", "one==1.1"), "one>=1.2 is not in it (1.1 is)"),
        ("locks", "requirements.lock", LOCK.replace("five", "fives"), "five is not in it (nothing is)"),
        ("locks", "requirements.lock", LOCK.replace("two-three==3.9.1", "two-three==4"), "Two_Three<4 is not in it"),
        ("locks", "requirements.lock", LOCK.replace("sha256:", "md5:"), "is not in it"),
        ("locks", "requirements-tools.lock", "", "six==6 is not in it"),
        ("locks", "pyproject.toml", PYPROJECT.replace("four[x]>=1", "four[x]>=3"), "four[x]>=3"),
        ("locks", "pyproject.toml", PYPROJECT.replace("backend>=1", "backend>=2"), "backend>=2 is not in it"),
        ("locks", "requirements/image.lock", "one==1.1 --hash=sha256:00\n", "image.lock: one 1.1 is in neither lock"),
        ("dumps", DUMP, None, f"{DUMP} is missing"),
        ("dumps", DUMP, "other", "is not as it was released with v1.1.0"),
        ("dumps", "rotator/store/migrations/versions/0002_more.py", "", "0002.json is missing"),
    ],
)
def test_what_is_wrong_is_named(tree: Tree, name: str, file: str, text: str | None, problem: str) -> None:
    tree.write(file, text)
    assert problem in "\n".join(QUICK[name](tree.root))


def test_before_the_first_tag_any_version_is_new(tree: Tree) -> None:
    git(tree.root, "tag", "--delete", "v1.1.0")
    tree.write(INIT, '__version__ = "0.1.0"\n')
    tree.write(DUMP, "other")
    assert [*check.version(tree.root), *check.dumps(tree.root)] == []


def test_tags_are_compared_as_versions_and_other_tags_are_none(tree: Tree) -> None:
    for tag in ("v1.10.0", "v1.9.0", "vendor", "v2-draft"):
        git(tree.root, "tag", tag)
    assert check.last_tag(tree.root) == "v1.10.0"


def test_what_git_does_not_know_is_never_packed(tree: Tree, tmp_path: Path) -> None:
    tree.write("secret.env", "TOKEN=x")
    tree.write("later", None)
    packed = tracked(tree.root, tmp_path / "packed")
    assert {str(path.relative_to(packed)) for path in packed.rglob("*") if path.is_file()} == FILES.keys()


def test_the_locks_of_this_very_tree_are_current() -> None:
    assert list(check.locks(ROOT)) == []
