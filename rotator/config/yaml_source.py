"""YAML 1.2 as a config needs it: `no` is a word, `010` is ten, nothing is said twice, and nothing points elsewhere.

The parser is PyYAML's. Its resolution of scalars is that of YAML 1.1 and its mappings take the last of equal keys in
silence, so both are done here, on its events; that also yields the line of each part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from rotator.config.source import FieldPath, Location, Problem, Source
from rotator.config.yaml_faults import fault
from rotator.errors import ConfigError
from rotator.http.outside_text import outside_text
from rotator.settings.textfile import Unreadable, read_text

_LARGEST = 1024 * 1024
_DEEPEST = 16
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# The core schema, https://yaml.org/spec/1.2.2/#1032-tag-resolution, with an end to the length of numbers.
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DECIMAL = re.compile(r"[-+]?[0-9]{1,18}")
_OTHER_BASE = re.compile(r"0o[0-7]{1,18}|0x[0-9a-fA-F]{1,15}")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]{1,18}|[0-9]{1,18}(\.[0-9]{0,18})?)([eE][-+]?[0-9]{1,3})?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)


class Malformed(Exception):
    """The text isn't YAML, or uses a part of it that isn't read here. Holds nothing of its content."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line
        self.text = text


def read_file(path: Path) -> Source:
    """Read a config file.

    Raises:
        ConfigError: it can't be read, or not as one YAML mapping.
    """
    name = outside_text(path)
    try:
        text = read_text(path, _LARGEST)
        reader = _Reader(name, text)
        data = reader.document()
    except Unreadable as reason:
        problem = Problem(Location(name), (), f"the config can't be read: {reason}")
    except Malformed as error:
        problem = Problem(Location(name, error.line), (), error.text)
    else:
        if isinstance(data, dict):
            return Source(data, reader.origins, tuple(reader.problems))
        problem = Problem(Location(name, 1), (), "a config is a mapping with northflank, store and credentials in it")
    raise ConfigError((str(problem),))


def read_value(text: str) -> object:
    """Read one value, as it would be read in a file.

    Raises:
        Malformed: it can't be.
    """
    reader = _Reader("", text)
    value = reader.document()
    for problem in reader.problems:
        raise Malformed(problem.origin.line, problem.text)
    return value


class _Reader:
    def __init__(self, name: str, text: str) -> None:
        self.origins: dict[FieldPath, Location] = {}
        self.problems: list[Problem] = []
        self._name = name
        self._events: Iterator[yaml.Event] = _events(text)

    def document(self) -> object:
        next(self._events)  # the start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        value = self._node(next(self._events), ())
        next(self._events)  # the end of the document
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise Malformed(_line(after), "a second document begins here; allowed is one")
        return value

    def _node(self, event: yaml.Event, place: FieldPath) -> object:
        self.origins.setdefault(place, Location(self._name, _line(event)))
        if len(place) > _DEEPEST:
            raise Malformed(_line(event), f"nested deeper than {_DEEPEST} levels")
        if isinstance(event, yaml.AliasEvent):
            raise Malformed(_line(event), "an alias (*name); write the value out")
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
            raise Malformed(_line(event), "a tag (!name); tags aren't read")
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event.value) if event.implicit[0] else event.value
        if isinstance(event, yaml.SequenceStartEvent):
            return [self._node(item, (*place, n)) for n, item in enumerate(self._until(yaml.SequenceEndEvent))]
        return self._mapping(place)

    def _mapping(self, place: FieldPath) -> dict[str, object]:
        mapping: dict[str, object] = {}
        for event in self._until(yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise Malformed(_line(event), "a key that isn't a plain word")
            inner = (*place, event.value)
            if event.value in mapping:
                first = self.origins[inner].line
                self.problems.append(
                    Problem(
                        Location(self._name, _line(event)),
                        inner,
                        f"written twice, on line {first} too; allowed is once",
                    )
                )
                self._node(next(self._events), inner)
            else:
                self.origins[inner] = Location(self._name, _line(event))
                mapping[event.value] = self._node(next(self._events), inner)
        return mapping

    def _until(self, end: type[yaml.Event]) -> Iterator[yaml.Event]:
        for event in self._events:
            if isinstance(event, end):
                return
            yield event


def _events(text: str) -> Iterator[yaml.Event]:
    line, problem = 1, "characters that no text has"
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        line, problem = fault(error, text)
    except (yaml.YAMLError, UnicodeEncodeError):  # control characters, and bytes of a variable that are no UTF-8
        pass
    else:
        return
    # Outside of the handlers: their error, which quotes the file, must not become this one's context.
    raise Malformed(line, f"not YAML: {problem}")


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1  # every event of a parser has one


def _scalar(text: str) -> object:
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _DECIMAL.fullmatch(text):
        return int(text)
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text.replace(".", "", 1) if text[-1] in "fFnN" else text)
    return text
