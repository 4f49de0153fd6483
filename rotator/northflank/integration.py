"""One integration through one connection: read it, push to it, look at what depends on it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from rotator.errors import CallFailed, Verdict
from rotator.material import Material
from rotator.model import IntegrationView, Reply
from rotator.northflank import stamp
from rotator.northflank.answers import Item
from rotator.northflank.client import Connection
from rotator.northflank.dependents import Dependent, Pair, clusters_of, registries_of, workload_identity_of


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

    def read(self, *, fresh: bool) -> IntegrationView:
        """What the integration shows.

        Args:
            fresh: read it now. Otherwise from the connection's shared list, at most `watch` old and never older than
                what this integration itself has read or pushed; without a description in the list, it is read.

        Raises:
            CallFailed: REFUSED and permanent where asking again won't help.
        """
        item = None if fresh else self._polled()
        if item is None:
            asked_at = self._connection.clock.monotonic()
            item = self._connection.integration(self.id, urgent=fresh)
            self._seen_at = asked_at
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
            self._seen_at = self._connection.clock.monotonic()

    def dependents(self) -> tuple[Pair, ...]:
        """What depends on it, as configured, and the state of each; see `dependents.worse`. Raises CallFailed."""
        pairs: tuple[Pair, ...] = ()
        if "clusters" in self._dependents:
            pairs += clusters_of(self.id, self._connection.list_clusters())
        if "registries" in self._dependents:
            pairs += registries_of(self.id, self._connection.integration(self.id, urgent=True).registries)
        if "workload_identity" in self._dependents:
            pairs += workload_identity_of(self.id, self._connection.workload_identity(self.id))
        return pairs

    def _polled(self) -> Item | None:
        """From the shared list, where that shows a description: without one there is no stamp to be seen in it."""
        if not self.stamped:
            return None
        oldest = self._connection.clock.monotonic() - self._watch.total_seconds()
        item = self._connection.poll.since(max(oldest, self._seen_at)).get(self.id)
        return item if item is not None and item.description is not None else None

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
