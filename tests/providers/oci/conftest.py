"""A tenancy for each test, over one HTTP client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from rotator.sandbox.oci.stand_in import OciStandIn
from tests.providers.oci.world import World


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


@pytest.fixture
def world(tmp_path: Path, http: httpx.Client) -> Iterator[World]:
    with OciStandIn() as oci:
        yield World(oci, oci.add_user("northflank-byoc"), oci.write_config(tmp_path), http)
