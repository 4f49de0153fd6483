"""Observe, decide, act: one tick for one credential. Recovery is not a separate path: any tick may be the first.

The order of every change is: intent durable in the journal and in the required audit sinks, ownership proved, one call,
outcome durable. Nothing comes between the proof of ownership and the call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from rotator.attention import same_but_for_numbers
from rotator.audit.event import Event, EventName
from rotator.clock import Clock
from rotator.errors import CallFailed, StoreError, Verdict
from rotator.model import Change, Observation, Outcome, State
from rotator.providers.base import Draft
from rotator.rotation import trace
from rotator.rotation.admission import Admission, would_mint
from rotator.rotation.answer import answer
from rotator.rotation.caller import Caller, told_of
from rotator.rotation.clocks import Clocks, Reading, was_set, within_reason
from rotator.rotation.commands import Command, Ruling
from rotator.rotation.conclude import conclude, recover
from rotator.rotation.decide import decide
from rotator.rotation.facts import Facts
from rotator.rotation.findings import standing
from rotator.rotation.live import Live, Memory
from rotator.rotation.managed import Managed
from rotator.rotation.moment import Moment, next_look
from rotator.rotation.narrate import Narrator
from rotator.rotation.observe import Freshness, Needs, needs, observe
from rotator.rotation.pulse import Pulse
from rotator.rotation.refusal import refuse
from rotator.rotation.step import Step, only_moves
from rotator.rotation.use import noted
from rotator.store.journal import Journal
from rotator.store.requests import Answered

_STEPS_PER_TICK = 100
"""No rotation has this many steps without a wait in between; a loop must not spin against a vendor's API."""


@dataclass(frozen=True, slots=True)
class _Work:
    """One turn of one credential: its config, what this process knows of it, and the narrator of what is done."""

    managed: Managed
    live: Live
    narrator: Narrator


