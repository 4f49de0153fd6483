"""A backup that was taken beside the running service is put back after a later rotation: nothing is changed."""

from __future__ import annotations

import os
import subprocess
from datetime import timedelta
from pathlib import Path

from rotator.attention import HoldReason
from rotator.sandbox.stage import INTEGRATION
from rotator.store.backup import back_up
from tests.support.rig import Rig

PAGE = (Path(__file__).parents[2] / "docs/upgrade.md").read_text()
PUT_BACK = PAGE.partition("## Put a backup back")[2].partition("```sh\n")[2].partition("```")[0]
CHANGES = ("CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey", None)


def put_back(rig: Rig, copy: Path) -> None:
    """As docs/upgrade.md says, with the service stopped."""
    rig.stop()
    data = rig.stage.store_file.parent
    script = PUT_BACK.replace("/var/lib/rotator", str(data))
    subprocess.run(("/bin/sh", "-euc", script), check=True, env={**os.environ, "BACKUP": str(copy)})  # noqa: S603  # our page
    assert sorted(path.name for path in data.iterdir()) == ["aside", "rotator.db"]
    (data / "aside").rename(rig.directory / "aside")
    rig.forgetful = True
    rig.start()


def test_it_is_held_until_a_person_takes_over(rig: Rig, tmp_path: Path) -> None:
    rig.rotate()
    copy = back_up(rig.config.store.url, tmp_path / "copy.db", at=rig.clock.now()).path
    rig.rotate()
    newest, keys, asked = rig.held(), rig.listed(), [rig.asked(change) for change in CHANGES]

    put_back(rig, copy)
    assert "generation 2" in rig.hold(HoldReason.JOURNAL_BEHIND).detail
    for _ in range(40):
        rig.wait(timedelta(days=3))
        rig.tick()
    assert [rig.asked(change) for change in CHANGES] == asked
    assert (rig.listed(), rig.held()) == (keys, newest)

    assert not rig.ask("resume").accepted
    assert rig.ask("adopt", key_id=newest, take_over=True).accepted
    assert rig.ask("rotate", now=True).accepted
    rig.finish()
    assert rig.listed() == {rig.held(): True}
    assert f"[rotator {rig.journal.store_id} g3 " in rig.shown()


def test_without_a_later_rotation_it_goes_on_where_it_was(rig: Rig, tmp_path: Path) -> None:
    """The way back after an upgrade that did not work out: in grace, with the old key still alive."""
    rig.begin()
    rig.run(lambda state: state.phase.value == "grace")
    copy = back_up(rig.config.store.url, tmp_path / "copy.db", at=rig.clock.now()).path
    rig.wait(timedelta(hours=1))
    put_back(rig, copy)
    rig.finish()
    assert rig.listed() == {rig.held(INTEGRATION): True}
    assert rig.asked("CreateAccessKey") == 1
