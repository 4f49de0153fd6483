"""Where the operator puts Civo's API keys, and what they are called there."""

from __future__ import annotations

import hashlib
import hmac
import threading
from dataclasses import dataclass
from datetime import datetime

from pydantic import SecretStr

from rotator.clock import Clock
from rotator.errors import CallFailed, RotatorError, Verdict
from rotator.material import Material
from rotator.model import Key
from rotator.settings.secret import SecretRef

_DOMAIN = b"rotator civo key id"
_ID_LENGTH = 16  # hexadecimal digits


def key_id_of(key: SecretStr) -> str:
    """The id of an API key, which has none of its own: a keyed hash. A key of Civo's can't be guessed from it."""
    digest = hmac.digest(_DOMAIN, key.get_secret_value().encode(), hashlib.sha256)
    return f"civo-{digest.hex()[:_ID_LENGTH]}"


@dataclass(frozen=True, slots=True)
class Found:
    """A key in its place, and when this process first saw it there (aware UTC)."""

    key_id: str
    value: SecretStr
    seen_at: datetime

    @property
    def key(self) -> Key:
        """As it is listed. Civo does not say when it made the key."""
        return Key(self.key_id, self.seen_at, mark=self.key_id)

    @property
    def material(self) -> Material:
        """As Northflank takes it."""
        return Material(secret={"apiKey": self.value})


class KeyPlace:
    """Where the operator puts the key. Remembers the keys that were there until they are forgotten. Thread-safe.

    Args:
        ref: where the key is.
        clock: dates when a key was seen.
    """

    def __init__(self, ref: SecretRef, clock: Clock) -> None:
        self.name = ref.place
        self._ref = ref
        self._clock = clock
        self._lock = threading.Lock()
        self._found: dict[str, Found] = {}

    def look(self, verdict: Verdict = Verdict.REFUSED) -> Found:
        """The key that is there now.

        Args:
            verdict: of the failure, if there is none.

        Raises:
            CallFailed: there is none, or it can't be read.
        """
        try:
            value = self._ref.read()
        except RotatorError as unreadable:
            failure = CallFailed(
                unreadable.message.rstrip("."),
                verdict=verdict,
                code="NoKey",
                permanent=verdict is Verdict.REFUSED,
                remedy=f"{unreadable.remedy} rotator looks again by itself.".lstrip(),
            )
        else:
            key_id = key_id_of(value)
            with self._lock:
                return self._found.setdefault(key_id, Found(key_id, value, self._clock.now()))
        raise failure  # outside of the handler: inside, what the reader had in its hands would hang on to it

    def remembered(self, key_id: str) -> SecretStr | None:
        """The value of a key that was there; None if this process didn't see it."""
        with self._lock:
            found = self._found.get(key_id)
        return None if found is None else found.value

    def forget(self, key_id: str) -> None:
        """This key is not asked for again."""
        with self._lock:
            self._found.pop(key_id, None)
