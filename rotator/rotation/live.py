"""What this process's memory holds of each credential, beside the journal: lost at its end, and when one leaves."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from rotator.material import Material
from rotator.model import Outcome, Proof, State
from rotator.providers.base import Proves
from rotator.rotation.deadline import GivenUp
from rotator.rotation.pulse import Pulse

_SIGN_EVERY = 5.0
"""Seconds between signs of life of a thread that waits for its turn."""


class Candidate:
    """The candidate's material while this process holds it, and how often in a row it has proved alive."""

    __slots__ = ("material", "proofs")

    def __init__(self, material: Material) -> None:
        self.material = material
        self.proofs = 0

    def prove(self, proves: Proves) -> Proof:
        """Use it once. Anything but a success starts the count again."""
        proof = proves.prove(self.material)
        self.proofs = self.proofs + 1 if proof is Proof.ALIVE else 0
        return proof


class Live:
    """What this process knows of one credential. Only the thread that has the credential's turn changes it.

    Attributes:
        outcome: of the open call, while the journal could not take it.
        unread: how many looks in a row could not read the outside.
        given_up: the calls that may still be under way.
    """

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        self.unread = 0
        self.given_up = GivenUp()
        self._candidate: Candidate | None = None
        self._generation = 0
        self._unsettled: float | None = None
        self._first_seen: dict[datetime, float] = {}

    def take(self, material: Material, generation: int) -> None:
        """Hold the candidate's material: the one way in.

        `generation` ties it to its mint: material of another mint is never pushed under this one's stamp.
        """
        self._candidate, self._generation = Candidate(material), generation

    def candidate(self, generation: int) -> Candidate | None:
        """The candidate of this mint, if its material is here."""
        return self._candidate if self._generation == generation else None

    def drop_material(self) -> None:
        """The candidate was confirmed or given up."""
        self._candidate = None

    @property
    def holds_material(self) -> bool:
        """A candidate would be lost if this process ended now."""
        return self._candidate is not None

    def unsettle(self, monotonic: float) -> None:
        """A call was left without an answer, or ended late: `settle` begins now (seconds)."""
        self._unsettled = monotonic

    def settle_left(self, settle: timedelta, monotonic: float) -> timedelta:
        """How much of `settle` is left by the monotonic clock, which no jump of the wall clock cuts short; or zero."""
        if self._unsettled is None:
            return timedelta(0)
        return max(timedelta(0), settle - timedelta(seconds=monotonic - self._unsettled))

    def age(self, moment: datetime, monotonic: float) -> timedelta:
        """How long ago a moment of the journal was, by the monotonic clock: since this process first met it.

        A start meets moments that may be long past. That a short wait begins anew there is the price of not believing
        the wall clock, which may have been set meanwhile.
        """
        return timedelta(seconds=monotonic - self._first_seen.setdefault(moment, monotonic))

    def settles_in(self, state: State, settle: timedelta, monotonic: float) -> timedelta:
        """How long until the next of the waits that are `settle` long is over; zero where none runs."""
        moments = [at for at in (state.unsettled_since, state.changed_at, state.lost_since) if at is not None]
        left = [settle - self.age(at, monotonic) for at in moments]
        return min(
            filter(None, (max(wait, timedelta(0)) for wait in (*left, self.settle_left(settle, monotonic)))),
            default=timedelta(0),
        )

    def forget_moments(self, state: State) -> None:
        """Keep only the moments that the journal still has."""
        kept = {state.since, state.unsettled_since, state.changed_at, state.lost_since, state.clock_off_since}
        self._first_seen = {moment: seen for moment, seen in self._first_seen.items() if moment in kept}

    def forget(self) -> None:
        """Keep nothing but the calls under way, and `settle`: these are still true of a credential that left."""
        self.outcome = self._candidate = None
        self.unread = 0


class _Place:
    """One credential's place in the memory: its `Live`, the lock that is its turn, and who uses or waits for it."""

    def __init__(self) -> None:
        self.live = Live()
        self.turn = threading.Lock()
        self.users = 0
        self.left = False


class Memory:
    """Gives each credential's `Live` to one thread at a time (P6). Thread-safe.

    A credential is known by its cloud identity, as in the journal: one that is renamed is the same one, and two
    that swap their names don't swap their material.

    Args:
        pulse: a thread that waits for its turn, or has it, gives signs of life to it.
    """

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse
        self._places: dict[str, _Place] = {}
        self._configured: Collection[str] | None = None
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, identity: str, name: str) -> Iterator[Live]:
        """Wait until no other thread works at this credential; none does in the `with` block.

        Args:
            identity: the credential's.
            name: what the pulse calls it.
        """
        with self._lock:
            place = self._places.setdefault(identity, _Place())
            place.users += 1
        try:
            while not place.turn.acquire(timeout=_SIGN_EVERY):
                self._pulse.beat()  # for what else this thread is at: the one that has the turn gives signs of its own
            try:
                with self._pulse.working(name):
                    yield place.live
            finally:
                place.turn.release()
        finally:
            with self._lock:
                place.users -= 1
                self._leave(identity, place)

    def peek(self, identity: str) -> Live:
        """Without waiting for the turn: for a question, and for the end of the process. Empty if nothing is known."""
        with self._lock:
            place = self._places.get(identity)
        return place.live if place is not None else Live()

    def keep(self, identities: Collection[str]) -> None:
        """Drop what is known of all other credentials: they left the config.

        One that a thread works at is dropped once that thread is done, whether or not the credential is back by then.
        Of one whose calls may still be under way only these are kept.
        """
        with self._lock:
            self._configured = identities
            for identity, place in tuple(self._places.items()):
                place.left = place.left or identity not in identities
                self._leave(identity, place)

    def _leave(self, identity: str, place: _Place) -> None:
        unknown = self._configured is not None and identity not in self._configured
        if place.users or not (place.left or unknown):
            return
        place.left = False
        if place.live.given_up.busy():
            place.live.forget()
        else:
            del self._places[identity]
