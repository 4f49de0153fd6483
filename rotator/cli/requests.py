"""The commands that are a request about one credential: the store's owner decides it and carries it out."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from rotator.cli.options import Manner, Name, Yes, asks
from rotator.cli.prompt import confirm_cut, confirm_forget, confirm_still_holds
from rotator.cli.render import note
from rotator.cli.request import ask, ready
from rotator.cli.session import Session, begin
from rotator.errors import CallFailed, ExitCode, RotatorError, UsageError


@asks(waits=True)
def rotate(
    manner: Manner,
    name: Name,
    key_id: Annotated[
        str | None, typer.Argument(metavar="KEY", help="With --leaked: the key; by default the current one.")
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="Don't wait for the window.")] = False,
    leaked: Annotated[
        bool, typer.Option("--leaked", help="Treat the key as leaked: no window, grace or quarantine.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what rotator would do; change nothing.")] = False,
) -> ExitCode:
    """Begin a rotation, or show what it would do."""
    if key_id is not None and not leaked:
        raise UsageError("a key is named only with --leaked.", remedy=f"rotator rotate {name} --leaked {key_id}")
    if dry_run:
        from rotator.cli.plan import plan_for  # noqa: PLC0415  # loads an HTTP client: a request needs none
        from rotator.rotation.commands import Command, Kind  # noqa: PLC0415  # as above

        request = Command(kind=Kind.ROTATE, key_id=key_id, now=now, leaked=leaked)
        return plan_for(begin(manner.config).config, [name], request=request, as_json=manner.as_json)
    if leaked:
        note("Sessions issued from a leaked key outlive it: docs/recovery.md#a-key-leaked says how to end them.")
    return ask(begin(manner.config), manner, "rotate", name, {"key_id": key_id, "now": now, "leaked": leaked})


@asks(waits=True)
def resume(
    manner: Manner,
    name: Name,
    accept_use: Annotated[
        bool, typer.Option("--accept-use", help="Disable and delete the old key although it is still used.")
    ] = False,
    accept_silence: Annotated[
        bool, typer.Option("--accept-silence", help="Disable and delete the old key although the new one seems unused.")
    ] = False,
    still_holds: Annotated[
        bool,
        typer.Option(
            "--still-holds", help="State that integrations whose stamp is lost still hold the current key. It asks."
        ),
    ] = False,
    integrations: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[INTEGRATION]...", help="With --still-holds: these; by default all whose stamp is lost."
        ),
    ] = None,
    cut: Annotated[
        str | None,
        typer.Option("--cut", help="Accept that this integration loses access. The command asks for the id again."),
    ] = None,
    ours: Annotated[list[str] | None, typer.Option("--ours", help="A key in doubt that rotator minted.")] = None,
    foreign: Annotated[
        list[str] | None, typer.Option("--foreign", help="A key in doubt that rotator did not mint.")
    ] = None,
    yes: Yes = False,
) -> ExitCode:
    """Continue a held rotation, or vouch for a description that lost its stamp."""
    if integrations and not still_holds:
        raise UsageError(
            "integrations are named only with --still-holds.", remedy=f"rotator resume {name} --still-holds"
        )
    session = begin(manner.config)
    ready(session, manner, "resume", name)
    if cut is not None:
        _refuse_a_cut_at_once(session, name, cut)
        confirm_cut(cut)
    if still_holds and not yes:
        _ask_whether_it_still_holds(session, name, tuple(integrations or ()))
    arguments: dict[str, object] = {"accept_use": accept_use, "cut": cut, "ours": ours or [], "foreign": foreign or []}
    if accept_silence:  # an older owner refuses an option that it does not know
        arguments["accept_silence"] = True
    if still_holds:
        arguments["still_holds"] = integrations or []
    return ask(session, manner, "resume", name, arguments)


def _ask_whether_it_still_holds(session: Session, name: str, integrations: tuple[str, ...]) -> None:
    """The question names each integration and its key, as rotator reads them now."""
    from rotator.cli.plan import answer_to  # noqa: PLC0415  # loads the providers: --yes needs none
    from rotator.cli.wiring import fleet_of  # noqa: PLC0415  # as above
    from rotator.rotation.commands import Command, Kind  # noqa: PLC0415  # as above

    request = Command(kind=Kind.RESUME, still_holds=integrations)
    managed = fleet_of(session.config, [name]).managed[name]
    confirm_still_holds(name, answer_to(session.config, managed, [request]))


def _refuse_a_cut_at_once(session: Session, name: str, integration: str) -> None:
    """Raises UsageError where the cut would be refused, as far as this command can look: the owner may see more."""
    from rotator.cli.plan import answer_to  # noqa: PLC0415  # loads the providers
    from rotator.cli.wiring import fleet_of  # noqa: PLC0415  # as above
    from rotator.rotation.commands import Command, Kind  # noqa: PLC0415  # as above

    try:
        managed = fleet_of(session.config, [name]).managed[name]
    except RotatorError:
        return
    with suppress(CallFailed):
        answer_to(session.config, managed, [Command(kind=Kind.RESUME, cut=integration)])


@asks()
def forget(manner: Manner, name: Name, yes: Yes = False) -> ExitCode:
    """Forget a credential that left the config, once that is confirmed."""
    session = begin(manner.config)
    ready(session, manner, "forget", name)
    if any(section.name == name and not section.keyless for section in session.config.credentials):
        raise RotatorError(
            f"{name} is in the config, so it can't be forgotten; nothing was changed.",
            remedy=f"take {name} out of the config and reload first.",
        )
    if not yes:
        confirm_forget(name)
    return ask(session, manner, "forget", name)


@asks()
def abandon(manner: Manner, name: Name) -> ExitCode:
    """End a rotation, where that leaves no key in doubt."""
    return ask(begin(manner.config), manner, "abandon", name)


@asks()
def undo(manner: Manner, name: Name) -> ExitCode:
    """Enable a disabled old key again."""
    return ask(begin(manner.config), manner, "undo", name)


@asks()
def pause(manner: Manner, name: Name) -> ExitCode:
    """Begin no rotation and revoke no key of one credential."""
    return ask(begin(manner.config), manner, "pause", name)


@asks()
def unpause(manner: Manner, name: Name) -> ExitCode:
    """End a pause."""
    return ask(begin(manner.config), manner, "unpause", name)
