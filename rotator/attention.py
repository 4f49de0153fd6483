"""What calls for the operator: holds, and findings with their severity. Imports nothing of rotator."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class HoldReason(StrEnum):
    """Why a rotation stopped and waits for the operator. docs/recovery.md has a section for each."""

    ADOPT_WHICH = "adopt_which"
    TWO_ROTATORS = "two_rotators"
    JOURNAL_BEHIND = "journal_behind"
    SLOTS_FULL = "slots_full"
    MAX_ATTEMPTS = "max_attempts"
    MINT_REFUSED = "mint_refused"
    UNATTRIBUTED = "unattributed"
    PUSH_REFUSED = "push_refused"
    PARTIAL_PUSH = "partial_push"
    STAMP_LOST = "stamp_lost"
    DEPENDENTS_DEGRADED = "dependents_degraded"
    CONTENDED = "contended"
    STILL_USED = "still_used"
    CLOCK = "clock"
    UNDONE = "undone"
    REVOKE_REFUSED = "revoke_refused"
    INTEGRATION_REMOVED = "integration_removed"
    CURRENT_DISABLED = "current_disabled"
    CURRENT_GONE = "current_gone"
    ENABLED_AGAIN = "enabled_again"
    NOT_TAKEN_UP = "not_taken_up"
    REFUSED_TO_REVOKE = "refused_to_revoke"


@dataclass(frozen=True, slots=True)
class Hold:
    """A held rotation: the reason, and a sentence that names the key, the integration or the service concerned."""

    reason: HoldReason
    detail: str


class Severity(StrEnum):
    """How much a finding concerns the operator."""

    NOTE = "note"  # worth knowing
    ACT = "act"  # it stops a rotation, or will, or cuts a consumer off: an alert


class FindingKind(StrEnum):
    """What a finding is about. docs/recovery.md has what to do about each that is an alert."""

    FROZEN = "frozen"
    CLOCK = "clock"
    KEY_LOST = "key_lost"
    LOCKOUT = "lockout"
    STAMP_LOST = "stamp_lost"
    OTHER_PUSH = "other_push"
    ENABLED_AGAIN = "enabled_again"
    STILL_LISTED = "still_listed"
    STILL_USED = "still_used"
    NOT_TAKEN_UP = "not_taken_up"
    USE_UNTOLD = "use_untold"
    SLOT_TAKEN = "slot_taken"
    FOREIGN_KEY = "foreign_key"
    ODD_KEY = "odd_key"
    LATE_KEY = "late_key"
    SUSPECT = "suspect"
    STILL_HELD = "still_held"
    KEY_WANTED = "key_wanted"
    UNMANAGED = "unmanaged"
    NOT_ADMITTED = "not_admitted"
    EXPOSED_FILE = "exposed_file"
    REQUEST_MOOT = "request_moot"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the operator should know, though nothing is held for it."""

    kind: FindingKind
    text: str
    severity: Severity = Severity.NOTE

    def same_as(self, other: Finding) -> bool:
        """They say the same, whatever numbers in them have moved on."""
        return self.kind is other.kind and same_but_for_numbers(self.text, other.text)


_NUMBER = re.compile(r"(?<![\w.-])(?<!\bkey )\d[\d.:]*(?:(?:ms|[smhd])\d*)*\b")
"""A number by itself: a count, a duration, a time of day. No part of an id, and not what is called a key."""


def same_but_for_numbers(one: str | None, other: str | None) -> bool:
    """Two texts say the same, whatever counts down in them."""
    if one is None or other is None:
        return one is other
    return _NUMBER.sub("0", one) == _NUMBER.sub("0", other)
