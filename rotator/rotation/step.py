"""What `decide` returns, and the few moves from which every row of the state machine is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from rotator.attention import Finding, FindingKind, Hold, HoldReason, Severity
from rotator.model import Call, Change, KeyRecord, Origin, Phase, State, Vouched
from rotator.rotation.facts import Facts, Reading
from rotator.rotation.rows import Row
from rotator.rotation.use import used_by_another


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a rotation.

    Args:
        row: the row of the table that matched; None where none decides (an operator's request, a recovered intent).
        reason: a sentence for the operator and for the audit log.
        state: what the journal must hold before anything else happens; the old state for a wait.
        call: the external change to make once `state` is durable; None for a step inside the journal.
        finding: what the operator should know even though the step goes on.
    """

    row: Row | None
    reason: str
    state: State
    call: Call | None = None
    finding: Finding | None = None

    def does(self, before: State) -> str:
        """What the step does, in a few words."""
        if self.call is not None:
            return described(self.call)
        if self.state.hold is not None and self.state.hold != before.hold:
            return f"hold ({self.state.hold.reason.value})"
        if self.state.phase is not before.phase:
            return f"go on to {self.state.phase.value}"
        return "wait" if self.state == before else "take note"


def described(call: Call) -> str:
    """An external change, in a few words."""
    return " ".join(filter(None, (call.change.value, call.key_id, call.integration and f"into {call.integration}")))


def note(kind: FindingKind, text: str) -> Finding:
    """Something worth knowing."""
    return Finding(kind, text)


def alert(kind: FindingKind, text: str) -> Finding:
    """Something that the operator must act on: it stops a rotation, or will, or cuts a consumer off."""
    return Finding(kind, text, Severity.ACT)


def wait(state: State, row: Row, reason: str, finding: Finding | None = None) -> Step:
    """Nothing to do until time passes or the outside changes."""
    return Step(row, reason, state, finding=finding)


def frozen(state: State) -> Step:
    """The operator froze every change."""
    why = "every change is frozen"
    return wait(state, Row.FROZEN, why, note(FindingKind.FROZEN, why))


def hold(state: State, row: Row, why: HoldReason, detail: str) -> Step:
    """Stop until the operator decides. The phase is kept: it is where a resume begins."""
    return Step(row, detail, replace(state, hold=Hold(why, detail)))


def call(state: State, row: Row, reason: str, change: Call, finding: Finding | None = None) -> Step:
    """Make one external change: its intent is the state with the call in it."""
    return Step(row, reason, replace(state, call=change), change, finding)


def later(state: State, until: datetime, now: datetime) -> State:
    """Nothing is tried before then. How long that is stays known, should the clock be set meanwhile."""
    return replace(state, not_before=until, waits=until - now)


def enter(state: State, phase: Phase, facts: Facts) -> State:
    """The state at the beginning of a phase, dated by both clocks."""
    return replace(state, phase=phase, since=facts.moment.now, since_vendor=facts.moment.vendor_now, hold=None)


def only_moves(old: State, new: State) -> bool:
    """The step did nothing but enter a phase."""
    moved = replace(old, phase=new.phase, since=new.since, since_vendor=new.since_vendor, findings=new.findings)
    return moved == new


def disable(state: State, row: Row, key_id: str, reason: str, finding: Finding | None = None) -> Step:
    """Disable a key. From its intent on, the disabling is ours to undo (rule 14)."""
    record = state.record(key_id) or KeyRecord(key_id, Origin.MINTED)
    ours = state.with_record(replace(record, disabling=True))
    return call(ours, row, reason, Call(Change.DISABLE, key_id=key_id), finding)


def enable(state: State, row: Row, key_id: str, reason: str, finding: Finding | None = None) -> Step:
    """Enable a key that rotator disabled. A disabling that lands late is still ours (rule 14)."""
    record = state.record(key_id) or KeyRecord(key_id, Origin.MINTED)
    ours = state.with_record(replace(record, disabled=False))
    return call(ours, row, reason, Call(Change.ENABLE, key_id=key_id), finding)


