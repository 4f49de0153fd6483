"""A rig for each test, and an AWS environment that is the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from tests.support.books import check_books
from tests.support.rig import ADMIN_FILE, Rig

_UNSET = ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_SESSION_TOKEN")
_ADMIN = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_NOWHERE = "http://127.0.0.1:9"


class MakeRig(Protocol):
    """Makes a rig, with these policy keys and other parts of the config over the usual ones."""

    def __call__(self, policy: dict[str, Any] | None = None, **overlay: Any) -> Rig: ...


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


@pytest.fixture
def prepare(http: httpx.Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MakeRig]:
    """Makes a rig whose rotator was not started yet."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / ADMIN_FILE))
    monkeypatch.setenv("AWS_ENDPOINT_URL", _NOWHERE)  # whatever a test forgets, it never reaches the real AWS
    for name in (*_UNSET, *_ADMIN):
        monkeypatch.delenv(name, raising=False)
    with ExitStack() as stack:

        def make(policy: dict[str, Any] | None = None, **overlay: Any) -> Rig:
            return stack.enter_context(Rig(tmp_path, http, {"policy": policy or {}, **overlay}))

        yield make


@pytest.fixture
def make_rig(prepare: MakeRig) -> Iterator[MakeRig]:
    """Makes a rig and starts its rotator; at the end, whatever happened, its books are read."""
    made: list[Rig] = []

    def make(policy: dict[str, Any] | None = None, **overlay: Any) -> Rig:
        made.append(prepare(policy, **overlay))
        made[-1].start()
        return made[-1]

    yield make
    for rig in made:
        check_books(rig)


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    """A rig as it comes."""
    return make_rig()
