"""`rotator adopt`: which key Northflank holds, chosen from those that the cloud lists."""

from __future__ import annotations

from typing import Annotated

import typer

from rotator.cli.options import Manner, Name, Yes, asks
from rotator.cli.prompt import typed
from rotator.cli.render import note, show_table
from rotator.cli.request import ask
from rotator.cli.session import CLOCK, Session, begin
from rotator.errors import CallFailed, ExitCode, UsageError
from rotator.model import Key
from rotator.providers.base import AGES_AGO
from rotator.rotation.managed import Managed

_HEADINGS = ("KEY", "NAME", "CREATED", "AGE", "STATE", "LAST USED", "BY")
_LONGEST_NAME = 40


@asks()
def adopt(
    manner: Manner,
    name: Name,
    key_id: Annotated[
        str | None,
        typer.Argument(metavar="KEY", help="The key that Northflank holds. By default the command asks for it."),
    ] = None,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Overrule another store's stamp, or one newer than the journal.")
    ] = False,
    unmanaged: Annotated[
        bool,
        typer.Option(
            "--unmanaged", help="State that Northflank holds none of the listed keys, or a dead one. It asks."
        ),
    ] = False,
    yes: Yes = False,
) -> ExitCode:
    """Name the key in use, once it is confirmed."""
    session = begin(manner.config)
    if unmanaged:
        _state_that_none_is_in_use(session, name, key_id, yes=yes)
        return ask(session, manner, "adopt", name, {"take_over": take_over, "unmanaged": True})
    if yes and key_id is None:
        raise UsageError("--yes needs the key in use as an argument.", remedy=f"rotator adopt {name} KEY --yes")
    if not yes:
        from rotator.cli.wiring import fleet_of  # noqa: PLC0415  # loads the providers: --yes needs none

        key_id = _key_in_use(fleet_of(session.config, [name]).managed[name], key_id)
    return ask(session, manner, "adopt", name, {"key_id": key_id, "take_over": take_over})


def _state_that_none_is_in_use(session: Session, name: str, key_id: str | None, *, yes: bool) -> None:
    """Have the operator state it of the keys that the cloud lists now, which the question shows.

    Raises:
        UsageError: the operator does not state it.
        CallFailed: the keys can't be read.
    """
    if key_id is not None:
        raise UsageError(
            "--unmanaged goes without a key.",
            remedy=f"rotator adopt {name} {key_id}, or rotator adopt {name} --unmanaged",
        )
    if yes:
        return
    from rotator.cli.wiring import fleet_of  # noqa: PLC0415  # loads the providers: --yes needs none

    managed = fleet_of(session.config, [name]).managed[name]
    keys = managed.provider.list_keys().keys
    _show(managed, keys)
    listed = ", ".join(sorted(key.key_id for key in keys)) or "none"
    note(f"Listed keys: {listed}. rotator takes none of them for the one in use, and pushes a fresh key at once.")
    note("Once the fresh key is confirmed, revoke what Northflank holds now: rotator does not know it.")
    if typed(f"Type {name} to accept that: ") != name:
        raise UsageError("the typed text is not the credential's name; nothing was changed.", remedy=f"type {name}.")


def _key_in_use(managed: Managed, proposed: str | None) -> str:
    """The key that Northflank holds, chosen from those that the cloud lists.

    Args:
        managed: the credential.
        proposed: the key that the command line names.

    Raises:
        CallFailed: the keys can't be read.
        UsageError: the operator chose none.
    """
    keys = managed.provider.list_keys().keys
    if not keys:
        raise UsageError(
            f"{managed.name} has no keys in its cloud.",
            remedy="check the identity that the config names for this credential. If that is right, Northflank holds "
            f"another identity's key, or a dead one: rotator adopt {managed.name} --unmanaged",
        )
    _show(managed, keys)
    note(
        "Name the key that Northflank holds now. The next rotation replaces that key, disables it and then deletes it."
    )
    note(f"If Northflank holds none of these keys: rotator adopt {managed.name} --unmanaged")
    chosen = typed(f"Key in use [{proposed}]: " if proposed else "Key in use: ") or proposed
    if chosen is None:
        raise UsageError(
            "no key was named; nothing was changed.",
            remedy=f"name one of the keys above: rotator adopt {managed.name} KEY",
        )
    return chosen


def _show(managed: Managed, keys: tuple[Key, ...]) -> None:
    show_table(_HEADINGS, [_row(managed, key) for key in keys], stderr=True)


def _row(managed: Managed, key: Key) -> tuple[object, ...]:
    used, by = _last_use(managed, key)
    dated = key.created_at != AGES_AGO
    return (
        key.key_id,
        key.mark if key.mark not in {None, key.key_id} and len(key.mark or "") <= _LONGEST_NAME else None,
        key.created_at if dated else "not known",
        CLOCK.now() - key.created_at if dated else "not known",
        "enabled" if key.enabled else "disabled",
        used,
        by,
    )


def _last_use(managed: Managed, key: Key) -> tuple[object, str | None]:
    """When the key was last used, or why that can't be said; and by what."""
    tells_use = managed.provider.abilities.tells_use
    if tells_use is None:
        return "not known", None
    try:
        use = tells_use.last_used(key.key_id)
    except CallFailed as failure:
        if not failure.untold:
            raise
        return "not known", None
    return ("never", None) if use is None else (use.at, f"{use.service} {use.region}".strip())
