"""P6: at most one rotation in flight per credential, and one process that changes anything."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from rotator.errors import ExitCode, OtherOwner, StaleFence
from rotator.model import Phase
from rotator.store.journal import Journal
from tests.support.rig import Rig

pytestmark = pytest.mark.realtime


class TestInOneProcess:
    def test_ticks_at_the_same_moment_mint_once(self, rig: Rig) -> None:
        rig.begin()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: rig.tick(), range(8)))
        assert rig.asked("CreateAccessKey") == 1
        assert len(rig.listed()) == 2

    def test_a_tick_during_a_call_waits_for_it(self, rig: Rig) -> None:
        rig.begin()
        with ThreadPoolExecutor(1) as pool:
            with rig.stalled("CreateAccessKey"):
                other = pool.submit(rig.tick)
                rig.stage.faults.requests()
                assert not other.done()
            other.result()
        assert rig.asked("CreateAccessKey") == 1
        assert [event["outcome"] for event in rig.events("key.create")] == ["intent", "done"]

    def test_a_request_during_a_call_is_answered_after_it(self, rig: Rig) -> None:
        rig.begin()
        with ThreadPoolExecutor(1) as pool:
            with rig.stalled("CreateAccessKey"):
                asked = pool.submit(rig.ask, "abandon")
                assert not asked.done()
            assert asked.result().accepted
        rig.finish()
        assert rig.listed() == {rig.first_key: True}

    @pytest.mark.parametrize("phase", [Phase.PROVING, Phase.GRACE, Phase.QUARANTINE])
    def test_no_second_rotation_begins_during_one(self, rig: Rig, phase: Phase) -> None:
        rig.begin()
        rig.to(phase)
        asked = rig.ask("rotate", now=True)
        assert (asked.accepted, phase.value in (asked.answer or "")) == (False, True)
        rig.finish()
        rig.tick()
        assert rig.asked("CreateAccessKey") == 1

    def test_asked_for_twice_is_done_once(self, rig: Rig) -> None:
        rig.begin()
        assert rig.ask("rotate").accepted
        rig.finish()
        rig.tick()
        assert rig.asked("CreateAccessKey") == 1


class TestAcrossProcesses:
    def test_a_second_owner_is_refused(self, rig: Rig) -> None:
        with pytest.raises(OtherOwner, match="pid") as caught:
            Journal.open(rig.config.store.url, sinks=(), clock=rig.clock.now)
        assert caught.value.exit_code is ExitCode.OTHER_OWNER

    def test_a_former_owner_changes_nothing(self, rig: Rig) -> None:
        rig.begin()
        self._raise_fence(rig, by=1)
        with pytest.raises(StaleFence):
            rig.tick()
        assert rig.listed() == {rig.first_key: True}
        assert rig.asked("CreateAccessKey") == 0
        self._raise_fence(rig, by=-1)

    def test_nor_does_one_whose_lock_was_taken_away_after_the_intent(self, rig: Rig) -> None:
        rig.begin()
        lock = rig.stage.store_file.with_name("rotator.db.lock")
        moved = lock.rename(lock.with_name("elsewhere"))
        with pytest.raises(StaleFence, match="moved, replaced or deleted"):
            rig.tick()
        assert rig.asked("CreateAccessKey") == 0
        moved.rename(lock)
        rig.finish()
        assert rig.listed() == {rig.held(): True}

    def _raise_fence(self, rig: Rig, *, by: int) -> None:
        with closing(sqlite3.connect(rig.stage.store_file)) as store, store:
            store.execute("UPDATE owner SET fence = fence + ?", (by,))
