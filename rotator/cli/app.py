"""The commands. Each parses, calls, and ends with an exit code; what they do is in the modules beside this one."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from rotator import __version__
from rotator.cli.manner import Manner
from rotator.cli.options import Claimed, ConfigPath, JsonOption, Name, Standalone, Team, Wait, Why, Yes
from rotator.errors import ConfigError, ExitCode, UsageError

if TYPE_CHECKING:
    from rotator.cli.session import Session

# rich is loaded for tables alone, and a traceback's locals could be secrets.
app = typer.Typer(
    name="rotator",
    epilog="Exit codes: 0 fine, 1 error, 2 usage, 3 another process owns the store, 4 something is held or overdue.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
audit = typer.Typer(help="Check or watch the audit log.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(audit, name="audit")
store = typer.Typer(help="Take care of the store.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(store, name="store")

_NOT_FOR_THE_SERVICE = ("click", "pygments", "rich")
"""structlog and httpx load these wherever they are installed, for tracebacks and a command line of their own."""


def _end(code: ExitCode) -> NoReturn:
    raise typer.Exit(code)


def _version(wanted: bool) -> None:  # noqa: FBT001  # typer calls it so
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="The version.")] = False,
) -> None:
    """Rotates the cloud credentials held by Northflank integrations."""


@app.command()
def run(
    config: ConfigPath = None,
    once: Annotated[bool, typer.Option("--once", help="One pass: mint to confirm, then exit. For timers.")] = False,
) -> None:
    """Run the service until SIGTERM; SIGHUP reads the config again."""
    for module in _NOT_FOR_THE_SERVICE:
        # None: not to be imported (Python's import system says so).
        sys.modules.setdefault(module, None)  # type: ignore[arg-type]  # typeshed has no word for it
    from rotator.cli import service, session

    began = session.begin(config, level=None)
    service.once(began) if once else service.serve(began)


def _begin(config: Path | None) -> Session:
    from rotator.cli import session

    return session.begin(config)


def _ask(
    session: Session, kind: str, credential: str | None, arguments: Mapping[str, object], manner: Manner
) -> NoReturn:
    """Have a request answered: by the store's owner, or here."""
    if manner.wait and manner.standalone:
        raise UsageError("--wait follows a running rotator, --standalone is for when there is none.", remedy="say one.")
    from rotator.cli.session import refuse_keyless

    if credential is not None and kind != "forget":  # a former key of one that became keyless can be forgotten
        refuse_keyless(session.config, [credential])
    if manner.standalone:
        from rotator.cli import standalone

        standalone.carry_out(session, kind, credential, arguments, manner)
    from rotator.cli import asking

    _end(asking.ask(session, kind, credential, arguments, manner))


@app.command()
def rotate(
    name: Name,
    key_id: Annotated[str | None, typer.Argument(help="With --leaked: the key; by default the current one.")] = None,
    config: ConfigPath = None,
    now: Annotated[bool, typer.Option("--now", help="Don't wait for the window.")] = False,
    leaked: Annotated[bool, typer.Option("--leaked", help="An emergency: no window, grace or quarantine.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")] = False,
    wait: Wait = False,
    standalone: Standalone = False,
    why: Why = None,
    claimed: Claimed = None,
    as_json: JsonOption = False,
) -> None:
    """Rotate a credential now. Most often: `rotator rotate NAME --now --wait`."""
    from rotator.cli import planning
    from rotator.cli.render import note
    from rotator.rotation.commands import Command, Kind

    if key_id is not None and not leaked:
        raise UsageError("a key is named only with --leaked.", remedy=f"rotator rotate {name} --leaked {key_id}")
    if dry_run:
        request = Command(kind=Kind.ROTATE, key_id=key_id, now=now, leaked=leaked)
        _end(planning.plan(_begin(config).config, [name], request=request, as_json=as_json))
    if leaked:
        note("Sessions issued from a leaked key outlive it: docs/recovery.md#a-key-leaked says how to end them.")
    arguments = {"key_id": key_id, "now": now, "leaked": leaked}
    _ask(_begin(config), "rotate", name, arguments, Manner(why, claimed, standalone, as_json, wait))


@app.command()
def plan(
    names: Annotated[list[str] | None, typer.Argument(help="Credentials; all by default.", show_default=False)] = None,
    config: ConfigPath = None,
    as_json: JsonOption = False,
) -> None:
    """Say what would be done now and next, and why. Asks clouds and Northflank, and changes nothing."""
    from rotator.cli import planning

    _end(planning.plan(_begin(config).config, names or (), as_json=as_json))


