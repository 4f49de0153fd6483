"""From a file and the environment to a config, or to a list of everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from rotator.config.credential import CredentialSection
from rotator.config.described import described, strange_provider
from rotator.config.environment import read_environment
from rotator.config.kinds import AnyCredential
from rotator.config.models import AuditSection, Config, ConnectionSection
from rotator.config.plugin import PLUGINS
from rotator.config.policy import PolicySection
from rotator.config.satisfiable import violations
from rotator.config.source import FieldPath, Problem, Source
from rotator.config.yaml_source import read_file
from rotator.errors import ConfigError
from rotator.providers.registry import BUILT_IN

_Part = TypeVar("_Part")


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """Read the config, with `ROTATOR_...` variables over it, and prove that it can be kept.

    Raises:
        ConfigError: it can't be read or used; lists every problem with file, line and field.
    """
    source = read_file(path).overridden_by(read_environment(environ))
    named = _plugins(source)
    strange = _strange_providers(source, named)
    problems = [*source.problems, *strange.values(), *_contradictions(source)]
    config = None
    try:
        config = Config.model_validate(source.data, context={PLUGINS: named})
    except ValidationError as error:
        problems += [
            described(source, details)
            for details in error.errors(include_url=False)
            if _is_first(details) and details["loc"][:2] not in strange
        ]
    if config is None or problems:
        problems.sort(key=lambda problem: (not problem.origin.line, problem.origin, str(problem)))
        raise ConfigError(tuple(map(str, problems)))
    return config


def _plugins(source: Source) -> tuple[str, ...]:
    plugins = source.data.get("plugins")
    return tuple(name for name in plugins if isinstance(name, str)) if isinstance(plugins, list) else ()


def _strange_providers(source: Source, plugins: tuple[str, ...]) -> dict[FieldPath, Problem]:
    """The credentials whose provider is neither rotator's own nor a plugin: what else they say can't be judged."""
    credentials = source.data.get("credentials")
    strange: dict[FieldPath, Problem] = {}
    for position, part in enumerate(credentials if isinstance(credentials, list) else []):
        provider = part.get("provider") if isinstance(part, dict) else None
        if isinstance(provider, str) and provider not in {*BUILT_IN, *plugins}:
            strange["credentials", position] = strange_provider(source, position, provider, plugins)
    return strange


def _contradictions(source: Source) -> Iterator[Problem]:
    """Those between the parts that make sense by themselves, whatever is wrong with the others."""
    connections = source.data.get("northflank")
    credentials = source.data.get("credentials")
    of_connection: TypeAdapter[ConnectionSection] = TypeAdapter(ConnectionSection)
    of_credential: TypeAdapter[CredentialSection] = TypeAdapter(AnyCredential)
    findings = violations(
        {name: _sound(of_connection, part) for name, part in connections.items()}
        if isinstance(connections, dict)
        else {},
        _sound(TypeAdapter(AuditSection), source.data.get("audit", {})),
        _sound(TypeAdapter(PolicySection), source.data.get("policy", {})),
        {
            position: credential
            for position, part in enumerate(credentials if isinstance(credentials, list) else [])
            if (credential := _sound(of_credential, part)) is not None
        },
    )
    return (source.problem(place, text) for place, text in findings)


def _sound(adapter: TypeAdapter[_Part], part: object) -> _Part | None:
    try:
        return adapter.validate_python(part)
    except ValidationError:
        return None


def _is_first(details: ErrorDetails) -> bool:
    """False for what only follows from another problem: pydantic doesn't count the items that it refused."""
    return details["type"] != "too_short" or not details["input"]
