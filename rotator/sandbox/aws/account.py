"""One account inside moto, and all that the AWS stand-in needs to know of moto's own ways.

moto 5.2 is one for the whole process and not thread-safe: hold `MOTO` around everything here.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.iam.models import AccessKeyLastUsed, iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.sts.models import sts_backends
from pydantic import SecretStr
from werkzeug.wrappers import Response

from rotator.material import Material
from rotator.model import Key, LastUse
from rotator.sandbox.aws.auth import IamPolicy

MOTO = threading.RLock()
_PARTITION = "aws"
_HOME = "us-east-1"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who a key belongs to: a user, or a role's session. `token` is a session's, which each request must carry."""

    arn: str
    secret: SecretStr
    enabled: bool
    policies: tuple[IamPolicy, ...]
    token: SecretStr | None = None

    @property
    def account(self) -> str:
        """Its twelve digits."""
        return self.arn.split(":")[4]


class MotoAccount:
    """An account with an id of its own, so that several stand-ins in one process never meet."""

    def __init__(self) -> None:
        self.id = f"{secrets.randbelow(10**12):012}"
        self.secrets: set[str] = set()
        self._app = DomainDispatcherApplication(create_backend_app)

    def close(self) -> None:
        """Forget the account and all that is in it."""
        for backends in (iam_backends, sts_backends):
            backends.pop(self.id, None)

    def answer(self, environ: dict[str, Any]) -> Response:
        """What moto answers. Its own checks of signatures and policies are off, as they are by default."""
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = self.id
        return Response.from_app(self._app, environ, buffered=True)

    def holder(self, key_id: str) -> Holder | None:
        """Who this key belongs to, if there is such a key."""
        for user in self._iam.users.values():
            for key in user.access_keys:
                if key.access_key_id == key_id:
                    secret, enabled = SecretStr(key.secret_access_key), key.status == "Active"
                    return Holder(user.arn, secret, enabled, tuple(_policies(user)))
        session = sts_backends[self.id][_PARTITION].get_assumed_role_from_access_key(key_id)
        if session is None:
            return None
        role = self._role(session.role_arn)
        return Holder(
            session.arn,
            SecretStr(session.secret_access_key),
            enabled=role is not None,
            policies=tuple(_policies(role)),
            token=SecretStr(session.session_token),
        )

    def policies_of(self, arn: str) -> tuple[IamPolicy, ...] | None:
        """The inline policies of a user or role; None if there is none of this ARN."""
        found = next((user for user in self._iam.users.values() if user.arn == arn), None) or self._role(arn)
        return None if found is None else tuple(_policies(found))

    def trust(self, role_arn: str) -> IamPolicy | None:
        """The trust policy of a role, if there is such a role."""
        role = self._role(role_arn)
        if role is None:
            return None
        policy: IamPolicy = json.loads(role.assume_role_policy_document)
        return policy

    def user_arn(self, name: str) -> str:
        """The user's ARN, or the one that it would have."""
        user = self._iam.users.get(name)
        return str(user.arn) if user is not None else f"arn:aws:iam::{self.id}:user/{name}"

    def owner_arn(self, key_id: str) -> str:
        """The ARN of the user whose key this is, or `*`."""
        holder = self.holder(key_id)
        return "*" if holder is None else holder.arn

    def add_user(self, name: str, path: str) -> None:
        """Create a user."""
        self._iam.create_user(_HOME, name, path)

    def delete_user(self, name: str) -> None:
        """Delete a user with its keys and policies."""
        for key in self.keys(name):
            self._iam.delete_access_key(key.key_id, name)
        self.deny(name)
        self._iam.delete_user(name)

    def allow(self, user: str, policy: IamPolicy) -> None:
        """Give a user its one inline policy."""
        self._iam.put_user_policy(user, "rights", json.dumps(policy))

    def deny(self, user: str) -> None:
        """Take a user's inline policy away."""
        self._iam.users[user].policies.clear()

    def role_arn(self, name: str) -> str:
        """The role's ARN, or the one that it would have."""
        found = next((str(role.arn) for role in self._iam.get_roles() if role.name == name), None)
        return found or f"arn:aws:iam::{self.id}:role/{name}"

    def created(self, role_arn: str) -> datetime:
        """When this role was made."""
        at: datetime = self._role(role_arn).create_date
        return at.replace(tzinfo=UTC)

    def set_trust(self, role_arn: str, trust: IamPolicy) -> None:
        """Replace the trust policy of a role."""
        self._role(role_arn).assume_role_policy_document = json.dumps(trust)

    def delete_role(self, role_arn: str) -> None:
        """Delete a role with its policy."""
        role = self._role(role_arn)
        role.policies.clear()
        self._iam.delete_role(role.name)

    def forget_sessions(self) -> None:
        """Forget the roles' sessions that have ended: a sandbox may run for weeks."""
        sessions, now = sts_backends[self.id][_PARTITION].assumed_roles, datetime.now(UTC)
        ended = [session for session in sessions if session.expiration.replace(tzinfo=UTC) <= now]
        for session in ended:
            sessions.remove(session)
            self._iam.access_keys.pop(session.access_key_id, None)

    def add_role(self, name: str, trust: IamPolicy, policy: IamPolicy, at: datetime, path: str = "/") -> str:
        """Create a role with one inline policy, made at this time. Returns its ARN."""
        role = self._iam.create_role(
            role_name=name,
            assume_role_policy_document=json.dumps(trust),
            path=path,
            permissions_boundary=None,
            description="",
            tags=[],
            max_session_duration="3600",
        )
        role.put_policy("rights", json.dumps(policy))
        role.create_date = at.replace(tzinfo=None, microsecond=0)
        return str(role.arn)

    def create_key(self, user: str, at: datetime) -> Material:
        """Create a key of this user, made at this time."""
        made = self._iam.create_access_key(user)
        self.set_created(made.access_key_id, at)
        return Material(
            public={"accessKey": made.access_key_id}, secret={"secretKey": SecretStr(made.secret_access_key)}
        )

    def keys(self, user: str) -> tuple[Key, ...]:
        """The keys of this user."""
        return tuple(
            Key(key.access_key_id, key.create_date.replace(tzinfo=UTC), enabled=key.status == "Active")
            for key in self._iam.list_access_keys(user)
        )

    def key_ids(self) -> frozenset[str]:
        """The ids of every user's keys."""
        return frozenset(key.access_key_id for user in self._iam.users.values() for key in user.access_keys)

    def set_created(self, key_id: str, at: datetime) -> None:
        """Say when a new key was made. AWS gives whole seconds, moto fractions."""
        self.secrets.add(self._iam.access_keys[key_id].secret_access_key)
        self._iam.access_keys[key_id].create_date = at.replace(tzinfo=None, microsecond=0)

    def set_last_use(self, key_id: str, use: LastUse | None) -> None:
        """Say when a key was last used: moto would show it at once, and by its own clock."""
        with suppress(KeyError):
            self._iam.access_keys[key_id].last_used = (
                None if use is None else AccessKeyLastUsed(use.at.replace(tzinfo=None), use.service, use.region)
            )

    @property
    def _iam(self) -> Any:
        return iam_backends[self.id][_PARTITION]

    def _role(self, arn: str) -> Any:
        return next((role for role in self._iam.get_roles() if role.arn == arn), None)


def _policies(entity: Any) -> Iterator[IamPolicy]:
    if entity is not None:
        for document in entity.policies.values():
            yield json.loads(document)
