"""Use that a cloud shows days late, and by the day: it is waited for, and silence is not taken for it (P10)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rotator.attention import FindingKind, HoldReason
from rotator.model import Phase
from rotator.sandbox.azure.directory import REPORTS
from rotator.sandbox.gcp.http import ANALYSE
from tests.clouds.clouds import AZURE, GCP
from tests.clouds.rig import Rig

HOURS = timedelta(hours=1)
GRACE, MAX_GRACE = 24 * HOURS, 7 * 24 * HOURS

GCP_SEEN = replace(GCP, name="gcp-seen", sees_use=True)
AZURE_SEEN = replace(AZURE, name="azure-seen", sees_use=True)

pytestmark = pytest.mark.parametrize("cloud", [GCP_SEEN, AZURE_SEEN], ids=lambda cloud: cloud.name)


def allow(rig: Rig) -> None:
    """rotator has the right to ask when keys were used."""
    scene: Any = rig.scene
    if rig.cloud.name == GCP_SEEN.name:
        scene.gcp.allow_analysis()
    else:
        scene.azure.admin.roles.add(REPORTS)


def forbid(rig: Rig) -> None:
    """rotator has no such right any more."""
    scene: Any = rig.scene
    if rig.cloud.name == GCP_SEEN.name:
        scene.gcp.denied.add(ANALYSE)
    else:
        scene.azure.admin.roles.discard(REPORTS)


def test_an_old_key_goes_once_the_new_one_was_seen_in_use(rig: Rig) -> None:
    allow(rig)
    rig.begin()
    rig.to(Phase.GRACE)
    confirmed = rig.clock.world()
    while rig.state.phase is Phase.GRACE:
        assert rig.state.hold is None
        rig.wait(6 * HOURS)
        rig.tick()
    waited = rig.clock.world() - confirmed
    if rig.can.use_is_certain:
        assert GRACE < waited < 4 * 24 * HOURS, "a report shows yesterday's use"
    else:
        assert MAX_GRACE <= waited < MAX_GRACE + 7 * HOURS, "the use shown may be another key's"
    rig.finish()
    assert rig.alive() == {rig.state.current}


def test_a_consumer_that_clings_to_the_old_key_every_third_day_keeps_it(rig: Rig) -> None:
    allow(rig)
    rig.begin()
    rig.to(Phase.GRACE)
    for hour in range(0, 12 * 24, 6):
        if hour % 72 == 0:
            assert rig.scene.use(rig.first) == ""
        rig.wait(6 * HOURS)
        rig.engine.tick(rig.managed())  # no consumer uses the new key
    assert rig.state.hold is not None
    assert rig.state.hold.reason in {HoldReason.NOT_TAKEN_UP, HoldReason.STILL_USED}
    assert len(rig.alive()) == 2


def test_without_the_right_silence_is_all_there_is_and_that_is_said(rig: Rig) -> None:
    rig.begin()
    rig.to(Phase.GRACE)
    rig.wait(GRACE)
    rig.tick()
    rig.finish()
    assert any("silence is all there is" in event["reason"] for event in rig.events("finding"))
    assert rig.alive() == {rig.state.current}


def test_a_right_that_is_taken_away_in_grace_is_no_silence(rig: Rig) -> None:
    allow(rig)
    rig.begin()
    rig.to(Phase.GRACE)
    rig.wait(GRACE)
    for _ in range(2):  # at the first look, rotator's own token may have ended
        rig.engine.tick(rig.managed())  # no consumer uses the new key
    assert rig.state.rotation is not None
    assert rig.state.rotation.use_told
    forbid(rig)
    for _ in range(9 * 4):
        rig.wait(6 * HOURS)
        rig.engine.tick(rig.managed())
    assert rig.state.hold is not None
    assert len(rig.alive()) == 2
    assert FindingKind.USE_UNTOLD in {finding.kind for finding in rig.state.findings}


def test_an_old_key_in_use_that_the_evidence_does_not_show_yet_is_kept(rig: Rig) -> None:
    """A consumer of the old key beside those of the new one, several times a day: the report is of yesterday."""
    allow(rig)
    rig.begin()
    rig.to(Phase.GRACE)
    for _ in range(6 * 4):
        assert rig.scene.use(rig.first) == ""
        rig.wait(6 * HOURS)
        rig.tick()
    assert len(rig.alive()) == 2
