"""What drives a rotation is what a cloud can do, never which one it is: the machine has no word for any of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import rotator.rotation
from rotator.providers.registry import BUILT_IN

NAMES = "|".join((*BUILT_IN, "amazon", "google", "microsoft", "oracle", "kubernetes"))
CLOUDS = re.compile(rf"(?<![a-z])({NAMES})(?![a-z])", re.IGNORECASE)
SOURCES = sorted(path for room in rotator.rotation.__path__ for path in Path(room).rglob("*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_no_module_of_the_machine_names_a_cloud(source: Path) -> None:
    found = [line.strip() for line in source.read_text().splitlines() if CLOUDS.search(line)]
    assert found == []


def test_such_a_name_would_be_found() -> None:
    assert BUILT_IN
    assert CLOUDS.search('if managed.provider_name == "aws":')
    assert CLOUDS.search("GCP_SLOTS = 10")
    assert not CLOUDS.search("the social association")
