"""What a reload can't change."""

from __future__ import annotations

from rotator.config.models import Config
from rotator.errors import RotatorError

AT_START_ONLY = ("store", "audit", "health", "in_hand", "workers")
"""Sections of the config that a reload can't change."""


def refuse_what_needs_a_restart(old: Config, new: Config) -> None:
    """Raises RotatorError where the new config changes what is read at start only."""
    changed = [section for section in AT_START_ONLY if getattr(old, section) != getattr(new, section)]
    if changed:
        raise RotatorError(
            f"{' and '.join(changed)} can't change while the service runs.",
            remedy="restart the service, or put the section back as it was.",
        )
