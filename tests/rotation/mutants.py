"""The state machine with one rule left out at a time: each must break a promise, or the world is too kind.

A mutant wraps the product's own functions: it changes what they are shown, or what they answer. None is a switch in the
product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rotator.attention import Finding, HoldReason
from rotator.errors import Verdict
from rotator.model import Change, Key, Outcome, Phase, State
from rotator.policy import ConfirmUse
from rotator.rotation.answer import answer
from rotator.rotation.commands import Command, Kind, Ruling
from rotator.rotation.conclude import conclude, recover
from rotator.rotation.contact import adopt
from rotator.rotation.decide import decide
from rotator.rotation.facts import Facts
from rotator.rotation.moment import Moment
from rotator.rotation.rows import Row
from rotator.rotation.rules import SafetyRule
from rotator.rotation.step import Step, delete, disable, enter, give_up_candidate
from tests.rotation import shapes
from tests.rotation.moves import Machine
from tests.rotation.world import T0, Shape


@dataclass(frozen=True, slots=True)
class Mutant:
    """A rule (None where it has no number), what the machine does without it, and the shape in which that shows."""

    rule: SafetyRule | None
    without: str
    machine: Machine
    shape: Shape


def _seeing(twist: Callable[[State, Facts], Facts]) -> Machine:
    """A machine whose `decide` is shown twisted facts."""
    return Machine(decide=lambda state, facts: decide(state, twist(state, facts)))


def _settled(facts: Facts) -> Facts:
    return replace(facts, moment=replace(facts.moment, settled=True))


# Rule 1.


def _mint_unsettled(state: State, facts: Facts) -> Facts:
    return _settled(facts) if state.phase is Phase.MINTING else facts


# Rule 2.


def _attribute_widely(_state: State, facts: Facts) -> Facts:
    return replace(facts, moment=replace(facts.moment, settle=timedelta(days=365)), last_used={})


# Rule 3.


def _every_refusal_is_definite(state: State, outcome: Outcome, times: Moment) -> Step:
    only = outcome.verdict is Verdict.REFUSED and state.call is not None and state.call.change is Change.PUSH
    return conclude(replace(state, pushes_sent=1) if only else state, outcome, times)


# Rule 4.


def _lost_is_before(_state: State, facts: Facts) -> Facts:
    readings = tuple(replace(r, before=True) if r.generation is None else r for r in facts.readings or ())
    return replace(facts, readings=readings)


# Rule 5.


def _unanswered_is_settled(state: State, outcome: Outcome, times: Moment) -> Step:
    step = conclude(state, outcome, times)
    return replace(step, state=replace(step.state, unsettled_since=state.unsettled_since))


# Rule 7.


def _start_is_settled(state: State, _now: datetime) -> State:
    return replace(state, call=None)


# Rule 8.


def _roll_without_keeping(state: State, facts: Facts) -> Step:
    """Mint first, and leave the keys that the stamps name on the way to deletion."""
    blind = replace(facts, named=frozenset()) if state.phase is not Phase.MINTING else facts
    return decide(state, blind)


# Rule 9.


def _same_generation(state: State, facts: Facts) -> Step:
    """No new generation for a mint that follows an abandoned one: the stamps of both look alike."""
    step = decide(state, facts)
    if step.call is not None and step.call.change is Change.CREATE and state.generation:
        return replace(step, state=replace(step.state, generation=state.generation))
    return step


# Rule 10.


def _abandon_always(state: State, request: Command, facts: Facts) -> Ruling:
    if request.kind is not Kind.ABANDON or state.phase in {Phase.NEW, Phase.IDLE}:
        return answer(state, request, facts)
    left = replace(
        enter(state, Phase.IDLE, facts),
        rotation=None,
        candidate=None,
        mint=None,
        to_revoke=(),
        maybe_held=(),
        to_delete=(),
        undone=(),
    )
    return Ruling(accepted=True, text="abandoned", state=left)


# Rule 11.


def _undo_does_not_hold(state: State, request: Command, facts: Facts) -> Ruling:
    reply = answer(state, request, facts)
    if request.kind is Kind.UNDO and reply.accepted and reply.state.hold is not None:
        return replace(reply, state=replace(reply.state, hold=state.hold))
    return reply


def _forgets_undone(state: State, facts: Facts) -> Step:
    """An undone key is enabled, once."""
    done = all(facts.enabled(key_id) for key_id in state.undone)
    return decide(replace(state, undone=()) if done else state, facts)


# Rule 12.


def _forgets_deletions(state: State, facts: Facts) -> Step:
    step = decide(state, facts)
    if step.call is None or step.call.change is not Change.DELETE:
        return step
    keys = tuple(replace(record, deleting=False) for record in step.state.keys)
    return replace(step, state=replace(step.state, keys=keys))


# Rule 13.


def _adopts_unasked(state: State, facts: Facts) -> Step:
    """The plain reading: the oldest enabled key must be the one in use."""
    if state.phase is Phase.NEW and facts.keys:
        oldest = min(key_id for key_id in facts.keys if facts.enabled(key_id))
        return Step(Row.ADOPT, f"{oldest} looks like the key in use", adopt(state, facts, oldest))
    return decide(state, facts)


# More than one half of a rule, each left out alone.


def _push_unanswered_is_settled(state: State, outcome: Outcome, times: Moment) -> Step:
    step = conclude(state, outcome, times)
    if state.call is not None and state.call.change is Change.PUSH:
        return replace(step, state=replace(step.state, unsettled_since=state.unsettled_since))
    return step


def _push_start_is_settled(state: State, now: datetime) -> State:
    if state.call is not None and state.call.change is Change.PUSH:
        return replace(state, call=None)
    return recover(state, now)


def _some_is_none(state: State, facts: Facts) -> Step:
    """A push that only some integrations took is treated as one that none took."""
    step = decide(state, replace(facts, named=facts.named - frozenset(state.to_delete)))
    if step.row in {Row.SHOWN_BY_SOME, Row.PARTIAL_PUSH} and state.candidate is not None:
        return Step(Row.SHOWN_BY_NONE, "no integration took the push", give_up_candidate(state))
    return step


def _mint_before_enabling(state: State, facts: Facts) -> Step:
    """The roll forward begins with the mint; the disabled key that a stamp names waits."""
    working = {key_id: replace(key, enabled=True) for key_id, key in (facts.keys or {}).items()}
    step = decide(state, facts)
    if step.call is not None and step.call.change is Change.ENABLE and step.row is Row.ENABLE_NAMED:
        return decide(state, replace(facts, keys=working))
    return step


def _any_stamp_names(state: State, facts: Facts) -> Facts:
    """Any stamp of ours is taken for that of the newest key, whatever its generation."""
    newest = state.candidate or state.current
    readings = tuple(replace(r, names=newest) if r.generation is not None else r for r in facts.readings or ())
    return replace(facts, readings=readings, named=frozenset(r.names for r in readings if r.names is not None))


def _deletes_at_once(state: State, facts: Facts) -> Step:
    """A key that was pushed once is deleted without being disabled and without a last look at the stamps."""
    if state.to_delete and facts.keys is not None and not facts.moment.frozen and state.phase is Phase.MINTING:
        return delete(state, Row.DELETE_GIVEN_UP, state.to_delete[0], "it was given up")
    return decide(state, facts)


def _revokes_what_is_oldest(state: State, facts: Facts) -> Step:
    """What to revoke is derived when it is needed (all keys but the newest), not recorded at the confirm."""
    if state.phase in {Phase.DISABLING, Phase.QUARANTINE, Phase.DELETING} and facts.keys:
        newest = max(facts.keys)
        return decide(replace(state, to_revoke=tuple(key_id for key_id in facts.keys if key_id != newest)), facts)
    return decide(state, facts)


def _takes_silence_for_disuse(_state: State, facts: Facts) -> Facts:
    return replace(facts, can=replace(facts.can, has_evidence=True))


def _takes_what_lies_there(_state: State, facts: Facts) -> Facts:
    """The key in use counts as a new one."""
    return replace(facts, moment=replace(facts.moment, key_supplied=True))


def _forgets_who_makes_keys(_state: State, facts: Facts) -> Facts:
    return replace(facts, can=replace(facts.can, supplied=False))


# Rule 14.


def _every_disabling_is_ours(state: State, facts: Facts) -> Step:
    keys = tuple(replace(record, disabling=True) for record in state.keys)
    return decide(replace(state, keys=keys), facts)


def _ours_from_the_answer(state: State, facts: Facts) -> Step:
    """A disabling counts as rotator's only once it was answered."""
    keys = tuple(replace(record, disabling=record.disabled) for record in state.keys)
    return decide(replace(state, keys=keys), facts)


