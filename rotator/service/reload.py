"""A config read again while the service runs: what a reload takes, and what it refuses."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from rotator.clock import Clock
from rotator.config.load import load
from rotator.config.models import Config
from rotator.errors import RotatorError
from rotator.http.clients import renewed
from rotator.service.exposure import refuse_exposed
from rotator.service.fleet import Fleet, assemble, refuse_removal_in_flight, register
from rotator.store.journal import Journal

AT_START_ONLY = ("store", "audit", "health", "in_hand", "workers")
"""Sections of the config that a reload can't change."""


def reread(
    path: Path, old: Config, fleet: Fleet, journal: Journal, clock: Clock, *, beat: Callable[[], None]
) -> tuple[Config, Fleet]:
    """The config as it is now, and its credentials, which the journal then knows.

    Args:
        path: the config's file.
        old: the config in force.
        fleet: its credentials.
        journal: owned by this process.
        clock: wall and monotonic time.
        beat: called after each part of the work, which takes seconds for a large fleet.

    Raises:
        RotatorError: it isn't sound, others can write what it goes by, it changes what is read at start only, or it
            leaves out what is in flight. The journal is as it was.
    """
    config = load(path, os.environ)
    beat()
    _refuse_what_needs_a_restart(old, config)
    beside = (str(path),)
    new = assemble(config, clock, renewed(fleet.http), beside=beside)
    refuse_exposed(config, new.managed.values(), beside)
    beat()
    refuse_removal_in_flight(new, journal)
    register(new, journal)
    return config, new


def _refuse_what_needs_a_restart(old: Config, new: Config) -> None:
    changed = [section for section in AT_START_ONLY if getattr(old, section) != getattr(new, section)]
    if changed:
        raise RotatorError(
            f"{' and '.join(changed)} can't change while the service runs.",
            remedy="restart the service, or put the section back as it was.",
        )
