"""YAML 1.2, and nothing of it that a config has no use for."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.config.source import Location
from rotator.config.yaml_source import Malformed, read_file, read_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("No", "No"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("-7", -7),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("20:30", "20:30"),
        ("190:20:30", "190:20:30"),
        ("2026-11-23", "2026-11-23"),
        ("1.5", 1.5),
        ("-.5e3", -500.0),
        ("-.inf", -math.inf),
        ("~", None),
        ("Null", None),
        ("", None),
        ("# nothing", None),
        ('"true"', "true"),
        ("'010'", "010"),
        ('"a\\u00e9\\n"', "aé\n"),
        ("9" * 5000, "9" * 5000),
        ("=", "="),
        ("[a, {b: 1}]", ["a", {"b": 1}]),
        ("{on: off, 1: 2}", {"on": "off", "1": 2}),
    ],
)
def test_scalars_are_those_of_the_core_schema(text: str, value: object) -> None:
    assert read_value(text) == value
    assert type(read_value(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: &x 1\nb: *x", 2, "an alias"),
        ("a: &x\n  <<: *x", 2, "an alias"),
        ("a: !!python/object/apply:os.system [id]", 1, "a tag"),
        ("a: !env X", 1, "a tag"),
        ("a: 1\n--- \nb: 2", 2, "a second document"),
        ("? [a]\n: b", 1, "a key that isn't a plain word"),
        ("a: 1\nb: 2\na: 3", 3, "written twice, on line 1 too"),
        ("a: b: c", 1, "not YAML"),
        ("a:\n\t- b", 2, "not YAML"),
        ("a: ]", 1, "not YAML"),
        ("a: \x07", 1, "characters that no text has"),
        ("a: \udcff", 1, "characters that no text has"),
        ("[" * 9000, 1, "nested deeper than 16 levels"),
        ("[" * 18 + "]" * 18, 1, "nested deeper than 16 levels"),
        ("a: [" * 9 + "]" * 9, 1, "nested deeper than 16 levels"),
    ],
)
def test_what_is_not_read_is_refused_with_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(Malformed, match=says) as caught:
        read_value(text)
    assert caught.value.line == line
    assert caught.value.__context__ is None


@given(st.text() | st.text(alphabet="ab:-[]{},&*!|>'\"#%@?~<= \n\t", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        result = read_value(text)
    except Malformed as error:
        result = error.text

    assert isinstance(result, str | int | float | dict | list | None)


def test_each_part_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("# first\na:\n  b: 1\n  c:\n    - x\n    - {d: 2,\n       e: 3}\n")

    source = read_file(path)

    assert {place: origin.line for place, origin in source.origins.items()} == {
        (): 2,
        ("a",): 2,
        ("a", "b"): 3,
        ("a", "c"): 4,
        ("a", "c", 0): 5,
        ("a", "c", 1): 6,
        ("a", "c", 1, "d"): 6,
        ("a", "c", 1, "e"): 7,
    }
    assert source.problem(("a", "c", 1, "f"), "missing").origin == Location(str(path), 6)
