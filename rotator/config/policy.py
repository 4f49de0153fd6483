"""The times and limits of a rotation, for all credentials and, key by key, for one of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from rotator.policy import ConfirmUse, OnLost, OnUnattributed, Policy
from rotator.rotation.schedule import Window
from rotator.settings.durations import Duration, PositiveDuration
from rotator.settings.section import Section

_DEFAULT = Policy()


def _window(text: str) -> str:
    Window.parse(text)
    return text


class BackoffSection(Section):
    """The wait after a failure doubles from `first` to `max`."""

    first: PositiveDuration = Field(_DEFAULT.backoff_first, description="The most to wait after the first failure.")
    max: PositiveDuration = Field(_DEFAULT.backoff_max, description="The most to wait ever.")


class ProvingSection(Section):
    """How a fresh key is proved before Northflank gets it."""

    successes: int = Field(
        _DEFAULT.proving_successes, strict=True, ge=1, le=100, description="How many successes in a row prove a key."
    )
    every: PositiveDuration = Field(_DEFAULT.proving_every, description="The time between two tries.")
    timeout: PositiveDuration = Field(_DEFAULT.proving_timeout, description="After this, the fresh key is given up.")


class PolicySection(Section):
    """Each key, or `backoff` and `proving` key by key, can be said again for one credential."""

    every: PositiveDuration = Field(_DEFAULT.every, description="A key this old is replaced.")
    max_age: PositiveDuration = Field(_DEFAULT.max_age, description="No key may live longer; checked against the rest.")
    jitter: Duration = Field(_DEFAULT.jitter, description="Each rotation begins up to this much later than due.")
    window: Annotated[str, AfterValidator(_window)] | None = Field(
        _DEFAULT.window, description="When keys may be minted, disabled and deleted; null: always."
    )
    grace: Duration = Field(_DEFAULT.grace, description="How long the old key stays enabled after the push, at least.")
    quiet_for: Duration = Field(_DEFAULT.quiet_for, description="How long the old key must have been silent by then.")
    max_grace: Duration = Field(_DEFAULT.max_grace, description="An old key in use for this long holds the rotation.")
    quarantine: Duration = Field(_DEFAULT.quarantine, description="How long the old key stays disabled, not deleted.")
    max_attempts: int = Field(
        _DEFAULT.max_attempts, strict=True, ge=1, le=1000, description="After this many mints the rotation is held."
    )
    on_unattributed: OnUnattributed = Field(
        _DEFAULT.on_unattributed,
        description="What to do with the one key that a mint without an answer probably made: disable it, or hold.",
    )
    on_lost: OnLost = Field(
        _DEFAULT.on_lost,
        description="What to do when others disabled or deleted the key in use: hold, or replace it by a fresh key.",
    )
    confirm_use: ConfirmUse = Field(
        _DEFAULT.confirm_use,
        description="When the new key must be seen in use before the old one goes; auto: if the old one was in use.",
    )
    watch: PositiveDuration = Field(_DEFAULT.watch, description="How often waiting and idle credentials are looked at.")
    alarm_after: PositiveDuration | None = Field(
        None,
        description="An operator is needed once nothing could be read, or nobody looked, for this long; "
        "null: 3 × watch. For a timer or a CronJob: two of its periods and more.",
    )
    backoff: BackoffSection = Field(default_factory=BackoffSection, description="The wait after a failure.")
    proving: ProvingSection = Field(default_factory=ProvingSection, description="How a fresh key is proved.")

    def overridden_by(self, other: PolicySection) -> PolicySection:
        """This policy with the keys over it that the other one was given."""
        given = {key: getattr(other, key) for key in other.model_fields_set}
        for key, section in (("backoff", self.backoff), ("proving", self.proving)):
            if key in given:
                over = given[key]
                given[key] = section.model_copy(update={name: getattr(over, name) for name in over.model_fields_set})
        return self.model_copy(update=given)

    def as_policy(self, settle: timedelta) -> Policy:
        """The same as the state machine takes it, with the `settle` of the connections concerned."""
        return Policy(
            every=self.every,
            max_age=self.max_age,
            jitter=self.jitter,
            window=self.window,
            grace=self.grace,
            quiet_for=self.quiet_for,
            max_grace=self.max_grace,
            quarantine=self.quarantine,
            max_attempts=self.max_attempts,
            on_unattributed=self.on_unattributed,
            on_lost=self.on_lost,
            confirm_use=self.confirm_use,
            watch=self.watch,
            backoff_first=self.backoff.first,
            backoff_max=self.backoff.max,
            proving_successes=self.proving.successes,
            proving_every=self.proving.every,
            proving_timeout=self.proving.timeout,
            settle=settle,
            alarm_after=self.alarm_after or 3 * self.watch,
        )
