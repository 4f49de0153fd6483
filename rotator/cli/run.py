"""`rotator run`: the service, or one pass of it."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from rotator.cli.options import ConfigPath
from rotator.errors import ExitCode

_NOT_FOR_THE_SERVICE = ("click", "pygments", "rich")
"""structlog and httpx load these wherever they are installed, for tracebacks and a command line of their own."""


def run(
    config: ConfigPath = None,
    once: Annotated[
        bool, typer.Option("--once", help="Make one pass, from mint to confirm, then exit. For timers.")
    ] = False,
) -> ExitCode:
    """Own the store and rotate what is due.

    Raises:
        OtherOwner: another process owns the store.
        RotatorError: the config, the store or a provider can't be used.
    """
    for module in _NOT_FOR_THE_SERVICE:
        # None: not to be imported (Python's import system says so).
        sys.modules.setdefault(module, None)  # type: ignore[arg-type]  # typeshed has no word for it
    from rotator.cli import owner, session  # noqa: PLC0415  # only now: these load structlog and httpx

    began = session.begin(config, level=None)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # what an SDK starts to get credentials must not ask the terminal
    return owner.one_pass(began) if once else owner.serve(began)
