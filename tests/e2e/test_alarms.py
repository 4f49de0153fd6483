"""No silence: what an operator must know shows, and goes when its cause does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from rotator.model import Phase
from rotator.rotation.alarms import Alarm, AlarmKind
from rotator.sandbox.stage import INTEGRATION
from rotator.sandbox.wire.rules import Reset
from rotator.service.alarms import Bell, Looks, alarms_now
from tests.support.fixtures import MakeRig
from tests.support.rig import ADMIN_FILE, Rig

LATER = timedelta(minutes=11)


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    return make_rig({"watch": "10m"})


def alarms(rig: Rig, bell: Bell, looks: Looks) -> tuple[Alarm, ...]:
    looks.note(rig.name)
    return bell.ring(alarms_now(rig.fleet.managed.values(), rig.journal, looks, rig.clock))


def test_a_cloud_that_can_not_be_read(rig: Rig) -> None:
    bell, looks = Bell(), Looks(rig.clock)
    rig.adopt()
    rig.spoil(Reset(), aws="ListAccessKeys", times=None)
    with capture_logs() as logged:
        for _ in range(3):
            assert alarms(rig, bell, looks) == ()
            rig.tick()
            rig.wait(LATER)
        rig.tick()
        [alarm] = alarms(rig, bell, looks)
        assert (alarm.kind, alarm.about) == (AlarmKind.UNREAD, INTEGRATION)
        rig.wait(LATER)
        rig.tick()
        assert alarms(rig, bell, looks) == (alarm,)
        rig.heal()
        rig.wait(LATER)
        rig.tick()
        assert alarms(rig, bell, looks) == ()
    said = [(line["event"], line["log_level"], line["kind"]) for line in logged if line["event"].startswith("alarm")]
    assert said == [("alarm", "error", "unread"), ("alarm over", "warning", "unread")]


def test_it_counts_from_the_first_failure_over_a_restart(rig: Rig) -> None:
    rig.adopt()
    rig.spoil(Reset(), aws="ListAccessKeys", times=None)
    rig.tick()
    since = rig.state.unread_since
    assert since is not None
    for _ in range(3):
        rig.wait(LATER)
        rig.restart()
        rig.tick()
    assert rig.state.unread_since == since
    assert [alarm.kind for alarm in alarms(rig, Bell(), Looks(rig.clock))] == [AlarmKind.UNREAD]


def test_one_that_no_look_reaches(rig: Rig) -> None:
    rig.adopt()
    bell, looks = Bell(), Looks(rig.clock)
    assert alarms(rig, bell, looks) == ()
    rig.wait(timedelta(minutes=31))
    [alarm] = bell.ring(alarms_now(rig.fleet.managed.values(), rig.journal, looks, rig.clock))
    assert alarm.kind is AlarmKind.UNATTENDED
    rig.clock.jump(timedelta(days=1))
    assert alarms(rig, bell, looks) == ()


def test_the_store_keeps_when_each_was_looked_at(rig: Rig) -> None:
    rig.adopt()
    rig.wait(timedelta(days=1))
    rig.journal.touch([rig.name, "another"])
    [row] = rig.journal.credentials()
    assert timedelta(0) <= rig.clock.now() - row.looked_at < timedelta(hours=1)


def test_northflank_alone_does_not_end_it(make_rig: MakeRig) -> None:
    """A push is confirmed by Northflank's answers; that the cloud answers again shows later."""
    rig = make_rig({"watch": "10m"})
    rig.begin()
    rig.to(Phase.PROVING)
    rig.spoil(Reset(), aws="ListAccessKeys", times=None)
    rig.run(lambda state: state.unread is not None)
    since = rig.state.unread_since
    for _ in range(4):
        rig.wait(LATER)
        rig.tick()
    assert rig.state.unread_since == since
    rig.heal()
    rig.wait(LATER)
    rig.finish()
    assert rig.state.unread is None
    assert rig.state.unread_since is None


def test_a_file_that_others_may_write_from_now_on(rig: Rig) -> None:
    rig.adopt()
    own = rig.directory / ADMIN_FILE
    own.chmod(0o666)
    rig.wait(LATER)
    rig.tick()
    [alarm] = alarms(rig, Bell(), Looks(rig.clock))
    assert (alarm.kind, alarm.detail) == (AlarmKind.FINDING, "exposed_file")
    assert f"`chmod o-w {own}`" in alarm.text
    rig.rotate()
    assert rig.state.generation == 1, "what is under way goes on"
    own.chmod(0o600)
    rig.wait(LATER)
    rig.tick()
    assert alarms(rig, Bell(), Looks(rig.clock)) == ()
