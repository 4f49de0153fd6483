"""From a config to credentials wired to their clouds and integrations, and its check against the journal."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import httpx

from rotator.clock import Clock, fraction
from rotator.config.credential import CredentialSection
from rotator.config.models import Config, ConnectionSection
from rotator.errors import RotatorError, UsageError
from rotator.host.distribution import how_to_add
from rotator.http.clients import HttpClients
from rotator.northflank.budget import RateLimits
from rotator.northflank.client import Connection
from rotator.northflank.integration import Integration
from rotator.policy import ConfirmUse
from rotator.providers.base import Provider, Tools
from rotator.providers.gated import Gated
from rotator.providers.registry import BUILT_IN
from rotator.rotation.managed import Managed
from rotator.rotation.schedule import Schedule, Window
from rotator.settings.secret import references
from rotator.store.journal import Journal
from rotator.store.registry import Registration


@dataclass(frozen=True, slots=True)
class Fleet:
    """All credentials of one config, by name, and what they share."""

    managed: Mapping[str, Managed]
    connections: Mapping[str, Connection]
    http: httpx.Client


def assemble(config: Config, clock: Clock, http: httpx.Client, *, beside: Collection[str] = ()) -> Fleet:
    """Wire the config. Nothing is asked of the outside yet.

    Args:
        config: a sound config.
        clock: wall and monotonic time.
        http: the one HTTP client of this process.
        beside: files that every credential goes by: the config's own.

    Raises:
        UsageError: a provider isn't installed, or two credentials are one cloud identity.
        RotatorError: a provider can't be opened as configured.
    """
    connections = connect(config.northflank, clock, http)
    clients = HttpClients(http)
    managed = {
        section.name: _going_by(section, config, beside, _manage(section, config, connections, clock, clients))
        for section in config.credentials
        if not section.keyless
    }
    _refuse_twins(managed)
    return Fleet(managed, connections, http)


def connect(sections: Mapping[str, ConnectionSection], clock: Clock, http: httpx.Client) -> Mapping[str, Connection]:
    """The ways to Northflank, by name. They share the rate limit of each token. Nothing is asked of it yet."""
    limits = RateLimits(clock)
    return {
        name: Connection(
            http=http,
            api_url=section.api_url,
            token=section.token.read,
            team=section.team,
            method=section.method,
            deadline=section.timeout,
            clock=clock,
            limits=limits,
        )
        for name, section in sections.items()
    }


def _manage(
    section: CredentialSection,
    config: Config,
    connections: Mapping[str, Connection],
    clock: Clock,
    clients: HttpClients,
) -> Managed:
    policy = config.policy_of(section)
    deadline = max(config.connection_of(item).timeout for item in section.integrations)
    provider = _open(section, Tools(deadline, policy.max_age + policy.grace, clock, clients))
    if policy.confirm_use is ConfirmUse.ALWAYS and not provider.abilities.capabilities.has_evidence:
        raise RotatorError(
            f"{section.name}: confirm_use is always, and {section.provider} does not show when a key is used.",
            remedy="set `confirm_use: auto` or `never` in this credential's policy.",
        )
    targets = tuple(
        Integration(
            connections[item.connection],
            item.id,
            provider=section.northflank_provider,
            stamped=config.connection_of(item).stamp,
            dependents=item.dependents,
            watch=policy.watch,
        )
        for item in section.integrations
    )
    return Managed(
        name=section.name,
        provider_name=section.provider,
        provider=provider,
        targets=targets,
        texts={item.id: item.description for item in section.integrations if item.description is not None},
        policy=policy,
        calendar=Schedule(policy, provider.identity, Window.parse(policy.window), fraction),
        named_key=section.current_key,
        ways=frozenset(
            {
                f"cloud {section.provider}",
                *(f"token {config.connection_of(item).token.place}" for item in section.integrations),
            }
        ),
    )


def _going_by(section: CredentialSection, config: Config, beside: Collection[str], managed: Managed) -> Managed:
    """The credential, which knows the files that it goes by: a provider may name others once it was opened anew."""
    sections = [section, *(config.connection_of(item) for item in section.integrations)]
    named = [file for reference in references(sections) for file in reference.files()]
    return replace(managed, files=lambda: {*beside, *named, *managed.provider.abilities.files()})


def _open(section: CredentialSection, tools: Tools) -> Provider:
    try:
        return Gated(lambda: section.open(tools), tools.http.gate)
    except ImportError:
        raise UsageError(
            f"{section.name}: the provider {section.provider} is not installed.",
            remedy=(
                how_to_add(section.provider)
                if section.provider in BUILT_IN
                else f"install the package that brings it, into the environment of rotator: {section.provider} is an "
                "entry point of the group rotator.providers."
            ),
        ) from None
    except RotatorError as error:
        text = tools.http.gate.text
        raise RotatorError(f"{section.name}: {text(error.message)}", remedy=text(error.remedy)) from None


def _refuse_twins(managed: Mapping[str, Managed]) -> None:
    seen: dict[str, str] = {}
    for name, one in managed.items():
        other = seen.setdefault(one.provider.identity, name)
        if other != name:
            raise UsageError(
                f"{other} and {name} are the same cloud identity ({one.provider.identity}).",
                remedy="make them one credential with several integrations.",
            )


def register(fleet: Fleet, journal: Journal) -> None:
    """Make the journal know every credential; one that was renamed keeps its row.

    Raises:
        StoreError: a name belongs to another identity; nothing was written.
    """
    journal.register([Registration(m.name, m.provider_name, m.provider.identity) for m in fleet.managed.values()])


def refuse_removal_in_flight(fleet: Fleet, journal: Journal) -> None:
    """A rotation in flight needs its credential in the config.

    Raises:
        RotatorError: the config lacks one.
    """
    identities = {managed.provider.identity for managed in fleet.managed.values()}
    missing = [row.name for row in journal.credentials() if row.state.in_flight and row.identity not in identities]
    if missing:
        raise RotatorError(
            f"{', '.join(missing)} has a rotation in flight and is not in the new config.",
            remedy="put it back, or end the rotation first: `rotator abandon`.",
        )