class Engine:
    """Drives every credential, one tick at a time. Thread-safe; never two ticks of one credential at once (P6).

    Attributes:
        pulse: beats before and after each call: in between lies its deadline, half of `settle`, and little more.
    """

    def __init__(
        self, journal: Journal, clock: Clock, *, new_id: Callable[[], str], threads: int, in_hand: int = 16
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._new_id = new_id
        self.pulse = Pulse(clock.monotonic)
        self._caller = Caller(journal, self.pulse, threads=threads)
        self._memory = Memory(self.pulse)
        self.admission = Admission(in_hand)
        self._journalling = threading.Lock()
        self._closed = False

    def tick(self, managed: Managed) -> datetime:
        """Take the credential as far as it can go now.

        Returns:
            When to look again (aware UTC).

        Raises:
            StoreError: the journal can't be written; nothing was changed outside without its intent in it.
            StaleFence: another process owns the store.
        """
        with self._memory.turn(managed.provider.identity, managed.name) as live:
            work = _Work(managed, live, Narrator(managed.name, managed.provider_name))
            state = self._take_up(work)
            try:
                self._take_material_up(work, state)
                return self._go_on(work, state)
            except CallFailed as failure:
                return self._cannot_read(work, failure)
            finally:
                self._settle_admission(work)

    def _settle_admission(self, work: _Work) -> None:
        state = self._journal.load(work.managed.name)
        begun = state.mint is not None or state.candidate is not None
        held_back = state.hold is not None and not work.live.holds_material
        self.admission.settle(work.managed, in_hand=begun and not state.emergency and not held_back)

    def ask(self, managed: Managed, request_id: str, request: Command, actor: str, why: str | None) -> Ruling:
        """Decide on what an operator asks for, and why; the answer and what it changes are one transaction."""
        with self._memory.turn(managed.provider.identity, managed.name) as live:
            work = _Work(managed, live, Narrator(managed.name, managed.provider_name, actor))
            state = self._take_up(work)
            given = answer(state, request, self._facts_for_request(work, state))
            self._commit(
                managed,
                given.state,
                work.narrator.answered(state, request, given, why),
                answers=(Answered(request_id=request_id, accepted=given.accepted, text=given.text),),
            )
            return given

    def keep(self, fleet: Iterable[Managed]) -> None:
        """These are the credentials of the config that is in force now; what is known of any other is forgotten."""
        managed = tuple(fleet)
        self._memory.keep({one.provider.identity for one in managed})
        self.admission.serve(managed)

    def drain(self) -> None:
        """Begin no new external change."""
        self._caller.drain()

    def holds_material(self, managed: Managed) -> bool:
        """The credential's candidate would be lost if this process ended now."""
        return self._memory.peek(managed.provider.identity).holds_material

    def give_up_open_calls(self, fleet: Iterable[Managed]) -> tuple[str, ...]:
        """Journal every call that is still under way as unknown, at the end of a drain; nothing is journalled after it.

        Returns:
            The names of the credentials concerned.
        """
        with self._journalling:
            self._closed = True
        given_up = []
        for managed in fleet:
            state = self._journal.load(managed.name)
            if state.call is not None:
                live = self._memory.peek(managed.provider.identity)
                self._recover(_Work(managed, live, Narrator(managed.name, managed.provider_name)), state)
                given_up.append(managed.name)
        return tuple(given_up)

    def close(self) -> None:
        """Make no more calls. Those under way are not waited for: the next start resolves them by looking."""
        self._caller.close()

    # The loop of one tick.

    def _go_on(self, work: _Work, state: State) -> datetime:
        seen, had = Observation(), Needs()
        untold: list[Event] = []
        for _ in range(_STEPS_PER_TICK):
            at = self._read_clocks()
            if self._caller.draining:
                break
            try:
                seen, had, dated, facts = self._look(work, state, seen, had, at)
            except CallFailed:
                if untold:
                    self._commit(work.managed, state, untold)
                raise
            if seen != Observation():
                dated, readable = self._can_read(work, dated, seen)
                untold += readable
            step = decide(dated, facts)
            step = refuse(dated, step, facts) or step
            trace.decided(work.managed, dated, step, at[0])
            waits = step.call is None and step.state == dated
            step, found = self._finding(work, state, step, facts, waits=waits)
            untold += found
            if waits:
                if step.state != state:
                    self._commit(work.managed, step.state, untold)
                    state, untold = step.state, []
                break
            if step.call is not None:
                state, done = self._act(work, dated, step, facts.moment, untold, at=at)
                seen, had, untold = Observation(), Needs(), []
                if not done:
                    break
                continue
            # A move from phase to phase goes into the transaction of what follows it: one sync to disk less. A crash
            # in between loses nothing, since the same facts lead to the same move again.
            untold += work.narrator.of_step(dated, step)
            if not only_moves(dated, step.state):
                self._commit(work.managed, step.state, untold)
                untold = []
            state = step.state
        if untold:
            self._commit(work.managed, state, untold)
        if state.candidate is None and state.mint is None:
            work.live.drop_material()
        return self._next_look(work, state, at, seen.vendor_time)

    def _next_look(self, work: _Work, state: State, at: Reading, vendor_now: datetime | None) -> datetime:
        """As the journal says, and when `settle` is over by the monotonic clock: the wall clock may be ahead of it.

        Both clocks are as they were before the last decision: a moment that has come since then was not seen by it.
        """
        policy, (now, monotonic) = work.managed.policy, at
        next_at = next_look(state, policy=policy, calendar=work.managed.calendar, now=now, vendor_now=vendor_now)
        work.live.forget_moments(state)
        left = work.live.settles_in(state, policy.settle, monotonic)
        return min(next_at, now + left) if left else next_at

    def _take_up(self, work: _Work) -> State:
        """The journal's row, with an open intent closed: by its outcome where this process has it, else as unknown."""
        state = self._journal.load(work.managed.name)
        if state.call is not None:
            if work.live.outcome is None:
                return self._recover(work, state)
            moment = self._moment(work, state, Observation(), self._read_clocks())
            return self._conclude(work, state, work.live.outcome, moment)
        if work.live.given_up.ended():
            # The call that was given up can land no later than its thread: settle is counted from here (rule 7).
            state = replace(state, unsettled_since=self._clock.now())
            self._unsettle(work)
            self._commit(work.managed, state, [])
        return state

    def _recover(self, work: _Work, state: State) -> State:
        if state.call is None:
            return state
        unknown = Outcome(Verdict.UNKNOWN, code="no outcome", message="the journal holds no outcome of this call")
        recovered = recover(state, self._clock.now())
        step = Step(None, unknown.message, recovered)
        self._unsettle(work)
        events = replace(work.narrator, actor="recovery").outcome(state, state.call, unknown, step)
        self._write(work.managed, recovered, events)
        return recovered

    def _look(
        self, work: _Work, state: State, seen: Observation, had: Needs, at: Reading
    ) -> tuple[Observation, Needs, State, Facts]:
        """Observe what the next decision needs and hasn't got yet, and say what it means.

        The state comes back without moments that no clock can have meant.
        """
        managed = work.managed
        moment = self._admitted(work, state, self._moment(work, state, seen, at))
        want = needs(state, moment)
        if not want.covered_by(had):
            seen, had = self._observe(work, state, want), want
            moment = self._admitted(work, state, managed.seeing(moment, state, seen))
        dated = state
        if seen != Observation():
            clocks = Clocks(at[0], seen.vendor_time)
            dated = within_reason(
                noted(state, seen), clocks, managed.policy, settled=moment.settled, lag_over=moment.lag_over
            )
        if dated != state:
            moment = managed.seeing(moment, dated, seen)
        return seen, had, dated, managed.facts(dated, seen, moment, self._journal.store_id)

    def _admitted(self, work: _Work, state: State, moment: Moment) -> Moment:
        """Whether the rotation may begin, or mint: asked before the reads that only that needs."""
        urgent = state.emergency or (state.asked is not None and state.asked.emergency)
        if urgent or not would_mint(state, moment):
            return moment
        return replace(moment, blocked=self.admission.enter(work.managed))

    def _facts_for_request(self, work: _Work, state: State) -> Facts:
        """As much as can be read; a request that needs more is refused with that reason."""
        want = Needs(keys=True, integrations=Freshness.FRESH, evidence=True, dependents=True)
        at = self._read_clocks()
        try:
            seen = self._observe(work, state, want)
        except CallFailed:
            seen = Observation()
        return work.managed.facts(state, seen, self._moment(work, state, seen, at), self._journal.store_id)

    def _observe(self, work: _Work, state: State, want: Needs) -> Observation:
        return observe(
            work.managed,
            state,
            want,
            work.live.candidate(state.generation),
            partial(self._caller.call, work.managed, work.live),
        )

    def _take_material_up(self, work: _Work, state: State) -> None:
        """Where the operator makes the keys, a restart loses no material: the key still lies in its place."""
        supplied = work.managed.provider.abilities.supplied
        marks = {state.candidate, state.mint.mark if state.mint is not None else None} - {None}
        if supplied is None or not marks or work.live.candidate(state.generation) is not None:
            return
        key = self._caller.call(work.managed, work.live, "supplied key", supplied.supplied_key)
        if key.mark in marks and key.material is not None:
            work.live.take(key.material, state.generation)

    def _moment(self, work: _Work, state: State, seen: Observation, at: Reading) -> Moment:
        live, (now, monotonic) = work.live, at
        return work.managed.moment(
            state,
            seen,
            now=now,
            new_id=self._new_id(),
            has_material=live.candidate(state.generation) is not None,
            quiescent=not live.settle_left(work.managed.policy.settle, monotonic) and not live.given_up.busy(),
            frozen=self._journal.frozen,
            age=lambda moment: live.age(moment, monotonic),
        )

    def _read_clocks(self) -> Reading:
        return self._clock.now(), self._clock.monotonic()

    def _unsettle(self, work: _Work) -> None:
        work.live.unsettle(self._clock.monotonic())

    # Acting.

    def _act(
        self, work: _Work, state: State, step: Step, moment: Moment, untold: list[Event], *, at: Reading
    ) -> tuple[State, bool]:
        """Make the step's change. Returns the state after it, and whether it is done."""
        intended, draft = self._draft(work, step.state)
        work.live.outcome = None
        self._commit(work.managed, intended, [*untold, *work.narrator.of_step(state, replace(step, state=intended))])
        outcome = self._caller.change(work.managed, work.live, intended, draft)
        if was_set(at, self._read_clocks()):
            outcome = replace(outcome, permanent=False)  # what was sent may have been dated by the clock that was wrong
        work.live.outcome = outcome
        concluded = self._conclude(work, intended, outcome, moment)
        return concluded, outcome.verdict is Verdict.DONE

    def _draft(self, work: _Work, state: State) -> tuple[State, Draft]:
        """The intent of a mint, completed by the mark of the key to be made; and material that is made here."""
        if state.call is None or state.call.change is not Change.CREATE or state.mint is None:
            return state, Draft()
        draft = work.managed.provider.draft(self._journal.store_id, state.generation)
        if draft.material is not None:
            work.live.take(draft.material, state.generation)
        return replace(state, mint=replace(state.mint, mark=draft.mark)), draft

    def _conclude(self, work: _Work, state: State, outcome: Outcome, moment: Moment) -> State:
        call = state.call
        step = conclude(state, outcome, work.managed.after_call(moment, state, self._clock.now()))
        concluded = replace(step.state, error=None if outcome.verdict is Verdict.DONE else step.reason)
        if outcome.verdict is Verdict.UNKNOWN:
            self._unsettle(work)
        if call is not None:
            events = work.narrator.outcome(state, call, outcome, replace(step, state=concluded))
            self._commit(work.managed, concluded, events)
        work.live.outcome = None
        return concluded

    # Journal and findings.

    def _commit(self, managed: Managed, state: State, events: list[Event], answers: tuple[Answered, ...] = ()) -> None:
        with self._journalling:
            if self._closed:
                raise StoreError("rotator is stopping; the next start goes on from what the journal holds")
            self._write(managed, state, events, answers)

    def _write(self, managed: Managed, state: State, events: list[Event], answers: tuple[Answered, ...] = ()) -> None:
        at = next_look(state, policy=managed.policy, calendar=managed.calendar, now=self._clock.now())
        self._journal.commit(managed.name, state, events=events, next_at=at, answers=answers)

    def _finding(self, work: _Work, state: State, step: Step, facts: Facts, *, waits: bool) -> tuple[Step, list[Event]]:
        """The step with the findings of this look in its state, and the events of those that are new."""
        present = standing(state, facts)
        if waits and step.finding is not None:
            present = (*present, step.finding)
        known = state.findings
        fresh = [f for f in present if not any(f.same_as(k) and f.severity is k.severity for k in known)]
        present = tuple(next((k for k in known if f.same_as(k) and f.severity is k.severity), f) for f in present)
        events = [work.narrator.finding(state, finding) for finding in fresh]
        return replace(step, state=replace(step.state, findings=present)), events

    def _can_read(self, work: _Work, state: State, seen: Observation) -> tuple[State, list[Event]]:
        """That one of the two answers says nothing of the other: some phases ask the cloud or Northflank alone."""
        work.live.unread = 0
        if state.unread is None or seen.keys is None or seen.integrations is None:
            return state, []
        event = work.narrator.event(state, EventName.FINDING, "the outside can be read again")
        return replace(state, unread=None, unread_since=None), [event]

    def _cannot_read(self, work: _Work, failure: CallFailed) -> datetime:
        """Reads never hold a rotation: nothing is lost by asking again."""
        managed = work.managed
        state = self._journal.load(managed.name)
        work.live.unread += 1
        why = told_of(failure)
        if not same_but_for_numbers(state.unread, why):
            event = work.narrator.event(state, EventName.READ_FAILED, why, code=failure.code)
            since = self._clock.now() if state.unread is None else state.unread_since
            self._commit(managed, replace(state, unread=why, unread_since=since), [event])
        wait = failure.retry_after or managed.calendar.backoff(work.live.unread)
        return self._clock.now() + min(wait, managed.policy.watch)
