"""A problem of the config in words: what was found, and the right form of it. A pattern is never shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from rotator.config.kinds import CLASSES, PLUGIN
from rotator.config.models import Config
from rotator.config.shown import may_be_shown
from rotator.config.source import FieldPath, Problem, Source
from rotator.providers.registry import BUILT_IN, REGISTERED, plugin
from rotator.settings.secret import SecretRef

_MAPPING = "allowed is a mapping: key: value, on lines of their own or in {{ }}"
_LIST = "allowed is a list: [a, b], or a line with `- ` for each"

_AS_YAML = {"True": "true", "False": "false"}

# What is allowed, by pydantic's type of error.
_ALLOWED = {
    "bool_type": "allowed is true or false",
    "int_type": "allowed is a whole number, without quotes",
    "string_type": "allowed is text, in quotes where it looks like a number",
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "dict_type": _MAPPING,
    "tuple_type": _LIST,
    "literal_error": "allowed is {expected}",
    "enum": "allowed is {expected}",
    "greater_than_equal": "allowed is {ge} or more",
    "less_than_equal": "allowed is {le} or less",
    "too_short": "allowed is at least {min_length} entry",
    "string_too_short": "allowed is at least {min_length} characters",
    "string_too_long": "allowed is at most {max_length} characters",
}


def described(source: Source, details: ErrorDetails) -> Problem:
    """A problem of pydantic's as the operator reads it."""
    place, tag = _without_tag(details["loc"])
    if details["type"] == "union_tag_not_found":
        return _no_provider(source, place, details["input"])
    if place[-1:] == ("[key]",):  # pydantic's word for the key of a mapping
        place = place[:-1]
    fields = _fields_along(place, _judge(source, place, tag))
    if details["type"] == "missing":
        return source.problem(place, "missing; it has no default")
    if details["type"] == "extra_forbidden":
        return _unknown_key(source, place, tag)
    value = details["input"]
    text = f"found {_found(place, value, fields)}; {_allowed(source, place, details, fields)}"
    if isinstance(value, str) and value != value.strip():
        text += ". There is white space before or after the value: take it away"
    return source.problem(place, text)


def strange_provider(source: Source, position: int, provider: str, plugins: Iterable[str]) -> Problem:
    """A credential names a provider that there isn't."""
    place: FieldPath = ("credentials", position, "provider")
    allowed = (*BUILT_IN, *plugins)
    meant = _meant(provider, allowed)
    return source.problem(
        place, f"found {_found(place, provider)}; {meant}allowed: {', '.join(allowed)}, or one of `plugins`"
    )


def _allowed(source: Source, place: FieldPath, details: ErrorDetails, fields: list[FieldInfo]) -> str:
    context: Mapping[str, Any] = details.get("ctx", {})
    kind, value = details["type"], details["input"]
    if kind in {"literal_error", "enum"}:
        words = _modes(source, place) if place[-1:] == ("mode",) else _words(str(context["expected"]))
        return f"{_meant(str(value), words)}allowed is {_either(words)}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_pattern_mismatch":  # a plugin's: its pattern is no text for an operator
        description = fields[-1].description if fields else None
        return f"allowed is another form of text{f' ({description})' if description else ''}"
    return _ALLOWED[kind].format(**context) if kind in _ALLOWED else details["msg"]


def _modes(source: Source, place: FieldPath) -> list[str]:
    """All of the provider: the class that judged knows its own mode alone."""
    provider = source.value((*place[:-1], "provider"))
    return [line.mode for line in REGISTERED if line.provider == provider and line.mode is not None]


def _words(expected: str) -> list[str]:
    """What pydantic says is expected: 'a', 'b' or 'c'."""
    return [_AS_YAML.get(word, word.strip("'")) for word in expected.replace(" or ", ", ").split(", ")]


