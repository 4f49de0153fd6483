"""One integration through one connection: read it, push to it, look at what depends on it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

from rotator.errors import CallFailed, Verdict
from rotator.material import Material
from rotator.model import IntegrationView, Reply
from rotator.northflank import stamp
from rotator.northflank.answers import Item
from rotator.northflank.client import Connection
from rotator.northflank.dependents import Dependent, Pair, registries_of

_CALLS_OF_A_PUSH = 4
"""A read before the push, the push itself, perhaps by a second method, and a read to confirm it."""


class Integration:
    """What a rotation does with one integration.

    Args:
        connection: the way to it.
        integration: its id.
        provider: the provider that Northflank must show for it, in Northflank's words.
        stamped: its description carries our stamp.
        watch: how old a polled view may be.
        dependents: the kinds that `dependents` looks at.
    """

    def __init__(
        self,
        connection: Connection,
        integration: str,
        *,
        provider: str,
        stamped: bool,
        watch: timedelta,
        dependents: Collection[Dependent] = (),
    ) -> None:
        self.id = integration
        self.stamped = stamped
        self._connection = connection
        self._provider = provider
        self._watch = watch
        self._dependents = dependents
        self._seen_at = float("-inf")
        self._own: Item | None = None

    def set_aside(self) -> bool:
        """Set the calls aside that a push and its confirmation need. False if the rate limit does not leave them."""
        return self._connection.set_aside(self.id, _CALLS_OF_A_PUSH + 2 * len(self._dependents))

    def release(self) -> None:
        """Set nothing aside any more."""
        self._connection.release(self.id)

    def read(self, *, fresh: bool, urgent: bool = False) -> IntegrationView:
        """What the integration shows.

        Args:
            fresh: read it now. Otherwise its own last read answers, or the connection's shared list, at most `watch`
                old and never older than its own last push; without a description in any list, it is read.
            urgent: a push waits for it: it may use what the rate limit keeps for pushes.

        Raises:
            CallFailed: REFUSED and permanent where asking again won't help.
        """
        item = None if fresh else self._polled()
        if item is None:
            asked_at = self._connection.clock.monotonic()
            item = self._connection.integration(self.id, urgent=urgent)
            self._seen_at, self._own = asked_at, replace(item, at=None)
        return self._view(item)

    def push(self, material: Material, *, description: str | None) -> Reply:
        """Send the complete credential set, and the description unless it is None, in one request.

        Raises:
            CallFailed: REFUSED: Northflank says that nothing was done. NOT_APPLIED: nothing was done yet; ask again.
                UNKNOWN: it may have been done, or still be.
        """
        try:
            return self._connection.update(self.id, material, description)
        finally:
            self._seen_at, self._own = self._connection.clock.monotonic(), None

    def dependents(self) -> tuple[Pair, ...]:
        """What depends on it, as configured, and the state of each; see `dependents.worse`. Raises CallFailed."""
        pairs: tuple[Pair, ...] = ()
        if "clusters" in self._dependents:
            pairs += self._connection.clusters_of(self.id)
        if "registries" in self._dependents:
            pairs += registries_of(self.id, self._connection.integration(self.id, urgent=True).registries)
        if "workload_identity" in self._dependents:
            pairs += self._connection.workload_identity_of(self.id)
        return pairs

    def _polled(self) -> Item | None:
        """From its own last read while that is young; else from the shared list, if that shows descriptions at all."""
        if not self.stamped:
            return None
        oldest = self._connection.clock.monotonic() - self._watch.total_seconds()
        if self._own is not None and self._seen_at >= oldest:
            return self._own
        listed = self._connection.poll.since(max(oldest, self._seen_at))
        item = listed.get(self.id)
        if item is None or item.description is not None:
            return item
        return item if any(each.description is not None for each in listed.values()) else None

    def _view(self, item: Item) -> IntegrationView:
        if item.provider != self._provider:
            raise CallFailed(
                f"integration {self.id} has the provider {item.provider}, not {self._provider}",
                verdict=Verdict.REFUSED,
                code="provider",
                permanent=True,
                remedy="Check the integration's id in the config: a credential feeds integrations of its own provider.",
            )
        return IntegrationView(
            self.id,
            item.description,
            stamp.parse(item.description) if self.stamped else None,
            item.echoed_key,
            item.at,
        )
