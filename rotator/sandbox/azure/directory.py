"""What the Azure stand-in knows: one tenant of Microsoft Entra ID with its applications, and who is who in it."""

from __future__ import annotations

import secrets
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import jwt

from rotator.sandbox.uses import Uses
from rotator.sandbox.wire.serving import utc_now

GRAPH, MANAGEMENT = "https://graph.microsoft.com", "https://management.azure.com"
"""The audiences of tokens, whatever the stand-in's address is."""

OWNED_BY, REPORTS = "Application.ReadWrite.OwnedBy", "AuditLog.Read.All"

_TOKEN_LIFE = timedelta(hours=1)
_HINT = 3  # characters of a secret that Graph shows
_STEP = 60  # seconds in which everybody who asks gets the same token: few of them must be remembered


@dataclass(frozen=True, slots=True)
class Secret:
    """A client secret. `known_from` is when the login begins to take it."""

    key_id: str
    name: str | None
    value: str = field(repr=False)
    start: datetime
    end: datetime
    known_from: datetime

    @property
    def hint(self) -> str:
        """What Graph shows of the value."""
        return self.value[:_HINT]


@dataclass(slots=True, eq=False)
class App:
    """An application and its service principal.

    Args:
        app_id: the client id.
        object_id: of the application; `principal_id` is the service principal's.
        roles: the application permissions that it was granted.
        owners: the principals that own it.
        reader: its principal has a role in the subscription.
        enabled: its principal may sign in.
        certificates: public keys, as PEM, by which it may sign assertions.
        federated: tokens of other issuers that are taken for it.
        uses: when each secret was used.
    """

    app_id: str
    name: str
    object_id: str = field(default_factory=lambda: str(uuid4()))
    principal_id: str = field(default_factory=lambda: str(uuid4()))
    roles: set[str] = field(default_factory=set)
    owners: set[str] = field(default_factory=set)
    reader: bool = True
    enabled: bool = True
    secrets: list[Secret] = field(default_factory=list)
    certificates: list[bytes] = field(default_factory=list)
    federated: set[str] = field(default_factory=set)
    uses: defaultdict[str, Uses] = field(default_factory=lambda: defaultdict(Uses))


@dataclass(frozen=True, slots=True)
class AppPolicy:
    """An app management policy.

    Args:
        forbids_secrets: none may be added.
        max_lifetime: a secret may not live longer.
    """

    name: str = "tenant-default"
    forbids_secrets: bool = False
    max_lifetime: timedelta | None = None


class Directory:
    """One tenant and its subscription. Thread-safe where it says so; `lock` guards the rest.

    Attributes:
        clock: what time it is (aware UTC).
        propagation: how long a fresh secret is unknown to the login.
        policy: the tenant's app management policy.
        report_every, report_lag: how often the report on credentials is made, and how old its latest use is then.
        change_seconds: how long a change takes; one that comes meanwhile is refused.
        changed: once it is set, no change takes any longer.
        known_secrets: every secret that was ever here, for tests that look for them.
    """

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        self.tenant = str(uuid4())
        self.subscription = str(uuid4())
        self.lock = threading.RLock()
        self.changing = threading.Lock()
        self.changed = threading.Event()
        self.clock = clock
        self.propagation = timedelta(0)
        self.policy = AppPolicy()
        self.report_every, self.report_lag = timedelta(days=1), timedelta(hours=6)
        self.change_seconds = 0.0
        self.known_secrets: set[str] = set()
        self.apps: dict[str, App] = {}
        self._signing_key = secrets.token_bytes(32)

    def reported_until(self) -> datetime:
        """Of what moment the latest report on credentials is."""
        now, every = self.clock(), self.report_every.total_seconds()
        return datetime.fromtimestamp(now.timestamp() // every * every, UTC) - self.report_lag

    def add_app(self, name: str) -> App:
        """Register an application, with a service principal."""
        with self.lock:
            app = App(str(uuid4()), name)
            self.apps[app.app_id] = app
            return app

    def add_secret(self, app: App, name: str | None, *, start: datetime, end: datetime, known_from: datetime) -> Secret:
        """Make a client secret, in the form that Entra ID gives it."""
        with self.lock:
            value = f"{secrets.token_urlsafe(3)[:3]}8Q~{secrets.token_urlsafe(26)[:34]}"
            made = Secret(str(uuid4()), name, value, start, end, known_from)
            app.secrets.append(made)
            self.known_secrets.add(value)
            return made

    def now(self) -> datetime:
        """The time, to the second."""
        return self.clock().replace(microsecond=0)

    def issue(self, app: App, audience: str) -> tuple[str, int]:
        """An access token, and for how many seconds it is good."""
        since = int(self.clock().timestamp()) // _STEP * _STEP
        until = since + int(_TOKEN_LIFE.total_seconds())
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{self.tenant}/",
            "iat": since,
            "exp": until,
            "appid": app.app_id,
            "oid": app.principal_id,
            "tid": self.tenant,
            "roles": sorted(app.roles),
        }
        token = jwt.encode(claims, self._signing_key, algorithm="HS256")
        with self.lock:
            self.known_secrets.add(token)
        return token, until - int(self.clock().timestamp())

    def holder(self, token: str, audience: str) -> App | None:
        """Whose token this is; None if it isn't good for this audience, now."""
        try:
            claims = jwt.decode(
                token,
                self._signing_key,
                algorithms=["HS256"],
                audience=audience,
                options={"verify_exp": False, "verify_iat": False},  # by the machine's clock; below by this tenant's
            )
        except jwt.InvalidTokenError:
            return None
        if self.clock().timestamp() >= claims["exp"]:
            return None
        return self.apps.get(claims["appid"])
