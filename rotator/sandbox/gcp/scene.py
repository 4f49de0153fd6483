"""Google Cloud in the sandbox: a service account whose key file an integration holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import httpx

from rotator.model import Key
from rotator.sandbox.gcp.stand_in import GcpStandIn
from rotator.sandbox.scene import OpenScene
from rotator.sandbox.wire.serving import Served

_HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}


class GcpScene(Served):
    """One project, one service account. Implements `scene.Scene`.

    Args:
        directory: where rotator's own key file goes.
        clock: what time it is there (aware UTC).
        propagation: how long a fresh key is unknown.

    Attributes:
        gcp: the stand-in.
        account: the service account's address.
    """

    name = "prod-gcp"
    provider = "gcp"

    def __init__(self, directory: Path, *, clock: Callable[[], datetime], propagation: timedelta) -> None:
        self.gcp = GcpStandIn(clock=clock)
        self.gcp.project.propagation = propagation
        self.account = self.gcp.add_account("northflank-byoc")
        self.held = self.gcp.create_key(self.account)
        self._credentials = directory / "gcp-admin.json"
        self._http = httpx.Client(timeout=10)
        self.serving = (self.gcp, closing(self._http))

    def __enter__(self) -> Self:
        super().__enter__()
        self.gcp.write_credentials(self._credentials)
        return self

    @property
    def settings(self) -> Mapping[str, object]:
        """The account, the key that is held, rotator's own credentials, and where the stand-in is."""
        return {
            "provider": "gcp",
            "service_account": self.account,
            "current_key": json.loads(self.held.reveal()["keyfileJson"])["private_key_id"],
            "gcp": {"credentials": {"file": str(self._credentials)}, **self.gcp.settings},
        }

    @property
    def environment(self) -> Mapping[str, str]:
        """Nothing: rotator's own credentials are a file that the settings name."""
        return {}

    @property
    def addresses(self) -> Mapping[str, str]:
        """IAM is gRPC; the token endpoint is where the fault plan is set as well."""
        return {"Google Cloud IAM": self.gcp.iam.url, "Google Cloud tokens": self.gcp.http.url}

    def keys(self) -> tuple[Key, ...]:
        """The account's user-managed keys."""
        return self.gcp.keys(self.account)

    def use(self, held: Mapping[str, str]) -> str:
        """Exchange an assertion, signed with the key, for an access token.

        Where to is the stand-in's address, not the key file's: that names Google.
        """
        key_file = held["keyfileJson"]
        answer = self._http.post(self.gcp.token_uri, headers=_HEADERS, content=self.gcp.assertion(key_file))
        return "" if answer.is_success else f"{json.loads(key_file)['private_key_id']}: {answer.status_code}"


open_scene: OpenScene = GcpScene
