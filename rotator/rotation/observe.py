"""What has to be read before the next decision, and the reading of it. Nothing here changes anything outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Protocol, TypeVar

from rotator.material import Material
from rotator.model import Capabilities, Key, LastUse, Observation, Phase, Proof, State
from rotator.providers.base import Provider
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


def needs(state: State, times: Moment) -> Needs:
    """What to read. `times` needs to be right about time and memory only."""
    fresh, polled = Freshness.FRESH, Freshness.POLLED
    if state.to_delete or state.phase is Phase.NEW:
        return Needs(keys=True, integrations=fresh)
    if state.hold is not None:
        return Needs(keys=True, integrations=polled)
    match state.phase:
        case Phase.IDLE:
            begins = state.asked is not None or times.due is not None
            return Needs(keys=True, integrations=fresh if begins else polled)
        case Phase.MINTING:
            return Needs(
                keys=True, integrations=fresh if state.mint is None else polled, evidence=state.mint is not None
            )
        case Phase.PROVING:
            return Needs(proof=times.has_material)
        case Phase.PUSHING if times.has_material and not state.stopped:
            first = state.pushes_sent == 0
            return Needs(integrations=fresh if first else Freshness.NONE, dependents=first)
        case Phase.PUSHING | Phase.CONFIRMING:
            if not times.settled:
                return Needs()
            return Needs(
                keys=not times.has_material or state.stopped, integrations=fresh, dependents=True, evidence=True
            )
        case Phase.GRACE:
            return Needs(keys=True, integrations=fresh if times.grace_over else polled, evidence=times.grace_over)
        case Phase.QUARANTINE:
            over = times.quarantine_over or state.emergency
            return Needs(keys=True, integrations=fresh if over else polled)
        case Phase.DISABLING if _all_disabled(state):
            return Needs()
        case _:
            return Needs(keys=bool(state.to_revoke), integrations=fresh if state.to_revoke else Freshness.NONE)


def _all_disabled(state: State) -> bool:
    return all(record.disabled for record in state.keys if record.key_id in state.to_revoke)


class Within(Protocol):
    """Makes one read and gives it up at its deadline (`deadline.Watch.call`)."""

    def __call__(self, read: Callable[[], Read]) -> Read:
        """What was read. Raises CallFailed."""


def unwatched(read: Callable[[], Read]) -> Read:
    """For commands that a person can interrupt."""
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
    listing = within(provider.list_keys) if want.keys else None
    keys = listing.keys if listing is not None else None
    views = None
    if want.integrations is not Freshness.NONE:
        fresh = want.integrations is Freshness.FRESH
        views = tuple(within(partial(target.read, fresh=fresh)) for target in targets)
    asked = evidence_of(state, want, keys, provider.capabilities, blind=any(not target.stamped for target in targets))
    last_used: tuple[tuple[str, LastUse | None], ...] = tuple(
        (key_id, within(partial(provider.last_used, key_id))) for key_id in asked
    )
    dependents = tuple(pair for target in targets for pair in within(target.dependents)) if want.dependents else ()
    proof = within(partial(candidate.prove, provider)) if want.proof and candidate is not None else None
    return Observation(
        keys=keys,
        cloud_time=listing.cloud_time if listing is not None else None,
        integrations=views,
        last_used=last_used,
        proof=proof,
        proofs=candidate.proofs if candidate is not None else 0,
        dependents=dependents,
    )


def evidence_of(
    state: State, want: Needs, keys: tuple[Key, ...] | None, can: Capabilities, *, blind: bool
) -> tuple[str, ...]:
    """The keys whose last use the next decision asks for."""
    if not can.has_evidence:
        return ()
    listed = {key.key_id for key in keys or ()}
    asked = {suspect.key_id for suspect in state.suspects} & listed
    if want.evidence and state.phase is Phase.GRACE:
        asked |= set(state.to_revoke) & listed
    if want.evidence and state.mint is not None:
        asked |= listed - state.mint.listed - {record.key_id for record in state.keys}
    minting_next = state.mint is None and state.phase in {Phase.IDLE, Phase.MINTING}
    if minting_next and want.integrations is Freshness.FRESH and can.slots is not None and len(listed) >= can.slots:
        asked |= listed  # what fills the slots is told to a person
    if want.evidence and blind and state.candidate is not None:
        asked.add(state.candidate)
    return tuple(sorted(asked))


class Candidate:
    """The candidate's material while this process holds it, and how often in a row it has proved alive.

    `generation` ties it to its mint: material of another mint is never pushed under this one's stamp.
    """

    __slots__ = ("generation", "material", "proofs")

    def __init__(self, generation: int, material: Material) -> None:
        self.generation = generation
        self.material = material
        self.proofs = 0

    def prove(self, provider: Provider) -> Proof:
        """Use it once. Anything but a success starts the count again."""
        proof = provider.prove(self.material)
        self.proofs = self.proofs + 1 if proof is Proof.ALIVE else 0
        return proof
