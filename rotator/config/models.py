"""The config as a whole: connections, store, audit, log, health, policy and credentials."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from rotator.config.credential import CredentialSection, IntegrationSection
from rotator.config.kinds import AnyCredential
from rotator.config.plugin import PLUGIN_NAME
from rotator.config.policy import PolicySection
from rotator.policy import Policy
from rotator.settings.durations import PositiveDuration
from rotator.settings.secret import SecretRef
from rotator.settings.section import AbsolutePath, Endpoint, Form, Section

SinkName = Literal["file", "stdout"]
_ID = Form(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$", "an id: letters, digits, hyphens and underscores, like platform-team")
_CONNECTION = Form(
    r"^[a-z0-9][a-z0-9_-]{0,62}$",
    "a name: small letters, digits, hyphens and underscores, the first no hyphen or underscore, like other-team",
)
_SQLITE = "sqlite:///"
_LIKE_THIS = "like sqlite:////var/lib/rotator/rotator.db"
_PORTS = 1 << 16


class ConnectionSection(Section):
    """A way to reach Northflank: an API, a token, and perhaps a team."""

    api_url: Endpoint = Field("https://api.northflank.com", description="Where the API is.")
    token: SecretRef = Field(description="Where the API token is.")
    team: Annotated[str, _ID] | None = Field(None, description="The team's id, for a token of an organisation.")
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
    if url.startswith(_SQLITE) and not url.startswith(f"{_SQLITE}/"):
        raise ValueError(f"three slashes make the path relative: write four, {_LIKE_THIS}")
    if not url.startswith(_SQLITE) or set("?#\0") & set(url):
        raise ValueError(
            f"a store is a SQLite file, without options: write sqlite:// and its absolute path, {_LIKE_THIS}"
        )
    if url.endswith("/"):
        raise ValueError(f"that is a directory: write the file's name too, {_LIKE_THIS}")
    return url


class StoreSection(Section):
    """The journal."""

    url: Annotated[str, AfterValidator(_sqlite)] = Field(description="Where the journal is.")

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return Path(self.url.removeprefix(_SQLITE))


class AuditSection(Section):
    """Where audit events go beside the journal."""

    file: AbsolutePath | None = Field("/var/lib/rotator/audit.jsonl", description="A file of JSON lines; null: none.")
    stdout: bool = Field(default=True, strict=True, description="Standard output, as JSON lines.")
    require: tuple[SinkName, ...] = Field(
        ("file",), description="rotator changes nothing before each of these sinks has the intent."
    )


class LogSection(Section):
    """What the service logs on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info",
        description="The least level that is shown. debug: also a line for each look, decision and call.",
    )


def _listen(address: str) -> str:
    host, port = _split(address)
    try:
        ip_address(host)
    except ValueError:
        host = ""
    if (
        not host
        or ("[" in address) != (":" in host)
        or not (port.isascii() and port.isdigit() and 0 < int(port) < _PORTS)
    ):
        raise ValueError("an address to listen on is written like 127.0.0.1:8086 or [::]:8086")
    return address


def _split(address: str) -> tuple[str, str]:
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), port


class HealthSection(Section):
    """The listener for `/healthz` and `/readyz`: status words for what keeps the service alive, and nothing else."""

    listen: Annotated[str, AfterValidator(_listen)] = Field(
        description="The IP address and port. A kubelet can't reach 127.0.0.1: there it is 0.0.0.0, or [::]."
    )

    @property
    def host(self) -> str:
        """The IP address."""
        return _split(self.listen)[0]

    @property
    def port(self) -> int:
        """The port."""
        return int(_split(self.listen)[1])


class Config(Section):
    """Everything that an operator decides."""

    northflank: dict[Annotated[str, _CONNECTION], ConnectionSection] = Field(
        min_length=1, description="Connections by name. An integration that names none uses `default`."
    )
    store: StoreSection = Field(description="The journal.")
    audit: AuditSection = Field(default_factory=AuditSection, description="Where audit events go beside the journal.")
    log: LogSection = Field(default_factory=LogSection, description="What the service logs.")
    health: HealthSection | None = Field(None, description="Where the service's health can be asked; null: nowhere.")
    policy: PolicySection = Field(default_factory=PolicySection, description="The times and limits of every rotation.")
    in_hand: int = Field(
        16, strict=True, ge=1, le=1000, description="How many rotations may be between mint and confirm at a time."
    )
    workers: int = Field(32, strict=True, ge=1, le=1000, description="How many credentials are worked at side by side.")
    plugins: tuple[Annotated[str, PLUGIN_NAME], ...] = Field(
        (),
        description="Providers that others wrote: no others are loaded. One may do all that rotator may.",
    )
    credentials: tuple[AnyCredential, ...] = Field(min_length=1, description="What is rotated.")

    def connection_of(self, integration: IntegrationSection) -> ConnectionSection:
        """The connection through which this integration is reached."""
        return self.northflank[integration.connection]

    def policy_of(self, credential: CredentialSection) -> Policy:
        """The credential's policy, with the longest `settle` of the connections that it needs."""
        settle = max(self.connection_of(integration).settle for integration in credential.integrations)
        return self.policy.overridden_by(credential.policy).as_policy(settle)
