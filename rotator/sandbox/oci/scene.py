"""OCI in the sandbox: a user whose API signing key an integration holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import httpx
from pydantic import SecretStr

from rotator.model import Key
from rotator.providers.oci import keys as oci_keys
from rotator.providers.oci.signing import Signer
from rotator.sandbox.oci.stand_in import REGION, OciStandIn
from rotator.sandbox.scene import OpenScene
from rotator.sandbox.wire.serving import Served

USER = "northflank-byoc"


class OciScene(Served):
    """One tenancy, one user. Implements `scene.Scene`.

    Args:
        directory: for the SDK's config file with rotator's own profile, and that profile's key.
        clock: what time it is there (aware UTC).
        propagation: how long a fresh key is unknown.
        port: a fixed one, or 0 for a free one.

    Attributes:
        oci: the stand-in.
        user: the OCID of the user whose keys are rotated.
    """

    name = "prod-oci"
    provider = "oci"

    def __init__(
        self, directory: Path, *, clock: Callable[[], datetime], propagation: timedelta, port: int = 0
    ) -> None:
        self.oci = OciStandIn(port=port)
        self.oci.server.clock = clock
        self.oci.propagation = propagation
        self.user = self.oci.add_user(USER).ocid
        self.held = self.oci.create_key(self.user)
        self._config_file = self.oci.write_config(directory)
        self._http = httpx.Client(timeout=10)
        self.serving = (self.oci, closing(self._http))
        self._signer: tuple[Mapping[str, str], Signer] | None = None

    @property
    def settings(self) -> Mapping[str, object]:
        """The user, the key that is held, and where the stand-in is."""
        return {
            "provider": "oci",
            "current_key": self.held.public["fingerprint"],
            "oci": {
                "tenancy": self.oci.tenancy,
                "user": self.user,
                "compartment": self.oci.compartment,
                "region": REGION,
                "admin": {"config_file": str(self._config_file)},
                "endpoint": self.oci.server.url,
            },
        }

    @property
    def environment(self) -> Mapping[str, str]:
        """Nothing: rotator's own key is in the config file."""
        return {}

    @property
    def addresses(self) -> Mapping[str, str]:
        """The Identity service."""
        return {"OCI": self.oci.server.url}

    def keys(self) -> tuple[Key, ...]:
        """The user's API keys."""
        return self.oci.keys(self.user)

    def use(self, held: Mapping[str, str]) -> str:
        """GetUser, on itself."""
        url = httpx.URL(f"{self.oci.server.url}/20160918/users/{held['userId']}")
        headers = self._signed_with(held).sign("GET", url, None, self.oci.server.clock())
        answer = self._http.get(url, headers=headers)
        return "" if answer.is_success else f"{held['fingerprint']}: {answer.status_code}"

    def _signed_with(self, held: Mapping[str, str]) -> Signer:
        # Once for each key, as a workload does.
        if self._signer is None or self._signer[0] != held:
            passphrase = held.get("passphrase")
            key = oci_keys.load(
                SecretStr(held["privateKey"]), SecretStr(passphrase) if passphrase else None, made_here=True
            )
            self._signer = held, Signer(held["tenancyId"], held["userId"], held["fingerprint"], key)
        return self._signer[1]


open_scene: OpenScene = OciScene
