"""A Northflank stand-in with a fault plan, and connections to it over real sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import httpx
import pytest
from pydantic import SecretStr

from rotator.clock import Clock, SystemClock
from rotator.material import Material
from rotator.northflank.budget import RateLimits
from rotator.northflank.client import Connection
from rotator.northflank.dependents import Dependent
from rotator.northflank.integration import Integration
from rotator.sandbox.northflank import account
from rotator.sandbox.northflank.stand_in import Northflank
from rotator.sandbox.wire.faults import Faults
from rotator.sandbox.wire.rules import Fault, Rule
from rotator.sandbox.wire.serving import Server
from tests.support.patience import patience

TOKEN = "nf-token-CANARY-0123456789"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/CANARYEXAMPLEKEY01"
OLD = {"accessKey": "AKIAOLDOLDOLDOLDOLD0", "secretKey": "old/secret/old/secret/old/secret/old/sec"}
NEW = {"accessKey": "AKIANEWNEWNEWNEWNEW0", "secretKey": SECRET_KEY}
STAMPED = "Production [rotator 7f3a g42 AKIA..NEW0 2026-11-23]"
SHORT = timedelta(milliseconds=round(patience(700)))
"""A deadline to run into, long enough to connect in."""

Method = Literal["auto", "post", "patch"]


@dataclass(frozen=True)
class Cloud:
    """Northflank as a test sees it: from the inside."""

    account: account.NorthflankAccount
    faults: Faults
    server: Server
    http: httpx.Client
    limits: RateLimits

    def connection(
        self,
        *,
        method: Method = "auto",
        team: str | None = None,
        token: Callable[[], SecretStr] = lambda: SecretStr(TOKEN),
        deadline: timedelta = timedelta(seconds=60),
        clock: Clock | None = None,
        url: str | None = None,
    ) -> Connection:
        return Connection(
            http=self.http,
            api_url=url or self.server.url,
            token=token,
            team=team,
            method=method,
            deadline=deadline,
            clock=clock or SystemClock(),
            limits=self.limits,
        )

    def integration(
        self,
        connection: Connection | None = None,
        integration: str = "prod-aws",
        *,
        provider: str = "aws",
        stamped: bool = True,
        watch: timedelta = timedelta(minutes=10),
        dependents: tuple[Dependent, ...] = (),
    ) -> Integration:
        return Integration(
            connection or self.connection(),
            integration,
            provider=provider,
            stamped=stamped,
            watch=watch,
            dependents=dependents,
        )

    def spoil(self, fault: Fault, *, method: Literal["GET", "POST", "PATCH"] | None = None, path: str = "") -> None:
        """Each matching request suffers the fault from now on."""
        self.faults.put(Rule.model_validate({"method": method, "path": path, "times": None, "fault": fault}))

    def updates(self) -> list[str]:
        """The methods of the requests that could have changed something, in the order of their arrival."""
        return [seen.method for seen in self.faults.requests() if seen.method != "GET"]

    def reads(self, path: str = "") -> int:
        """How many reads of this path have arrived."""
        return len(self.faults.requests(method="GET", path=path))


@pytest.fixture(scope="session")
def plain_http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


@pytest.fixture
def cloud(plain_http: httpx.Client) -> Iterator[Cloud]:
    ours = account.NorthflankAccount()
    ours.put_token(TOKEN, account.ApiToken())
    ours.put(account.HeldIntegration("prod-aws", "Production", "aws", description="Production", credentials=OLD))
    faults = Faults(Northflank(ours))
    with Server(faults) as server:
        yield Cloud(ours, faults, server, plain_http, RateLimits(SystemClock()))


@pytest.fixture
def material() -> Material:
    return Material(public={"accessKey": NEW["accessKey"]}, secret={"secretKey": SecretStr(NEW["secretKey"])})
