"""What a person is asked before something that can't be taken back."""

from __future__ import annotations

import sys

from rotator.cli.render import note, printable
from rotator.errors import UsageError


def confirm_cut(integration: str) -> None:
    """Have the integration's id typed.

    Raises:
        UsageError: it wasn't.
    """
    note(f"{integration} loses access to its cloud until it is pushed again.")
    if typed("Type its id to accept that: ") != integration:
        raise UsageError("nothing was changed.", remedy=f"type {integration}.")


def confirm_forget(name: str) -> None:
    """Ask whether the credential is to be forgotten.

    Raises:
        UsageError: it isn't.
    """
    if typed(f"Forget {name}, and never look after its keys again? [y/N] ").lower() not in {"y", "yes"}:
        raise UsageError("nothing was changed.", remedy="answer y, or say --yes.")


def typed(prompt: str) -> str:
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
