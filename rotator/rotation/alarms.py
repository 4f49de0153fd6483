"""What needs an operator: one definition, for `status`, `run --once`, systemd's STATUS, the log and `health`. Pure.

What an operator did on purpose is none: frozen and paused are shown, and are no alarm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rotator.attention import Severity
from rotator.model import State
from rotator.policy import Policy
from rotator.rotation.moment import overdue
from rotator.settings.durations import format_duration


class AlarmKind(StrEnum):
    """Why an operator is needed."""

    HELD = "held"
    OVERDUE = "overdue"
    UNREAD = "unread"
    UNATTENDED = "unattended"
    LEFT_OUT = "left_out"
    FINDING = "finding"
    SINK = "sink"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that needs an operator.

    Args:
        kind: why.
        about: the credential, or the audit sink.
        text: what happened, in a sentence without a full stop.
        detail: tells two alarms of one kind about one credential apart: the hold's reason, the finding's kind.
    """

    kind: AlarmKind
    about: str
    text: str
    detail: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it the same alarm, however its text changes."""
        return self.kind.value, self.about, self.detail


def of_credential(
    name: str, state: State, policy: Policy | None, looked_at: datetime | None, now: datetime
) -> Iterator[Alarm]:
    """The alarms of one credential, the weightiest first.

    Args:
        name: its name.
        state: the journal's row.
        policy: the config's; None where the config has no such credential.
        looked_at: when it was last looked at, whatever was seen (aware UTC); None where no patience counts.
        now: aware UTC.
    """
    if state.hold is not None:
        yield Alarm(AlarmKind.HELD, name, state.hold.detail, state.hold.reason.value)
    if policy is None:
        if state.in_flight:
            yield Alarm(AlarmKind.LEFT_OUT, name, "a rotation is in flight, and the config has no such credential")
        return
    for finding in state.findings:
        if finding.severity is Severity.ACT:
            yield Alarm(AlarmKind.FINDING, name, finding.text, finding.kind.value)
    if overdue(state, policy, now):
        text = f"the current key is older than max_age, {format_duration(policy.max_age)}"
        yield Alarm(AlarmKind.OVERDUE, name, text)
    patience = format_duration(policy.alarm_after)
    if state.unread is not None and state.unread_since is not None and now - state.unread_since > policy.alarm_after:
        yield Alarm(AlarmKind.UNREAD, name, f"rotator has not been able to look at it for {patience}: {state.unread}")
    if looked_at is not None and now - looked_at > policy.alarm_after:
        yield Alarm(
            AlarmKind.UNATTENDED, name, f"no rotator has looked at it for {patience}: start the service, or reload it"
        )


def of_sinks(refusing: Mapping[str, str]) -> Iterator[Alarm]:
    """The alarms of required audit sinks, by name: what keeps each from its records."""
    for sink, why in refusing.items():
        text = f"the audit sink {sink}, which the config requires, fails, so nothing is changed: {why}"
        yield Alarm(AlarmKind.SINK, sink, text)
