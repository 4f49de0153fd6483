"""The list of the commands. The file of a command is loaded when the command is called, and `--help` loads none."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand
from typer.main import get_command, get_group

from rotator import __version__
from rotator.errors import ExitCode

_COMMANDS = {
    "run": ("run", "Run the service until SIGTERM. SIGHUP reads the config again."),
    "check": ("check", "Check all that a rotation needs, and change nothing. Prints one line for each check."),
    "status": ("status", "Show where every credential stands. Exits with 4 if one needs an operator."),
    "show": ("show", "Show one credential and its history. Its keys, integrations, rotations and events."),
    "plan": ("plan", "Show what rotator would do next, and why. Reads the clouds and Northflank; changes nothing."),
    "rotate": ("requests", "Rotate a credential now. Most often: `rotator rotate NAME --now --wait`."),
    "adopt": ("adopt", "Name the key in use. Lists the keys and asks. In scripts: `rotator adopt NAME KEY --yes`."),
    "resume": ("requests", "Continue a held rotation. docs/recovery.md describes what that does for each hold."),
    "abandon": ("requests", "End a rotation. Refused, with the reason, where that would leave a key in doubt."),
    "undo": ("requests", "Enable a disabled old key again. Also a key that rotator took for that of a lost mint."),
    "pause": ("requests", "Begin no rotation and revoke no key of one credential. A push that was sent is finished."),
    "unpause": ("requests", "End a pause."),
    "freeze": ("freeze", "Stop every change, for all credentials of the store."),
    "unfreeze": ("freeze", "End a freeze."),
    "forget": ("requests", "Forget a credential that left the config. Its keys stay, and rotator ignores them."),
    "health": (
        "health",
        "Ask the service whether it is healthy. Exits with 1 if not. Reads the store if no listener is on.",
    ),
    "audit": ("audit", "Verify or show the audit log."),
    "store": ("store", "Back up the store."),
    "discover": ("discover", "List Northflank's integrations, managed or not. Needs --config or NORTHFLANK_API_TOKEN."),
    "init": ("init", "Write a first config from Northflank's integrations. Needs NORTHFLANK_API_TOKEN."),
    "policy": ("policy", "Print the rights that rotator needs for a credential. Ready to paste; sends nothing."),
    "demo": ("sandbox", "Show seven credentials rotate against stand-ins. Takes about a minute."),
    "sandbox": ("sandbox", "Serve stand-ins for Northflank and the clouds. Prints addresses and a config for them."),
}
"""Each command: the file beside this one, which has a function of the command's name (for a family a Typer), and the
command's help, of which `rotator --help` shows the first sentence."""


class _Unloaded(TyperCommand):
    """A command that is known by its name and help, until it is called."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """That of the command itself: what follows its name is parsed by its own options."""
        return _load(str(self.name)).make_context(info_name, args, parent, **extra)


def _load(name: str) -> Any:  # typer has no public name for a command of click's
    file, meaning = _COMMANDS[name]
    found = getattr(import_module(f"rotator.cli.{file}"), name)
    if isinstance(found, typer.Typer):
        found.info.help = meaning
        return get_group(found)
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    single.command(name, help=meaning)(found)
    return get_command(single)


def _end(code: ExitCode, **_: object) -> None:
    """End with what a command returned."""
    raise typer.Exit(code)


# rich is loaded for tables alone, and a traceback's locals could be secrets.
app = typer.Typer(
    name="rotator",
    epilog="Exit codes: 0 fine, 1 error, 2 usage, 3 another process owns the store, 4 an operator is needed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    result_callback=_end,
)


def _version(wanted: bool) -> None:  # noqa: FBT001  # typer calls it so
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Rotates the cloud credentials held by Northflank integrations."""


def _unloaded() -> None:
    """In the place of each command's function, which `_Unloaded` looks for when it is called."""


for _name, (_, _meaning) in _COMMANDS.items():
    app.command(_name, cls=_Unloaded, help=_meaning)(_unloaded)
