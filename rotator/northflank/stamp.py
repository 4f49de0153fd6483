"""The stamp: the short text in an integration's description that says which push Northflank applied last. Pure.

` [rotator 7f3a g42 AKIA..WXYZ 2026-11-23]`: the store's id, the generation, what may be shown of the key, the day.
The key is left out where its id is itself secret.
"""

from __future__ import annotations

import re
import string
from datetime import date

from rotator.model import Stamp

DESCRIPTION_LIMIT = 200
"""Northflank's own, in characters."""

# Northflank takes ^[a-zA-Z0-9.,?\s\\/'"()[\];`%^&*\-_:!]+$ (its API reference); of \s, ASCII's alone.
_ALLOWED = frozenset(string.ascii_letters + string.digits + " \t\n\r\f\v" + ".,?\\/'\"()[];`%^&*-_:!")
_STORE = "[0-9a-z]{4,32}"
_HINT = r"[\w.,:/-]{1,40}"
_STAMP = re.compile(
    rf"\[rotator ({_STORE}) g(0|[1-9][0-9]{{0,8}})(?: ({_HINT}))? ([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})\]", re.ASCII
)
_STAMP_AND_SPACE = re.compile(rf"\s*{_STAMP.pattern}\s*", re.ASCII)


def parse(description: str | None) -> Stamp | None:
    """The stamp in a description; None if there is none, if it is malformed, or if two of them disagree."""
    stamps = {
        Stamp(store, int(generation), hint or None) for store, generation, hint, _ in _STAMP.findall(description or "")
    }
    return stamps.pop() if len(stamps) == 1 else None


def pushed_on(description: str | None) -> date | None:
    """The day of the push that a description's only stamp names, in UTC; None if there is none, or no such day."""
    days = {day for *_, day in _STAMP.findall(description or "")}
    try:
        return date.fromisoformat(days.pop()) if len(days) == 1 else None
    except ValueError:
        return None


def strip(description: str | None) -> str:
    """The user's own text: without any rotator's stamp, and without white space around it."""
    text = description or ""
    while _STAMP.search(text):  # taking one out can put the halves of another together
        text = _STAMP_AND_SPACE.sub(" ", text)
    return text.strip()


def compose(text: str, stamp: Stamp, day: date) -> str:
    """A description for Northflank: the user's text, then the stamp.

    Args:
        text: the user's text, or a whole earlier description: its stamp is replaced. Characters that Northflank
            refuses become `-`, and what doesn't fit beside the stamp is cut off and shown as `..`.
        stamp: its hint may hold ASCII letters, digits and `. , : / _ -`, at most 40 of them.
        day: the day of the push, in UTC.

    Raises:
        ValueError: the stamp could not be read back.
    """
    words = ("[rotator", stamp.store, f"g{stamp.generation}", stamp.hint, f"{day.isoformat()}]")
    mark = " ".join(word for word in words if word is not None)
    if parse(mark) != stamp:
        raise ValueError(f"not a stamp that can be read back: {mark!r}")
    own = strip("".join(character if character in _ALLOWED else "-" for character in text))
    room = DESCRIPTION_LIMIT - len(mark) - 1
    if len(own) > room:
        own = own[: room - 2].rstrip() + ".."
    return f"{own} {mark}".lstrip()
