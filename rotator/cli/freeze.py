"""`rotator freeze` and `rotator unfreeze`: a request about all credentials at once."""

from __future__ import annotations

from rotator.cli.options import Manner, asks
from rotator.cli.request import ask
from rotator.cli.session import begin
from rotator.errors import ExitCode


@asks()
def freeze(manner: Manner) -> ExitCode:
    """Stop every change, for all credentials of the store."""
    return ask(begin(manner.config), manner, "freeze", None)


@asks()
def unfreeze(manner: Manner) -> ExitCode:
    """End a freeze."""
    return ask(begin(manner.config), manner, "unfreeze", None)
