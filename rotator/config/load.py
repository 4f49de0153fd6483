"""From a file and the environment to a config, or to a list of everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from rotator.config.credential import CredentialSection
from rotator.config.environment import read_environment
from rotator.config.kinds import CLASSES, PLUGIN, AnyCredential
from rotator.config.models import AuditSection, Config, ConnectionSection
from rotator.config.plugin import PLUGINS
from rotator.config.policy import PolicySection
from rotator.config.satisfiable import violations
from rotator.config.source import FieldPath, Problem, Source
from rotator.config.yaml_source import read_file
from rotator.errors import ConfigError
from rotator.providers.registry import BUILT_IN, plugin

_Part = TypeVar("_Part")

_LONGEST_TEXT = 64
_LONGEST_WORD = 32  # most secrets that stand where they don't belong are longer

# What is allowed, by pydantic's type of error.
_ALLOWED = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "string_type": "text, in quotes where it looks like a number",
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "greater_than_equal": "{ge} or more",
    "less_than_equal": "{le} or less",
    "too_short": "at least {min_length}",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "text that matches {pattern}",
}


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
            _problem(source, details)
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
    allowed = (*BUILT_IN, *plugins)
    strange: dict[FieldPath, Problem] = {}
    for position, part in enumerate(credentials if isinstance(credentials, list) else []):
        provider = part.get("provider") if isinstance(part, dict) else None
        if isinstance(provider, str) and provider not in allowed:
            place: FieldPath = ("credentials", position, "provider")
            text = f"found {_found(place, provider)}; allowed: {', '.join(allowed)}, or a plugin"
            strange["credentials", position] = source.problem(place, text)
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


def _problem(source: Source, details: ErrorDetails) -> Problem:
    """A problem as the operator reads it: what was found, what is allowed."""
    place, tag = _without_tag(details["loc"])
    context = details.get("ctx", {})
    if details["type"] == "union_tag_not_found":
        return _no_provider(source, place, details["input"])
    if place[-1:] == ("[key]",):  # pydantic's word for the key of a mapping
        place = place[:-1]
    if details["type"] == "missing":
        return source.problem(place, "missing; it has no default")
    if details["type"] == "extra_forbidden":
        return _unknown_key(source, place, tag)
    if details["type"] == "value_error":
        allowed = str(context["error"])
    elif details["type"] in _ALLOWED:
        allowed = f"allowed is {_ALLOWED[details['type']].format(**context)}"
    else:
        allowed = details["msg"]
    return source.problem(place, f"found {_found(place, details['input'])}; {allowed}")


def _without_tag(place: FieldPath) -> tuple[FieldPath, str | None]:
    """Pydantic's place, and the tag that it puts after a credential's position."""
    if place[:1] == ("credentials",) and place[2:3] and place[2] in CLASSES:
        return (*place[:2], *place[3:]), str(place[2])
    return place, None


def _no_provider(source: Source, place: FieldPath, value: object) -> Problem:
    allowed = f"allowed: {', '.join(BUILT_IN)}, or one of `plugins`"
    if not isinstance(value, dict):
        return source.problem(place, f"found {_found(place, value)}; allowed is a mapping")
    if "provider" not in value:
        return source.problem((*place, "provider"), f"missing; {allowed}")
    return source.problem((*place, "provider"), f"found {_found(place, value['provider'])}; {allowed}")


def _unknown_key(source: Source, place: FieldPath, tag: str | None) -> Problem:
    keys = _keys_at(place[:-1], _class_at(source, place, tag))
    close = get_close_matches(str(place[-1]), keys, n=1)
    text = f"no such key; {f'did you mean {close[0]}? ' if close else ''}allowed: {', '.join(keys)}"
    return source.problem(place if _may_be_shown(place[:-1], str(place[-1])) else place[:-1], text)


def _found(place: FieldPath, value: object) -> str:
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if "settings" not in place and _may_be_shown(place, str(value)):  # a plugin's: who knows which of them are secret
        return repr(value)
    return "something that may be a secret, so it isn't shown"


def _may_be_shown(place: FieldPath, text: str) -> bool:
    return (
        not {"token", "current_key"} & set(place)
        and "@" not in text
        and text.isprintable()
        and len(text) <= _LONGEST_TEXT
        and all(len(word) <= _LONGEST_WORD for word in text.split())
    )


def _class_at(source: Source, place: FieldPath, tag: str | None) -> tuple[type[BaseModel], int]:
    """What judged this place, and how much of the place is the way to it."""
    if tag is None:
        return Config, 0
    if tag == PLUGIN and place[2:3] == ("settings",):
        provider = source.value((*place[:2], "provider"))
        found = plugin(provider) if isinstance(provider, str) else None
        return (found.settings, 3) if found is not None else (Config, 0)
    return CLASSES[tag], 2


def _keys_at(place: FieldPath, judge: tuple[type[BaseModel], int]) -> list[str]:
    judging, begin = judge
    models: list[type[BaseModel]] = [judging]
    for part in place[begin:]:
        inner = [
            found
            for model in models
            if part in model.model_fields
            for found in _models_in(model.model_fields[str(part)].annotation)
        ]
        models = inner or models  # a position in a list, or a connection's name
    return [field.alias or key for model in models for key, field in model.model_fields.items()]


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
