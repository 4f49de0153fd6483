"""What an operator is asked before something that can't be undone."""

from __future__ import annotations

import sys

from rotator.cli.render import note, printable
from rotator.errors import UsageError


def confirm_cut(integration: str) -> None:
    """Have the integration's id typed.

    Raises:
        UsageError: it wasn't.
    """
    note(f"The integration {integration} loses access to its cloud until rotator pushes a key to it again.")
    if typed("Type the integration's id to accept that: ") != integration:
        raise UsageError(
            "the typed text is not the integration's id; nothing was changed.", remedy=f"type {integration}."
        )


def confirm_forget(name: str) -> None:
    """Ask whether the credential is to be forgotten.

    Raises:
        UsageError: it isn't.
    """
    if typed(f"Forget {name}? rotator then ignores its keys. [y/N] ").lower() not in {"y", "yes"}:
        raise UsageError("the answer was not yes; nothing was changed.", remedy="answer y, or add --yes.")


def confirm_still_holds(name: str, answer: str) -> None:
    """Ask whether it is true what the operator states of the integrations.

    Args:
        name: the credential.
        answer: what rotator would answer: it names each integration and the key.

    Raises:
        UsageError: it isn't.
    """
    note(f"If this is so, {answer}. If it is not, revoking the old key cuts the integration off.")
    if typed(f"Type {name} to state that it is so: ") != name:
        raise UsageError("the typed text is not the credential's name; nothing was changed.", remedy=f"type {name}.")


def typed(prompt: str) -> str:
    """A line from standard input. The prompt leaves standard output to the command's result.

    Raises:
        UsageError: standard input has no answer; silence is no consent.
    """
    sys.stderr.write(printable(prompt))
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        sys.stderr.write("\n")
        raise UsageError(
            "standard input has no answer; nothing was changed.", remedy="answer the question, or pipe the answer in."
        )
    return line.strip()
