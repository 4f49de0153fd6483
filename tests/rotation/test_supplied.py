"""Keys that the operator makes, each of which ends the one before: when a rotation begins, and what it skips."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.model import (
    Call,
    Capabilities,
    Change,
    IntegrationView,
    Key,
    KeyRecord,
    MintIntent,
    Observation,
    Origin,
    Phase,
    State,
)
from rotator.northflank.stamp import parse
from rotator.policy import Policy
from rotator.rotation.answer import answer
from rotator.rotation.commands import Command, Kind
from rotator.rotation.decide import decide
from rotator.rotation.facts import Facts, look
from rotator.rotation.moment import Moment, moment_of
from rotator.rotation.schedule import Schedule, Window
from tests.rotation.world import STORE, T0

SUPPLIED = Capabilities(slots=None, can_disable=False, exact=True, has_evidence=False, supplied=True)
POLICY = Policy(window="Mon 00:00-00:01 UTC", jitter=timedelta(0))
CALENDAR = Schedule(POLICY, "identity", Window.parse(POLICY.window), lambda: 1.0)
OLD, NEW = (Key(name, T0 - timedelta(days=1), mark=name) for name in ("old", "new"))
IDLE = State(
    phase=Phase.IDLE,
    current="old",
    current_since=T0 - timedelta(days=1),
    keys=(KeyRecord("old", Origin.ADOPTED, sent=True),),
    texts_before=(("i0", "text"),),
    confirmed_in=frozenset({"i0"}),
)


def moment(state: State, seen: Observation, *, has_material: bool = False) -> Moment:
    return moment_of(
        state,
        policy=POLICY,
        calendar=CALENDAR,
        can=SUPPLIED,
        seen=seen,
        now=T0,
        new_rotation_id="r1",
        integrations=frozenset({"i0"}),
        named_key=None,
        has_material=has_material,
        quiescent=True,
        frozen=False,
        age=lambda moment: T0 - moment,
    )


def facts(state: State, *keys: Key, text: str = "text", has_material: bool = False) -> Facts:
    seen = Observation(keys=keys, cloud_time=T0, integrations=(IntegrationView("i0", text),))
    return look(state, seen, moment(state, seen, has_material=has_material), SUPPLIED, STORE)


def test_a_new_key_begins_a_rotation_whatever_the_window() -> None:
    begun = decide(IDLE, facts(IDLE, NEW)).state
    assert begun.phase is Phase.MINTING
    assert begun.rotation is not None
    assert begun.rotation.reason == "the operator supplied a new key"
    assert decide(begun, facts(begun, NEW)).call == Call(Change.CREATE)


def test_the_key_in_use_begins_nothing() -> None:
    step = decide(IDLE, facts(IDLE, OLD))
    assert (step.call, step.state, step.finding) == (None, IDLE, None)


@pytest.mark.parametrize("asked", [False, True])
def test_a_due_rotation_waits_for_the_operator_and_says_so(asked: bool) -> None:
    due = replace(IDLE, current_since=T0 - timedelta(days=31))
    if asked:
        given = answer(IDLE, Command(kind=Kind.ROTATE), facts(IDLE, OLD))
        assert given.accepted
        assert "when the operator has made a new key" in given.text
        due = given.state
    step = decide(due, facts(due, OLD))
    assert (step.call, step.state) == (None, due)
    assert step.finding is not None
    assert "make a new key and put it where the config says" in step.finding.text
    assert decide(due, facts(due, NEW)).state.phase is Phase.MINTING


def test_a_new_key_is_not_foreign() -> None:
    held = replace(IDLE, paused=True)
    assert decide(held, facts(held, NEW)).state.record("new") is None


def test_a_key_that_was_taken_back_is_waited_for() -> None:
    minting = replace(IDLE, phase=Phase.MINTING)
    assert decide(minting, facts(minting, OLD)).call is None


@pytest.mark.parametrize("has_material", [True, False])
def test_an_unanswered_mint_goes_on_with_the_key_that_is_still_in_its_place(has_material: bool) -> None:
    intent = MintIntent(frozenset({"new"}), T0, "new")
    minting = replace(IDLE, phase=Phase.MINTING, generation=1, mint=intent)
    state = decide(minting, facts(minting, NEW, has_material=has_material)).state
    assert (state.candidate, state.to_delete) == (("new", ()) if has_material else (None, ("new",)))


def test_nothing_is_waited_out_after_the_confirm() -> None:
    """The old key died when its successor was made: neither grace, nor window, nor the clock can save anybody."""
    keys = (*IDLE.keys, KeyRecord("new", Origin.MINTED, 1, sent=True))
    grace = replace(IDLE, phase=Phase.GRACE, since=T0, generation=1, current="new", to_revoke=("old",), keys=keys)
    stamped = f"text [rotator {STORE} g1 2026-11-23]"
    deleting = decide(grace, _stamped(grace, stamped)).state
    assert deleting.phase is Phase.DELETING
    assert decide(deleting, _stamped(deleting, stamped)).call == Call(Change.DELETE, key_id="old")


def _stamped(state: State, text: str) -> Facts:
    seen = Observation(keys=(NEW,), cloud_time=None, integrations=(IntegrationView("i0", text, parse(text)),))
    return look(state, seen, moment(state, seen), SUPPLIED, STORE)
