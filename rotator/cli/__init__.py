"""The command line: thin commands that parse, call and render."""

from __future__ import annotations

import os
import sys
import traceback
from io import TextIOWrapper
from typing import NoReturn

from rotator.cli.render import note, show_json
from rotator.errors import ExitCode, RotatorError, unforeseen


def main() -> NoReturn:
    """Run the command line and exit with its code. An expected error is two lines, never a traceback."""
    os.umask(0o077)
    _prepare_streams()
    try:
        from rotator.cli.app import app  # noqa: PLC0415  # a broken installation is reported like any other error

        app()
    except RotatorError as error:
        sys.exit(_expected(error))
    except Exception as error:  # noqa: BLE001  # the last line of defence: a traceback's values may be secrets
        sys.exit(_unforeseen(error))
    sys.exit(ExitCode.FINE)


def _prepare_streams() -> None:
    """Stand in for a standard stream that was closed, and write what an encoding lacks as its escape.

    A file that is opened later would get the number of the closed stream, and then what is printed: the store, say.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # the lowest free number: this one
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115  # a descriptor has no path
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115  # likewise
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115  # likewise
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _expected(error: RotatorError) -> ExitCode:
    if "--json" in sys.argv:
        show_json({"error": error.message, "remedy": error.remedy})
    else:
        note(f"rotator: {error}")
    return error.exit_code


def _unforeseen(error: Exception) -> ExitCode:
    note(f"rotator: {unforeseen(error)}")
    if os.environ.get("ROTATOR_DEBUG"):
        note("".join(traceback.format_list(traceback.extract_tb(error.__traceback__))))
    else:
        note("  -> set ROTATOR_DEBUG=1 to see the calls that led there. Nothing is lost: the journal has every step.")
    return ExitCode.ERROR
