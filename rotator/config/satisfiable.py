"""Can this config be kept? What contradicts what is said at load, with numbers, not found out months later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rotator.config.credential import CredentialSection
from rotator.config.models import AuditSection, Config, ConnectionSection
from rotator.config.policy import PolicySection
from rotator.config.source import FieldPath
from rotator.policy import ConfirmUse
from rotator.rotation.schedule import Window
from rotator.settings.durations import format_duration

_A_PAIR = 2
"""Slots of which a rotation takes all: the old key and the new one."""

_BLIND = (
    "confirm_use is always; allowed for {name} is auto or never, since rotator can't see when a key of this {provider} "
    "credential is used"
)

Contradiction = tuple[FieldPath, str]


def violations(
    connections: Mapping[str, ConnectionSection | None],
    audit: AuditSection | None,
    policy: PolicySection | None,
    credentials: Mapping[int, CredentialSection],
) -> Iterator[Contradiction]:
    """All contradictions between those parts of a config that make sense by themselves; None stands for another."""
    yield from _settle(connections)
    if audit is not None:
        yield from _sinks(audit)
    yield from _doubles(credentials)
    for position, credential in credentials.items():
        yield from _unknown_connections(("credentials", position, "integrations"), credential, connections)
    if policy is not None:
        yield from _policies(policy, credentials)


def warnings(config: Config) -> tuple[str, ...]:
    """What can be kept but has a catch, a line each."""
    return tuple(
        f"{credential.name}: its key goes to {len(credential.integrations)} integrations. If rotator dies between two "
        f"of those pushes, both of its keys are in use and the rotation is held. One {credential.provider} user for "
        "each integration has no such moment."
        for credential in config.credentials
        if credential.slots == _A_PAIR and len(credential.integrations) > 1
    )


def _settle(connections: Mapping[str, ConnectionSection | None]) -> Iterator[Contradiction]:
    for name, connection in connections.items():
        if connection is not None and connection.settle < 2 * connection.timeout:
            settle, timeout = format_duration(connection.settle), format_duration(connection.timeout)
            text = f"settle is {settle}; allowed is at least 2 × timeout {timeout}"
            yield ("northflank", name, "settle"), text


def _sinks(audit: AuditSection) -> Iterator[Contradiction]:
    if "file" in audit.require and audit.file is None:
        yield ("audit", "require"), "file is required, but audit.file is null"
    if "stdout" in audit.require and not audit.stdout:
        yield ("audit", "require"), "stdout is required, but audit.stdout is false"


def _doubles(credentials: Mapping[int, CredentialSection]) -> Iterator[Contradiction]:
    names: dict[str, int] = {}
    principals: dict[tuple[str | None, ...], str] = {}
    integrations: dict[tuple[str, str], str] = {}
    for position, credential in credentials.items():
        place = ("credentials", position)
        if names.setdefault(credential.name, position) != position:
            yield (*place, "name"), f"{credential.name} is the name of two credentials; allowed is one"
        identity = (credential.provider, *credential.principal)
        if identity in principals:
            other = principals[identity]
            yield place, f"{credential.name} is the same cloud identity as {other}; allowed is one credential for each"
        principals.setdefault(identity, credential.name)
        for n, integration in enumerate(credential.integrations):
            key = (integration.connection, integration.id)
            if key in integrations:
                text = f"{integration.id} is fed by {integrations[key]} already; allowed is once in a connection"
                yield (*place, "integrations", n), text
            integrations.setdefault(key, credential.name)


def _unknown_connections(
    place: FieldPath, credential: CredentialSection, connections: Mapping[str, ConnectionSection | None]
) -> Iterator[Contradiction]:
    for n, integration in enumerate(credential.integrations):
        if connections and integration.connection not in connections:
            text = f"there is no connection {integration.connection}; the config has {', '.join(connections)}"
            yield (*place, n), text


def _policies(policy: PolicySection, credentials: Mapping[int, CredentialSection]) -> Iterator[Contradiction]:
    findings: dict[Contradiction, None] = {}  # a set that keeps the order: many credentials share the one policy
    for position, credential in credentials.items():
        own = bool(credential.policy.model_fields_set)
        place: FieldPath = ("credentials", position, "policy") if own else ("policy",)
        effective = policy.overridden_by(credential.policy)
        findings |= {(place, text): None for text in _contradictions(effective, credential.slots)}
        if effective.confirm_use is ConfirmUse.ALWAYS and not credential.shows_use and not credential.keyless:
            findings[(place, _BLIND.format(name=credential.name, provider=credential.provider))] = None
    yield from findings


def _contradictions(policy: PolicySection, slots: int | None) -> Iterator[str]:
    text = format_duration
    closed = Window.parse(policy.window).longest_closed()
    old = policy.every + policy.jitter + 3 * closed + policy.proving.timeout + policy.max_grace + policy.quarantine
    if old > policy.max_age:
        yield (
            f"every {text(policy.every)} + jitter {text(policy.jitter)} + 3 × longest closed window {text(closed)} + "
            f"proving.timeout {text(policy.proving.timeout)} + max_grace {text(policy.max_grace)} + "
            f"quarantine {text(policy.quarantine)} = {text(old)}; allowed is at most max_age {text(policy.max_age)}"
        )
    busy = policy.jitter + policy.max_grace + policy.quarantine
    if slots == _A_PAIR and busy >= policy.every:
        yield (
            f"jitter {text(policy.jitter)} + max_grace {text(policy.max_grace)} + quarantine {text(policy.quarantine)} "
            f"= {text(busy)}; allowed is less than every {text(policy.every)}: so long are both slots taken"
        )
    limits = (
        ("grace", policy.grace, "max_grace", policy.max_grace),
        ("quiet_for", policy.quiet_for, "max_grace", policy.max_grace),
        ("watch", policy.watch, "alarm_after", policy.alarm_after or 3 * policy.watch),
        ("backoff.first", policy.backoff.first, "backoff.max", policy.backoff.max),
        (
            "(proving.successes - 1) × proving.every",
            (policy.proving.successes - 1) * policy.proving.every,
            "proving.timeout",
            policy.proving.timeout,
        ),
    )
    for name, value, limit_name, limit in limits:
        if value > limit:
            yield f"{name} is {text(value)}; allowed is at most {limit_name} {text(limit)}"
