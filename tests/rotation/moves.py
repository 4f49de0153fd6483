"""Every move of the exploration: what the engine, the outside, time and people may do next, in one situation.

The engine's order is modelled as it is: an intent is committed, then the guard passes, then the call is made, then its
outcome is committed. The owner may be killed at each of these points, or paused after its guard while another process
takes over; its request is then under way like any other that was sent and not answered. (Paused before its guard, or
before a commit, it is refused by the fence and changes nothing: the same as being killed there.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from rotator.attention import Finding, FindingKind, HoldReason, Severity
from rotator.errors import Verdict
from rotator.model import Call, Change, Key, Outcome, Phase, Proof, State
from rotator.rotation.answer import answer
from rotator.rotation.commands import Command, Ruling
from rotator.rotation.conclude import conclude, recover
from rotator.rotation.decide import decide
from rotator.rotation.facts import Facts, look
from rotator.rotation.findings import standing
from rotator.rotation.moment import Moment
from rotator.rotation.refusal import refuse
from rotator.rotation.rows import Row
from rotator.rotation.step import Step
from rotator.rotation.use import used_by_another
from tests.rotation import outside, people
from tests.rotation.promises import Broken, check_create, check_decision, check_hold, check_seen, locked_out
from tests.rotation.world import (
    ANY,
    BORN,
    DECIDED,
    EDITED,
    GUARDED,
    INTENT,
    OLD,
    READY,
    SETTLE,
    STORE,
    T0,
    WITHIN,
    Budget,
    Flight,
    Move,
    Shape,
    World,
    adopted,
    canonical,
    in_order,
    observe,
    replaced,
    stamp_text,
)


@dataclass(frozen=True, slots=True)
class Machine:
    """The functions under test. A mutant replaces one of them."""

    decide: Callable[[State, Facts], Step] = decide
    conclude: Callable[[State, Outcome, Moment], Step] = conclude
    recover: Callable[..., State] = recover
    answer: Callable[[State, Command, Facts], Ruling] = answer
    refuse: Callable[[State, Step, Facts], Step | None] = refuse
    standing: Callable[[State, Facts], tuple[Finding, ...]] = standing
    fenced: bool = True  # a journal write is refused once another owner has raised the fence


class Ticked(NamedTuple):
    """What one tick would do: remembered, because many situations look the same to the machine."""

    row: Row | None
    reason: str
    finding: Finding | None
    journal: int
    call: Call | None
    alerts: frozenset[FindingKind] = frozenset()


DEAD, USED, CLOCK, WORSE, SPENT = "dead", "used", "the clock is off", "worse", "spent"
CLOCK_LONG = "the clock has been off for long"
NO_KEYS, NO_TEXTS = "no keys", "no texts"
LAG, AGAIN, SILENT, LIE = "a list that lags", "for the second time", "no use of the new key", "a list without the key"
_VARIANTS = {
    Phase.MINTING: (CLOCK, CLOCK_LONG),
    Phase.PROVING: (DEAD,),
    Phase.CONFIRMING: (WORSE, CLOCK),
    Phase.GRACE: (USED,),
    Phase.DISABLING: (CLOCK, CLOCK_LONG),
    Phase.DELETING: (CLOCK,),
}
_BY_THE_CLOCK = {Change.CREATE, Change.DISABLE, Change.DELETE}
_REFUSED = Outcome(Verdict.REFUSED, code="403", message="refused", permanent=True)
_REFUSED_FOR_NOW = Outcome(Verdict.REFUSED, code="409", message="refused")
_FULL = Outcome(Verdict.REFUSED, code="LimitExceeded", message="full", permanent=True, slots_full=True)
_THROTTLED = Outcome(Verdict.NOT_APPLIED, code="429", message="slow down")
_UNKNOWN = Outcome(Verdict.UNKNOWN, code="timeout", message="no answer")


class Moves:
    """The moves of one shape of cloud with one machine. Journals are numbered: a situation holds the number."""

    def __init__(self, shape: Shape, machine: Machine) -> None:
        self.shape = shape
        self.machine = machine
        self.journals: list[State] = []
        self._numbers: dict[State, int] = {}
        self._ticks: dict[tuple[object, ...], Ticked] = {}
        self._answers: dict[tuple[object, ...], tuple[bool, int]] = {}
        self.rows: set[Row] = set()
        self.holds: set[HoldReason] = set()

    def number(self, state: State) -> int:
        """The number of this journal, new or known."""
        journal = canonical(state, exact=self.shape.can.exact, lags=self.shape.lags)
        known = self._numbers.get(journal)
        if known is None:
            known = self._numbers[journal] = len(self.journals)
            self.journals.append(journal)
            if journal.hold is not None:
                self.holds.add(journal.hold.reason)
        return known

    def begin(self) -> World:
        """The first situation."""
        return self.shape.begin(self.number(State()))

    def state(self, world: World) -> State:
        """The journal of a situation."""
        return self.journals[world.journal]

    def all(self, world: World) -> Iterator[Move]:
        """Every move that is possible here."""
        if world.pc == READY:
            yield from self._ticks_of(world)
            yield from people.requests(self, world)
            if self.has_material(world):
                yield from self._restart(world, "the daemon is killed between two ticks")
        elif world.pc == INTENT:
            yield Move(("the guard finds the ownership alive",), world._replace(pc=GUARDED))
            yield from self._restart(world, "the daemon is killed after its intent, before its call")
        elif world.pc == GUARDED:
            yield from self._calls(world)
        elif world.pc == DECIDED:
            yield from self._unfenced(world)
        yield from outside.happens(self, world)
        yield from people.acts(self, world)

    # The engine.

    def facts(self, world: World, variant: str, *, due: bool) -> Facts:
        state = self.state(world)
        seen = observe(world, self.shape.can)
        if variant == NO_KEYS:
            seen = replace(seen, keys=None, cloud_time=None, last_used=())
        if variant == NO_TEXTS:
            seen = replace(seen, integrations=None)
        if variant == LAG and world.former is not None:
            seen = replace(seen, keys=observe(world._replace(keys=world.former), self.shape.can).keys)
        if variant == LIE:
            seen = replace(seen, keys=tuple(key for key in seen.keys or () if key.key_id != state.current))
        if variant == SILENT:
            seen = replace(
                seen, last_used=tuple((k, None) if k == state.current else (k, u) for k, u in seen.last_used)
            )
        used = dict(seen.last_used).get(state.current or "")
        if state.phase is Phase.PROVING:
            candidate = world.key(state.candidate)
            works = variant != DEAD and candidate is not None and candidate.enabled
            seen = replace(seen, proof=Proof.ALIVE if works else Proof.NOT_YET, proofs=3 if works else 0)
        brought = self.shape.can.supplied and any(key.key_id != state.current for key in world.keys)
        times = Moment(
            now=T0,
            new_rotation_id="r",
            integrations=self.shape.names,
            retry_at=T0,
            quarantine_until=T0,
            named_key=self.shape.named,
            has_material=self.has_material(world),
            settled=state.unsettled_since is None,
            lag_over=state.changed_at is None,
            due="due" if due or (brought and state.phase is Phase.IDLE) else None,
            key_supplied=brought,
            grace_over=True,
            quiet=variant != USED,
            quiet_long=not any(held in state.to_revoke for held, _ in world.holds),
            overstayed=variant in {USED, SILENT},
            quarantine_over=True,
            proving_over=True,
            vendor_now=T0,
            clock_ok=variant not in {CLOCK, CLOCK_LONG},
            clock_off_long=variant == CLOCK_LONG,
            lost_long=variant == AGAIN,
            suspects_over=frozenset(suspect.key_id for suspect in state.suspects),
            in_use_before=self.shape.uses,
            taken_up=used_by_another(used, T0),
            replace_lost=self.shape.replaces,
            max_attempts=0 if variant == SPENT else 12,
            settle=SETTLE,
            hold_unattributed=self.shape.hold_unattributed,
        )
        worse = ("cluster",) if variant == WORSE else ()
        return look(state, seen, times, self.shape.can, STORE, worse=worse)

    def has_material(self, world: World) -> bool:
        if self.shape.can.supplied:
            state = self.state(world)
            return world.keys[0].key_id in {state.candidate, state.mint.mark if state.mint is not None else None}
        if not world.material:
            return False
        state = self.state(world)
        record = state.record(state.candidate)
        return (record is not None and record.generation == world.material) or (
            state.mint is not None and state.generation == world.material
        )

    def tick(self, world: World, variant: str, *, due: bool) -> Ticked:
        """What the machine does when it looks now."""
        at = (world.journal, world.keys, world.holds, self.has_material(world), variant, due, world.former)
        known = self._ticks.get(at)
        if known is None:
            state, facts = self.state(world), self.facts(world, variant, due=due)
            step = self.machine.decide(state, facts)
            step = self.machine.refuse(state, step, facts) or step
            journal = step.state
            if step.call is not None and step.call.change is Change.CREATE and self.shape.can.exact:
                assert journal.mint is not None
                mark = world.keys[0].key_id if self.shape.can.supplied else f"m{journal.generation}"
                journal = replace(journal, mint=replace(journal.mint, mark=mark))
            number = world.journal if journal == state else self.number(journal)
            alerts = frozenset(
                found.kind for found in self.machine.standing(state, facts) if found.severity is Severity.ACT
            )
            known = self._ticks[at] = Ticked(step.row, step.reason, step.finding, number, step.call, alerts)
            self._note(step)
        return known

    def _note(self, step: Step) -> None:
        if step.row is not None:
            self.rows.add(step.row)

    def ask(self, world: World, request: Command) -> tuple[bool, int]:
        """Whether a request is accepted now, and the journal after it."""
        at = (world.journal, world.keys, world.holds, self.has_material(world), request)
        known = self._answers.get(at)
        if known is None:
            reply = self.machine.answer(self.state(world), request, self.facts(world, ANY, due=False))
            known = self._answers[at] = (reply.accepted, self.number(reply.state) if reply.accepted else world.journal)
        return known

    def _ticks_of(self, world: World) -> Iterator[Move]:
        state = self.state(world)
        added = bool(self.shape.names - state.confirmed_in)
        due = state.phase is Phase.IDLE and state.hold is None and (added or world.budget.rotations > 0)
        yield from self._tick(world, ANY, due=False)
        if due:
            yield from self._tick(world, ANY, due=True)
        if state.lost_since is not None:
            yield from self._tick(world, AGAIN, due=False)
        if self.shape.lags and world.former is not None:
            yield from self._tick(world, LAG, due=False)
        if self.shape.uses and state.phase is Phase.GRACE:
            yield from self._tick(world, SILENT, due=False)
        if world.budget.lies and state.current is not None and state.changed_at is None:
            yield from self._tick(world, LIE, due=False)
        if self.shape.reads_fail:
            yield from self._tick(world, NO_KEYS, due=due)
            yield from self._tick(world, NO_TEXTS, due=due)
        if world.budget.faults and state.hold is None:
            variants = _VARIANTS.get(state.phase, ())
            if state.phase is Phase.MINTING and state.mint is None:
                variants = (SPENT, *variants)
            for variant in variants:
                yield from self._tick(world, variant, due=False)

    def _tick(self, world: World, variant: str, *, due: bool) -> Iterator[Move]:
        ticked = self.tick(world, variant, due=due)
        before = self.state(world)
        self._check(world, variant, ticked)
        if ticked.call is None and ticked.journal == world.journal:
            return
        if ticked.call is not None:
            seen = variant not in {NO_KEYS, LAG}
            check_decision(world, self.shape, before, ticked.call, ticked.finding, keys_seen=seen)
        budget = _spent(world.budget, variant, begins=due and ticked.row is Row.BEGIN)
        label = ("tick", variant, due)
        benign = variant in {ANY, AGAIN}
        if ticked.call is None:
            keys = adopted(world.keys, self.shape.named) if ticked.row is Row.ADOPT else world.keys
            yield Move(label, self.clean(world._replace(journal=ticked.journal, budget=budget, keys=keys)), benign)
            return
        flight = self._flight(self.journals[ticked.journal], ticked.call)
        if not self.machine.fenced:
            pending = (ticked.journal, flight)
            yield Move(label, world._replace(pc=DECIDED, pending=pending, budget=budget), benign)
            return
        yield Move(label, self.commit(world._replace(budget=budget), ticked.journal, flight), benign)

    def _check(self, world: World, variant: str, ticked: Ticked) -> None:
        before = self.state(world)
        if self.shape.late_pushes and variant == ANY:
            self._check_alert(world, ticked)
        if variant in {ANY, LAG}:
            check_seen(world, self.shape, before, ticked.alerts, lagging=variant == LAG)
        check_hold(world, before, self.journals[ticked.journal])
        if variant in {CLOCK, CLOCK_LONG} and not before.emergency and not self.shape.can.supplied:
            by_clock = ticked.call is not None and ticked.call.change in _BY_THE_CLOCK
            if by_clock or ticked.row is Row.CONFIRMED:
                raise Broken("P8", f"row {ticked.row} goes by a clock that is off")

    def _check_alert(self, world: World, ticked: Ticked) -> None:
        state = self.state(world)
        out = [i for i in locked_out(world) if not world.holds[i][1].startswith(EDITED)]
        repairing = state.hold is None and state.phase in {
            Phase.MINTING,
            Phase.PROVING,
            Phase.PUSHING,
            Phase.CONFIRMING,
        }
        waits = ticked.call is None and ticked.journal == world.journal
        if out and waits and ticked.finding is None and not ticked.alerts and not repairing:
            raise Broken("alert", f"integration {out} is locked out, and the tick ({ticked.row}) says nothing")

    def commit(self, world: World, journal: int, flight: Flight) -> World:
        """The situation once the intent of a call is journalled."""
        keys, material, created, doomed = world.keys, world.material, world.created, world.doomed
        if flight.change is Change.CREATE:
            keys = tuple(key._replace(born=OLD) for key in keys)
            created = False
            if self.shape.local:
                material = self.journals[journal].generation
        if flight.change is Change.DELETE and flight.key_id is not None and not self.shape.can.supplied:
            doomed |= {flight.key_id}
        after = world._replace(
            journal=journal, keys=keys, material=material, created=created, doomed=doomed, pc=INTENT, pending=None
        )
        return self.clean(after)

    def clean(self, world: World) -> World:
        """Forget material that nothing asks for any more."""
        return world._replace(material=0) if world.material and not self.has_material(world) else world

    def _flight(self, state: State, call: Call) -> Flight:
        match call.change:
            case Change.CREATE:
                return Flight(call.change, mark=state.mint.mark if state.mint else None)
            case Change.PUSH:
                record = state.record(call.key_id)
                assert record is not None
                assert call.integration is not None
                text = stamp_text(record.generation, record.hint)
                return Flight(call.change, call.key_id, int(call.integration[1:]), text)
            case _:
                return Flight(call.change, call.key_id)

    def _calls(self, world: World) -> Iterator[Move]:
        state = self.state(world)
        assert state.call is not None
        flight = self._flight(state, state.call)
        if flight.change is Change.CREATE:
            check_create(world)
            world = world._replace(created=True)
        yield self._answered(world, flight)
        if flight.change is Change.PUSH and world.budget.clings:
            yield self._clings(world, flight)
        if flight.change is Change.DELETE and world.budget.lies and world.key(flight.key_id) is not None:
            spent = world._replace(budget=world.budget._replace(lies=world.budget.lies - 1), former=world.keys)
            yield self._concluded(spent, Outcome(Verdict.DONE), "answered, without effect")
        if not world.budget.faults:
            return
        spent = world._replace(budget=world.budget._replace(faults=world.budget.faults - 1))
        sent = spent._replace(flying=in_order((*world.flying, flight)))
        yield self._concluded(sent, _UNKNOWN, "no answer")
        yield Move(
            ("the daemon is killed, or paused after its guard while another takes over", flight),
            sent._replace(journal=self.recovered(world), pc=READY, material=0),
            benign=False,
        )
        yield self._concluded(spent, _REFUSED, "refused for good")
        if flight.change in {Change.CREATE, Change.PUSH}:
            yield self._concluded(spent, _THROTTLED, "429")
            yield self._concluded(spent, _REFUSED_FOR_NOW, "refused for now")

    def _answered(self, world: World, flight: Flight) -> Move:
        key = world.key(flight.key_id)
        if flight.change is Change.CREATE and not self.slot(world):
            full = self._concluded(world, _FULL, "full", benign=True)
            waited = replace(self.state(full.world), changed_at=None)  # the backoff outlasts the lag of lists
            return full._replace(world=full.world._replace(journal=self.number(waited), former=None))
        if flight.change in {Change.DISABLE, Change.ENABLE} and key is None:
            return self._concluded(world, _REFUSED, "no such key", benign=True)
        if self.shape.can.supplied and flight.change is Change.CREATE:
            return self._taken(world, flight)
        landed = outside.land(self, world, flight)
        if flight.change is not Change.PUSH:
            landed = landed._replace(former=world.keys)
        outcome = Outcome(Verdict.DONE)
        if flight.change is Change.CREATE:
            key_id = f"k{landed.minted}"
            minted = landed.key(key_id)
            assert minted is not None
            outcome = Outcome(
                Verdict.DONE,
                key=Key(key_id, BORN[WITHIN], mark=minted.mark),
                hint=key_id if self.shape.hinted else None,
            )
            landed = landed._replace(material=self.state(world).generation)
        return self._concluded(landed, outcome, "done", benign=True)

    def _clings(self, world: World, flight: Flight) -> Move:
        """The integration takes the push and shows it, but goes on using what it used before."""
        spent = world._replace(budget=world.budget._replace(clings=world.budget.clings - 1), clinging=True)
        used, _ = world.holds[flight.integration]
        shown = spent._replace(holds=replaced(spent.holds, flight.integration, (used, flight.text)))
        return self._concluded(shown, Outcome(Verdict.DONE), "done, though the integration clings to its former key")

    def _taken(self, world: World, flight: Flight) -> Move:
        """A mint where the operator makes the keys: the one that lies there, if it is still the one of the intent."""
        key = world.keys[0]
        if key.key_id != flight.mark:
            return self._concluded(world, _THROTTLED, "changed meanwhile", benign=True)
        outcome = Outcome(Verdict.DONE, key=Key(key.key_id, BORN[WITHIN], mark=key.mark))
        return self._concluded(world, outcome, "taken", benign=True)

    def _concluded(self, world: World, outcome: Outcome, name: str, *, benign: bool = False) -> Move:
        state = self.state(world)
        times = self.facts(world, ANY, due=False).moment
        step = self.machine.conclude(state, outcome, times)
        self._note(step)
        after = world._replace(journal=self.number(step.state), pc=READY)
        if not self.shape.lags or step.state.changed_at is None:
            after = after._replace(former=None)
        return Move(("call", name, state.call), self.clean(after), benign)

    def recovered(self, world: World) -> int:
        """The journal after the next start."""
        return self.number(self.machine.recover(self.state(world), T0))

    def _restart(self, world: World, how: str) -> Iterator[Move]:
        if world.budget.faults:
            budget = world.budget._replace(faults=world.budget.faults - 1)
            after = world._replace(journal=self.recovered(world), pc=READY, material=0, budget=budget)
            yield Move((how,), after, benign=False)

    def _unfenced(self, world: World) -> Iterator[Move]:
        """An engine without rule 6: the guard comes first, and the write of the intent isn't fenced."""
        assert world.pending is not None
        journal, flight = world.pending
        assert flight is not None
        yield Move(("the engine writes its intent",), self.commit(world, journal, flight)._replace(pc=GUARDED))
        if world.budget.faults and world.paused is None:
            budget = world.budget._replace(faults=world.budget.faults - 1)
            yield Move(
                ("the owner is paused before it writes its intent; another process takes over", flight),
                world._replace(
                    journal=self.recovered(world),
                    pc=READY,
                    material=0,
                    paused=world.pending,
                    pending=None,
                    budget=budget,
                ),
                benign=False,
            )

    def slot(self, world: World) -> bool:
        return self.shape.can.slots is None or len(world.keys) < self.shape.can.slots


def _spent(budget: Budget, variant: str, *, begins: bool) -> Budget:
    """What is left of the budget after a tick that saw this."""
    if variant in {DEAD, USED, CLOCK, CLOCK_LONG, WORSE, SPENT}:
        budget = budget._replace(faults=budget.faults - 1)
    if variant == LIE:
        budget = budget._replace(lies=budget.lies - 1)
    return budget._replace(rotations=max(budget.rotations - 1, 0)) if begins else budget
