"""One definition of what needs an operator, and what doesn't."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rotator.attention import Finding, FindingKind, Hold, HoldReason, Severity
from rotator.model import Phase, State
from rotator.policy import Policy
from rotator.rotation.alarms import AlarmKind, of_credential, of_sinks

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
POLICY = Policy(alarm_after=timedelta(minutes=30))
WELL = State(phase=Phase.IDLE, current="AK", current_since=NOW - timedelta(days=1))
LONG, SHORT = timedelta(minutes=31), timedelta(minutes=29)


def kinds(state: State = WELL, *, policy: Policy | None = POLICY, looked: timedelta = SHORT) -> list[AlarmKind]:
    return [alarm.kind for alarm in of_credential("prod-aws", state, policy, NOW - looked, NOW)]


@pytest.mark.parametrize(
    "state",
    [
        WELL,
        State(),
        replace(WELL, paused=True),
        replace(WELL, phase=Phase.GRACE, error="the last call failed"),
        replace(WELL, unread="no answer", unread_since=NOW - SHORT),
        replace(WELL, findings=(Finding(FindingKind.FOREIGN_KEY, "a foreign key"),)),
        replace(WELL, findings=(Finding(FindingKind.FROZEN, "frozen"),)),
    ],
)
def test_no_operator_is_needed(state: State) -> None:
    assert kinds(state) == []


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (replace(WELL, hold=Hold(HoldReason.SLOTS_FULL, "full")), AlarmKind.HELD),
        (replace(WELL, current_since=NOW - timedelta(days=91)), AlarmKind.OVERDUE),
        (replace(WELL, paused=True, current_since=NOW - timedelta(days=91)), AlarmKind.OVERDUE),
        (replace(WELL, unread="no answer", unread_since=NOW - LONG), AlarmKind.UNREAD),
        (replace(WELL, findings=(Finding(FindingKind.SLOT_TAKEN, "full", Severity.ACT),)), AlarmKind.FINDING),
    ],
)
def test_an_operator_is_needed(state: State, kind: AlarmKind) -> None:
    assert kinds(state) == [kind]


def test_without_a_look_nothing_is_known() -> None:
    assert kinds(looked=LONG) == [AlarmKind.UNATTENDED]


def test_what_left_the_config_concerns_only_a_rotation_in_flight() -> None:
    assert kinds(policy=None, looked=LONG) == []
    assert kinds(replace(WELL, phase=Phase.GRACE), policy=None, looked=LONG) == [AlarmKind.LEFT_OUT]


def test_a_sink_is_named_with_what_is_wrong() -> None:
    [alarm] = of_sinks({"file": "the disk is full"})
    assert (alarm.kind, alarm.about) == (AlarmKind.SINK, "file")
    assert "the disk is full" in alarm.text


def test_the_same_alarm_may_say_something_else() -> None:
    one, other = (
        next(of_credential("prod-aws", replace(WELL, hold=Hold(HoldReason.CLOCK, text)), POLICY, NOW, NOW))
        for text in ("off by 3 minutes", "off by 4 minutes")
    )
    assert one.key == other.key
