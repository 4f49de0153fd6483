"""What is Civo's alone: the place of the key, the proof that the old one is dead, and what people do wrong there."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import SecretStr

from rotator.attention import HoldReason
from rotator.model import Phase
from rotator.providers.civo.place import key_id_of
from rotator.sandbox.civo.scene import EMAIL, CivoScene
from tests.clouds.clouds import CIVO
from tests.clouds.rig import Rig
from tests.clouds.test_rotation import is_rotated

pytestmark = pytest.mark.parametrize("cloud", [CIVO], ids=["civo"])


@pytest.fixture
def scene(rig: Rig) -> CivoScene:
    """An adopted key in a file that belongs to a person."""
    assert isinstance(rig.scene, CivoScene)
    rig.adopt()
    return rig.scene


def holds(rig: Rig) -> str:
    """The id of the key that Northflank holds."""
    return key_id_of(SecretStr(rig.held()["apiKey"]))


def unread(rig: Rig) -> str:
    """One look, which fails. Returns why."""
    rig.tick()
    assert rig.state.unread is not None
    assert (rig.state.phase, rig.state.hold) == (Phase.IDLE, None)
    return rig.state.unread


def last_answers(scene: CivoScene, count: int) -> list[int | None]:
    """What the stand-in answered last."""
    return [seen.status for seen in scene.civo.faults.requests()][-count:]


class TestPeople:
    def test_regenerate_is_pressed_and_the_key_not_brought(self, rig: Rig, scene: CivoScene) -> None:
        key = scene.press()
        assert "the key was regenerated, and the new key is not there yet" in unread(rig)
        scene.put(key)
        rig.run(lambda state: state.in_flight)
        rig.finish()
        is_rotated(rig)

    @pytest.mark.parametrize("text", ["", "two\nlines", None])
    def test_there_is_no_key_in_the_place(self, rig: Rig, scene: CivoScene, text: str | None) -> None:
        before = scene.key_file.read_text()
        scene.key_file.unlink() if text is None else scene.key_file.write_text(text)
        assert str(scene.key_file) in unread(rig)
        scene.key_file.write_text(before)
        rig.tick()
        assert (rig.state.unread, rig.state.generation, rig.pushes()) == (None, 0, 0)

    def test_another_accounts_key_is_never_pushed(self, rig: Rig, scene: CivoScene) -> None:
        scene.put(scene.civo.key(scene.civo.add_account("other@example.com")))
        assert "belongs to other@example.com" in unread(rig)
        rig.wait(timedelta(days=31))
        unread(rig)
        assert (rig.pushes(), rig.held()) == (0, rig.first)
        rig.bring()
        rig.run(lambda state: state.in_flight)
        rig.finish()
        is_rotated(rig)

    def test_the_next_key_is_brought_while_one_is_pushed(self, rig: Rig, scene: CivoScene) -> None:
        rig.bring()
        with rig.stalled_at(rig.stage.faults, method="POST"):
            rig.bring()
        rig.run(lambda state: state.phase is Phase.IDLE and state.generation > 1)
        assert holds(rig) == scene.keys()[0].key_id

    def test_the_next_key_is_brought_while_one_is_proved(self, rig: Rig, scene: CivoScene) -> None:
        rig.bring()
        rig.to(Phase.PROVING)
        rig.bring()
        rig.finish()
        assert (rig.state.generation, rig.pushes()) == (2, 1)
        assert holds(rig) == scene.keys()[0].key_id


class TestTheOldKey:
    def test_it_is_used_once_more_and_refused(self, rig: Rig, scene: CivoScene) -> None:
        rig.bring()
        rig.run(lambda state: state.in_flight)
        rig.finish()
        # After it, rotator looked once more at the new key, and the workload used that.
        assert last_answers(scene, 4) == [200, 404, 200, 200]
        is_rotated(rig)

    def test_one_that_only_the_former_process_read_is_let_go(self, rig: Rig, scene: CivoScene) -> None:
        rig.bring()
        rig.restart()
        rig.run(lambda state: state.in_flight)
        rig.finish()
        assert last_answers(scene, 4) == [200, 200, 200, 200]
        is_rotated(rig)
        assert rig.events("key.delete", outcome="done")

    def test_one_that_still_works_is_held_until_it_is_ended(self, rig: Rig, scene: CivoScene) -> None:
        """The key of an account's twin in the organisation was brought: Regenerate was pressed for neither."""
        scene.put(scene.civo.key(scene.civo.add_account(EMAIL)))
        hold = rig.hold(HoldReason.REVOKE_REFUSED)
        assert f"still works for {EMAIL} ({scene.account.quota_id})" in hold.detail
        scene.civo.regenerate(scene.account)
        rig.foreign.add(scene.keys()[0].key_id)
        assert rig.ask("resume").accepted
        assert rig.finish().current == holds(rig)