def _forgets_who_enabled(state: State, facts: Facts) -> Step:
    keys = tuple(replace(record, enabled_again=False) for record in state.keys)
    return decide(replace(state, keys=keys), facts)


def _unanswered_disable_is_settled(state: State, outcome: Outcome, times: Moment) -> Step:
    step = conclude(state, outcome, times)
    if state.call is not None and state.call.change in {Change.DISABLE, Change.ENABLE}:
        return replace(step, state=replace(step.state, unsettled_since=state.unsettled_since))
    return step


# Rule 15.


def _pushes_what_is_listed_or_not(state: State, facts: Facts) -> Facts:
    if state.phase is not Phase.PUSHING or state.candidate is None or facts.keys is None:
        return facts
    return replace(facts, keys={**facts.keys, state.candidate: Key(state.candidate, T0)})


def _believes_one_list(_state: State, facts: Facts) -> Facts:
    return replace(facts, moment=replace(facts.moment, lost_long=True))


def _says_nothing(_state: State, _facts: Facts) -> tuple[Finding, ...]:
    return ()


def _makes_room_unseen(state: State, facts: Facts) -> Facts:
    if state.phase is not Phase.MINTING:
        return facts
    return replace(facts, moment=replace(facts.moment, confirm_use=ConfirmUse.NEVER))