@app.command()
def status(config: ConfigPath = None, as_json: JsonOption = False) -> None:
    """Show where every credential stands. Exits with 4 if one is held or overdue."""
    from rotator.cli.status import status as show_status

    _end(show_status(_begin(config).config, as_json=as_json))


@app.command()
def show(
    name: Name,
    config: ConfigPath = None,
    events: Annotated[int, typer.Option("--events", min=1, help="How many events of the timeline.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Show one credential and its history. Its keys, integrations and rotations, and what happened when."""
    from rotator.cli import showing

    _end(showing.show(_begin(config).config, name, events=events, as_json=as_json))


@app.command()
def adopt(
    name: Name,
    key_id: Annotated[str | None, typer.Argument(help="The key that Northflank holds; asked for by default.")] = None,
    config: ConfigPath = None,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Overrule another store's stamp, or one newer than the journal.")
    ] = False,
    yes: Yes = False,
    standalone: Standalone = False,
    why: Why = None,
    claimed: Claimed = None,
    as_json: JsonOption = False,
) -> None:
    """Name the key in use. Shows each key's age and last use, and asks. In scripts: `rotator adopt NAME KEY --yes`."""
    from rotator.cli import choosing, wiring

    session = _begin(config)
    if yes and key_id is None:
        raise UsageError("nobody said which key is in use.", remedy=f"rotator adopt {name} KEY --yes")
    if not yes:
        key_id = choosing.key_in_use(wiring.fleet_of(session.config, [name]).managed[name], key_id)
    arguments = {"key_id": key_id, "take_over": take_over}
    _ask(session, "adopt", name, arguments, Manner(why, claimed, standalone, as_json))


@app.command()
def resume(
    name: Name,
    config: ConfigPath = None,
    accept_use: Annotated[bool, typer.Option("--accept-use", help="Revoke the old key although it is used.")] = False,
    cut: Annotated[
        str | None, typer.Option("--cut", help="Accept that this integration loses access; its id is asked for again.")
    ] = None,
    ours: Annotated[list[str] | None, typer.Option("--ours", help="A key in doubt that is rotator's.")] = None,
    foreign: Annotated[list[str] | None, typer.Option("--foreign", help="A key in doubt that isn't.")] = None,
    wait: Wait = False,
    standalone: Standalone = False,
    why: Why = None,
    claimed: Claimed = None,
    as_json: JsonOption = False,
) -> None:
    """Let a held rotation go on. docs/recovery.md says what that means for each hold."""
    from rotator.cli import choosing

    if cut is not None:
        choosing.confirm_cut(cut)
    arguments = {"accept_use": accept_use, "cut": cut, "ours": ours or [], "foreign": foreign or []}
    _ask(_begin(config), "resume", name, arguments, Manner(why, claimed, standalone, as_json, wait))


@app.command()
def forget(
    name: Name,
    config: ConfigPath = None,
    yes: Yes = False,
    standalone: Standalone = False,
    why: Why = None,
    claimed: Claimed = None,
    as_json: JsonOption = False,
) -> None:
    """Forget a credential that left the config. Its keys stay as they are, and are nobody's to rotator."""
    from rotator.cli import choosing

    if not yes:
        choosing.confirm_forget(name)
    _ask(_begin(config), "forget", name, {}, Manner(why, claimed, standalone, as_json))


def _plain(kind: str, meaning: str) -> None:
    """A command that is nothing but its request about one credential."""

    def command(
        name: Name,
        config: ConfigPath = None,
        standalone: Standalone = False,
        why: Why = None,
        claimed: Claimed = None,
        as_json: JsonOption = False,
    ) -> None:
        _ask(_begin(config), kind, name, {}, Manner(why, claimed, standalone, as_json))

    app.command(kind, help=meaning)(command)


def _store_wide(kind: str, meaning: str) -> None:
    """A command that is nothing but its request about all credentials at once."""

    def command(
        config: ConfigPath = None,
        standalone: Standalone = False,
        why: Why = None,
        claimed: Claimed = None,
        as_json: JsonOption = False,
    ) -> None:
        _ask(_begin(config), kind, None, {}, Manner(why, claimed, standalone, as_json))

    app.command(kind, help=meaning)(command)


_plain("abandon", "End a rotation, where that leaves nothing behind.")
_plain("undo", "Bring a disabled old key back. Also a key that was taken for the one of a lost mint.")
_plain("pause", "Begin and revoke nothing for one credential. A push once sent is still finished.")
_plain("unpause", "End a pause.")
_store_wide("freeze", "Stop every change of this store, for all credentials.")
_store_wide("unfreeze", "End a freeze.")


@app.command()
def check(config: ConfigPath = None, as_json: JsonOption = False) -> None:
    """Check all that a rotation needs. Config, store, endpoints, tokens, rights: a line each, and changes nothing."""
    from rotator.cli import checking

    try:
        session = _begin(config)
    except ConfigError as error:
        _end(checking.unusable(error, as_json=as_json))
    _end(checking.check(session.config, as_json=as_json))


@app.command()
def health(
    config: ConfigPath = None,
    ready: Annotated[bool, typer.Option("--ready", help="Whether it owns the store and goes by its config.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Ask the service how it is. At its health listener, or the store where that is off. Exits with 1 if not well."""
    from rotator.cli.health import health as tell_health

    _end(tell_health(_begin(config).config, ready=ready, as_json=as_json))


@app.command()
def discover(config: ConfigPath = None, team: Team = None, as_json: JsonOption = False) -> None:
    """List Northflank's integrations, managed or not. Of a config, or of the token in NORTHFLANK_API_TOKEN."""
    from rotator.cli import discovering

    _end(discovering.discover(_begin(config).config if config is not None else None, team=team, as_json=as_json))


@app.command()
def init(
    output: Annotated[Path, typer.Option("--output", help="Where to.")] = Path("rotator.yaml"),
    team: Team = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write a config to begin with. From what Northflank shows to the token in NORTHFLANK_API_TOKEN."""
    from rotator.cli import drafting

    _end(drafting.init(output, team=team, force=force))


@app.command()
def policy(name: Name, config: ConfigPath = None, as_json: JsonOption = False) -> None:
    """Print the least rights that rotator needs for a credential. Ready to paste; asks nobody."""
    from rotator.cli import rights

    _end(rights.show_policy(_begin(config).config, name, as_json=as_json))


@audit.command("verify")
def audit_verify(
    files: Annotated[list[Path] | None, typer.Argument(help="Files that were moved away.", show_default=False)] = None,
    config: ConfigPath = None,
    as_json: JsonOption = False,
) -> None:
    """Walk the chain in the store and in the file, and name the first bad record of each."""
    from rotator.cli import auditing

    _end(auditing.audit_verify(_begin(config).config, rotated=files or (), as_json=as_json))


@audit.command("tail")
def audit_tail(
    config: ConfigPath = None,
    count: Annotated[int, typer.Option("-n", min=1, help="How many.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show those that come, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The records as they are in the file, a line each.")] = False,
) -> None:
    """Show the last audit events."""
    from rotator.cli import auditing

    _end(auditing.audit_tail(_begin(config).config, count=count, follow=follow, as_json=as_json))


@store.command("backup")
def store_backup(
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="A new file, or a directory.")],
    config: ConfigPath = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the store while it is in use. The copy is checked before it gets its name; nothing is overwritten."""
    from rotator.cli import storing

    _end(storing.back_up(_begin(config).config, destination, as_json=as_json))


@app.command()
def demo() -> None:
    """Watch seven credentials rotate against stand-ins. It takes about a minute."""
    from rotator.cli import trying

    _end(trying.demo())


@app.command()
def sandbox(
    directory: Annotated[Path, typer.Option("--dir", help="Where config, token and store go.")] = Path(
        "rotator-sandbox"
    ),
    every_cloud: Annotated[bool, typer.Option("--all", help="Every cloud, not AWS access keys alone.")] = False,
    rate_limit: Annotated[int, typer.Option("--rate-limit", min=1, help="Northflank's, in requests an hour.")] = 1000,
    propagation: Annotated[
        float, typer.Option("--propagation", min=0, help="Seconds until a cloud knows a key.")
    ] = 2.0,
    aws_port: Annotated[int, typer.Option("--aws-port", min=0, max=65535, help="0: a free one.")] = 0,
    northflank_port: Annotated[int, typer.Option("--northflank-port", min=0, max=65535, help="0: a free one.")] = 0,
) -> None:
    """Serve stand-ins to try a config against. Prints their addresses and a config that fits."""
    from rotator.cli import trying

    trying.sandbox(
        directory,
        every_cloud=every_cloud,
        rate_limit=rate_limit,
        propagation=timedelta(seconds=propagation),
        aws_port=aws_port,
        northflank_port=northflank_port,
    )
