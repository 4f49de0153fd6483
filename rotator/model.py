"""The words of the project as values: frozen, secret-free, imported by all, importing nothing of rotator but errors."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.attention import Finding, Hold
from rotator.errors import Verdict


class Phase(StrEnum):
    """Where a credential stands. `NEW` has no journal row yet, `IDLE` no rotation in flight."""

    NEW = "new"
    IDLE = "idle"
    MINTING = "minting"
    PROVING = "proving"
    PUSHING = "pushing"
    CONFIRMING = "confirming"
    GRACE = "grace"
    DISABLING = "disabling"
    QUARANTINE = "quarantine"
    DELETING = "deleting"


UNMANAGED = "unmanaged"
"""The key in use, where an operator states that Northflank holds none of the listed keys: all are left alone."""


class Origin(StrEnum):
    """How a key came to be known. Only MINTED and ADOPTED keys are ours to revoke."""

    MINTED = "minted"
    ADOPTED = "adopted"
    FOREIGN = "foreign"
    RELEASED = "released"  # was ours; the operator let it go; foreign from then on
    SUSPECT = "suspect"  # attributed to a lost mint by inference; disabled, and undoable


@dataclass(frozen=True, slots=True)
class Key:
    """One key as the cloud lists it. Never its secret. Times are aware UTC.

    `mark` is what the cloud shows of the intent that made it (a display name, a public key, a fingerprint), where it
    has such a thing; it equals the intent's mark exactly when the key is that intent's.

    `odd` is what of it could not be read, where that is more than nothing: such a key counts, and can be acted on by
    its id, but nothing is concluded from what it does not show.
    """

    key_id: str
    created_at: datetime
    enabled: bool = True
    expires_at: datetime | None = None
    mark: str | None = None
    odd: str | None = None


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What the journal knows of one key: a value that each transition may replace, its origin and flags included."""

    key_id: str
    origin: Origin
    generation: int = 0
    hint: str | None = None  # what a stamp shows of the key; None where the id itself is secret
    sent: bool = False  # a push of it was journalled, or Northflank held it when it was adopted
    disabling: bool = False  # a DISABLE of ours was journalled, and no settled look has shown the key enabled since
    disabled: bool = False  # that DISABLE was answered, and no ENABLE of ours was journalled since
    enabled_again: bool = False  # it was seen enabled after that answer: another than rotator needs it
    deleting: bool = False  # a DELETE intent was journalled: it is never current again
    gone_at: datetime | None = None  # when its deletion was answered
    pushed_at: datetime | None = None  # when its first push was about to be sent, by the vendor's clock


@dataclass(frozen=True, slots=True)
class Stamp:
    """The short text by which an integration's description says which push Northflank applied last."""

    store: str
    generation: int
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class IntegrationView:
    """What a read of one integration showed.

    Args:
        integration: its id.
        description: None where it has none.
        stamp: what the description says of the last push, where it says anything.
        echoed_key: the key id in the answer's credentials, if it has one.
        at: the Date header of an answer that was asked for now (aware UTC); None from a shared list.
    """

    integration: str
    description: str | None
    stamp: Stamp | None = None
    echoed_key: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LastUse:
    """Evidence of use of a key: when (aware UTC, as late as the cloud shows it), by which service, in which region."""

    at: datetime
    service: str = ""
    region: str = ""


class Proof(StrEnum):
    """The result of one use of the candidate against the cloud itself."""

    ALIVE = "alive"
    NOT_YET = "not_yet"  # what a key says that has not propagated
    DEAD = "dead"  # the cloud says that it can never work
    CLOCK = "clock"  # refused because of the clock: says nothing about the key


class Change(StrEnum):
    """The kinds of external change."""

    CREATE = "create"
    PUSH = "push"
    DISABLE = "disable"
    ENABLE = "enable"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Call:
    """One external change: of a key, or of an integration (a push)."""

    change: Change
    key_id: str | None = None
    integration: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call, without the material. `key` is set for a CREATE that is DONE."""

    verdict: Verdict
    key: Key | None = None
    hint: str | None = None
    code: str = ""
    message: str = ""
    request_id: str | None = None
    permanent: bool = False
    slots_full: bool = False
    retry_after: timedelta | None = None
    withheld: bool = False  # rotator itself didn't send it: the audit log was behind, or rotator was stopping


@dataclass(frozen=True, slots=True)
class Reply:
    """A change that was made. `request_id` is the vendor's id of the request."""

    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class MintIntent:
    """What was known right before a CREATE, so that a lost reply can be resolved by looking.

    Args:
        listed: the ids of all keys that existed before the call.
        at: when, by the cloud's own Date header of that list, or the best that stands in for it (aware UTC).
        mark: what identifies the key in the cloud before its id is known; None where nothing does.
        by_cloud: `at` is the cloud's own time, with which the age of its keys can be compared.
    """

    listed: frozenset[str]
    at: datetime
    mark: str | None = None
    by_cloud: bool = True


