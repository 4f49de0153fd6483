"""What environment variables say: `ROTATOR_POLICY__EVERY=14d` is the key `every` in the mapping `policy`.

A value is read as it would be in the file: `true` is a boolean, `[file, stdout]` a list. An empty one says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from rotator.config.models import Config
from rotator.config.source import FieldPath, Location, Problem, Source
from rotator.config.yaml_source import Malformed, read_value

PREFIX = "ROTATOR_"
NESTED = "__"


def read_environment(environ: Mapping[str, str]) -> Source:
    """The part of the config that is in environment variables.

    A variable that begins like ours but whose first word is no section of the config belongs to another program
    (Kubernetes sets some for a service named rotator), unless it is nested: then it is a typing error, and reported.
    """
    values: dict[FieldPath, object] = {}
    origins: dict[FieldPath, Location] = {(): Location("the environment")}
    problems: list[Problem] = []
    for name, text in environ.items():
        place = tuple(name.removeprefix(PREFIX).lower().split(NESTED))
        if not text or not name.startswith(PREFIX) or (len(place) == 1 and place[0] not in Config.model_fields):
            continue
        origin = Location(name)
        if place[0] not in Config.model_fields:
            allowed = ", ".join(Config.model_fields)
            problems.append(Problem(origin, place, f"no such section; allowed are {allowed}"))
            continue
        for length in range(1, len(place)):
            origins.setdefault(place[:length], origin)
        origins[place] = origin
        try:
            values[place] = read_value(text)
        except Malformed as error:
            problems.append(Problem(origin, place, error.text))
    return Source(_nested(values), origins, tuple(problems))


def _nested(values: Mapping[FieldPath, object]) -> dict[str, object]:
    """The mappings that the places spell. A longer name goes into the mapping of a shorter one, and over it."""
    data: dict[str, object] = {}
    for *around, last in sorted(values, key=len):
        inner: object = data
        for part in around:
            if isinstance(inner, dict):
                inner[part] = {} if inner.get(part) is None else inner[part]
                inner = inner[part]
        if isinstance(inner, dict):  # else it is reported as what should have been a mapping
            inner[last] = values[*around, last]
    return data
