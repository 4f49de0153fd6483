"""Civo in the sandbox: an account whose only API key an integration holds, and an operator who regenerates it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import httpx
from pydantic import SecretStr

from rotator.material import Material
from rotator.model import Key
from rotator.providers.civo.place import key_id_of
from rotator.sandbox.civo.stand_in import REGENERATE, CivoKey, CivoStandIn
from rotator.sandbox.scene import OpenScene
from rotator.sandbox.wire.serving import Served

EMAIL = "platform@example.com"


class CivoScene(Served):
    """One account, one key, and the file where its owner puts new ones. Implements `scene.Scene`.

    Args:
        directory: for that file.
        clock: what time it is there (aware UTC).
        propagation: not used: Civo's new keys work at once, and the old ones die at once.

    Attributes:
        civo: the stand-in.
        account: the account.
        key_file: where the operator puts the key.
        regenerated: how often the button was pressed.
    """

    name = "prod-civo"
    provider = "civo"

    def __init__(
        self,
        directory: Path,
        *,
        clock: Callable[[], datetime],
        propagation: timedelta,  # noqa: ARG002  # every scene is made alike
    ) -> None:
        self.civo = CivoStandIn()
        self.civo.server.clock = clock
        self.account = self.civo.add_account(EMAIL)
        self.key_file = directory / "civo-key"
        self.regenerated = 0
        self._dead: set[str] = set()
        self._lock = threading.Lock()
        self._http = httpx.Client(timeout=10)
        self.serving = (self.civo, closing(self._http))
        first = self.civo.key(self.account)
        self.held = Material(secret={"apiKey": first.value})
        self.put(first)

    @property
    def settings(self) -> Mapping[str, object]:
        """The file, the account, the key that is held, and where the stand-in is."""
        return {
            "provider": "civo",
            "current_key": key_id_of(self.held.secret["apiKey"]),
            "civo": {
                "api_key": {"file": str(self.key_file)},
                "account": EMAIL,
                "api_url": self.civo.server.url,
            },
        }

    @property
    def environment(self) -> Mapping[str, str]:
        """Nothing: rotator has no rights of its own in Civo."""
        return {}

    @property
    def addresses(self) -> Mapping[str, str]:
        """The API."""
        return {"Civo": self.civo.server.url}

    def keys(self) -> tuple[Key, ...]:
        """The account's only key, under the id that rotator gives it."""
        key = self.civo.key(self.account)
        key_id = key_id_of(key.value)
        return (Key(key_id, key.made_at, mark=key_id),)

    def use(self, held: Mapping[str, str]) -> str:
        """Ask for the quota."""
        answer = self._http.get(
            f"{self.civo.server.url}/v2/quota", headers={"Authorization": f"bearer {held['apiKey']}"}
        )
        return "" if answer.is_success else f"{key_id_of(SecretStr(held['apiKey']))}: {answer.status_code}"

    @property
    def by_hand(self) -> str:
        """Press the stand-in's button."""
        return f"""\
Civo's keys are made by an operator: press Regenerate, and put the new key where rotator looks for it:

curl -X POST {self.civo.server.url}{REGENERATE} -o {self.key_file}
"""

    def regenerate(self) -> None:
        """Do what the operator does: press Regenerate, then put the new key into the file."""
        self.put(self.press())

    def press(self) -> CivoKey:
        """Press Regenerate. The key that Northflank holds is dead from now on."""
        with self._lock:
            self.regenerated += 1
            self._dead.add(self.civo.key(self.account).value.get_secret_value())
            return self.civo.regenerate(self.account)

    def put(self, key: CivoKey) -> None:
        """Put a key into the file, whole or not at all."""
        fresh = self.key_file.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(key.value.get_secret_value())
        fresh.replace(self.key_file)

    def awaiting(self, held: Mapping[str, str]) -> bool:
        """Regenerate killed the key that Northflank holds, and its successor isn't pushed yet: `use` must fail."""
        with self._lock:
            return held["apiKey"] in self._dead


open_scene: OpenScene = CivoScene