def _any_store_shows_what_is_held(state: State, facts: Facts) -> Facts:
    readings = tuple(
        replace(r, ours=True, strange=False) if r.store in state.stores else r for r in facts.readings or ()
    )
    return replace(facts, readings=readings if facts.readings is not None else None)


# Rules 15a and 15b.


def _any_text_is_vouched_for(state: State, facts: Facts) -> Facts:
    readings = tuple(
        r if r.names is not None or r.ours or r.strange else replace(r, names=state.current)
        for r in facts.readings or ()
    )
    return replace(facts, readings=readings)


def _ends_by_silence(state: State, facts: Facts) -> Step:
    """The hold over a key that others enabled again ends with the next look."""
    if state.hold is not None and state.hold.reason is HoldReason.ENABLED_AGAIN:
        return _forgets_who_enabled(replace(state, hold=None), facts)
    return decide(state, facts)


# Rules 16, 17, 19 and 20.


def _any_clock_will_do(_state: State, facts: Facts) -> Facts:
    return replace(facts, moment=replace(facts.moment, clock_ok=True))


def _silence_is_enough(_state: State, facts: Facts) -> Facts:
    return replace(facts, moment=replace(facts.moment, confirm_use=ConfirmUse.NEVER))


def _one_use_vouches_for_all(_state: State, facts: Facts) -> Facts:
    return replace(facts, moment=replace(facts.moment, quiet_long=True))


def _lists_never_lag(_state: State, facts: Facts) -> Facts:
    return replace(facts, moment=replace(facts.moment, lag_over=True))


def _forgets_what_it_deleted(state: State, facts: Facts) -> Step:
    return decide(replace(state, keys=tuple(record for record in state.keys if record.gone_at is None)), facts)


def revokes_the_current_key(state: State, facts: Facts) -> Step:
    """A bug: what is to be revoked is mixed up with what is in use."""
    if state.phase is Phase.DISABLING and state.current is not None and facts.keys is not None:
        return disable(state, Row.DISABLE, state.current, "mixed up")
    return decide(state, facts)


