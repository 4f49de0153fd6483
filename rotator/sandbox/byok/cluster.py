"""The state of the stand-in's cluster: service accounts, Secrets, and the tokens that live and die with them.

As in Kubernetes: a bound token lives as long as its Secret and its account do; a Secret of the type
`kubernetes.io/service-account-token` is filled in by a controller, and taken away if its account isn't there.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import token_urlsafe
from typing import Any
from uuid import uuid4

from rotator.sandbox.byok.secret import ACCOUNT, TOKEN_SECRET, Json, checked, encoded, merged
from rotator.sandbox.byok.status import already_exists, bad_request, conflict, invalid, not_found

SHORTEST, LONGEST, USUAL = 600, 2**32, 3600
"""The life of a requested token, in seconds."""

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A service account."""

    namespace: str
    name: str
    uid: str
    created_at: datetime

    @property
    def username(self) -> str:
        """As the API server calls the holder of its token."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"


@dataclass(frozen=True, slots=True)
class ServiceAccountToken:
    """A token of an account.

    Args:
        secret: the uid of the Secret that it lives with; None: it depends on none.
        works_from: None: always.
        ends_at: None: never.
    """

    account: ServiceAccount
    secret: str | None
    works_from: datetime | None
    ends_at: datetime | None


class KubernetesCluster:
    """Not thread-safe: the caller holds `lock`.

    Args:
        clock: what time it is there (aware UTC).

    Attributes:
        propagation: how long a token that was made over the wire is unknown.
        controller_delay: how long a token Secret stays empty.
        longest: the cap on what is asked for, as `--service-account-max-token-expiration` sets it.
        secrets: every token that was ever made.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.lock = threading.RLock()
        self.propagation = timedelta(0)
        self.controller_delay = timedelta(0)
        self.longest: timedelta | None = None
        self.secrets: set[str] = set()
        self._clock = clock
        self._namespaces: set[str] = set()
        self._accounts: dict[tuple[str, str], ServiceAccount] = {}
        self._objects: dict[tuple[str, str], Json] = {}
        self._tokens: dict[str, ServiceAccountToken] = {}
        self._unfilled: dict[tuple[str, str], datetime] = {}  # token Secrets, and when the controller comes to them
        self._version = 1000

    def now(self) -> datetime:
        """To the second, as Kubernetes writes times."""
        return self._clock().replace(microsecond=0)

    def add_account(self, namespace: str, name: str) -> ServiceAccount:
        """Create a service account, and its namespace if need be."""
        self._namespaces.add(namespace)
        account = ServiceAccount(namespace, name, str(uuid4()), self.now())
        self._accounts[namespace, name] = account
        return account

    def delete_account(self, namespace: str, name: str) -> None:
        """Delete a service account. Its tokens are dead, and its token Secrets go with it."""
        del self._accounts[namespace, name]
        for key, found in tuple(self._objects.items()):
            if key[0] == namespace and _token_secret_of(found) == name:
                del self._objects[key]

    def account(self, namespace: str, name: str) -> ServiceAccount:
        """The account.

        Raises:
            Refused: there is none.
        """
        found = self._accounts.get((namespace, name))
        if found is None:
            raise not_found("serviceaccounts", name)
        return found

    def holder(self, value: str) -> ServiceAccount | None:
        """Whose token this is; None if it doesn't work, or not yet, or no longer."""
        self._fill()
        token, now = self._tokens.get(value), self._clock()
        if token is None or not (token.works_from or now) <= now < (token.ends_at or _NEVER):
            return None
        uids = {found["metadata"]["uid"] for found in self._objects.values()}
        alive = self._accounts.get((token.account.namespace, token.account.name)) == token.account
        return token.account if alive and (token.secret is None or token.secret in uids) else None

    def issue(self, account: ServiceAccount, *, secret: str | None, ends_at: datetime | None, at_once: bool) -> str:
        """Make a token. `at_once`: it works without propagation, as that of an operator who waited."""
        value = f"eyJhbGciOiJSUzI1NiJ9.{token_urlsafe(150)}.{token_urlsafe(256)}"
        works_from = None if at_once else self._clock() + self.propagation
        self._tokens[value] = ServiceAccountToken(account, secret, works_from, ends_at)
        self.secrets.add(value)
        return value

    def request_token(self, namespace: str, name: str, spec: Mapping[str, Any]) -> tuple[int, str, datetime]:
        """What TokenRequest does. Returns the seconds that were granted, the token, and when it ends.

        Raises:
            Refused: the account or the Secret isn't there, or the request breaks a rule.
        """
        account = self.account(namespace, name)
        seconds = spec.get("expirationSeconds", USUAL)
        if not isinstance(seconds, int) or seconds < SHORTEST:
            why = f"Invalid value: {seconds}: may not specify a duration less than 10 minutes"
            raise invalid("TokenRequest", "", "spec.expirationSeconds", why)
        if seconds > LONGEST:
            why = f"Invalid value: {seconds}: may not specify a duration larger than 2^32 seconds"
            raise invalid("TokenRequest", "", "spec.expirationSeconds", why)
        if spec.get("audiences"):
            raise bad_request("the stand-in issues tokens for the API server alone")
        bound = spec.get("boundObjectRef")
        uid = self._bound(namespace, bound) if bound else None
        if self.longest is not None:
            seconds = min(seconds, int(self.longest.total_seconds()))
        ends_at = self.now() + timedelta(seconds=seconds)
        return seconds, self.issue(account, secret=uid, ends_at=ends_at, at_once=False), ends_at

    def _bound(self, namespace: str, reference: Mapping[str, str]) -> str:
        if (reference.get("apiVersion"), reference.get("kind")) != ("v1", "Secret"):
            raise bad_request(f"cannot bind token to object of type {reference.get('kind')}")
        name, uid = reference.get("name", ""), self.secret(namespace, reference.get("name", ""))["metadata"]["uid"]
        if reference.get("uid") not in {None, "", uid}:
            why = (
                f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. The "
                "object might have been deleted and then recreated"
            )
            raise conflict("Secret", name, why)
        return str(uid)

    def create(self, namespace: str, body: Json) -> Json:
        """Create a Secret.

        Raises:
            Refused: it breaks a rule, or its name is taken.
        """
        if namespace not in self._namespaces:
            raise not_found("namespaces", namespace)
        name = checked(namespace, body)
        if (namespace, name) in self._objects:
            raise already_exists("secrets", name)
        made = copy.deepcopy(body)
        made["data"] = {**made.get("data", {}), **encoded(made.pop("stringData", {}))}
        made["metadata"] |= {
            "namespace": namespace,
            "uid": str(uuid4()),
            "creationTimestamp": stamp(self.now()),
        }
        made.setdefault("type", "Opaque")
        self._store(namespace, name, made)
        if made["type"] == TOKEN_SECRET:
            self._unfilled[namespace, name] = self._clock() + self.controller_delay
        return copy.deepcopy(made)

    def add_token(self, account: ServiceAccount, name: str) -> str:
        """Create a token Secret of this name as an operator would; its token works at once."""
        metadata = {"name": name, "annotations": {ACCOUNT: account.name}}
        self.create(
            account.namespace, {"apiVersion": "v1", "kind": "Secret", "type": TOKEN_SECRET, "metadata": metadata}
        )
        del self._unfilled[account.namespace, name]
        return self._put_token(account, name, at_once=True)

    def secret(self, namespace: str, name: str) -> Json:
        """A Secret, as the API shows it.

        Raises:
            Refused: there is none.
        """
        self._fill()
        found = self._objects.get((namespace, name))
        if found is None:
            raise not_found("secrets", name)
        return copy.deepcopy(found)

    def listed(self, namespace: str) -> Iterator[Json]:
        """A namespace's Secrets by name; none if there is no such namespace."""
        self._fill()
        return (copy.deepcopy(found) for (where, _), found in sorted(self._objects.items()) if where == namespace)

    def patch(self, namespace: str, name: str, patch: Json) -> Json:
        """Merge into a Secret (RFC 7396).

        Raises:
            Refused: there is none, it is another version, or the result breaks a rule.
        """
        before = self.secret(namespace, name)
        wanted = patch.get("metadata", {}).get("resourceVersion")
        if wanted not in {None, before["metadata"]["resourceVersion"]}:
            raise conflict(
                "secrets", name, "the object has been modified; please apply your changes to the latest version"
            )
        after = merged(before, patch)
        for field in ("type", "kind", "apiVersion"):
            if after.get(field) != before[field]:
                raise invalid("Secret", name, field, f"Invalid value: {after.get(field)!r}: field is immutable")
        for field in ("name", "namespace", "uid", "creationTimestamp"):
            if after["metadata"].get(field) != before["metadata"][field]:
                raise invalid("Secret", name, f"metadata.{field}", "Invalid value: field is immutable")
        checked(namespace, after)
        self._store(namespace, name, after)
        return copy.deepcopy(after)

    def delete(self, namespace: str, name: str, preconditions: Mapping[str, str]) -> Json:
        """Delete a Secret; the tokens that live with it are dead. Returns what it was.

        Raises:
            Refused: there is none, or it isn't the one that is meant.
        """
        found = self.secret(namespace, name)
        for field in ("uid", "resourceVersion"):
            is_so = found["metadata"][field]
            if preconditions.get(field) not in {None, is_so}:
                label = "UID" if field == "uid" else "ResourceVersion"
                why = (
                    f"Precondition failed: {label} in precondition: {preconditions[field]}, "
                    f"{label} in object meta: {is_so}"
                )
                raise conflict("secrets", name, why)
        del self._objects[namespace, name]
        self._unfilled.pop((namespace, name), None)
        return found

    def _store(self, namespace: str, name: str, made: Json) -> None:
        self._version += 1
        made["metadata"]["resourceVersion"] = str(self._version)
        self._objects[namespace, name] = made

    def _fill(self) -> None:
        """What the token controller does."""
        for (namespace, name), due in tuple(self._unfilled.items()):
            if due > self._clock():
                continue
            del self._unfilled[namespace, name]
            account = self._accounts.get((namespace, _token_secret_of(self._objects[namespace, name]) or ""))
            if account is None:
                del self._objects[namespace, name]
            else:
                self._put_token(account, name, at_once=False)

    def _put_token(self, account: ServiceAccount, name: str, *, at_once: bool) -> str:
        found = self._objects[account.namespace, name]
        value = self.issue(account, secret=found["metadata"]["uid"], ends_at=None, at_once=at_once)
        found["data"] |= encoded({"token": value, "namespace": account.namespace})
        found["metadata"].setdefault("annotations", {})["kubernetes.io/service-account.uid"] = account.uid
        self._store(account.namespace, name, found)
        return value


def stamp(at: datetime) -> str:
    """A time as Kubernetes writes it."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _token_secret_of(found: Json) -> str | None:
    if found["type"] != TOKEN_SECRET:
        return None
    return str(found["metadata"]["annotations"][ACCOUNT])
