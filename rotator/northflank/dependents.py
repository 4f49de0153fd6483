"""What depends on an integration, and whether it is worse off than before a push. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal

from rotator.http.outside_text import outside_text

Dependent = Literal["clusters", "registries", "workload_identity"]
"""The kinds: its clusters, the registry credentials made from it, its workload identity provider."""

Pair = tuple[str, str]
"""A dependent's name, `prod-aws/cluster/eu-1`, and its state, without anything that moves."""

# From Northflank's API: a cluster's state (a free string), registryCredentialRefresh.status, and the provider's status.
_WELL = frozenset({"running", "healthy", "installed"})


def clusters_of(integration: str, clusters: Iterable[object]) -> tuple[Pair, ...]:
    """The clusters of this integration out of all, sorted."""
    mine = (
        (f"{integration}/cluster/{outside_text(cluster.get('id'), 60)}", _state(cluster, "status", "state", "state"))
        for cluster in clusters
        if isinstance(cluster, Mapping) and _refers_to(cluster.get("integrationId"), integration)
    )
    return tuple(sorted(mine))


def registries_of(integration: str, state: str | None) -> tuple[Pair, ...]:
    """The registry credentials; nothing where Northflank names none."""
    return () if state is None else ((f"{integration}/registries", state.lower()),)


def workload_identity_of(integration: str, provider: Mapping[str, object]) -> tuple[Pair, ...]:
    """The workload identity provider."""
    return ((f"{integration}/workload-identity", _state(provider, "status")),)


def worse(before: Collection[Pair], now: Collection[Pair]) -> tuple[str, ...]:
    """What is worse than before, e.g. `prod-aws/cluster/eu-1: running before, error now`.

    States are free strings, so any change counts that doesn't end in a state known to be well, and so does a dependent
    that is gone. What wasn't there before doesn't.
    """
    states = dict(now)
    return tuple(
        f"{name}: {state} before, {states.get(name, 'gone')} now"
        for name, state in before
        if states.get(name) != state and states.get(name) not in _WELL
    )


def _refers_to(reference: object, integration: str) -> bool:
    """An integration is named by its id, or with the owner before it: `team/prod-aws`, `org/prod-aws`."""
    return isinstance(reference, str) and reference.rpartition("/")[2] == integration


def _state(value: object, *path: str) -> str:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return outside_text(value, 60) if isinstance(value, str) and value else "unknown"
