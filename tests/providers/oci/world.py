"""A tenancy with one user whose keys are rotated, and the provider that does it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from rotator.clock import Clock
from rotator.errors import CallFailed
from rotator.providers.base import Minted
from rotator.providers.oci.provider import OciUser, open_provider
from rotator.providers.oci.settings import OciAdmin, OciSection, OciSettings
from rotator.sandbox.oci.stand_in import REGION, OciStandIn
from rotator.sandbox.oci.stand_in import TenancyUser as User
from rotator.sandbox.wire.rules import Fault, Rule
from rotator.sandbox.wire.serving import utc_now
from tests.support.given import tools
from tests.support.patience import patience

PATIENT = timedelta(seconds=patience(20))
IMPATIENT = timedelta(seconds=patience(1))

LIST: dict[str, Any] = {"method": "GET", "path": "/apiKeys$"}
UPLOAD: dict[str, Any] = {"method": "POST", "path": "/apiKeys$"}
DELETE: dict[str, Any] = {"method": "DELETE", "path": "/apiKeys/"}
GET_USER: dict[str, Any] = {"method": "GET", "path": r"/users/[^/]+$"}


@dataclass(frozen=True, slots=True)
class Shifted:
    """The machine's clock, off by some time."""

    by: timedelta

    def now(self) -> datetime:
        return utc_now() + self.by

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class World:
    oci: OciStandIn
    user: User
    config_file: Path
    http: httpx.Client

    def open(self, deadline: timedelta = PATIENT, *, clock: Clock | None = None, **section: object) -> OciUser:
        admin = OciAdmin(
            config_file=str(section.pop("config_file", self.config_file)),
            profile=str(section.pop("profile", "DEFAULT")),
        )
        given = {
            "tenancy": self.oci.tenancy,
            "user": self.user.ocid,
            "compartment": self.oci.compartment,
            "region": REGION,
            "admin": admin,
            "endpoint": self.oci.server.url,
            **section,
        }
        return open_provider(
            OciSettings(oci=OciSection.model_validate(given)), tools(deadline, clock=clock, http=self.http)
        )

    def mint(self, **settings: object) -> Minted:
        provider = self.open(PATIENT, clock=None, **settings)
        return provider.mint(provider.draft("7f3a", 1))

    def spoil(self, request: Mapping[str, Any], fault: Fault) -> None:
        self.oci.faults.put(Rule(**request, times=None, fault=fault))

    def count(self, request: Mapping[str, Any]) -> int:
        return len(self.oci.faults.requests(**request))

    def stop(self) -> None:
        self.oci.server.__exit__(None, None, None)


def failure_of(call: Callable[[], object]) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        call()
    return caught.value
