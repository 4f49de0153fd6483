"""What would be done now and next, and why: real reads, no change, nothing journalled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rotator.clock import Clock
from rotator.model import Observation, State
from rotator.rotation.answer import answer
from rotator.rotation.commands import Command, Ruling
from rotator.rotation.decide import decide
from rotator.rotation.managed import Managed
from rotator.rotation.moment import Moment, next_look
from rotator.rotation.observe import Freshness, Needs, needs, observe
from rotator.rotation.step import Step

_LONGEST_PLAN = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps up to the next external change or wait; `next_look` is when it would be looked at again (aware UTC)."""

    steps: tuple[Step, ...]
    next_look: datetime


def foresee(managed: Managed, state: State, *, store_id: str, frozen: bool, clock: Clock, has_material: bool) -> Plan:
    """Follow the state machine without acting.

    Args:
        managed: the credential.
        state: the journal's row, or what it would be after a request.
        store_id: our store's id.
        frozen: every change of the store is frozen.
        clock: the time.
        has_material: a running daemon may hold the candidate's material.

    Raises:
        CallFailed: something can't be read.
    """
    steps: list[Step] = []
    seen, had = Observation(), Needs()
    while len(steps) < _LONGEST_PLAN:
        moment = _moment(managed, state, seen, frozen=frozen, clock=clock, has_material=has_material)
        want = needs(state, moment)
        if not want.covered_by(had):
            seen, had = observe(managed, state, want, None), want
            moment = managed.seeing(moment, state, seen)
        step = decide(state, managed.facts(state, seen, moment, store_id))
        steps.append(step)
        if step.call is not None or step.state == state:
            break
        state = step.state
    at = next_look(state, policy=managed.policy, calendar=managed.calendar, now=clock.now())
    return Plan(tuple(steps), at)


def foresee_answer(
    managed: Managed, state: State, request: Command, *, store_id: str, frozen: bool, clock: Clock
) -> Ruling:
    """What a request would be answered, and the journal after it.

    Raises:
        CallFailed: something can't be read.
    """
    return foresee_answers(managed, state, [request], store_id=store_id, frozen=frozen, clock=clock)[0]


def foresee_answers(
    managed: Managed, state: State, requests: Sequence[Command], *, store_id: str, frozen: bool, clock: Clock
) -> list[Ruling]:
    """The same of each of these requests, by one look.

    Raises:
        CallFailed: something can't be read.
    """
    want = Needs(keys=True, integrations=Freshness.FRESH, evidence=True, dependents=True)
    seen = observe(managed, state, want, None)
    moment = _moment(managed, state, seen, frozen=frozen, clock=clock, has_material=False)
    facts = managed.facts(state, seen, moment, store_id)
    return [answer(state, request, facts) for request in requests]


def _moment(
    managed: Managed, state: State, seen: Observation, *, frozen: bool, clock: Clock, has_material: bool
) -> Moment:
    now = clock.now()
    return managed.moment(
        state,
        seen,
        now=now,
        new_id="(not yet begun)",
        has_material=has_material,
        quiescent=True,
        frozen=frozen,
        age=lambda moment: now - moment,
    )