@dataclass(frozen=True, slots=True)
class LostMint:
    """A mint whose key was not found after `settle`. Its key may still appear, however late."""

    rotation_id: str
    at: datetime
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class Suspect:
    """A disabled key that is probably ours; deleted at `until` unless it was used or undone.

    Args:
        key_id: the key.
        until: the end of its quarantine by our clock (aware UTC).
        until_vendor: the same by the vendor's clock; None until an answer has shown that.
    """

    key_id: str
    until: datetime
    until_vendor: datetime | None = None


@dataclass(frozen=True, slots=True)
class Vouched:
    """A text that stands for a key: the operator, or an adoption, states that the integration holds it."""

    integration: str
    description: str | None
    key_id: str


@dataclass(frozen=True, slots=True)
class Rotation:
    """One run of the state machine.

    Args:
        rotation_id: its id.
        reason: why it began.
        started_at: when (aware UTC).
        now: it ignores the window.
        emergency: it ignores window, grace and quarantine.
        silence_accepted: the operator takes the silence of the old key for proof that no consumer needs it.
        use_told: the cloud has answered a question about use since the rotation began.
    """

    rotation_id: str
    reason: str
    started_at: datetime
    now: bool = False
    emergency: bool = False
    silence_accepted: bool = False
    use_told: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A rotation that the operator asked for, and which waits to begin.

    Args:
        reason: why it will have begun.
        now: it ignores the window.
        emergency: a key leaked: it ignores window, grace and quarantine.
        key_id: the key that it is to replace; without that key it has nothing to do. None: no key was current.
    """

    reason: str
    now: bool = False
    emergency: bool = False
    key_id: str | None = None


@dataclass(frozen=True, slots=True)
class State:
    """All that the journal knows of one credential: one value, replaced whole by each transition.

    docs/state-machine.md explains each field. Tuples of key ids keep their order.
    """

    phase: Phase = Phase.NEW
    hold: Hold | None = None
    generation: int = 0
    rotation: Rotation | None = None
    asked: Asked | None = None
    attempts: int = 0
    failures: int = 0  # calls and reads that failed in a row: drives the backoff
    not_before: datetime | None = None
    waits: timedelta | None = None  # how long that was when it began, should the clock be set meanwhile
    roll_forwards: int = 0
    since: datetime | None = None  # when the present phase began, or its wait was started again
    since_vendor: datetime | None = None  # the same by the vendor's clock, once an answer has shown it
    current: str | None = None
    # when it was confirmed, by the vendor's clock where an answer showed it; for an adopted key, when the cloud made it
    current_since: datetime | None = None
    lost_since: datetime | None = None  # since when looks have shown the current key disabled by others, or gone
    candidate: str | None = None
    mint: MintIntent | None = None
    call: Call | None = None  # an intent without an outcome
    pushes_sent: int = 0  # pushes of the candidate that may have been sent
    pushed_at: datetime | None = None  # when the first of them was about to be sent
    texts_before: tuple[tuple[str, str | None], ...] = ()  # integration, its description before the push
    vouched: tuple[Vouched, ...] = ()  # texts that stand for a key, until the next confirm
    baseline: tuple[tuple[str, str], ...] = ()  # dependent, its state before the push
    accepted: frozenset[str] = frozenset()  # integrations that accepted the candidate's push
    refused: frozenset[str] = frozenset()  # integrations that refused it
    stopped: bool = False  # a refusal ended the pushes of the candidate
    unsettled_since: datetime | None = None  # from when `settle` counts
    changed_at: datetime | None = None  # the last answered change of a key: lists may lag for `settle` after it
    clock_off_since: datetime | None = None  # since when our clock and the vendor's have been apart
    to_revoke: tuple[str, ...] = ()  # old keys, recorded at the confirm
    maybe_held: tuple[str, ...] = ()  # keys that an integration may hold
    to_delete: tuple[str, ...] = ()  # keys that were given up
    undone: tuple[str, ...] = ()  # keys that the operator asked back
    suspects: tuple[Suspect, ...] = ()
    lost_mints: tuple[LostMint, ...] = ()
    accepted_loss: frozenset[str] = frozenset()  # integrations whose loss of access the operator accepted
    keys: tuple[KeyRecord, ...] = ()
    confirmed_in: frozenset[str] = frozenset()  # the integrations that the current key was confirmed in
    stores: frozenset[str] = frozenset()  # ids of other stores of which texts were accepted
    paused: bool = False
    error: str | None = None  # the last call that failed, until one succeeds
    unread: str | None = None  # why the outside can't be observed now
    unread_since: datetime | None = None  # since when
    findings: tuple[Finding, ...] = ()  # of the last look

    def record(self, key_id: str | None) -> KeyRecord | None:
        """The journal's row of this key, or None."""
        return next((record for record in self.keys if record.key_id == key_id), None)

    def with_record(self, record: KeyRecord) -> State:
        """The same state with this key's row added or replaced."""
        others = tuple(known for known in self.keys if known.key_id != record.key_id)
        return replace(self, keys=(*others, record))

    @property
    def emergency(self) -> bool:
        """True while a leaked key is being rotated: windows, grace and quarantine don't apply."""
        return self.rotation is not None and self.rotation.emergency

    @property
    def in_flight(self) -> bool:
        """True while a rotation runs."""
        return self.phase not in {Phase.NEW, Phase.IDLE}


