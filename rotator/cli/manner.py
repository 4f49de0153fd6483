"""How a person asks: what every command that changes something has in common."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Manner:
    """How a request is made.

    Args:
        why: the person's reason, for the audit log.
        claimed: who they say they are.
        standalone: with no owner alive, take its place for this one request.
        as_json: answer in JSON.
        wait: follow the rotation until it is done or held.
    """

    why: str | None
    claimed: str | None
    standalone: bool
    as_json: bool
    wait: bool = False
