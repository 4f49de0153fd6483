"""What holds for every provider, of Google Cloud: with keys that are made here, and with keys that Google makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from rotator.sandbox.wire.rules import Fault
from tests.providers.contract import UNSURE, Harness, ProviderContract
from tests.providers.gcp.world import a_world

HOLDING_A_SECRET = ("cut in the middle", "cut behind the secret", "cut by one byte", "malformed, with a secret")


class TestUpload(ProviderContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Iterator[Harness]:
        with a_world(tmp_path) as world:
            yield world.harness("UploadServiceAccountKey", backdated=timedelta(minutes=2))


class TestMadeByGoogle(ProviderContract):
    # The way of the calls is the same; only here do answers hold secrets.
    unsure: ClassVar[Mapping[str, tuple[Fault, int]]] = {name: UNSURE[name] for name in HOLDING_A_SECRET}

    @pytest.fixture
    def harness(self, tmp_path: Path) -> Iterator[Harness]:
        with a_world(tmp_path, key_origin="google") as world:
            yield world.harness("CreateServiceAccountKey")
