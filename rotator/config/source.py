"""What was written, before anyone asks whether it makes sense: plain data, and where each part of it was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

FieldPath = tuple[str | int, ...]
"""The way to a part of the config: `("credentials", 0, "user")`."""


class Location(NamedTuple):
    """Who says so: a line of a file, or an environment variable (line 0)."""

    name: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.name}:{self.line}" if self.line else self.name


class Problem(NamedTuple):
    """One thing that is wrong. The text holds no secret."""

    origin: Location
    place: FieldPath
    text: str

    def __str__(self) -> str:
        dotted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.place)
        return ": ".join(filter(None, (str(self.origin), dotted.lstrip("."), self.text)))


@dataclass(frozen=True, slots=True)
class Source:
    """Plain data, the origin of its parts, and what is wrong with the writing itself."""

    data: dict[str, object]
    origins: Mapping[FieldPath, Location]
    problems: tuple[Problem, ...] = ()

    def problem(self, place: FieldPath, text: str) -> Problem:
        """A problem at this place, with the origin of it or of the nearest part around it."""
        around = next(place[:length] for length in range(len(place), -1, -1) if place[:length] in self.origins)
        return Problem(self.origins[around], place, text)

    def value(self, place: FieldPath) -> object:
        """What stands at this place; None where nothing does."""
        found: object = self.data
        for part in place:
            if isinstance(found, dict):
                found = found.get(part)
            else:
                found = found[part] if isinstance(found, list) and isinstance(part, int) else None
        return found

    def overridden_by(self, other: Source) -> Source:
        """This source, with all that the other one says put over it: mappings are merged, all else is replaced."""
        origins = dict(self.origins)
        data = _merge(self.data, other.data, (), origins, other.origins)
        return Source(data, origins, (*self.problems, *other.problems))


def _merge(
    under: dict[str, object],
    over: dict[str, object],
    place: FieldPath,
    origins: dict[FieldPath, Location],
    over_origins: Mapping[FieldPath, Location],
) -> dict[str, object]:
    merged = dict(under)
    for key, value in over.items():
        here, known = (*place, key), under.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            merged[key] = _merge(known, value, here, origins, over_origins)
            continue
        merged[key] = value
        for gone in [inner for inner in origins if inner[: len(here)] == here]:
            del origins[gone]
        origins.update({inner: origin for inner, origin in over_origins.items() if inner[: len(here)] == here})
    return merged
