"""The Northflank account of the stand-in: what exists in it, what a test may set, and how it behaves."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.sandbox.northflank.body import Update
from rotator.sandbox.wire.serving import utc_now

_WINDOW = timedelta(hours=1)  # of the rate limit; it begins with its first request


class Grant(StrEnum):
    """The rights of a token that matter here, as the API reference names them."""

    READ = "Account > Cloud > Integrations > Read"
    UPDATE = "Account > Cloud > Integrations > Update"
    READ_CLUSTERS = "Account > Cloud > Clusters > Read"
    READ_REGISTRIES = "Account > Cloud > Registries > Read"
    READ_WORKLOAD_IDENTITIES = "Account > Cloud > WorkloadIdentities > Read"


class Echo(StrEnum):
    """What an integration's answer shows of its credentials."""

    NOTHING = "nothing"
    MASKED = "masked"
    RAW = "raw"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What Northflank's documents leave open, or what differs between accounts.

    Args:
        update: the methods that update an integration, of POST and PATCH. Others are a 405.
        echo: what reads and updates show of credentials. Lists never show any.
        listed_descriptions: the items of a list carry their descriptions.
        rate_limit: requests an hour, of all tokens together.
        retry_after: an answer over the limit says in a Retry-After header when to come back.
    """

    update: frozenset[str] = frozenset({"POST", "PATCH"})
    echo: Echo = Echo.NOTHING
    listed_descriptions: bool = True
    rate_limit: int = 1000
    retry_after: bool = True


@dataclass(frozen=True, slots=True)
class ApiToken:
    """What an API token may do, and until when (aware UTC; None: without an end)."""

    name: str = "rotator"
    rights: frozenset[Grant] = frozenset(Grant)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class HeldIntegration:
    """A cloud provider integration and the credentials that Northflank holds in it.

    Args:
        service_account: what Northflank impersonates in Google Cloud without a key: its e-mail address.
        registries: the state of the registry credentials made from it: healthy, degraded or suspended.
        workload_identity: installed, missing-ids, missing-remote, id-mismatch or permission-denied.
    """

    id: str
    name: str
    provider: str
    description: str | None = None
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    features: tuple[str, ...] = ("byoc",)
    service_account: str | None = None
    registries: str = "healthy"
    workload_identity: str = "missing-ids"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster, its integration (the id may be prefixed with `org/` or `team/`), and its state: a free text."""

    id: str
    provider: str
    integration: str
    state: str = "running"
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry credential made from an integration. Its refresh is healthy, retrying or suspended."""

    id: str
    provider: str
    integration: str
    refresh: str = "healthy"


@dataclass(frozen=True, slots=True)
class Allowance:
    """Where a request stands in the rate limit. `reset` is in whole seconds from now."""

    limit: int
    remaining: int
    reset: int
    exceeded: bool


class NoSuchIntegration(Exception):
    """There is no integration with this id."""


class NorthflankAccount:
    """One team and all that it has. Thread-safe; what is put replaces what has the same id.

    Args:
        team: its id.
        clock: the wall clock (aware UTC), for the rate limit and the end of tokens.
        behaviour: may be replaced at any time.
    """

    def __init__(
        self, *, team: str = "sandbox-team", clock: Callable[[], datetime] = utc_now, behaviour: Behaviour | None = None
    ) -> None:
        self.team = team
        self.behaviour = behaviour or Behaviour()
        self.created_at = clock()
        self._clock = clock
        self._lock = threading.Lock()  # guards all below
        self._tokens: dict[str, ApiToken] = {}
        self._integrations: dict[str, HeldIntegration] = {}
        self._clusters: dict[str, Cluster] = {}
        self._registries: dict[str, Registry] = {}
        self._window: datetime | None = None
        self._used = 0

    def put_token(self, secret: str, token: ApiToken) -> None:
        """Create a token, or change what it may."""
        with self._lock:
            self._tokens[secret] = token

    def put(self, thing: HeldIntegration | Cluster | Registry) -> None:
        """Create or replace an integration or something that depends on one."""
        with self._lock:
            match thing:
                case HeldIntegration():
                    self._integrations[thing.id] = thing
                case Cluster():
                    self._clusters[thing.id] = thing
                case Registry():
                    self._registries[thing.id] = thing

    def remove(self, integration: str) -> None:
        """Delete an integration, if it exists."""
        with self._lock:
            self._integrations.pop(integration, None)

    def token(self, secret: str | None) -> ApiToken | None:
        """The token, if it exists and has not ended."""
        with self._lock:
            token = self._tokens.get(secret or "")
        if token is None or (token.expires_at is not None and token.expires_at <= self._clock()):
            return None
        return token

    def integration(self, integration: str) -> HeldIntegration:
        """The integration as it is now. Raises NoSuchIntegration."""
        with self._lock:
            return self._existing(integration)

    def held(self, integration: str) -> Mapping[str, str]:
        """The credentials that Northflank holds in an integration now. Raises NoSuchIntegration."""
        return self.integration(integration).credentials

    def integrations(self) -> Sequence[HeldIntegration]:
        """All integrations, in the order of their creation."""
        with self._lock:
            return tuple(self._integrations.values())

    def clusters(self) -> Sequence[Cluster]:
        """All clusters."""
        with self._lock:
            return tuple(self._clusters.values())

    def registries(self) -> Sequence[Registry]:
        """All registry credentials."""
        with self._lock:
            return tuple(self._registries.values())

    def update(self, integration: str, update: Update) -> HeldIntegration:
        """Apply an update, whole and at once, and return the integration as it then is. Raises NoSuchIntegration.

        A credential set replaces the one before: whether Northflank merges the two is unknown.
        """
        with self._lock:
            before = self._existing(integration)
            after = replace(
                before,
                description=before.description if update.description is None else update.description,
                credentials=before.credentials if update.credentials is None else dict(update.credentials),
                features=before.features if update.features is None else tuple(update.features),
            )
            self._integrations[integration] = after
        return after

    def spend(self) -> Allowance:
        """Count one request against the rate limit."""
        limit, now = self.behaviour.rate_limit, self._clock()
        with self._lock:
            if self._window is None or now - self._window >= _WINDOW:
                self._window, self._used = now, 0
            self._used += 1
            left = self._window + _WINDOW - now
            return Allowance(limit, max(0, limit - self._used), math.ceil(left.total_seconds()), self._used > limit)

    def _existing(self, integration: str) -> HeldIntegration:
        try:
            return self._integrations[integration]
        except KeyError:
            raise NoSuchIntegration(integration) from None
