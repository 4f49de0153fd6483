"""What has to be read before the next decision, and the reading of it. Nothing here changes anything outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Protocol, TypeVar

from rotator.attention import HoldReason
from rotator.errors import CallFailed
from rotator.model import Capabilities, Key, LastUse, Observation, Phase, State
from rotator.providers.base import TellsUse
from rotator.rotation import trace
from rotator.rotation.live import Candidate
from rotator.rotation.managed import Managed
from rotator.rotation.moment import Moment

Read = TypeVar("Read")


class Freshness(IntEnum):
    """How new a view of the integrations has to be."""

    NONE = 0
    POLLED = 1  # from the shared poll of the whole list, at most one watch interval old
    FRESH = 2  # read for this decision


@dataclass(frozen=True, slots=True)
class Needs:
    """The reads that the next decision needs."""

    keys: bool = False
    integrations: Freshness = Freshness.NONE
    evidence: bool = False
    dependents: bool = False
    proof: bool = False

    def covered_by(self, had: Needs) -> bool:
        """What was read already suffices."""
        return (
            self.keys <= had.keys
            and self.integrations <= had.integrations
            and self.evidence <= had.evidence
            and self.dependents <= had.dependents
            and not self.proof
        )


def needs(state: State, moment: Moment) -> Needs:
    """What to read. `moment` need not know yet what will be seen."""
    fresh, polled = Freshness.FRESH, Freshness.POLLED
    if state.to_delete or state.phase is Phase.NEW:
        return Needs(keys=True, integrations=fresh)
    if state.hold is not None:
        full = state.hold.reason is HoldReason.SLOTS_FULL
        used = full or state.hold.reason in {HoldReason.STILL_USED, HoldReason.NOT_TAKEN_UP}
        worse = state.hold.reason is HoldReason.DEPENDENTS_DEGRADED
        return Needs(keys=True, integrations=fresh if full else polled, evidence=used, dependents=worse)
    match state.phase:
        case Phase.IDLE:
            begins = (state.asked is not None or moment.due is not None) and moment.blocked is None
            return Needs(keys=True, integrations=fresh if begins else polled, evidence=begins)
        case Phase.MINTING:
            mints = state.mint is None and moment.blocked is None
            return Needs(keys=True, integrations=fresh if mints else polled, evidence=mints or state.mint is not None)
        case Phase.PROVING:
            return Needs(proof=moment.has_material)
        case Phase.PUSHING if moment.has_material and not state.stopped:
            if state.accepted >= moment.integrations:
                return Needs()
            first = state.pushes_sent == 0
            return Needs(keys=True, integrations=fresh if first else Freshness.NONE, dependents=first)
        case Phase.PUSHING | Phase.CONFIRMING:
            if not moment.settled:
                return Needs()
            judged = not moment.has_material or state.stopped
            return Needs(keys=judged, integrations=fresh, dependents=True, evidence=True)
        case Phase.GRACE:
            return Needs(keys=True, integrations=fresh if moment.grace_over else polled, evidence=moment.grace_over)
        case Phase.QUARANTINE:
            over = moment.quarantine_over or state.emergency
            return Needs(keys=True, integrations=fresh if over else polled)
        case Phase.DISABLING if all_disabled(state):
            return Needs()
        case _:
            return Needs(keys=bool(state.to_revoke), integrations=fresh if state.to_revoke else Freshness.NONE)


def all_disabled(state: State) -> bool:
    """Rotator disabled every old key, and was answered."""
    return all(record.disabled for record in state.keys if record.key_id in state.to_revoke)


class Within(Protocol):
    """Makes one read and gives it up at its deadline (`deadline.Watch.call`)."""

    def __call__(self, what: str, read: Callable[[], Read]) -> Read:
        """What was read; `what` names it in the log. Raises CallFailed."""


def unwatched(what: str, read: Callable[[], Read]) -> Read:  # noqa: ARG001  # as `Within`
    """For commands that the operator can interrupt."""
    return read()


def observe(
    managed: Managed, state: State, want: Needs, candidate: Candidate | None, within: Within = unwatched
) -> Observation:
    """Read what is wanted.

    Args:
        managed: the credential.
        state: the journal's row.
        want: what to read.
        candidate: the candidate's material in this process; its proofs are counted in it.
        within: bounds each single read.

    Raises:
        CallFailed: something could not be read; what could be is thrown away.
    """
    provider, targets = managed.provider, managed.targets
    able = provider.abilities
    listing = within("list keys", provider.list_keys) if want.keys else None
    keys = listing.keys if listing is not None else None
    views = None
    if want.integrations is not Freshness.NONE:
        fresh = want.integrations is Freshness.FRESH
        urgent = fresh and (state.candidate is not None or state.emergency)
        views = tuple(
            within(f"read {target.id}", partial(target.read, fresh=fresh, urgent=urgent)) for target in targets
        )
    last_used: tuple[tuple[str, LastUse | None], ...] = ()
    use_untold = None
    if able.tells_use is not None:
        blind = any(not target.stamped for target in targets)
        asked = evidence_of(state, want, keys, able.capabilities, blind=blind)
        last_used, use_untold = _evidence(asked, able.tells_use, within)
    dependents = (
        tuple(pair for target in targets for pair in within(f"dependents of {target.id}", target.dependents))
        if want.dependents
        else ()
    )
    proof = None
    if want.proof and candidate is not None and able.proves is not None:
        proof = within("prove", partial(candidate.prove, able.proves))
    seen = Observation(
        keys=keys,
        cloud_time=listing.cloud_time if listing is not None else None,
        integrations=views,
        last_used=last_used,
        use_untold=use_untold,
        proof=proof,
        proofs=candidate.proofs if candidate is not None else 0,
        dependents=dependents,
    )
    trace.looked(managed.name, seen)
    return seen


def _evidence(
    asked: tuple[str, ...], tells_use: TellsUse, within: Within
) -> tuple[tuple[tuple[str, LastUse | None], ...], str | None]:
    """The last use of each key; or why the cloud does not say, where the config leaves open whether it does."""
    try:
        return tuple(
            (key_id, within(f"last use of {key_id}", partial(tells_use.last_used, key_id))) for key_id in asked
        ), None
    except CallFailed as failure:
        if not failure.untold:
            raise
        return (), failure.message


def evidence_of(
    state: State, want: Needs, keys: tuple[Key, ...] | None, can: Capabilities, *, blind: bool
) -> tuple[str, ...]:
    """The keys whose last use the next decision asks for."""
    listed = {key.key_id for key in keys or ()}
    asked = {suspect.key_id for suspect in state.suspects} & listed
    if want.evidence and state.phase is Phase.GRACE:
        asked |= {*state.to_revoke, *((state.current,) if state.current is not None else ())} & listed
    if want.evidence and state.phase is Phase.PUSHING:
        asked |= {key_id for key_id in (state.current, state.candidate) if key_id is not None} & listed
    if want.evidence and state.mint is not None:
        asked |= listed - state.mint.listed - {record.key_id for record in state.keys}
    minting_next = state.mint is None and state.phase in {Phase.IDLE, Phase.MINTING}
    if minting_next and want.integrations is Freshness.FRESH and can.slots is not None and len(listed) >= can.slots:
        asked |= listed  # the operator is shown what fills the slots
    if want.evidence and blind and state.candidate is not None:
        asked.add(state.candidate)
    return tuple(sorted(asked))