@dataclass(frozen=True, slots=True)
class ByHand:
    """The cloud's own commands by which an operator deletes, and perhaps disables, a key. `{key}` stands for its id."""

    delete: str
    disable: str | None = None

    def delete_of(self, key_id: str) -> str:
        """The command that deletes this key."""
        return self.delete.replace("{key}", shlex.quote(key_id))

    def disable_of(self, key_id: str) -> str | None:
        """The command that disables this key, where the cloud can."""
        return None if self.disable is None else self.disable.replace("{key}", shlex.quote(key_id))


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a cloud can do; the state machine asks for these and never for a cloud's name.

    Args:
        slots: how many keys a credential may have, disabled ones included; None without a limit.
        can_disable: keys can be disabled and enabled again.
        exact: a key made by a lost call can be recognised by its mark.
        has_evidence: the cloud shows when a key was last used.
        use_resolution: how coarse the time of a use is, as the cloud shows it.
        use_lag: how long after a use the cloud may still not show it.
        provable: a candidate can be used by rotator itself before it is pushed.
        supplied: the operator makes the keys, and each ends the one before at once. A rotation begins when a new one
            is there, whatever the window; there is nothing to wait out and nothing to revoke.
        by_hand: the cloud's own commands for its keys, to show to an operator.
    """

    slots: int | None
    can_disable: bool
    exact: bool
    has_evidence: bool
    provable: bool = True
    supplied: bool = False
    use_resolution: timedelta = timedelta(0)
    use_lag: timedelta = timedelta(0)
    use_is_certain: bool = True
    by_hand: ByHand | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What one look at the outside showed. What was not looked at is None.

    Args:
        keys: the cloud's list of the credential's keys.
        cloud_time: the Date header of that list's answer (aware UTC).
        integrations: a view of each integration.
        last_used: key id and its last use (None: never), for the keys that were asked about.
        use_untold: why the cloud does not say when keys were used, where the config leaves that open; else None.
        proof: the latest use of the candidate; `proofs` counts the successes in a row up to it.
        dependents: what depends on the integrations, and its state.
        exposed: the files of rotator's own that others can write: of each, what is wrong and what puts it right.
    """

    keys: tuple[Key, ...] | None = None
    cloud_time: datetime | None = None
    integrations: tuple[IntegrationView, ...] | None = None
    last_used: tuple[tuple[str, LastUse | None], ...] = ()
    use_untold: str | None = None
    proof: Proof | None = None
    proofs: int = 0
    dependents: tuple[tuple[str, str], ...] = ()
    exposed: tuple[str, ...] = ()

    @property
    def vendor_time(self) -> datetime | None:
        """What time it is outside: by the cloud's Date header, else by Northflank's of the same look."""
        shown = [view.at for view in self.integrations or () if view.at is not None]
        return self.cloud_time or max(shown, default=None)
