"""How long a test waits for what comes at its own time: longer, the busier the machine is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_OWN = 1.5
"""Threads a CPU that the tests themselves make want one: what they wait for must not grow with their own number."""


def patience(seconds: float = 180.0) -> float:
    """So many seconds on a machine that has nothing but these tests to do, and more on a busy one.

    For bounds on what never comes, and for deadlines that a test has something run into. What did come is waited for as
    such: an event, a line, a request.
    """
    return seconds * max(1.0, _wanting() / (_OWN * (os.cpu_count() or 1)))


def milliseconds(seconds: float) -> str:
    """The same, as a config writes it."""
    return f"{round(1000 * patience(seconds))}ms"


def deadlines(seconds: float) -> Mapping[str, str]:
    """So long for each call to Northflank on a machine that is not busy, and twice that to settle."""
    length = round(1000 * patience(seconds))
    return {"timeout": f"{length}ms", "settle": f"{2 * length}ms"}


def _wanting() -> float:
    """How many threads want a CPU: over the last minute, or right now, where the machine tells and that is more."""
    wanting = os.getloadavg()[0]
    with suppress(OSError):
        now, _ = Path("/proc/loadavg").read_text().split()[3].split("/")
        wanting = max(wanting, float(now))
    return wanting
