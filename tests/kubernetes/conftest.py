"""One podman, and one image of the checkout, for all tests that run pods."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.trial import Trial, trial
from tests.image.engine import Engine
from tests.image.surroundings import Moment
from tests.kubernetes.pod import IMAGE, Pod
from tests.kubernetes.podman import Podman, lacking


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Podman:
    """With the image at hand."""
    missing = lacking()
    if missing is not None:
        pytest.fail(missing, pytrace=False)
    directory = tmp_path_factory.mktemp("podman")
    engine = Engine(directory, Moment(directory))
    engine.build(IMAGE, "--build-arg=EXTRAS=aws")
    podman = Podman(directory)
    podman.take(IMAGE, engine, directory)
    return podman


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Trial]:
    """The stand-ins, and a consumer of the key that is held."""
    stage = tmp_path / "stage"
    stage.mkdir()
    with trial(stage) as made:
        yield made


@pytest.fixture
def pod(podman: Podman, made: Trial, tmp_path: Path) -> Pod:
    """That of the Deployment."""
    return Pod(podman, made, tmp_path / "mine")
