"""Durations as operators write them: `500ms`, `90s`, `15m`, `12h`, `30d`, `1d12h`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_PATTERN = "".join(f"(?:([0-9]{{1,12}}){unit})?" for unit in _UNITS)
_LONGEST = timedelta(days=3650)
_ALLOWED = "a duration is written like 500ms, 90s, 15m, 12h, 30d or 1d12h"


def parse_duration(text: str) -> timedelta:
    """Read a duration: whole numbers with their units, the largest unit first, at most ten years.

    Raises:
        ValueError: it isn't one; the message says what is.
    """
    found = re.fullmatch(_PATTERN, text)
    if not found or not text:
        raise ValueError(_ALLOWED)
    total = timedelta(0)
    for number, unit in zip(found.groups(default="0"), _UNITS.values(), strict=True):
        if int(number) > _LONGEST // unit:
            raise ValueError(f"a duration is at most {format_duration(_LONGEST)}")
        total += int(number) * unit
    return total


def format_duration(duration: timedelta) -> str:
    """The shortest text that `parse_duration` reads back, to the millisecond; a minus before what is negative."""
    if duration < timedelta(0):
        return f"-{format_duration(-duration)}"
    text = ""
    for unit, length in _UNITS.items():
        number, duration = divmod(duration, length)
        text += f"{number}{unit}" if number else ""
    return text or "0s"


def _read(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return parse_duration(value)
    raise ValueError(_ALLOWED)  # a bare number too: of what unit?


def _positive(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("allowed is a duration longer than 0s")
    return value


Duration = Annotated[
    timedelta,
    BeforeValidator(_read, json_schema_input_type=Annotated[str, Field(pattern=f"^(?=.){_PATTERN}$")]),
    PlainSerializer(format_duration, when_used="json"),
]
PositiveDuration = Annotated[Duration, AfterValidator(_positive)]
