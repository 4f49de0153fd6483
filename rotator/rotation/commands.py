"""What the operator may ask for one credential, and how an answer looks. `answer.py` decides on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rotator.model import State


class Kind(StrEnum):
    """The requests that concern one credential."""

    ADOPT = "adopt"
    ROTATE = "rotate"
    RESUME = "resume"
    ABANDON = "abandon"
    UNDO = "undo"
    PAUSE = "pause"
    UNPAUSE = "unpause"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One request of the operator.

    Args:
        kind: what is asked for.
        key_id: adopt: the key in use. rotate with `leaked`: the leaked key, None for the current one.
        take_over: adopt: another store's stamp, or a newer journal's, is known and overruled.
        now: rotate: don't wait for the window.
        leaked: rotate: an emergency.
        unmanaged: adopt: what the integrations hold is none of the credential's listed keys, or is dead.
        accept_use: resume: the old key's use is known, revoke it all the same.
        accept_silence: resume: no use of the new key was seen, revoke the old one all the same.
        still_holds: resume: the integrations whose lost text is vouched for; empty: all of them; None: not asked for.
        cut: resume: the integration whose loss of access is accepted.
        ours, foreign: resume of unattributed keys: what they are.
    """

    kind: Kind
    key_id: str | None = None
    take_over: bool = False
    now: bool = False
    leaked: bool = False
    unmanaged: bool = False
    accept_use: bool = False
    accept_silence: bool = False
    still_holds: tuple[str, ...] | None = None
    cut: str | None = None
    ours: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ruling:
    """Whether the request is accepted, why, and the journal after it (unchanged where refused)."""

    accepted: bool
    text: str
    state: State


def accepted(state: State, text: str) -> Ruling:
    """The request is done, or will be: the journal after it."""
    return Ruling(accepted=True, text=text, state=state)


def refused(state: State, text: str) -> Ruling:
    """The request changes nothing, and why."""
    return Ruling(accepted=False, text=text, state=state)


def standing(state: State) -> str:
    """Where the credential stands, for a sentence: its hold, else its phase."""
    return f"held ({state.hold.reason.value})" if state.hold is not None else state.phase.value
