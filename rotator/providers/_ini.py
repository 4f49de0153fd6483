"""What is wrong with a file of `key = value` lines under `[sections]`: the number of the line, never its content."""

from __future__ import annotations

import configparser

from rotator.http.outside_text import outside_text


def misread(error: configparser.Error) -> str:
    """What the parser stumbled over, in a sentence without a full stop."""
    match error:
        case configparser.MissingSectionHeaderError():
            return f"line {error.lineno} stands before any [section]"
        case configparser.DuplicateOptionError():
            section = outside_text(error.section)
            return f"line {error.lineno} says {outside_text(error.option)} of [{section}] a second time"
        case configparser.DuplicateSectionError():
            return f"line {error.lineno} begins [{outside_text(error.section)}] a second time"
        case configparser.ParsingError():
            return f"line {error.errors[0][0]} is neither a [section] nor `key = value`"
        case _:
            return type(error).__name__
