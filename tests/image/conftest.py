"""One engine and its images for all tests here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rotator import __version__
from tests.chaos.trial import Trial, trial
from tests.image.engine import Engine
from tests.image.place import Place
from tests.image.surroundings import Moment

LABELS = {
    "VERSION": __version__,
    "REVISION": "0123abc",
    "CREATED": "2026-01-02T03:04:05Z",
    "SOURCE": "https://git.example",
}


@pytest.fixture(scope="session")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Moment:
    return Moment(tmp_path_factory.mktemp("surroundings"))


@pytest.fixture(scope="session")
def engine(surroundings: Moment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine(tmp_path_factory.mktemp("engine"), surroundings)
    try:
        engine.prepare()
        yield engine
    finally:
        engine.close()


def built(engine: Engine, extras: str) -> str:
    labels = (f"--build-arg={name}={value}" for name, value in LABELS.items())
    tag = f"rotator:{extras}"
    engine.build(tag, f"--build-arg=EXTRAS={extras}", *labels)
    return tag


@pytest.fixture(scope="session")
def image(engine: Engine) -> str:
    """With AWS alone."""
    return built(engine, "aws")


@pytest.fixture(scope="session")
def image_of_all(engine: Engine) -> str:
    return built(engine, "all")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Trial]:
    """The stand-ins, and a consumer of the key that is held."""
    stage = tmp_path / "stage"
    stage.mkdir()
    with trial(stage) as made:
        yield made


@pytest.fixture
def place(engine: Engine, made: Trial, tmp_path: Path) -> Place:
    return Place(engine, made, tmp_path / "config")
