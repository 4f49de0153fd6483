"""The options that several commands have, and the factory that gives a command those of a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from rotator.errors import ExitCode

ConfigPath = Annotated[
    Path | None, typer.Option("--config", envvar="ROTATOR_CONFIG", help="The config file.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The credential, as the config names it.", show_default=False)
]
Team = Annotated[
    str | None, typer.Option("--team", help="The team's id, for an organisation's token. Not with --config.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask.")]

_Wait = Annotated[bool, typer.Option("--wait", help="Follow the rotation until it is done or held.")]
_Standalone = Annotated[
    bool, typer.Option("--standalone", help="Carry the request out in this command, if no rotator runs.")
]
_Why = Annotated[str | None, typer.Option("--why", help="The reason, for the audit log.")]
_Claimed = Annotated[str | None, typer.Option("--as", help="Who asks, for the audit log, which marks it as claimed.")]


@dataclass(frozen=True, slots=True)
class Manner:
    """How an operator makes a request: the options that all such commands have in common, in the order of `--help`.

    Args:
        config: the config file.
        wait: follow the rotation until it is done or held.
        standalone: with no owner alive, take its place for this one request.
        why: the operator's reason, for the audit log.
        claimed: who they say they are.
        as_json: answer in JSON.
    """

    config: ConfigPath = None
    wait: _Wait = False
    standalone: _Standalone = False
    why: _Why = None
    claimed: _Claimed = None
    as_json: JsonOption = False


def asks(*, waits: bool = False) -> Callable[[Callable[..., ExitCode]], Callable[..., ExitCode]]:
    """Turn a function of a Manner and more into a command that has a Manner's options after its own.

    Args:
        waits: the command has `--wait`.
    """
    common = signature(Manner, eval_str=True).parameters
    options = [option for name, option in common.items() if waits or name != "wait"]

    def decorate(function: Callable[..., ExitCode]) -> Callable[..., ExitCode]:
        def command(**given: Any) -> ExitCode:
            manner = Manner(**{name: given.pop(name) for name in common.keys() & given.keys()})
            return function(manner, **given)

        _, *own = signature(function, eval_str=True).parameters.values()
        parameters = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in (*own, *options)]
        # Where typer looks for what a command takes.
        command.__dict__["__signature__"] = Signature(parameters)
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        return command

    return decorate
