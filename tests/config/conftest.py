"""A config, and what rotator says of it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from rotator.config.load import load
from rotator.config.models import Config
from rotator.errors import ConfigError
from tests.config.fine import FINE, Load, Problems


@pytest.fixture
def config(tmp_path: Path) -> Load:
    """Load a config with this text, or with these lines after the fine one."""

    def _load(more: str = "", *, text: str = FINE, environ: Mapping[str, str] | None = None) -> Config:
        path = tmp_path / "rotator.yaml"
        path.write_text(text + more)
        return load(path, environ or {})

    return _load


@pytest.fixture
def problems(config: Load, tmp_path: Path) -> Problems:
    """What is wrong with such a config, a line each, the file being called `rotator.yaml`."""

    def _problems(more: str = "", *, text: str = FINE, environ: Mapping[str, str] | None = None) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            config(more, text=text, environ=environ)
        assert caught.value.__context__ is None
        return [line.removeprefix(f"{tmp_path}/") for line in caught.value.problems]

    return _problems
