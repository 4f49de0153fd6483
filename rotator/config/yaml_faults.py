"""What is wrong with a text that is no YAML, as an operator corrects it: the parser's words are about its own grammar.

Nothing of the text is quoted: it may hold a secret.
"""

from __future__ import annotations

from typing import NamedTuple

import yaml

from rotator.http.outside_text import outside_text

_FLOW = "while parsing a flow"
_NO_COLON = "no `: ` (a colon and a blank) between key and value: write key: value"
_FIXED = (
    ("cannot start any token", "a value that begins with @, ` or % must be in quotes: key: '@value'"),
    ("unknown escape character", r"a backslash inside double quotes; write the value in single quotes: key: 'a\b'"),
    (
        "sequence entries are not allowed",
        "a list item (- ) behind a key; begin it on the next line, or write key: [a, b]",
    ),
    (
        "document start",
        "wrong indentation: this line begins further left than the first key, or the keys ended before it",
    ),
    ("node content", "a bracket or a comma where a value belongs: write [a, b] or {key: value, other: value}"),
    ("scanning an alias", "a value that begins with * must be in quotes: key: '*'"),
    ("scanning an anchor", "a value that begins with & must be in quotes: key: '&value'"),
)


def fault(error: yaml.MarkedYAMLError, text: str) -> tuple[int, str]:
    """The line to correct, from 1 on, and what is wrong with it and how it is written right."""
    lines = text.split("\n")
    at, began = _place(error.problem_mark), _place(error.context_mark)
    problem, context = error.problem or "", error.context or ""
    if "\t" in _indent(_line(lines, at.line)):
        return at.line, "a tab before the first word; YAML is indented with blanks: write two blanks for each level"
    if (begun := _begun(problem, context, at)) is not None:
        return began.line, begun
    if "mapping values" in problem:
        return _second_value(lines, at.line)
    known = next((words for part, words in _FIXED if part in problem or part in context), None)
    if known is None and context.startswith("while parsing a block"):
        return _out_of_line(lines, at)
    return at.line, known or outside_text(problem or "characters that no text has", 100)


def _begun(problem: str, context: str, at: _Place) -> str | None:
    """What is wrong with the line where something begins that the parser missed the end of."""
    if "end of stream" in problem and "quoted" in context:
        return "the quote that begins on this line has no end: write key: \"value\" or key: 'value'"
    if context.startswith(_FLOW):
        where = f"what begins with [ or {{ on this line is not closed, or lacks a comma, by line {at.line}"
        return f"{where}: write [a, b] or {{key: value, other: value}}"
    return _NO_COLON if "could not find expected ':'" in problem else None


class _Place(NamedTuple):
    line: int
    column: int


def _place(mark: yaml.Mark | None) -> _Place:
    return _Place(mark.line + 1, mark.column) if mark is not None else _Place(1, 0)


def _line(lines: list[str], number: int) -> str:
    return lines[number - 1] if 0 < number <= len(lines) else ""


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _before(lines: list[str], number: int) -> int | None:
    """The line before this one that says something."""
    return next((n for n in range(number - 1, 0, -1) if _said(_line(lines, n))), None)


def _said(line: str) -> str:
    """The line without its comment."""
    return line.lstrip().split(" #")[0].rstrip() if not line.lstrip().startswith("#") else ""


def _lacks_colon(line: str) -> bool:
    said = _said(line)
    return ":" in said and ": " not in said and not said.endswith(":") and not set("[]{}'\"") & set(said)


def _second_value(lines: list[str], number: int) -> tuple[int, str]:
    """A colon where a value is already: on the same line, or because of the line before."""
    here, before = _line(lines, number), _before(lines, number)
    if _said(here).count(": ") < 2 and before is not None:  # noqa: PLR2004  # the second one is what is too much
        if _lacks_colon(_line(lines, before)):
            return before, _NO_COLON
        if len(_indent(here)) > len(_indent(_line(lines, before))):
            return number, (
                f"wrong indentation: deeper than line {before}, which has a value already; begin in the column of the "
                "keys that belong together"
            )
        return number, "a key: value where a list item or the end of a value belongs; look at the indentation"
    return number, "a second `: ` on one line: put the value into quotes, or its keys on lines of their own"


def _out_of_line(lines: list[str], at: _Place) -> tuple[int, str]:
    before = _before(lines, at.line)
    if before is not None and _lacks_colon(_line(lines, before)):
        return before, _NO_COLON
    if at.column > len(_indent(_line(lines, at.line))):
        return at.line, (
            "something behind the end of a value: put the whole value into one pair of quotes, and look for a quote in "
            "a line before that has no end"
        )
    return at.line, "wrong indentation: this line begins in the column of no key and no list item (- ) before it"
