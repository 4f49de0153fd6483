"""Observe, decide, act: one tick for one credential. Recovery is not a separate path: any tick may be the first.

The order of every change is: intent durable in the journal and in the required audit sinks, ownership proved, one call,
outcome durable. Nothing comes between the proof of ownership and the call.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog

from rotator.audit.event import Event, EventName
from rotator.clock import Clock
from rotator.errors import AuditError, CallFailed, StaleFence, StoreError, Verdict
from rotator.model import Call, Change, Observation, Outcome, State
from rotator.providers.base import Draft
from rotator.rotation.commands import Command, Ruling, answer
from rotator.rotation.conclude import conclude, recover
from rotator.rotation.deadline import Watch
from rotator.rotation.decide import decide
from rotator.rotation.facts import Facts
from rotator.rotation.managed import Managed
from rotator.rotation.moment import Moment, next_look
from rotator.rotation.narrate import Narrator
from rotator.rotation.observe import Candidate, Freshness, Needs, needs, observe
from rotator.rotation.pulse import Pulse
from rotator.rotation.settling import Settling
from rotator.rotation.step import Step
from rotator.rotation.turns import Turns
from rotator.store.journal import Journal
from rotator.store.requests import Answered

_STEPS_PER_TICK = 100
"""No rotation has this many steps without a wait in between; a loop must not spin against a vendor's API."""

Value = TypeVar("Value")

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("rotator.engine")


