"""An account deleted and made anew under its name: its tokens are dead, though their Secrets are listed (P9)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from rotator.attention import FindingKind, HoldReason, Severity
from rotator.model import Phase
from rotator.sandbox.byok.scene import NAMESPACE, SERVICE_ACCOUNT
from rotator.service.people import serve_requests
from tests.clouds.clouds import BYOK
from tests.clouds.rig import Rig

SETTLE = timedelta(minutes=1)


@pytest.mark.parametrize("cloud", [BYOK], ids=["byok"])
def test_the_loss_is_seen_at_the_next_look_and_a_resume_replaces_the_key(rig: Rig) -> None:
    rig.rotate()
    scene: Any = rig.scene
    scene.kubernetes.cluster.delete_account(NAMESPACE, SERVICE_ACCOUNT)
    scene.kubernetes.cluster.add_account(NAMESPACE, SERVICE_ACCOUNT)
    lost = rig.state.current
    rig.wait(SETTLE)
    rig.engine.tick(rig.managed())
    assert (FindingKind.KEY_LOST, Severity.ACT) in {(found.kind, found.severity) for found in rig.state.findings}
    rig.wait(SETTLE)
    rig.engine.tick(rig.managed())
    assert rig.state.hold is not None
    assert rig.state.hold.reason is HoldReason.CURRENT_DISABLED
    rig.submit("resume")
    serve_requests(rig.fleet, rig.journal, rig.engine, rig.clock)
    while rig.state.phase is not Phase.GRACE:
        rig.wait(timedelta(seconds=5))
        rig.engine.tick(rig.managed())
    assert scene.use(rig.account.held(rig.name)) == ""
    assert rig.state.current != lost
    rig.finish()
    assert rig.alive() == {rig.state.current}
