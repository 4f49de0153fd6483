"""A Google Cloud provider and its stand-in, with the real SDK over sockets between them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from rotator.errors import CallFailed
from rotator.http.clients import HttpClients
from rotator.model import Key
from rotator.providers.base import Minted
from rotator.providers.gcp.provider import GcpAccount, open_provider
from rotator.providers.gcp.settings import GcpSettings
from rotator.sandbox.gcp.stand_in import GcpStandIn
from rotator.sandbox.wire.rules import Canned, Fault, Rule
from tests.providers.contract import Harness
from tests.support.given import tools
from tests.support.patience import patience

PATIENT = timedelta(seconds=patience(20))
IMPATIENT = timedelta(seconds=patience(1))
HTTP = HttpClients(httpx.Client())  # one for all, as in rotator: to make one costs more than most of these tests


@dataclass(frozen=True, slots=True)
class World:
    gcp: GcpStandIn
    email: str
    section: Mapping[str, Any]
    provider: GcpAccount

    def settings(self, *, service_account: str | None = None, **section: object) -> GcpSettings:
        return _settings(service_account or self.email, {**self.section, **section})

    def open(self, deadline: timedelta = PATIENT, **settings: Any) -> GcpAccount:
        return open_provider(self.settings(**settings), tools(deadline, clients=HTTP))

    def mint(self) -> Minted:
        return self.provider.mint(self.provider.draft("7f3a", 1))

    def spoil(self, path: str, fault: Fault, times: int | None = None) -> None:
        self.gcp.faults.put(Rule(path=re.compile(path), times=times, fault=fault))

    def count(self, path: str) -> int:
        return len(self.gcp.faults.requests(path=path))

    def listed(self) -> list[str]:
        return [key.key_id for key in self.gcp.keys(self.email)]

    def foreign_key(self) -> str:
        before = set(self.listed())
        self.gcp.create_key(self.email)
        (made,) = set(self.listed()) - before
        return made

    def reconnected(self) -> None:
        """Return once a read is served: it has a new connection then."""
        while True:
            with suppress(CallFailed):
                self.provider.list_keys()
                return

    def harness(self, create: str, *, backdated: timedelta = timedelta(0)) -> Harness:
        def keys() -> tuple[Key, ...]:
            return self.gcp.keys(self.email)

        return Harness(
            provider=self.provider,
            faults=self.gcp.faults,
            impatient=lambda: self.open(IMPATIENT),
            create={"path": create},
            disable={"path": "DisableServiceAccountKey"},
            delete={"path": "DeleteServiceAccountKey"},
            read={"path": "ListServiceAccountKeys"},
            prove={"path": "^/token$"},
            listed=keys,
            works=self.gcp.works,
            foreign_key=self.foreign_key,
            delete_identity=lambda: self.gcp.delete_account(self.email),
            secrets=self.gcp.secrets,
            down=lambda: self.gcp.__exit__(None, None, None),
            request_ids=False,
            backdated=backdated,
            reconnected=self.reconnected,
        )


def _settings(email: str, section: Mapping[str, Any]) -> GcpSettings:
    return GcpSettings.model_validate({"service_account": email, "gcp": section})


@contextmanager
def a_world(directory: Path, **section: object) -> Iterator[World]:
    """A project with one service account that has no key yet, and the provider for it."""
    with GcpStandIn() as gcp:
        email = gcp.add_account("northflank-byoc")
        whole: dict[str, Any] = {
            "credentials": {"file": str(gcp.write_credentials(directory / "rotator.json"))},
            **gcp.settings,
            **section,
        }
        yield World(gcp, email, whole, open_provider(_settings(email, whole), tools(PATIENT, clients=HTTP)))


def failure_of(call: Callable[[], object]) -> CallFailed:
    """What a call fails with."""
    with pytest.raises(CallFailed) as caught:
        call()
    return caught.value


def refusal(code: int, message: str = "No.", **headers: str) -> Canned:
    """A whole gRPC error, as it stands on the wire."""
    said = {"grpc-status": str(code), "grpc-message": message.replace(" ", "%20"), **headers}
    return Canned(status=200, content_type="application/grpc", headers=said)
