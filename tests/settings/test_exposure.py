"""Which files others than root and rotator can write, by the file's own mode, group, owner and mount."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rotator.settings.exposure import directory_exposure, exposures

STRANGER = 4242
_READ_ONLY = """
"$2" -c "$3" "$1"
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
"$2" -c "$3" "$1"
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a token"
    path.write_text("x")
    path.chmod(0o600)
    return path


def commands(*files: Path) -> list[str]:
    return [each.command for each in exposures(map(str, files))]


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o644, 0o664, 0o755])
def test_what_others_can_read_at_most_is_fine(file: Path, mode: int) -> None:
    file.chmod(mode)  # its group is this process's own
    assert commands(file) == []


def test_written_by_all(file: Path) -> None:
    file.chmod(0o666)
    [found] = exposures([str(file)])
    assert found.text == f"{file} can be written by every user of this machine"
    assert found.command == f"chmod o-w '{file}'"


@as_root
def test_written_by_a_group_that_is_none_of_ours(file: Path) -> None:
    file.chmod(0o660)
    os.chown(file, 0, STRANGER)
    assert commands(file) == [f"chmod g-w '{file}'"]
    file.chmod(0o640)
    assert commands(file) == []


@as_root
def test_owned_by_another_user(file: Path) -> None:
    file.chmod(0o600)
    os.chown(file, STRANGER, 0)
    assert commands(file) == [f"chown {os.geteuid()} '{file}'"]


def test_through_links_as_kubernetes_mounts_them(file: Path, tmp_path: Path) -> None:
    file.chmod(0o602)
    (tmp_path / "..data").symlink_to(tmp_path, target_is_directory=True)
    link = tmp_path / "token"
    link.symlink_to(Path("..data", file.name))
    assert commands(link, file) == [f"chmod o-w '{file}'"], "one file is named once, by its own name"


def test_what_is_not_there_is_for_its_reader_to_say(tmp_path: Path) -> None:
    (tmp_path / "round").symlink_to(tmp_path / "round")
    assert commands(tmp_path / "none", tmp_path / "round", tmp_path) == []


@as_root
def test_a_mount_that_is_read_only_needs_no_mode(file: Path) -> None:
    file.chmod(0o666)
    look = "import sys; from rotator.settings.exposure import exposures; print(len(list(exposures(sys.argv[1:]))))"
    mounted = subprocess.run(  # noqa: S603  # our own command
        ["/usr/bin/unshare", "--mount", "/bin/sh", "-ec", _READ_ONLY, "sh", file, sys.executable, look],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr}")
    assert mounted.stdout == "1\n0\n"


def test_a_directory(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    assert directory_exposure(directory) is None
    directory.mkdir(0o755)
    assert directory_exposure(directory) is None
    directory.chmod(0o777)
    exposed = directory_exposure(directory)
    assert exposed is not None
    assert exposed.open_to_all
    directory.chmod(0o1777)
    sticky = directory_exposure(directory)
    assert sticky is not None
    assert not sticky.open_to_all
