"""Every error that rotator raises on purpose: what happened, what rotator did about it, what the operator can do.

No message, argument or attribute ever holds a secret. Text that came from outside passes through `outside_text`
before it is put into one.
"""

from __future__ import annotations

import traceback
from datetime import timedelta
from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """How the process ended, for its caller."""

    FINE = 0
    ERROR = 1
    USAGE = 2
    OTHER_OWNER = 3
    HELD = 4


class RotatorError(Exception):
    """The base of all: `message` says what happened, `remedy` what the operator can do about it."""

    exit_code = ExitCode.ERROR

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  -> {self.remedy}" if self.remedy else self.message


def unforeseen(bug: Exception) -> str:
    """What to say of an exception that nothing foresaw: its type and its place, not its words, which may quote."""
    frames = traceback.extract_tb(bug.__traceback__)
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"
    return f"an unforeseen {type(bug).__name__} at {where}. This is a bug."


class UsageError(RotatorError):
    """The command line asks for something that doesn't exist or isn't allowed."""

    exit_code = ExitCode.USAGE


class ConfigError(RotatorError):
    """The config can't be used. `problems` holds one line each, with file, line and field."""

    exit_code = ExitCode.USAGE

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems), remedy="`rotator check` reads it again; nothing was started or changed.")
        self.problems = problems


class StoreError(RotatorError):
    """The journal can't be read or written. Nothing outside is changed without it."""


class OtherOwner(StoreError):
    """Another process owns the store."""

    exit_code = ExitCode.OTHER_OWNER


class StaleFence(StoreError):
    """A newer owner has taken over: this process must change nothing any more."""

    exit_code = ExitCode.OTHER_OWNER


class AuditError(RotatorError):
    """A required audit sink can't be written, or the chain is broken."""


class Verdict(StrEnum):
    """What is known about a call that changes something outside."""

    DONE = "done"
    REFUSED = "refused"  # definitely not applied, and the answer says why
    NOT_APPLIED = "not_applied"  # definitely not applied, only a matter of time: throttled, or never sent
    UNKNOWN = "unknown"  # may have been applied, may still be


class CallFailed(RotatorError):
    """A call to a cloud or to Northflank did not succeed.

    Args:
        message: what happened, one line, secret-free; outside text has passed `outside_text`.
        verdict: REFUSED, NOT_APPLIED or UNKNOWN; for calls that only read, REFUSED means that asking again won't help.
        code: the vendor's error code or the HTTP status, as text.
        request_id: the vendor's id of the request, where the answer had one.
        permanent: a refusal that only an operator can clear (auth, permission, validation, policy, not found).
        slots_full: the refusal says that the cloud's limit of keys is reached.
        retry_after: how long the vendor asks us to wait.
        untold: of a read of a last use: the cloud would tell it, but rotator lacks the right to ask, and the config
            doesn't insist (`evidence: auto`).
    """

    def __init__(
        self,
        message: str,
        *,
        verdict: Verdict,
        code: str,
        request_id: str | None = None,
        permanent: bool = False,
        slots_full: bool = False,
        retry_after: timedelta | None = None,
        untold: bool = False,
        remedy: str = "",
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.verdict = verdict
        self.code = code
        self.request_id = request_id
        self.permanent = permanent
        self.slots_full = slots_full
        self.retry_after = retry_after
        self.untold = untold
