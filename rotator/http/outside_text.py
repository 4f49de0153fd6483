"""The gate for words from outside: what a server says becomes one printable, capped line before it is ours."""

from __future__ import annotations

import unicodedata

_LIMIT = 300


def outside_text(text: object, limit: int = _LIMIT) -> str:
    """One printable line of at most `limit` characters, made from text that a server wrote."""
    line = "".join(
        character if not unicodedata.category(character).startswith(("C", "Z")) else " "
        for character in str(text)[: limit * 4]
    )
    line = " ".join(line.split())
    return line if len(line) <= limit else line[: limit - 2] + ".."
