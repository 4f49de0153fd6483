"""The times and limits of a rotation, as the operator sets them. Imports nothing of rotator."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class OnUnattributed(StrEnum):
    """What to do with one key that looks like the fruit of a lost mint."""

    DISABLE = "disable"
    HOLD = "hold"


class OnLost(StrEnum):
    """What to do when another than rotator disabled or deleted the key in use."""

    HOLD = "hold"
    REPLACE = "replace"


class ConfirmUse(StrEnum):
    """When the new key must be seen in use before the old one is revoked."""

    AUTO = "auto"  # where the cloud shows use, and the old key was in use
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Policy:
    """The times and limits of one credential. All durations are timedeltas; defaults suit production."""

    every: timedelta = timedelta(days=30)
    max_age: timedelta = timedelta(days=90)
    jitter: timedelta = timedelta(hours=1)
    window: str | None = None
    grace: timedelta = timedelta(hours=24)
    quiet_for: timedelta = timedelta(hours=12)
    max_grace: timedelta = timedelta(days=7)
    quarantine: timedelta = timedelta(hours=24)
    max_attempts: int = 12
    on_unattributed: OnUnattributed = OnUnattributed.DISABLE
    on_lost: OnLost = OnLost.HOLD
    confirm_use: ConfirmUse = ConfirmUse.AUTO
    watch: timedelta = timedelta(minutes=10)
    backoff_first: timedelta = timedelta(minutes=1)
    backoff_max: timedelta = timedelta(hours=6)
    proving_successes: int = 3
    proving_every: timedelta = timedelta(seconds=2)
    proving_timeout: timedelta = timedelta(minutes=10)
    settle: timedelta = timedelta(seconds=60)
    alarm_after: timedelta = timedelta(minutes=30)
