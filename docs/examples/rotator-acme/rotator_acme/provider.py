"""The API keys of one robot in Acme, as rotator sees them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from pydantic import SecretStr

from rotator.errors import CallFailed, Verdict
from rotator.material import Material
from rotator.model import Key, Proof, Reply
from rotator.providers.base import Abilities, Draft, Listing, Minted, Right, Tools
from rotator_acme.api import ask, read
from rotator_acme.settings import AcmeSettings


class AcmeRobot:
    """Implements `rotator.providers.base.Provider`. It keeps no state, and is called from several threads at once."""

    def __init__(self, settings: AcmeSettings, tools: Tools) -> None:
        self._robot = settings.robot
        self._api = f"{settings.api_url}/v1"
        self._keys = f"robots/{settings.robot}/keys"
        self._token = settings.token.read  # at each call anew: a new file is a new token
        self._http = tools.http.trusting(None)  # the process's own client
        self._timeout = tools.deadline.total_seconds()

    @property
    def abilities(self) -> Abilities:
        """They decide how careful rotator must be. `exact`: a key that a lost answer made is found by its label."""
        return Abilities(slots=None, exact=True, proves=self, disables=self)

    @property
    def identity(self) -> str:
        """Whose keys these are. The journal knows the credential by this, not by its name in the config."""
        return f"acme:robot/{self._robot}"

    def list_keys(self) -> Listing:
        """All keys, and the cloud's own time: rotator compares clocks before it revokes anything."""
        answer = self._ask("GET", self._keys)
        date = answer.headers.get("date", "")
        return read(answer, lambda said: Listing(tuple(map(_key, said["keys"])), parsedate_to_datetime(date)))

    def draft(self, store_id: str, generation: int) -> Draft:
        """The mark goes into the journal before the mint: by it the key is found whatever happens."""
        return Draft(mark=f"rotator-{store_id}-g{generation}-{secrets.token_hex(4)}")

    def mint(self, draft: Draft) -> Minted:
        """One attempt. After an answer that can't be read there may be a key: rotator looks for it."""
        return read(self._ask("POST", self._keys, {"label": draft.mark}), _minted)

    def prove(self, material: Material) -> Proof:
        """Use the candidate itself. One that isn't known yet is no failure: rotator asks again."""
        try:
            answer = self._ask("GET", "me", token=material.secret["apiKey"])
        except CallFailed as failed:
            if failed.code == "unauthorized":
                return Proof.NOT_YET
            raise
        if read(answer, lambda said: said["robot"]) == self._robot:
            return Proof.ALIVE
        wrong = "the new key belongs to another robot"
        raise CallFailed(wrong, verdict=Verdict.REFUSED, code="wrong-robot", permanent=True, remedy="Check `api_url`.")

    def disable(self, key_id: str) -> Reply:
        """Undone by `enable`."""
        return self._change("PATCH", key_id, {"enabled": False})

    def enable(self, key_id: str) -> Reply:
        """For `rotator undo`."""
        return self._change("PATCH", key_id, {"enabled": True})

    def delete(self, key_id: str) -> Reply:
        """That the key is gone already is success."""
        try:
            return self._change("DELETE", key_id)
        except CallFailed as failed:
            if failed.code == "no_such_key":
                return Reply()
            raise

    def check(self) -> Sequence[Right]:
        """For `rotator check`. It changes nothing, and doesn't claim what it can't know."""
        self.list_keys()
        return (Right("acme: keys can be listed", holds=True), Right("acme: keys can be created", holds=None))

    def _change(self, method: str, key_id: str, body: Mapping[str, object] | None = None) -> Reply:
        self._ask(method, f"{self._keys}/{key_id}", body)
        return Reply()

    def _ask(
        self, method: str, path: str, body: Mapping[str, object] | None = None, *, token: SecretStr | None = None
    ) -> httpx.Response:
        bearer = token or self._token()
        return ask(self._http, method, f"{self._api}/{path}", token=bearer, timeout=self._timeout, body=body)


def _key(said: Mapping[str, Any]) -> Key:
    return Key(said["id"], datetime.fromisoformat(said["created_at"]), enabled=said["enabled"], mark=said["label"])


def _minted(said: Mapping[str, Any]) -> Minted:
    """The fields of the material are those that Northflank takes. What the stamp may show of the key is the hint."""
    key = _key(said)
    return Minted(key, Material(secret={"apiKey": SecretStr(said["secret"])}), hint=key.key_id)
