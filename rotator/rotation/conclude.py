"""What the journal holds after a call: rows 14, 15 and 24-26, and the replies of disable, enable and delete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from rotator.attention import HoldReason
from rotator.errors import Verdict
from rotator.model import Call, Change, KeyRecord, Origin, Outcome, Phase, State
from rotator.rotation.moment import Moment
from rotator.rotation.rows import Row
from rotator.rotation.step import Step, give_up_candidate, hold, later, listed_as, without


def conclude(state: State, outcome: Outcome, times: Moment) -> Step:
    """The step that journals the outcome of the open call.

    Args:
        state: the journal with the intent in it (`state.call`).
        outcome: what came of it.
        times: this moment; `retry_at` is used for what is worth another try.
    """
    call = state.call
    if call is None:
        return Step(None, "no call was open", state)
    closed = replace(state, call=None)
    if outcome.verdict is Verdict.UNKNOWN and call.change is not Change.DELETE:
        closed = replace(closed, unsettled_since=times.now)
    if outcome.verdict is Verdict.DONE and call.change is not Change.PUSH:
        closed = replace(closed, changed_at=times.now)  # lists may not show it yet
    return _CONCLUSIONS[call.change](closed, call, outcome, times)


def recover(state: State, now: datetime) -> State:
    """Close an intent that has no outcome, as a start after a crash finds it: the call may still be under way.

    The key of an unanswered mint, and the fate of an unanswered push, are found by looking once `settle` has passed
    since `now` (rules 1, 5 and 7). Disables, enables and deletes are simply done again.
    """
    return replace(state, call=None, unsettled_since=now) if state.call is not None else state


def _created(state: State, _call: Call, outcome: Outcome, times: Moment) -> Step:
    key = outcome.key
    if outcome.verdict is Verdict.DONE and key is not None:
        known = state.with_record(KeyRecord(key.key_id, Origin.MINTED, state.generation, hint=outcome.hint))
        return Step(
            Row.MINTED,
            f"the cloud minted key {key.key_id}",
            replace(
                known,
                phase=Phase.PROVING,
                since=times.now,
                candidate=key.key_id,
                mint=None,
                failures=0,
                pushes_sent=0,
                pushed_at=None,
            ),
        )
    if outcome.verdict is Verdict.REFUSED:
        closed = replace(state, mint=None)
        if outcome.slots_full and not times.lag_over and any(record.gone_at is not None for record in state.keys):
            why = "the cloud still counts a key that was just deleted"
            return Step(Row.MINT_REFUSED, f"{why}: {_said(outcome)}", _retry(closed, outcome, times))
        if outcome.slots_full:
            return hold(
                closed,
                Row.MINT_REFUSED,
                HoldReason.SLOTS_FULL,
                f"the cloud refused another key beside {_there(state)}: {_said(outcome)}",
            )
        if outcome.permanent:
            return hold(
                closed, Row.MINT_REFUSED, HoldReason.MINT_REFUSED, f"the cloud refused the mint: {_said(outcome)}"
            )
        return Step(Row.MINT_REFUSED, f"the cloud refused the mint: {_said(outcome)}", _retry(closed, outcome, times))
    uncounted = times.attempts_spared or outcome.withheld
    spared = replace(state, attempts=state.attempts - 1) if uncounted else state
    if outcome.verdict is Verdict.NOT_APPLIED:
        return Step(
            Row.MINT_REFUSED,
            f"the mint was not applied: {_said(outcome)}",
            _retry(replace(spared, mint=None), outcome, times),
        )
    return Step(Row.MINT_UNSETTLED, f"the mint has no answer: {_said(outcome)}", _retry(spared, outcome, times))


def _pushed(state: State, call: Call, outcome: Outcome, times: Moment) -> Step:
    integration = call.integration or ""
    match outcome.verdict:
        case Verdict.DONE:
            accepted = replace(
                state,
                accepted=state.accepted | {integration},
                refused=state.refused - {integration},
                failures=0,
            )
            return Step(Row.PUSH, f"integration {integration} accepted the push", accepted)
        case Verdict.NOT_APPLIED:
            unsent = replace(state, pushes_sent=state.pushes_sent - 1)
            return Step(
                Row.PUSH_NOT_APPLIED,
                f"integration {integration} did not apply the push: {_said(outcome)}",
                _retry(unsent, outcome, times),
            )
        case Verdict.UNKNOWN:
            return Step(
                Row.PUSH,
                f"the push to integration {integration} has no answer: {_said(outcome)}",
                _retry(state, outcome, times),
            )
        case Verdict.REFUSED:
            return _push_refused(state, integration, outcome, times)


def _push_refused(state: State, integration: str, outcome: Outcome, times: Moment) -> Step:
    said = f"integration {integration} refused the push: {_said(outcome)}"
    if state.pushes_sent > 1:
        # Another push of this candidate was sent: only the stamps can say what became of it (rule 3).
        return Step(Row.PUSH_STOPPED, said, replace(state, stopped=True, refused=state.refused | {integration}))
    given_up = give_up_candidate(state)
    if outcome.permanent:
        return hold(given_up, Row.PUSH_REFUSED, HoldReason.PUSH_REFUSED, said)
    return Step(Row.PUSH_REFUSED, said, _retry(given_up, outcome, times))


def _disabled(state: State, call: Call, outcome: Outcome, times: Moment) -> Step:
    if outcome.verdict is not Verdict.DONE:
        return _not_revoked(state, call, outcome, times)
    return Step(Row.DISABLE, f"key {call.key_id} is disabled", _disabled_by_us(state, call))


def _enabled(state: State, call: Call, outcome: Outcome, times: Moment) -> Step:
    if outcome.verdict is not Verdict.DONE:
        # Never held back: a key that Northflank holds must work again. Tried at each tick.
        return Step(
            Row.ENABLE_NAMED,
            f"the cloud did not enable key {call.key_id}: {_said(outcome)}",
            _retry(state, outcome, times),
        )
    return Step(Row.ENABLE_NAMED, f"key {call.key_id} is enabled", replace(state, failures=0))


def _deleted(state: State, call: Call, outcome: Outcome, times: Moment) -> Step:
    if outcome.verdict is not Verdict.DONE:
        return _not_revoked(state, call, outcome, times)
    key_id = call.key_id or ""
    record = state.record(key_id) or KeyRecord(key_id, Origin.MINTED)
    struck = replace(
        state,
        to_delete=without(state.to_delete, (key_id,)),
        to_revoke=without(state.to_revoke, (key_id,)),
        maybe_held=without(state.maybe_held, (key_id,)),
        failures=0,
    )
    return Step(
        Row.DELETE, f"key {key_id} is deleted", struck.with_record(replace(record, deleting=True, gone_at=times.now))
    )


def _not_revoked(state: State, call: Call, outcome: Outcome, times: Moment) -> Step:
    said = f"the cloud did not {call.change.value} key {call.key_id}: {_said(outcome)}"
    # Until the cloud's lag is over, a replica may refuse what another carried out, or what it doesn't know yet.
    judged = times.lag_over and times.settled
    if outcome.verdict is Verdict.REFUSED and outcome.permanent and state.hold is None and judged:
        return hold(_retry(state, outcome, times), Row.DISABLE, HoldReason.REVOKE_REFUSED, said)
    return Step(Row.DISABLE, said, _retry(state, outcome, times))


def _disabled_by_us(state: State, call: Call) -> State:
    record = state.record(call.key_id)
    if record is None:
        return state
    return replace(state.with_record(replace(record, disabled=True, enabled_again=False)), failures=0)


def _retry(state: State, outcome: Outcome, times: Moment) -> State:
    asked = times.now + outcome.retry_after if outcome.retry_after is not None else times.retry_at
    return later(replace(state, failures=state.failures + 1), max(asked, times.now), times.now)


def _there(state: State) -> str:
    """The keys that the cloud listed before the mint."""
    return f"key {listed_as(sorted(state.mint.listed))}" if state.mint is not None else "those that it has"


def _said(outcome: Outcome) -> str:
    return f"{outcome.code}: {outcome.message}" if outcome.code else outcome.message


_CONCLUSIONS: dict[Change, Callable[[State, Call, Outcome, Moment], Step]] = {
    Change.CREATE: _created,
    Change.PUSH: _pushed,
    Change.DISABLE: _disabled,
    Change.ENABLE: _enabled,
    Change.DELETE: _deleted,
}
