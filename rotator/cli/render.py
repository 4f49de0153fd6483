"""Tables and lines for people, JSON for programs. Text from outside is shown as it is, never read as markup."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import TYPE_CHECKING, TextIO

from rotator.errors import ExitCode, RotatorError

if TYPE_CHECKING:
    from rich.console import Console

_UNBOUNDED = 10_000
"""Columns. A pipe has no width: a row stays one line, so that it can be searched."""

_SILENCE = 2.0
"""Seconds that may pass in silence."""

_GAP = 2
_NOTHING = "-"
_UNITS = (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("m", timedelta(minutes=1)), ("s", timedelta(seconds=1)))


def console(*, stderr: bool = False, file: TextIO | None = None) -> Console:
    """A way to a terminal, or to a file what a terminal would get: colour and its width, where there is one."""
    from rich.console import Console  # noqa: PLC0415  # rich costs 10 MB and 50 ms: only what shows a table pays

    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    width = shutil.get_terminal_size().columns if terminal else _UNBOUNDED  # rich takes 80 for a dumb terminal's
    return Console(
        stderr=stderr,
        file=file,
        force_terminal=terminal or None,
        width=width,
        highlight=False,
        markup=False,
        emoji=False,
    )


@dataclass(frozen=True, slots=True)
class Styled:
    """A cell in a style of rich's, where there is colour."""

    text: str
    style: str


def show_table(headings: Sequence[str], rows: Sequence[Sequence[object]], *, stderr: bool = False) -> None:
    """A table; None and empty texts are shown as a dash, times and durations as people write them."""
    from rich.cells import cell_len  # noqa: PLC0415  # as in console()
    from rich.table import Table  # noqa: PLC0415  # as in console()
    from rich.text import Text  # noqa: PLC0415  # as in console()

    drawn = StringIO()
    terminal = console(stderr=stderr, file=drawn)
    cells = [[_text(value) for value in row] for row in rows]
    columns = [*zip(headings, *([text for text, _ in row] for row in cells), strict=True)]
    lines = [max(cell_len(line) for text in column for line in text.split("\n")) for column in columns]
    words = [max(cell_len(word) for text in column for word in text.split()) for column in columns]
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold")
    for heading, width in zip(headings, _widths(lines, words, terminal.width - _GAP * len(columns)), strict=True):
        table.add_column(Text(heading), overflow="fold", width=width)
    for row in cells:
        table.add_row(*(Text(text, style) for text, style in row))
    terminal.print(table)
    # rich fills the last column up with blanks: a pipe would get a row of nothing but them after the longest text.
    write = sys.stderr.write if stderr else _write
    write("".join(f"{line.rstrip()}\n" for line in drawn.getvalue().splitlines()))


def _widths(lines: Sequence[int], words: Sequence[int], room: int) -> list[int]:
    """How wide each column is, in cells: the widest give way first, and no word is broken where all have room.

    Left alone, rich narrows columns until letters are lost.

    Args:
        lines: the longest line of each column.
        words: the longest word of each.
        room: for all columns together.
    """
    least = words if sum(words) <= room else [1] * len(words)
    widths = [*lines]
    while sum(widths) > room:
        spare = [width - floor for width, floor in zip(widths, least, strict=True)]
        if not any(excess > 0 for excess in spare):
            break
        widest = max(range(len(widths)), key=lambda column: (spare[column] > 0, widths[column]))
        widths[widest] -= 1
    return widths


def show_json(document: object) -> None:
    """One JSON document on standard output; times in RFC 3339, durations in seconds."""
    _write(json.dumps(document, default=_plain, indent=2) + "\n")


def say(text: str) -> None:
    """A line on standard output, or several."""
    _write(printable(text) + "\n")


def note(text: str) -> None:
    """A line on standard error, for what isn't the command's result."""
    sys.stderr.write(printable(text) + "\n")


def progress(text: str) -> None:
    """A line on standard error, if that is a terminal."""
    if sys.stderr.isatty():
        note(text)


@contextmanager
def progress_if_slow(text: str) -> Iterator[None]:
    """A line as by `progress`, once the block takes longer than an operator waits in silence."""
    timer = threading.Timer(_SILENCE, progress, (text,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def moment(at: datetime) -> str:
    """A time for people, to the second, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def length(duration: timedelta) -> str:
    """A duration for people, in its two largest units: `3d 4h`, `5m 10s`, `0s`."""
    left = abs(duration)
    parts: list[str] = []
    for unit, size in _UNITS:
        number, left = divmod(left, size)
        if number or parts:
            parts.append(f"{number}{unit}" if number else "")
    return " ".join(filter(None, parts[:2])) or "0s"


def relative(at: datetime, now: datetime) -> str:
    """When something is, seen from now: `in 3d 4h`, `5m ago`."""
    return f"in {length(at - now)}" if at > now else f"{length(now - at)} ago"


def printable(text: str) -> str:
    """Without control characters: a name from outside must not drive the terminal."""
    return "".join(character if character.isprintable() or character == "\n" else "?" for character in text)


def _write(text: str) -> None:
    """To standard output, now. A reader that closed it (`| head`) has seen enough: that is no error."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer would fail again when the interpreter flushes it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise SystemExit(ExitCode.FINE) from None
        reason = error.strerror or type(error).__name__
    else:
        return
    raise RotatorError(f"standard output can't be written: {reason}.", remedy="make room there; nothing was changed.")


def _text(value: object) -> tuple[str, str]:
    """The text and the style of a cell."""
    match value:
        case Styled(text, style):
            return printable(text), style
        case None | "":
            text = _NOTHING
        case datetime():
            text = moment(value)
        case timedelta():
            text = length(value)
        case _:
            text = printable(str(value))
    return text, ""


def _plain(value: object) -> object:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case timedelta():
            return value.total_seconds()
        case frozenset() | set():
            return sorted(value)
        case _:
            return str(value)