class Engine:
    """Drives every credential, one tick at a time. Thread-safe; never two ticks of one credential at once (P6).

    Attributes:
        pulse: beats before and after each call: in between lies its deadline, half of `settle`, and little more.
    """

    def __init__(self, journal: Journal, clock: Clock, *, new_id: Callable[[], str], threads: int) -> None:
        self._journal = journal
        self._clock = clock
        self._new_id = new_id
        self.pulse = Pulse(clock.monotonic)
        self._watch = Watch(threads=threads)
        self._turns = Turns(self.pulse)
        self._candidates: dict[str, Candidate] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._settling = Settling()
        self._findings: dict[str, str | None] = {}
        self._unread: defaultdict[str, int] = defaultdict(int)
        self._draining = threading.Event()
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
        with self._turns.of(managed.name):
            narrator = Narrator(managed.name, managed.provider_name)
            state = self._take_up(managed, narrator)
            try:
                self._take_material_up(managed, state)
                return self._go_on(managed, narrator, state)
            except CallFailed as failure:
                return self._cannot_read(managed, narrator, failure)

    def ask(self, managed: Managed, request_id: str, request: Command, actor: str, why: str | None) -> Ruling:
        """Decide on what a person asks for, and why; the answer and what it changes are one transaction."""
        with self._turns.of(managed.name):
            narrator = Narrator(managed.name, managed.provider_name, actor)
            state = self._take_up(managed, narrator)
            given = answer(state, request, self._facts_for_request(managed, state))
            self._commit(
                managed,
                given.state,
                narrator.answered(state, request, given, why),
                answers=(Answered(request_id=request_id, accepted=given.accepted, text=given.text),),
            )
            return given

    def drain(self) -> None:
        """Begin no new external change."""
        self._draining.set()

    def holds_material(self, name: str) -> bool:
        """The credential's candidate would be lost if this process ended now."""
        return name in self._candidates

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
                self._recover(managed, Narrator(managed.name, managed.provider_name), state)
                given_up.append(managed.name)
        return tuple(given_up)

    def close(self) -> None:
        """Make no more calls. Those under way are not waited for: the next start resolves them by looking."""
        self._watch.close()

    # The loop of one tick.

    def _go_on(self, managed: Managed, narrator: Narrator, state: State) -> datetime:
        seen, had = Observation(), Needs()
        untold: list[Event] = []
        for _ in range(_STEPS_PER_TICK):
            at = self._clock.now(), self._clock.monotonic()
            if self._draining.is_set():
                break
            try:
                seen, had, facts = self._look(managed, state, seen, had)
            except CallFailed:
                if untold:
                    self._commit(managed, state, untold)
                raise
            state = self._can_read(managed, narrator, state)
            step = decide(state, facts)
            if step.call is not None:
                state, done = self._act(managed, narrator, state, step, untold)
                seen, had, untold = Observation(), Needs(), []
                if not done:
                    break
            elif step.state != state:
                # A move from phase to phase goes into the transaction of what follows it: one sync to disk less. A
                # crash in between loses nothing, since the same facts lead to the same move again.
                untold += narrator.told(state, step)
                if not _only_moves(state, step.state):
                    self._commit(managed, step.state, untold)
                    untold = []
                state = step.state
            else:
                self._report(managed, narrator, state, step)
                break
        if untold:
            self._commit(managed, state, untold)
        if state.candidate is None and state.mint is None:
            self._candidates.pop(managed.name, None)
        return self._next_look(managed, state, *at)

    def _next_look(self, managed: Managed, state: State, now: datetime, monotonic: float) -> datetime:
        """As the journal says, and when `settle` is over by the monotonic clock: the wall clock may be ahead of it.

        Both clocks are as they were before the last decision: a moment that has come since then was not seen by it.
        """
        at = next_look(state, policy=managed.policy, calendar=managed.calendar, now=now)
        left = self._settling.left(managed.name, managed.policy.settle, monotonic)
        return min(at, now + left) if left else at

    def _take_up(self, managed: Managed, narrator: Narrator) -> State:
        """The journal's row, with an open intent closed: by its outcome where this process has it, else as unknown."""
        state = self._journal.load(managed.name)
        if state.call is not None:
            outcome = self._outcomes.get(managed.name)
            if outcome is None:
                return self._recover(managed, narrator, state)
            concluded = self._conclude(managed, narrator, state, outcome)
            del self._outcomes[managed.name]
            return concluded
        if self._watch.ended(managed.name):
            # The call that was given up can land no later than its thread: settle is counted from here (DESIGN 5).
            state = replace(state, unsettled_since=self._clock.now())
            self._unsettle(managed.name)
            self._commit(managed, state, [])
        return state

    def _recover(self, managed: Managed, narrator: Narrator, state: State) -> State:
        if state.call is None:
            return state
        unknown = Outcome(Verdict.UNKNOWN, code="no outcome", message="the journal holds no outcome of this call")
        recovered = recover(state, self._clock.now())
        step = Step("-", unknown.message, recovered)
        self._unsettle(managed.name)
        events = replace(narrator, actor="recovery").outcome(state, state.call, unknown, step)
        self._write(managed, recovered, events)
        return recovered

    def _look(self, managed: Managed, state: State, seen: Observation, had: Needs) -> tuple[Observation, Needs, Facts]:
        """Observe what the next decision needs and hasn't got yet."""
        want = needs(state, self._moment(managed, state, seen))
        if not want.covered_by(had):
            seen, had = self._observe(managed, state, want), want
        return seen, had, self._facts(managed, state, seen)

    def _facts_for_request(self, managed: Managed, state: State) -> Facts:
        """As much as can be read; a request that needs more is refused with that reason."""
        want = Needs(keys=True, integrations=Freshness.FRESH, evidence=True, dependents=True)
        try:
            seen = self._observe(managed, state, want)
        except CallFailed:
            seen = Observation()
        return self._facts(managed, state, seen)

    def _observe(self, managed: Managed, state: State, want: Needs) -> Observation:
        candidate = self._candidate(managed.name, state)
        return observe(managed, state, want, candidate, partial(self._call, managed))

    def _take_material_up(self, managed: Managed, state: State) -> None:
        """Where a person brings the keys, a restart doesn't lose the candidate's material: it is still in its place."""
        marks = {state.candidate, state.mint.mark if state.mint is not None else None} - {None}
        if not marks or not managed.provider.capabilities.supplied or self._candidate(managed.name, state) is not None:
            return
        draft = self._call(managed, lambda: managed.provider.draft(self._journal.store_id, state.generation))
        if draft.mark in marks and draft.material is not None:
            self._candidates[managed.name] = Candidate(state.generation, draft.material)

    def _facts(self, managed: Managed, state: State, seen: Observation) -> Facts:
        return managed.facts(state, seen, self._moment(managed, state, seen), self._journal.store_id)

    def _moment(self, managed: Managed, state: State, seen: Observation) -> Moment:
        return managed.moment(
            state,
            seen,
            now=self._clock.now(),
            new_id=self._new_id(),
            has_material=self._candidate(managed.name, state) is not None,
            quiescent=self._quiescent(managed.name, managed.policy.settle),
            frozen=self._journal.frozen,
        )

    def _candidate(self, name: str, state: State) -> Candidate | None:
        candidate = self._candidates.get(name)
        return candidate if candidate is not None and candidate.generation == state.generation else None

    def _unsettle(self, name: str) -> None:
        self._settling.begin(name, self._clock.monotonic())

    def _quiescent(self, name: str, settle: timedelta) -> bool:
        return not self._settling.left(name, settle, self._clock.monotonic()) and not self._watch.busy(name)

    # Acting.

    def _act(
        self, managed: Managed, narrator: Narrator, state: State, step: Step, untold: list[Event]
    ) -> tuple[State, bool]:
        """Make the step's change. Returns the state after it, and whether it is done."""
        intended, draft = self._draft(managed, step.state)
        self._commit(managed, intended, [*untold, *narrator.told(state, replace(step, state=intended))])
        outcome = self._intended(managed, intended, draft)
        self._outcomes[managed.name] = outcome
        concluded = self._conclude(managed, narrator, intended, outcome)
        del self._outcomes[managed.name]
        return concluded, outcome.verdict is Verdict.DONE

    def _draft(self, managed: Managed, state: State) -> tuple[State, Draft]:
        """The intent of a mint, completed by the mark of the key to be made; and material that is made here."""
        if state.call is None or state.call.change is not Change.CREATE or state.mint is None:
            return state, Draft()
        draft = managed.provider.draft(self._journal.store_id, state.generation)
        if draft.material is not None:
            self._candidates[managed.name] = Candidate(state.generation, draft.material)
        return replace(state, mint=replace(state.mint, mark=draft.mark)), draft

    def _intended(self, managed: Managed, state: State, draft: Draft) -> Outcome:
        """The outcome of the call whose intent is in the journal. Fails closed where the audit log hasn't got it."""
        try:
            self._journal.flush(required_only=True)
        except AuditError as error:
            return Outcome(Verdict.NOT_APPLIED, code="audit", message=error.message)
        if self._draining.is_set():
            return Outcome(Verdict.NOT_APPLIED, code="stopping", message="rotator is stopping; nothing was sent")
        try:
            return self._change(managed, state, draft)
        except StaleFence:
            raise  # nothing was sent, and the outcome is the next owner's to find
        except CallFailed as failure:
            return Outcome(
                failure.verdict,
                code=failure.code,
                message=_told(failure),
                request_id=failure.request_id,
                permanent=failure.permanent,
                slots_full=failure.slots_full,
                retry_after=failure.retry_after,
            )
        except Exception as bug:  # noqa: BLE001  # whatever broke, the call may have been made: only a look can tell
            log.error("a call broke in an unforeseen way", credential=managed.name, error=type(bug).__name__)
            return Outcome(Verdict.UNKNOWN, code=type(bug).__name__, message="the call broke in an unforeseen way")

    def _change(self, managed: Managed, state: State, draft: Draft) -> Outcome:
        call = state.call
        candidate = self._candidate(managed.name, state)
        match call:
            case Call(Change.CREATE):
                minted = self._call_owned(managed, lambda: managed.provider.mint(draft))
                self._candidates[managed.name] = Candidate(state.generation, minted.material)
                return Outcome(Verdict.DONE, key=minted.key, hint=minted.hint, request_id=minted.request_id)
            case Call(Change.PUSH, integration=str(integration)) if candidate is not None:
                target = managed.target(integration)
                description = managed.description(state, integration, self._journal.store_id)
                reply = self._call_owned(managed, lambda: target.push(candidate.material, description=description))
            case Call(Change.DISABLE, key_id=str(key_id)):
                reply = self._call_owned(managed, lambda: managed.provider.disable(key_id))
            case Call(Change.ENABLE, key_id=str(key_id)):
                reply = self._call_owned(managed, lambda: managed.provider.enable(key_id))
            case Call(Change.DELETE, key_id=str(key_id)):
                reply = self._call_owned(managed, lambda: managed.provider.delete(key_id))
            case _:
                raise ValueError(f"{call} can't be made")
        return Outcome(Verdict.DONE, request_id=reply.request_id)

    def _conclude(self, managed: Managed, narrator: Narrator, state: State, outcome: Outcome) -> State:
        call = state.call
        step = conclude(state, outcome, self._moment(managed, state, Observation()))
        concluded = replace(step.state, error=None if outcome.verdict is Verdict.DONE else step.reason)
        if outcome.verdict is Verdict.UNKNOWN:
            self._unsettle(managed.name)
        if call is not None:
            told = narrator.outcome(state, call, outcome, replace(step, state=concluded))
            self._commit(managed, concluded, told)
        return concluded

    def _call_owned(self, managed: Managed, make: Callable[[], Value]) -> Value:
        """Make a change. Ownership is proved on the call's own thread: the wait for a free one can be long."""

        def owned() -> Value:
            self._journal.guard()
            return make()

        return self._call(managed, owned)

    def _call(self, managed: Managed, make: Callable[[], Value]) -> Value:
        self.pulse.beat()
        try:
            return self._watch.call(managed.name, make, managed.policy.settle / 2)
        finally:
            self.pulse.beat()

    # Journal and findings.

    def _commit(self, managed: Managed, state: State, events: list[Event], answers: tuple[Answered, ...] = ()) -> None:
        with self._journalling:
            if self._closed:
                raise StoreError("rotator is stopping; the next start goes on from what the journal holds")
            self._write(managed, state, events, answers)

    def _write(self, managed: Managed, state: State, events: list[Event], answers: tuple[Answered, ...] = ()) -> None:
        at = next_look(state, policy=managed.policy, calendar=managed.calendar, now=self._clock.now())
        self._journal.commit(managed.name, state, events=events, next_at=at, answers=answers)

    def _report(self, managed: Managed, narrator: Narrator, state: State, step: Step) -> None:
        """Journal a finding once, not at every look."""
        if step.finding != self._findings.get(managed.name) and step.finding is not None:
            self._journal.record([narrator.event(state, EventName.FINDING, step.finding)])
        self._findings[managed.name] = step.finding

    def _can_read(self, managed: Managed, narrator: Narrator, state: State) -> State:
        self._unread.pop(managed.name, None)
        if state.unread is None:
            return state
        readable = replace(state, unread=None)
        self._commit(managed, readable, [narrator.event(state, EventName.FINDING, "the outside can be read again")])
        return readable

    def _cannot_read(self, managed: Managed, narrator: Narrator, failure: CallFailed) -> datetime:
        """Reads never hold a rotation: nothing is lost by asking again."""
        state = self._journal.load(managed.name)
        self._unread[managed.name] += 1
        why = _told(failure)
        if state.unread != why:
            told = narrator.event(state, EventName.READ_FAILED, why, code=failure.code)
            self._commit(managed, replace(state, unread=why), [told])
        wait = failure.retry_after or managed.calendar.backoff(self._unread[managed.name])
        return self._clock.now() + min(wait, managed.policy.watch)


def _only_moves(old: State, new: State) -> bool:
    """The step did nothing but enter a phase."""
    return replace(old, phase=new.phase, since=new.since) == new


def _told(failure: CallFailed) -> str:
    """What happened and what a person can do, as one line."""
    return f"{failure.message}. {failure.remedy}" if failure.remedy else failure.message
