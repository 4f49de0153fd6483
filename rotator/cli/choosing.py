"""What a person is asked before something that can't be taken back."""

from __future__ import annotations

import sys

from rotator.cli.render import note, printable, show_table
from rotator.cli.session import CLOCK
from rotator.errors import UsageError
from rotator.model import Key
from rotator.rotation.managed import Managed

_HEADINGS = ("KEY", "CREATED", "AGE", "STATE", "LAST USED", "BY")


def key_in_use(managed: Managed, proposed: str | None) -> str:
    """The key that Northflank holds, chosen from those that the cloud lists.

    Args:
        managed: the credential.
        proposed: the key that the command line names.

    Raises:
        CallFailed: the keys can't be read.
        UsageError: nobody chose one.
    """
    keys = managed.provider.list_keys().keys
    if not keys:
        raise UsageError(f"{managed.name} has no keys in its cloud.", remedy="is it the right user in the config?")
    show_table(_HEADINGS, [_row(managed, key) for key in keys], stderr=True)
    note("Name the key that Northflank holds now: it is what the next rotation replaces, disables and then deletes.")
    chosen = _typed(f"Key in use [{proposed}]: " if proposed else "Key in use: ") or proposed
    if chosen is None:
        raise UsageError("nothing was changed.", remedy=f"name one of the keys above: rotator adopt {managed.name} KEY")
    return chosen


def _row(managed: Managed, key: Key) -> tuple[object, ...]:
    tells_use = managed.provider.abilities.tells_use
    use = tells_use.last_used(key.key_id) if tells_use is not None else None
    return (
        key.key_id,
        key.created_at,
        CLOCK.now() - key.created_at,
        "enabled" if key.enabled else "disabled",
        use.at if use is not None else "never" if tells_use is not None else "not known",
        f"{use.service} {use.region}".strip() if use is not None else None,
    )


def confirm_cut(integration: str) -> None:
    """Have the integration's id typed.

    Raises:
        UsageError: it wasn't.
    """
    note(f"{integration} loses access to its cloud until it is pushed again.")
    if _typed("Type its id to accept that: ") != integration:
        raise UsageError("nothing was changed.", remedy=f"type {integration}.")


def confirm_forget(name: str) -> None:
    """Ask whether the credential is to be forgotten.

    Raises:
        UsageError: it isn't.
    """
    if _typed(f"Forget {name}, and never look after its keys again? [y/N] ").lower() not in {"y", "yes"}:
        raise UsageError("nothing was changed.", remedy="answer y, or say --yes.")


def _typed(prompt: str) -> str:
    """A line from standard input. The prompt leaves standard output to the command's result.

    Raises:
        UsageError: there is nobody to ask; silence is no consent.
    """
    sys.stderr.write(printable(prompt))
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        sys.stderr.write("\n")
        raise UsageError("nobody answered; nothing was changed.", remedy="answer, or pipe the answer in.")
    return line.strip()
