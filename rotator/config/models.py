"""The config as a whole: connections, store, audit, log, policy and credentials."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from rotator.config.credential import CredentialSection, IntegrationSection
from rotator.config.durations import PositiveDuration
from rotator.config.policy import PolicySection
from rotator.config.providers import AnyCredential
from rotator.config.secret import SecretRef
from rotator.config.section import AbsolutePath, Endpoint, Section
from rotator.model import Policy

Sink = Literal["file", "stdout"]
_SQLITE = "sqlite:///"


class Connection(Section):
    """A way to reach Northflank: an API, a token, and perhaps a team."""

    api_url: Endpoint = Field("https://api.northflank.com", description="Where the API is.")
    token: SecretRef = Field(description="Where the API token is.")
    team: str | None = Field(
        None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$", description="The team's id, for a token of an organisation."
    )
    method: Literal["auto", "post", "patch"] = Field(
        "auto", description="The method of an update; auto: POST, and PATCH where the API refuses that."
    )
    stamp: bool = Field(
        default=True, strict=True, description="Write the stamp into descriptions, the proof of what was applied last."
    )
    timeout: PositiveDuration = Field(timedelta(seconds=20), description="The deadline of one whole request.")
    settle: PositiveDuration = Field(
        timedelta(seconds=60), description="A push is never applied later than this; at least twice the timeout."
    )


def _sqlite(url: str) -> str:
    if not url.startswith(f"{_SQLITE}/") or url.endswith("/") or set("?#\0") & set(url):
        raise ValueError("a store is written like sqlite:////var/lib/rotator/rotator.db")
    return url


class Store(Section):
    """The journal."""

    url: Annotated[str, AfterValidator(_sqlite)] = Field(description="Where the journal is.")

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return Path(self.url.removeprefix(_SQLITE))


class Audit(Section):
    """Where audit events go beside the journal."""

    file: AbsolutePath | None = Field("/var/lib/rotator/audit.jsonl", description="A file of JSON lines; null: none.")
    stdout: bool = Field(default=True, strict=True, description="Standard output, as JSON lines.")
    require: tuple[Sink, ...] = Field(
        ("file",), description="Nothing is changed anywhere before each of these has been told of it."
    )


class Log(Section):
    """What the service tells of itself on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least level that is shown.")


class Config(Section):
    """Everything that an operator decides."""

    northflank: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")], Connection] = Field(
        min_length=1, description="Connections by name. An integration that names none uses `default`."
    )
    store: Store = Field(description="The journal.")
    audit: Audit = Field(default_factory=Audit, description="Where audit events go beside the journal.")
    log: Log = Field(default_factory=Log, description="What the service tells of itself.")
    policy: PolicySection = Field(default_factory=PolicySection, description="The times and limits of every rotation.")
    plugins: tuple[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")], ...] = Field(
        (),
        description="Providers that others wrote: no others are loaded. One may do all that rotator may.",
    )
    credentials: tuple[AnyCredential, ...] = Field(min_length=1, description="What is rotated.")

    def connection_of(self, integration: IntegrationSection) -> Connection:
        """The connection through which this integration is reached."""
        return self.northflank[integration.connection]

    def policy_of(self, credential: CredentialSection) -> Policy:
        """The credential's policy, with the longest `settle` of the connections that it needs."""
        settle = max(self.connection_of(integration).settle for integration in credential.integrations)
        return self.policy.overridden_by(credential.policy).as_policy(settle)
