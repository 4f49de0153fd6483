"""What the providers have in common: what is shared between credentials, and the lines of `rotator check`."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Hashable, Iterable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

from rotator.errors import CallFailed, Verdict
from rotator.model import Reply
from rotator.providers.base import Listing, Right
from rotator.settings.changes import Seen, seen

APART = "rotator's own identity is another one"
"""The line of `rotator check` that no provider may pass with its own key."""

Way = TypeVar("Way", bound=Hashable)
Value = TypeVar("Value")


class Shared(Generic[Way, Value]):
    """One value for each way into a cloud, for all credentials that go that way. Thread-safe.

    A value lasts as long as some provider holds it and the files that it was made of are the same. After that, the next
    provider has a new one made, which reads the vendor's files and the environment anew.

    Args:
        make: makes the value, under a lock: vendors' sessions are not thread-safe while they open.
        files: the files that a value was made of.
    """

    def __init__(self, make: Callable[[Way], Value], files: Callable[[Value], Iterable[str]] = lambda _: ()) -> None:
        self._make = make
        self._files = files
        self._lock = threading.Lock()
        self._held: WeakValueDictionary[Way, Value] = WeakValueDictionary()
        self._seen: WeakKeyDictionary[Value, Seen] = WeakKeyDictionary()

    def of(self, way: Way) -> Value:
        """The value of this way. Raises what `make` raises."""
        with self._lock:
            value = self._held.get(way)
            if value is None or self._seen[value] != seen(self._files(value)):
                value = self._held[way] = self._make(way)
                self._seen[value] = seen(self._files(value))
            return value


def quieten(loggers: Iterable[str], level: int = logging.WARNING) -> None:
    """Keep an SDK's loggers from writing below this level: there they write whole messages, secrets included."""
    for logger in map(logging.getLogger, loggers):
        logger.setLevel(max(logger.level, level))


def own_identity(subject: str, remedy: str, *, danger: str = "it would revoke its own key") -> CallFailed:
    """The refusal to rotate rotator's own identity.

    Args:
        subject: whose keys were to be rotated.
        remedy: which other identity rotator needs.
        danger: what would happen.
    """
    return CallFailed(
        f"{subject} is rotator's own identity: {danger}",
        verdict=Verdict.REFUSED,
        code="OwnIdentity",
        permanent=True,
        remedy=remedy,
    )


def gone(refused: CallFailed, key_id: str, listing: Listing) -> Reply:
    """What a delete means that the cloud refused because it knows no such key: success, if the list agrees.

    Raises:
        CallFailed: NOT_APPLIED: the key is listed all the same.
    """
    if all(key.key_id != key_id for key in listing.keys):
        return Reply(refused.request_id)
    raise CallFailed(
        f"{refused.message}, but the list still shows the key",
        verdict=Verdict.NOT_APPLIED,
        code=refused.code,
        request_id=refused.request_id,
    )


def apart(*, own: bool, remedy: str) -> Right:
    """Whether rotator's own identity is another one than the identity whose keys are rotated."""
    return Right(APART, holds=not own, remedy=remedy if own else "")


def met(name: str) -> Right:
    """It holds."""
    return Right(name, holds=True)


def unmet(name: str, failure: CallFailed, *, grant: str = "", denied: Collection[str] = ()) -> Right:
    """It does not hold, or nothing is known: only a refusal shows that something is missing, a dead network does not.

    Args:
        name: of the right.
        failure: of the call that tried it.
        grant: how to grant the right.
        denied: the codes with which the cloud says that the right is missing; the remedy is then `grant`.
    """
    holds = False if failure.verdict is Verdict.REFUSED else None
    remedy = grant if failure.code in denied else failure.remedy
    return Right(name, holds, f"{failure.message}. {remedy}".strip())


def unseen(name: str, failure: CallFailed, grant: str) -> Right:
    """The right to see when keys are used, which rotator can do without: then it only waits out `grace`.

    Args:
        name: of the right.
        failure: of the call that tried it.
        grant: how to grant the right.
    """
    return Right(name, None, f"{failure.message.rstrip('.')}. Without it, silence is all there is. {grant}")


def tried(name: str, call: Callable[[], object], *, grant: str = "", denied: Collection[str] = ()) -> Right:
    """The right that this call needs, by making the call. Arguments as of `unmet`."""
    try:
        call()
    except CallFailed as failure:
        return unmet(name, failure, grant=grant, denied=denied)
    return met(name)