def delete(state: State, row: Row, key_id: str, reason: str) -> Step:
    """Delete a key. From its intent on, the key is never current again (rule 12)."""
    record = state.record(key_id) or KeyRecord(key_id, Origin.MINTED)
    return call(state.with_record(replace(record, deleting=True)), row, reason, Call(Change.DELETE, key_id=key_id))


def give_up_candidate(state: State) -> State:
    """Put the candidate on `to_delete`, and the rotation back in minting."""
    if state.candidate is None:
        return replace(state, phase=Phase.MINTING)
    return replace(without_candidate(state), to_delete=added(state.to_delete, (state.candidate,)))


def keep_candidate_alive(state: State) -> State:
    """The candidate may be held by an integration: it stays until the next confirm retires it."""
    if state.candidate is None:
        return replace(state, phase=Phase.MINTING)
    return replace(without_candidate(state), maybe_held=added(state.maybe_held, (state.candidate,)))


def without_candidate(state: State) -> State:
    """Back in minting, with nothing left of the former candidate's pushes but `texts_before`.

    Those stay: a candidate on its way to deletion is judged by them once more (row 5).
    """
    return replace(
        state,
        phase=Phase.MINTING,
        candidate=None,
        pushes_sent=0,
        pushed_at=None,
        accepted=frozenset(),
        refused=frozenset(),
        stopped=False,
        baseline=(),
    )


def added(ids: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    """The ids, then those of `more` that aren't among them."""
    return tuple(dict.fromkeys((*ids, *more)))


def without(ids: tuple[str, ...], key_ids: Iterable[str]) -> tuple[str, ...]:
    """The ids without some."""
    out = frozenset(key_ids)
    return tuple(key_id for key_id in ids if key_id not in out)


def names(state: State, facts: Facts, reading: Reading, key_id: str) -> bool:
    """This integration holds the key, as far as its description (or the evidence of use) can say."""
    if reading.names is not None:
        return reading.names == key_id
    if not reading.blind:
        return False
    if key_id == state.current and state.candidate is None:
        return True
    record = state.record(key_id)
    pushed_at = record.pushed_at if record is not None else None
    return pushed_at is not None and used_by_another(facts.last_used.get(key_id), pushed_at)


def vouch(state: State, readings: Iterable[Reading], key_id: str) -> State:
    """Let the texts as they are now stand for the key, until the next confirm (rule 15a)."""
    fresh = tuple(Vouched(reading.integration, reading.description, key_id) for reading in readings)
    about = {vouched.integration for vouched in fresh}
    return replace(state, vouched=(*(v for v in state.vouched if v.integration not in about), *fresh))


def held_key(state: State, reading: Reading) -> str | None:
    """The key that this integration holds: as it shows, or, untouched since the last push, the current one."""
    return reading.names or (state.current if reading.before else None)


def is_other(state: State, facts: Facts, reading: Reading, key_id: str | None) -> bool:
    """The description shows a push of ours that was not this key's. Another store's stamp shows none of ours."""
    if reading.strange or (key_id is not None and names(state, facts, reading, key_id)):
        return False
    return reading.ours or reading.names is not None


def is_lost(state: State, facts: Facts, reading: Reading, key_id: str) -> bool:
    """The description proves nothing about the key: absent, edited, or another store's."""
    return (
        not names(state, facts, reading, key_id) and not is_other(state, facts, reading, key_id) and not reading.before
    )


def removed_integrations(state: State, facts: Facts) -> list[str]:
    """The integrations that may hold a key of ours, and are no longer in the config: rotator can't look at them."""
    pushed_to = {integration for integration, _ in state.texts_before}
    return sorted((state.confirmed_in | pushed_to) - facts.moment.integrations - state.accepted_loss)


def listed_as(ids: Iterable[str]) -> str:
    """Ids for a sentence."""
    return ", ".join(ids) or "none"
