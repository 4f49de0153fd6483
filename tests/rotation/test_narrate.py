"""Which audit events a change of the journal becomes: each begin, roll forward and end of a rotation has its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.attention import Hold, HoldReason
from rotator.audit.event import EventName
from rotator.model import (
    Capabilities,
    IntegrationView,
    Key,
    KeyRecord,
    Observation,
    Origin,
    Phase,
    Rotation,
    Stamp,
    State,
)
from rotator.rotation.answer import answer
from rotator.rotation.commands import Command, Kind
from rotator.rotation.decide import decide
from rotator.rotation.facts import Facts, look
from rotator.rotation.moment import Moment
from rotator.rotation.narrate import Narrator
from tests.rotation.world import STORE, T0

AWS = Capabilities(slots=2, can_disable=True, exact=False, has_evidence=True)
NARRATOR = Narrator("prod", "aws")
KEYS = tuple(KeyRecord(f"k{n}", Origin.MINTED, n, f"k{n}", sent=True) for n in (1, 2))
IDLE = State(phase=Phase.IDLE, generation=2, current="k2", keys=KEYS, confirmed_in=frozenset({"i0"}))
GRACE = replace(IDLE, phase=Phase.GRACE, rotation=Rotation("r1", "due", T0), to_revoke=("k1",))
HELD = Hold(HoldReason.REVOKE_REFUSED, "the cloud did not disable k1")


def facts(state: State, *, shows: int = 2, due: str | None = None, listed: tuple[str, ...] = ("k1", "k2")) -> Facts:
    keys = tuple(Key(key_id, T0) for key_id in listed)
    view = IntegrationView("i0", "text", Stamp(STORE, shows, f"k{shows}"))
    moment = Moment(
        now=T0,
        new_rotation_id="r2",
        integrations=frozenset({"i0"}),
        retry_at=T0 + timedelta(minutes=1),
        quarantine_until=T0 + timedelta(days=1),
        due=due,
    )
    return look(state, Observation(keys=keys, cloud_time=T0, integrations=(view,)), moment, AWS, STORE)


@pytest.mark.parametrize(
    ("state", "seen", "name", "rotation"),
    [
        (IDLE, facts(IDLE, due="due"), EventName.ROTATION_STARTED, "r2"),
        (IDLE, facts(IDLE, shows=1), EventName.ROTATION_ROLLED_FORWARD, "r2"),
        (GRACE, facts(GRACE, shows=1), EventName.ROTATION_ROLLED_FORWARD, "r1"),
        (
            replace(GRACE, hold=HELD),
            facts(GRACE, shows=1, listed=("k2",)),
            EventName.ROTATION_ROLLED_FORWARD,
            "r1",
        ),
        (replace(GRACE, to_revoke=()), facts(GRACE), EventName.ROTATION_DONE, "r1"),
    ],
    ids=["begins", "rolls forward when idle", "rolls forward in grace", "rolls forward when held", "is done"],
)
def test_a_rotation_that(state: State, seen: Facts, name: EventName, rotation: str) -> None:
    told = NARRATOR.of_step(state, decide(state, seen))
    phases = [event for event in told if event.event.startswith("rotation.") and event.code == ""]
    assert [(event.event, event.rotation) for event in phases] == [(name, rotation)]


def test_a_rotation_that_is_abandoned() -> None:
    request = Command(kind=Kind.ABANDON)
    events = NARRATOR.answered(GRACE, request, answer(GRACE, request, facts(GRACE)), None)
    assert EventName.ROTATION_ABANDONED in {event.event for event in events}
    assert EventName.KEY_RELEASED in {event.event for event in events}