def _sends_whatever_was_decided(_state: State, _step: Step, _facts: Facts) -> Step | None:
    return None


MUTANTS = (
    Mutant(
        SafetyRule.OWN_ACTS_ONLY,
        "takes every disabled key for one that it disabled",
        Machine(decide=_every_disabling_is_ours),
        shapes.OTHERS,
    ),
    Mutant(
        SafetyRule.OWN_ACTS_ONLY,
        "takes a disabling for its own only once it was answered",
        Machine(decide=_ours_from_the_answer),
        shapes.LATE,
    ),
    Mutant(
        SafetyRule.OWN_ACTS_ONLY,
        "forgets that others enabled a key again",
        Machine(decide=_forgets_who_enabled),
        shapes.OTHERS,
    ),
    Mutant(
        SafetyRule.OWN_ACTS_ONLY,
        "doesn't start `settle` at a DISABLE without an answer",
        Machine(conclude=_unanswered_disable_is_settled),
        shapes.LATE,
    ),
    Mutant(
        SafetyRule.LOST_KEYS_ARE_SEEN,
        "pushes a candidate that others took away",
        _seeing(_pushes_what_is_listed_or_not),
        shapes.OTHERS_EXACT,
    ),
    Mutant(SafetyRule.LOST_KEYS_ARE_SEEN, "believes one list", _seeing(_believes_one_list), shapes.LYING_TWICE),
    Mutant(
        SafetyRule.LOST_KEYS_ARE_SEEN,
        "says nothing of a key that others took away",
        Machine(standing=_says_nothing),
        shapes.OTHERS,
    ),
    Mutant(
        SafetyRule.LOST_KEYS_ARE_SEEN,
        "makes room with a key whose successor was not seen in use",
        _seeing(_makes_room_unseen),
        shapes.CLINGING_LOST,
    ),
    Mutant(
        SafetyRule.LOST_KEYS_ARE_SEEN,
        "takes another store's stamp for a push of its own",
        _seeing(_any_store_shows_what_is_held),
        shapes.DOUBT_AWS,
    ),
    Mutant(
        SafetyRule.VOUCHED_TEXTS,
        "lets a text stand for the current key that none vouched for",
        _seeing(_any_text_is_vouched_for),
        shapes.AWS,
    ),
    Mutant(
        SafetyRule.HOLDS_THAT_END,
        "ends a hold that only the operator can end",
        Machine(decide=_ends_by_silence),
        shapes.OTHERS,
    ),
    Mutant(SafetyRule.BOTH_CLOCKS, "goes by a clock that is off", _seeing(_any_clock_will_do), shapes.AWS),
    Mutant(
        SafetyRule.USE_IS_SEEN,
        "takes silence for proof that a key is unused",
        _seeing(_silence_is_enough),
        shapes.CLINGING,
    ),
    Mutant(
        SafetyRule.USE_IS_SEEN,
        "lets the use by one integration vouch for all",
        _seeing(_one_use_vouches_for_all),
        shapes.CLINGING_FANOUT,
    ),
    Mutant(SafetyRule.LISTS_LAG, "takes every list for up to date", _seeing(_lists_never_lag), shapes.LYING_AWS),
    Mutant(
        SafetyRule.LISTS_LAG,
        "forgets a key once its deletion was answered",
        Machine(decide=_forgets_what_it_deleted),
        shapes.LYING,
    ),
    Mutant(
        SafetyRule.LAST_CHECK,
        "sends whatever was decided",
        Machine(decide=revokes_the_current_key, refuse=_sends_whatever_was_decided),
        shapes.EXACT,
    ),
    Mutant(
        SafetyRule.LOOK_BEFORE_MINT, "looks for a lost mint's key before `settle`", _seeing(_mint_unsettled), shapes.AWS
    ),
    Mutant(
        SafetyRule.NARROW_ATTRIBUTION, "takes any new key for the lost mint's", _seeing(_attribute_widely), shapes.AWS
    ),
    Mutant(
        SafetyRule.ONLY_PUSH,
        "believes a refusal that answers one of several pushes",
        Machine(conclude=_every_refusal_is_definite),
        shapes.AWS,
    ),
    Mutant(
        SafetyRule.PROOF_OF_NO_PUSH,
        "takes an edited description for the one before the push",
        _seeing(_lost_is_before),
        shapes.AWS,
    ),
    Mutant(
        SafetyRule.PROOF_OF_NO_PUSH,
        "takes a push that some took for one that none took",
        Machine(decide=_some_is_none),
        shapes.FANOUT,
    ),
    Mutant(
        SafetyRule.UNSETTLED_PUSH,
        "goes on at once after a call without an answer",
        Machine(conclude=_unanswered_is_settled),
        shapes.AWS,
    ),
    Mutant(
        SafetyRule.UNSETTLED_PUSH,
        "judges at once after a push without an answer",
        Machine(conclude=_push_unanswered_is_settled),
        shapes.AWS,
    ),
    Mutant(
        SafetyRule.INTENT_GUARD_CALL, "guards before it writes its intent, unfenced", Machine(fenced=False), shapes.AWS
    ),
    Mutant(
        SafetyRule.SETTLE_AGAIN,
        "doesn't start `settle` again after a takeover",
        Machine(recover=_start_is_settled),
        shapes.AWS,
    ),
    Mutant(
        SafetyRule.SETTLE_AGAIN,
        "doesn't start `settle` again after a takeover in a push",
        Machine(recover=_push_start_is_settled),
        shapes.AWS,
    ),
    Mutant(
        SafetyRule.ROLL_FORWARD_ORDER,
        "rolls forward without keeping what the stamps name",
        Machine(decide=_roll_without_keeping),
        shapes.LATE,
    ),
    Mutant(
        SafetyRule.ROLL_FORWARD_ORDER,
        "mints before it enables the key that a stamp names",
        Machine(decide=_mint_before_enabling),
        shapes.LATE,
    ),
    Mutant(
        SafetyRule.FRESH_GENERATION,
        "mints again in the same generation",
        Machine(decide=_same_generation),
        shapes.SECRET,
    ),
    Mutant(
        SafetyRule.FRESH_GENERATION,
        "takes a stamp of any generation for the candidate's",
        _seeing(_any_stamp_names),
        shapes.SECRET,
    ),
    Mutant(SafetyRule.CLEAN_ABANDON, "lets every rotation be abandoned", Machine(answer=_abandon_always), shapes.AWS),
    Mutant(
        SafetyRule.UNDONE_STAYS,
        "enables an undone key, but goes on",
        Machine(decide=_forgets_undone, answer=_undo_does_not_hold),
        shapes.AWS,
    ),
    Mutant(
        SafetyRule.POINT_OF_NO_RETURN,
        "forgets that a deletion was begun",
        Machine(decide=_forgets_deletions),
        shapes.LATE,
    ),
    Mutant(
        SafetyRule.POINT_OF_NO_RETURN,
        "deletes without disabling and looking once more",
        Machine(decide=_deletes_at_once),
        shapes.AWS,
    ),
    Mutant(
        SafetyRule.ADOPT_NAMED_ONLY, "adopts a key that is not named", Machine(decide=_adopts_unasked), shapes.UNNAMED
    ),
    Mutant(
        SafetyRule.ADOPT_NAMED_ONLY,
        "adopts a listed key where the operator states that none of them is in use",
        Machine(decide=_adopts_unasked),
        shapes.UNMANAGED_EXACT,
    ),
    Mutant(
        SafetyRule.NARROW_ATTRIBUTION,
        "takes a key for unused where the cloud shows no use",
        _seeing(_takes_silence_for_disuse),
        shapes.BLIND,
    ),
    Mutant(None, "mints although the operator made no key", _seeing(_takes_what_lies_there), shapes.SUPPLIED),
    Mutant(None, "takes the operator's new key for a foreign one", _seeing(_forgets_who_makes_keys), shapes.SUPPLIED),
    Mutant(None, "derives what to revoke when it is needed", Machine(decide=_revokes_what_is_oldest), shapes.AWS),
)
