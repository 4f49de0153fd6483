"""From a change of the journal to the audit events that record it: derived from both states, so none is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rotator.attention import Finding
from rotator.audit.event import Event, EventName, Result
from rotator.errors import Verdict
from rotator.model import Call, Change, Origin, Outcome, Phase, State
from rotator.rotation.commands import Command, Ruling
from rotator.rotation.rows import Row
from rotator.rotation.step import Step

_CALLS: dict[Change, EventName] = {
    Change.CREATE: EventName.KEY_CREATE,
    Change.PUSH: EventName.INTEGRATION_PUSH,
    Change.DISABLE: EventName.KEY_DISABLE,
    Change.ENABLE: EventName.KEY_ENABLE,
    Change.DELETE: EventName.KEY_DELETE,
}

_RESULTS: dict[Verdict, Result] = {
    Verdict.DONE: Result.DONE,
    Verdict.REFUSED: Result.REFUSED,
    Verdict.NOT_APPLIED: Result.NOT_APPLIED,
    Verdict.UNKNOWN: Result.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Narrator:
    """Words what happens to one credential, on behalf of one actor."""

    credential: str
    provider: str
    actor: str = "schedule"

    def of_step(self, old: State, step: Step) -> list[Event]:
        """The step's events, up to and including the intent of its call."""
        events = list(self._changes(old, step))
        if step.call is not None:
            events.append(self._call(step.state, step.call, Result.INTENT, step.reason))
        return events

    def outcome(self, old: State, call: Call, outcome: Outcome, step: Step) -> list[Event]:
        """The outcome of a call, and what it made of the rotation."""
        event = self._call(old, call, _RESULTS[outcome.verdict], step.reason)
        key_ids = (outcome.key.key_id,) if outcome.key is not None else event.key_ids
        event = replace(event, code=outcome.code, request_id=outcome.request_id, key_ids=key_ids)
        return [event, *self._changes(old, step)]

    def answered(self, old: State, request: Command, given: Ruling, why: str | None) -> list[Event]:
        """An operator's request, its reason, the answer, and what it changed."""
        what = because(f"{request.kind.value}: {given.text}", why)
        event = self.event(given.state, EventName.REQUEST_ANSWERED, what, code=request.kind.value)
        result = Result.DONE if given.accepted else Result.REFUSED
        step = Step(None, given.text, given.state)
        return [replace(event, outcome=result), *(self._changes(old, step) if given.accepted else ())]

    def event(self, state: State, name: EventName, reason: str = "", *, code: str = "") -> Event:
        """A plain fact about the credential as it stands."""
        return Event(
            event=name,
            actor=self.actor,
            credential=self.credential,
            provider=self.provider,
            rotation=state.rotation.rotation_id if state.rotation is not None else None,
            generation=state.generation,
            phase=state.phase.value,
            reason=reason,
            code=code,
        )

    def finding(self, state: State, found: Finding) -> Event:
        """Something that the operator should know; the code is its kind and its severity."""
        return self.event(state, EventName.FINDING, found.text, code=f"{found.severity.value}:{found.kind.value}")

    def _call(self, state: State, call: Call, result: Result, reason: str) -> Event:
        key_ids = (call.key_id,) if call.key_id is not None else ()
        event = self.event(state, _CALLS[call.change], reason)
        return replace(event, outcome=result, key_ids=key_ids, integration=call.integration)

    def _changes(self, old: State, step: Step) -> Iterator[Event]:
        new = step.state
        yield from self._keys(old, new, step.reason)
        if new.current != old.current and new.current is not None:
            adopted = new.phase is Phase.IDLE
            name = EventName.KEY_ADOPTED if adopted else EventName.INTEGRATION_CONFIRMED
            yield replace(self.event(new, name, step.reason), key_ids=(new.current,))
        if old.phase is Phase.PROVING and new.phase is Phase.PUSHING and new.candidate is not None:
            yield replace(self.event(new, EventName.KEY_PROVED, step.reason), key_ids=(new.candidate,))
        if new.phase is not old.phase and old.phase is not Phase.NEW:
            # A rotation's last event carries its id, which the idle state has no more.
            about = new if new.rotation is not None else replace(new, rotation=old.rotation)
            yield self.event(about, _phase_event(old, new, step), step.reason)
        if old.hold is not None and new.hold is None:
            yield self.event(new, EventName.ROTATION_RESUMED, step.reason, code=old.hold.reason.value)
        if new.hold is not None and new.hold != old.hold:
            yield self.event(new, EventName.ROTATION_HELD, new.hold.detail, code=new.hold.reason.value)
        if step.finding is not None:
            yield self.finding(new, step.finding)

    def _keys(self, old: State, new: State, reason: str) -> Iterator[Event]:
        before = {record.key_id: record.origin for record in old.keys}
        for record in new.keys:
            if record.origin is before.get(record.key_id) or record.origin is Origin.ADOPTED:
                continue
            if record.origin is Origin.RELEASED:
                yield replace(self.event(new, EventName.KEY_RELEASED, reason), key_ids=(record.key_id,))
            elif record.key_id in before or record.origin is not Origin.MINTED:
                event = self.event(new, EventName.KEY_CLASSIFIED, reason, code=record.origin.value)
                yield replace(event, key_ids=(record.key_id,))


def _phase_event(old: State, new: State, step: Step) -> EventName:
    if step.row is Row.BEGIN:
        return EventName.ROTATION_STARTED
    if step.row in {Row.ROLL_FORWARD, Row.HELD, Row.CURRENT_LOST}:
        return EventName.ROTATION_ROLLED_FORWARD
    if new.phase is Phase.IDLE and old.rotation is not None:
        return EventName.ROTATION_DONE if step.row is Row.FINISHED else EventName.ROTATION_ABANDONED
    return EventName.ROTATION_PHASE


def because(text: str, why: str | None) -> str:
    """What was answered, followed by the operator's own reason."""
    return f"{text} (why: {why})" if why else text
