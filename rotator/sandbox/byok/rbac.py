"""Who may do what in the stand-in's cluster: Roles and their bindings, as Kubernetes reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_EVERYBODY = "system:authenticated"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a user tries. A subresource follows a slash; the namespace is None at the cluster's scope."""

    verb: str
    group: str
    resource: str
    namespace: str | None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class _Rule:
    groups: frozenset[str]
    resources: frozenset[str]
    verbs: frozenset[str]
    names: frozenset[str]

    @classmethod
    def of(cls, rule: Mapping[str, list[str]]) -> _Rule:
        return cls(
            frozenset(rule["apiGroups"]),
            frozenset(rule["resources"]),
            frozenset(rule["verbs"]),
            frozenset(rule.get("resourceNames", ())),
        )

    def covers(self, attempt: Attempt) -> bool:
        return (
            not self.groups.isdisjoint({attempt.group, "*"})
            and not self.resources.isdisjoint({attempt.resource, "*"})
            and not self.verbs.isdisjoint({attempt.verb, "*"})
            and (not self.names or attempt.name in self.names)
        )


@dataclass(frozen=True, slots=True)
class _Grant:
    users: frozenset[str]
    role: tuple[str | None, str]  # a ClusterRole has no namespace
    within: str | None  # None: everywhere


class Rbac:
    """The rights in one cluster. What every authenticated user may do by default comes from `system:basic-user`."""

    def __init__(self) -> None:
        self._roles: dict[tuple[str | None, str], tuple[_Rule, ...]] = {}
        self._grants: dict[tuple[str | None, str], _Grant] = {}

    def apply(self, manifest: Mapping[str, Any]) -> None:
        """Create or replace a Role, a ClusterRole, or a binding of one.

        Raises:
            ValueError: it is none of these.
        """
        if not str(manifest.get("apiVersion")).startswith("rbac.authorization.k8s.io/"):
            raise ValueError(f"not a manifest of RBAC: {manifest.get('kind')}")
        metadata = manifest["metadata"]
        key = metadata.get("namespace"), metadata["name"]
        match manifest["kind"]:
            case "Role" | "ClusterRole":
                self._roles[key] = tuple(_Rule.of(rule) for rule in manifest["rules"])
            case "RoleBinding" | "ClusterRoleBinding":
                role = manifest["roleRef"]
                home = metadata.get("namespace") if role["kind"] == "Role" else None
                users = frozenset(_user(subject) for subject in manifest["subjects"])
                self._grants[key] = _Grant(users, (home, role["name"]), metadata.get("namespace"))
            case kind:
                raise ValueError(f"not a manifest of RBAC: {kind}")

    def clear(self) -> None:
        """Take all rights from everybody."""
        self._roles.clear()
        self._grants.clear()

    def allows(self, user: str, attempt: Attempt) -> bool:
        """Some role that is bound to the user covers it."""
        return any(
            not grant.users.isdisjoint({user, _EVERYBODY})
            and grant.within in {None, attempt.namespace}
            and any(rule.covers(attempt) for rule in self._roles.get(grant.role, ()))
            for grant in self._grants.values()
        )


def _user(subject: Mapping[str, str]) -> str:
    if subject["kind"] == "ServiceAccount":
        return f"system:serviceaccount:{subject['namespace']}:{subject['name']}"
    return subject["name"]
