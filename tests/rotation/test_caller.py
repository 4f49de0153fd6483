"""What a cloud has no ability for is refused before anything is sent."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.errors import Verdict
from rotator.model import Call, Change, Key, Reply, State
from rotator.policy import Policy
from rotator.providers.base import Abilities, Draft, Listing, Minted, Right
from rotator.rotation.caller import Caller
from rotator.rotation.live import Live
from rotator.rotation.managed import Managed
from rotator.rotation.pulse import Pulse
from rotator.rotation.schedule import Schedule, Window
from tests.store.stores import START, open_journal


class Plain:
    """A cloud with the core alone."""

    identity = "plain:one"
    abilities = Abilities(slots=None, exact=True)

    def list_keys(self) -> Listing:
        return Listing((Key("k1", START),), START)

    def draft(self, store_id: str, generation: int) -> Draft:
        return Draft(mark=f"{store_id} {generation}")

    def mint(self, draft: Draft) -> Minted:
        raise NotImplementedError(draft)

    def delete(self, key_id: str) -> Reply:
        return Reply(f"deleted {key_id}")

    def check(self) -> Sequence[Right]:
        return ()


@pytest.fixture
def managed() -> Managed:
    calendar = Schedule(Policy(), "plain:one", Window.parse(None), lambda: 1.0)
    return Managed("one", "plain", Plain(), (), {}, Policy(settle=timedelta(seconds=60)), calendar)


@pytest.mark.parametrize("change", [Change.DISABLE, Change.ENABLE])
def test_a_key_that_its_cloud_cannot_enable_or_disable(tmp_path: Path, managed: Managed, change: Change) -> None:
    with open_journal(tmp_path) as journal:
        caller = Caller(journal, Pulse(time.monotonic), threads=1)
        outcome = caller.change(managed, Live(), State(call=Call(change, key_id="k1")), Draft())
        deleted = caller.change(managed, Live(), State(call=Call(Change.DELETE, key_id="k1")), Draft())
        caller.close()
    assert (outcome.verdict, outcome.permanent, outcome.code) == (Verdict.REFUSED, True, "Unsupported")
    assert "plain can neither disable nor enable a key" in outcome.message
    assert (deleted.verdict, deleted.request_id) == (Verdict.DONE, "deleted k1")
