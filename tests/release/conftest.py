"""The packages of this tree, built once."""

from __future__ import annotations

import pytest

from tests.release.building import ROOT, Built, build, epoch, tracked


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    directory = tmp_path_factory.mktemp("built")
    return build(tracked(ROOT, directory / "tree"), directory / "dist", epoch=epoch(ROOT))
