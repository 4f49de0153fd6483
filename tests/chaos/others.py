"""What others do to keys while the service works: they make, disable, enable and delete keys, and undo that again.

Each act is written down with its time: what follows from it isn't rotator's doing, and rotator must not undo it.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from rotator.clock import SystemClock
from rotator.errors import CallFailed
from rotator.providers.base import Provider
from rotator.sandbox.stage import Stage

_SLOTS = 2  # of an IAM user


def key_of(held: Mapping[str, str]) -> str:
    """The id of the key in this credential set, in a cloud whose keys can be disabled."""
    return str(
        held["accessKey"] if "accessKey" in held else json.loads(held.get("keyfileJson", "{}"))["private_key_id"]
    )


@dataclass(frozen=True, slots=True)
class Act:
    """One change of a key by another than rotator."""

    at: datetime
    what: str
    credential: str
    key_id: str


@dataclass(slots=True)
class Others:
    """They act on the keys of these credentials, by the clouds' own APIs. Thread-safe.

    Args:
        stage: the accounts.
        providers: each credential's cloud, entered with an administrator's rights.
        users: the IAM users among them, by the credential's name.
        chance: decides what they do.
    """

    stage: Stage
    providers: Mapping[str, Provider]
    users: Mapping[str, str]
    chance: Random
    acts: list[Act] = field(default_factory=list)
    _given_back: dict[str, datetime] = field(default_factory=dict)
    _pending: list[Callable[[], None]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def counted(self) -> Counter[str]:
        """How often they did what."""
        return Counter(act.what for act in self.acts)

    def took(self, held: Mapping[str, str], began: datetime) -> bool:
        """A call that began then with this credential set can't work: they had disabled or deleted its key."""
        with self._lock:
            given_back = self._given_back.get(key_of(held))
            return given_back is not None and began <= given_back

    def act(self, credential: str) -> None:
        """Do something to this credential's keys; what it takes away is given back by `relent`."""
        user = self.users.get(credential)
        acts = [self._foreign_key] if user is not None else []
        if self.providers[credential].abilities.disables is not None:
            acts += [self._disable_the_key_in_use, self._disable_an_old_key, self._enable_a_disabled_key]
        if user is not None and user.startswith("wave"):
            acts.append(self._delete_the_key_in_use)
        if acts:
            with suppress(CallFailed, KeyError):
                self.chance.choice(acts)(credential)

    def relent(self) -> None:
        """Give back what they took away, and take away what they made."""
        while self._pending:
            with suppress(CallFailed):
                self._pending.pop()()

    def _note(self, what: str, credential: str, key_id: str) -> None:
        self.acts.append(Act(SystemClock().now(), what, credential, key_id))

    def _foreign_key(self, credential: str) -> None:
        if len(self.stage.aws.keys(self.users[credential])) == _SLOTS:
            return
        key_id = self.stage.aws.create_key(self.users[credential]).public["accessKey"]
        self._note("a key was made", credential, key_id)

        def delete() -> None:
            self._note("a key of their own was deleted", credential, key_id)
            self.providers[credential].delete(key_id)

        self._pending.append(delete)

    def _disable_the_key_in_use(self, credential: str) -> None:
        in_use = self._in_use(credential)
        self._switch(credential, in_use, on=False, what="the key in use was disabled")
        self._pending.append(lambda: self._switch(credential, in_use, on=True, what="that key was enabled again"))

    def _disable_an_old_key(self, credential: str) -> None:
        in_use, keys = self._in_use(credential), self.providers[credential].list_keys().keys
        old = [key.key_id for key in keys if key.enabled and key.key_id != in_use]
        if old:
            self._switch(credential, self.chance.choice(old), on=False, what="an old key or a candidate was disabled")

    def _enable_a_disabled_key(self, credential: str) -> None:
        disabled = [key.key_id for key in self.providers[credential].list_keys().keys if not key.enabled]
        if not disabled:
            return
        chosen = self.chance.choice(disabled)
        self._switch(credential, chosen, on=True, what="a disabled key was enabled")
        self._pending.append(lambda: self._switch(credential, chosen, on=False, what="it was disabled again"))

    def _delete_the_key_in_use(self, credential: str) -> None:
        in_use = self._in_use(credential)
        self._take(in_use)
        self._note("the key in use was deleted", credential, in_use)
        self.providers[credential].delete(in_use)

    def _take(self, key_id: str) -> None:
        with self._lock:
            self._given_back[key_id] = datetime.max.replace(tzinfo=UTC)

    def _in_use(self, credential: str) -> str:
        return key_of(self.stage.account.held(credential))

    def _switch(self, credential: str, key_id: str, *, on: bool, what: str) -> None:
        able = self.providers[credential].abilities.disables
        assert able is not None
        self._note(what, credential, key_id)
        if not on:
            self._take(key_id)
            able.disable(key_id)
            return
        able.enable(key_id)
        with self._lock:
            self._given_back[key_id] = SystemClock().now()
