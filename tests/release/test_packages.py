"""What is in the wheel and the sdist, and what they say of themselves."""

from __future__ import annotations

import re
import tarfile
import tomllib
from configparser import ConfigParser
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

from rotator import __version__
from tests.release import check
from tests.release.building import ROOT, TOOLS, Built, build, epoch, git, run, tracked
from tests.release.interpreters import SUPPORTED
from tests.release.test_check import Tree

pytestmark = pytest.mark.machine

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
INFO = f"northflank_rotator-{__version__}.dist-info/"
SHARED = INFO.replace(".dist-info/", ".data/data/share/rotator/")
"""Where the wheel has what is no module: pip puts it below the environment's own share/."""


def files(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def read(wheel: Path, name: str) -> str:
    with ZipFile(wheel) as archive:
        return archive.read(name).decode()


def test_two_builds_are_the_same_to_the_last_bit(tmp_path: Path) -> None:
    one, other = check.twice(ROOT, tmp_path)
    assert one.hashes() == other.hashes()


HOOK = """
from uuid import uuid4
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
class Hook(BuildHookInterface):
    def initialize(self, version, build_data):
        open(self.root + "/rotator/made.py", "w").write(f"made = '{uuid4()}'")
"""
MADE_UP = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "northflank-rotator"
version = "1.2.0"
readme = "README.md"
[tool.hatch.build.targets.wheel]
packages = ["rotator"]
"""


@pytest.mark.parametrize(
    ("project", "readme", "problem"),
    [
        (MADE_UP, "A readme.", None),
        (MADE_UP + "[tool.hatch.build.hooks.custom]\n", "A readme.", "is another one each time it is built"),
        (MADE_UP, "", "long_description` missing"),
        ("nonsense", "A readme.", "exited with 1"),
    ],
)
def test_the_check_of_the_packages_names_what_is_wrong(
    tmp_path: Path, project: str, readme: str, problem: str | None
) -> None:
    tree = Tree(tmp_path / "tree")
    for name, text in {"pyproject.toml": project, "README.md": readme, "hatch_build.py": HOOK}.items():
        tree.write(name, text)
    tree.commit()
    problems = "\n".join(check.packages(tree.root))
    assert problem in problems if problem is not None else not problems, problems


def test_the_wheel_of_the_sdist_is_the_wheel_of_the_tree(built: Built, tmp_path: Path) -> None:
    direct = tracked(ROOT, tmp_path / "tree")
    with tarfile.open(built.sdist) as archive:
        archive.extractall(tmp_path / "sdist", filter="data")
    (unpacked,) = (tmp_path / "sdist").iterdir()
    wheels = [build(tree, tmp_path / tree.name / "out", epoch=epoch(ROOT)) for tree in (direct, unpacked)]
    assert [each.hashes() for each in wheels] == [built.hashes()] * 2


def test_twine_finds_nothing(built: Built) -> None:
    assert "PASSED" in run(TOOLS / "bin/python", "-m", "twine", "check", "--strict", built.wheel, built.sdist)


def test_the_wheel_is_the_package_its_units_and_nothing_else(built: Built) -> None:
    tracked_files = set(git(ROOT, "ls-files", "rotator").split())
    units = {SHARED + name for name in git(ROOT, "ls-files", "systemd").split()}
    info = {INFO + name for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")}
    assert files(built.wheel) == tracked_files | units | info
    assert {"rotator/py.typed", "rotator/store/migrations/env.py"} <= tracked_files
    assert f"{SHARED}systemd/rotator.service" in units
    with ZipFile(built.wheel) as archive:
        runnable = {each.filename for each in archive.infolist() if (each.external_attr >> 16) & 0o777 != 0o644}
    assert runnable <= {f"{SHARED}systemd/rotator"}, "the command of people beside the units is a script"


def test_the_sdist_has_what_the_tests_need(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        members = archive.getmembers()
    names = {member.name.partition("/")[2] for member in members}
    wanted = set(git(ROOT, "ls-files").split())
    assert wanted - names == set(), "a new file at the top? name it in pyproject.toml's sdist"
    assert names - wanted == {"PKG-INFO"}
    assert {(member.uid, member.gid, member.uname) for member in members} == {(0, 0, "")}


def test_no_bytecode_and_nothing_that_looks_like_a_secret(built: Built) -> None:
    assert not [
        name for name in files(built.wheel) if re.search(r"\.py[cod]$|__pycache__|\.db|\.env|\.pem$|token$", name)
    ]
    text = "".join(read(built.wheel, name) for name in files(built.wheel))
    assert not re.findall(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}", text)
    assert not re.findall(r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b", text)


def test_the_metadata_are_the_projects(built: Built) -> None:
    metadata = Parser().parsestr(read(built.wheel, INFO + "METADATA"))
    assert (metadata["Name"], metadata["Version"]) == ("northflank-rotator", __version__)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == PROJECT["requires-python"]
    assert set(metadata.get_all("Provides-Extra", ())) == PROJECT["optional-dependencies"].keys()
    classifiers = metadata.get_all("Classifier", ())
    assert classifiers == PROJECT["classifiers"]
    assert {f"Programming Language :: Python :: {each}" for each in SUPPORTED} | {"Typing :: Typed"} <= set(classifiers)
    assert str(metadata.get_payload()).strip() == (ROOT / "README.md").read_text().strip()


def test_the_entry_points_are_the_projects(built: Built) -> None:
    told = ConfigParser()
    told.read_string(read(built.wheel, INFO + "entry_points.txt"))
    groups = {"console_scripts": PROJECT["scripts"]}  # the group of plugins is for plugins: the registry has ours
    assert {group: dict(told[group]) for group in told.sections()} == groups