def _either(words: Sequence[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _without_tag(place: FieldPath) -> tuple[FieldPath, str | None]:
    """Pydantic's place, and the tag that it puts after a credential's position."""
    if place[:1] == ("credentials",) and place[2:3] and place[2] in CLASSES:
        return (*place[:2], *place[3:]), str(place[2])
    return place, None


def _no_provider(source: Source, place: FieldPath, value: object) -> Problem:
    allowed = f"allowed: {', '.join(BUILT_IN)}, or one of `plugins`"
    if not isinstance(value, dict):
        return source.problem(
            place, f"found {_found(place, value)}; {_MAPPING.format()}, with name, provider and integrations"
        )
    if "provider" in value:
        return source.problem((*place, "provider"), f"found {_found(place, value['provider'])}; {allowed}")
    near = get_close_matches("provider", map(str, value), n=1)
    if near:
        return source.problem((*place, near[0]), f"no such key; did you mean provider? {allowed}")
    return source.problem((*place, "provider"), f"missing; {allowed}")


def _unknown_key(source: Source, place: FieldPath, tag: str | None) -> Problem:
    key, around = str(place[-1]), place[:-1]
    judge = _judge(source, place, tag)
    models = _models_at(around, judge)
    keys = _keys(models)
    shown = place if SecretRef not in models and may_be_shown(key) else around
    if near := _nearest(key, keys):
        return source.problem(shown, f"no such key; did you mean {near}? allowed: {', '.join(keys)}")
    elsewhere = _where_it_belongs(key, around, models, judge)
    return source.problem(shown, f"no such key{elsewhere}; allowed: {', '.join(keys)}")


def _where_it_belongs(
    key: str, around: FieldPath, models: list[type[BaseModel]], judge: tuple[type[BaseModel], int]
) -> str:
    """A key one level too far left or right: the indentation is wrong."""
    for model in models:
        for name, field in model.model_fields.items():
            if any(key in _keys([inner]) for inner in _models_in(field.annotation)):
                return f" here; {key} belongs under {field.alias or name}: indent it by two blanks more"
    if key in Config.model_fields and around:
        return f" here; {key} is a key of the first level: indent it less"
    if any(isinstance(part, int) for part in around[judge[1] :]):
        return ""  # inside of an entry of a list: a missing dash, or a key of another kind of entry
    outer = next((n for n in range(len(around) - 1, judge[1], -1) if key in _keys(_models_at(around[:n], judge))), None)
    if outer is None and around[judge[1] :] and judge[1] and key in _keys([judge[0]]):
        outer = judge[1]
    return "" if outer is None else f" here; {key} is a key of {_dotted(around[:outer])}: indent it less"


def _dotted(place: FieldPath) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")


def _meant(word: str, allowed: Iterable[str]) -> str:
    near = _nearest(word, allowed)
    return f"did you mean {near}? " if near else ""


def _nearest(word: str, allowed: Iterable[str]) -> str | None:
    by_lower = {one.lower(): one for one in allowed}
    near = get_close_matches(word.strip().lower(), by_lower, n=1)
    return by_lower[near[0]] if near else None


def _found(place: FieldPath, value: object, fields: Iterable[FieldInfo] = ()) -> str:
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if not _may_hold_secret(place, fields) and may_be_shown(str(value)):
        return repr(value)
    return "something that may be a secret, so it isn't shown"


def _may_hold_secret(place: FieldPath, fields: Iterable[FieldInfo]) -> bool:
    """The place is of a secret, or one for which an operator may take it; or a plugin's, where nothing is known."""
    refers = any(SecretRef in _models_in(field.annotation) for field in fields)
    return (
        refers or bool({"current_key", "settings"} & set(place)) or (place[:1] == ("northflank",) and "token" in place)
    )


def _judge(source: Source, place: FieldPath, tag: str | None) -> tuple[type[BaseModel], int]:
    """What judged this place, and how much of the place is the way to it."""
    if tag is None:
        return Config, 0
    if tag == PLUGIN and place[2:3] == ("settings",):
        provider = source.value((*place[:2], "provider"))
        found = plugin(provider) if isinstance(provider, str) else None
        return (found.settings, 3) if found is not None else (Config, 0)
    return CLASSES[tag], 2


def _models_at(place: FieldPath, judge: tuple[type[BaseModel], int]) -> list[type[BaseModel]]:
    judging, begin = judge
    models: list[type[BaseModel]] = [judging]
    for part in place[begin:]:
        inner = [found for field in _fields_of(models, part) for found in _models_in(field.annotation)]
        models = inner or models  # a position in a list, or a connection's name
    return models


def _fields_along(place: FieldPath, judge: tuple[type[BaseModel], int]) -> list[FieldInfo]:
    """The fields on the way to this place, the last one at its end."""
    _, begin = judge
    return [
        field
        for length in range(begin, len(place))
        for field in _fields_of(_models_at(place[:length], judge), place[length])
    ]


def _fields_of(models: Iterable[type[BaseModel]], part: str | int) -> Iterator[FieldInfo]:
    for model in models:
        for name, field in model.model_fields.items():
            if part == (field.alias or name):
                yield field


def _keys(models: Iterable[type[BaseModel]]) -> list[str]:
    return [field.alias or key for model in models for key, field in model.model_fields.items()]


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
