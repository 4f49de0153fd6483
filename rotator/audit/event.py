"""What an audit event says. The vocabulary is fixed and documented in docs/audit.md."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EventName(StrEnum):
    """What happened, or is about to."""

    KEY_ADOPTED = "key.adopted"
    KEY_CLASSIFIED = "key.classified"
    KEY_RELEASED = "key.released"
    KEY_CREATE = "key.create"
    KEY_PROVED = "key.proved"
    KEY_DISABLE = "key.disable"
    KEY_ENABLE = "key.enable"
    KEY_DELETE = "key.delete"
    INTEGRATION_PUSH = "integration.push"
    INTEGRATION_CONFIRMED = "integration.confirmed"
    ROTATION_STARTED = "rotation.started"
    ROTATION_PHASE = "rotation.phase"
    ROTATION_ROLLED_FORWARD = "rotation.rolled_forward"
    ROTATION_HELD = "rotation.held"
    ROTATION_RESUMED = "rotation.resumed"
    ROTATION_ABANDONED = "rotation.abandoned"
    ROTATION_DONE = "rotation.done"
    READ_FAILED = "read.failed"
    FINDING = "finding"
    REQUEST_ANSWERED = "request.answered"
    CREDENTIAL_RENAMED = "credential.renamed"
    CREDENTIAL_FORGOTTEN = "credential.forgotten"
    DAEMON_STARTED = "daemon.started"
    DAEMON_STOPPED = "daemon.stopped"
    CONFIG_RELOADED = "config.reloaded"
    OWNERSHIP_TAKEN = "ownership.taken"
    AUDIT_RESUMED = "audit.resumed"


class Result(StrEnum):
    """The `outcome` field: an intent, its outcome, or a plain fact."""

    INTENT = "intent"
    DONE = "done"
    REFUSED = "refused"
    NOT_APPLIED = "not_applied"
    UNKNOWN = "unknown"
    FACT = "fact"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One audit event as its author knows it; the journal adds time, sequence, fence and the chain.

    `actor` is `schedule`, `recovery`, or `uid:N` followed by `claimed:NAME`. No field ever holds material.
    `reason` and `code` may carry text from outside; it has been escaped and capped.
    """

    event: EventName
    outcome: Result = Result.FACT
    actor: str = "schedule"
    credential: str | None = None
    provider: str | None = None
    rotation: str | None = None
    generation: int | None = None
    integration: str | None = None
    key_ids: tuple[str, ...] = ()
    phase: str | None = None
    reason: str = ""
    code: str = ""
    request_id: str | None = None
