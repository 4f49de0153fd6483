"""A rig for each test, and an environment that is the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from tests.clouds.clouds import Cloud
from tests.clouds.rig import Rig

_UNSET = ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_SESSION_TOKEN")
_NOWHERE = "http://127.0.0.1:9"


class MakeRig(Protocol):
    """Makes a rig and starts its rotator.

    With these policy keys and other parts of the config over the usual ones, and this delay before a fresh key works.
    """

    def __call__(
        self,
        policy: dict[str, Any] | None = None,
        *,
        propagation: timedelta = timedelta(0),
        fan_out: bool = False,
        **overlay: Any,
    ) -> Rig: ...


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


@pytest.fixture
def make_rig(cloud: Cloud, http: httpx.Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MakeRig]:
    """At the end, whatever happened, the books are read."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-aws-credentials"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", _NOWHERE)  # whatever a test forgets, it never reaches the real AWS
    for name in _UNSET:
        monkeypatch.delenv(name, raising=False)
    made: list[Rig] = []
    with ExitStack() as stack:

        def make(
            policy: dict[str, Any] | None = None,
            *,
            propagation: timedelta = timedelta(0),
            fan_out: bool = False,
            **overlay: Any,
        ) -> Rig:
            overlay = {"policy": policy or {}, **overlay}
            rig = stack.enter_context(Rig(cloud, tmp_path, http, overlay, propagation=propagation))
            for name, value in rig.stage.environment.items():
                monkeypatch.setenv(name, value)
            if fan_out:
                rig.fan_out()
            rig.start()
            made.append(rig)
            return rig

        yield make
        for rig in made:
            rig.check_books()


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    """A rig as it comes."""
    return make_rig()
