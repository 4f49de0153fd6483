"""What a person can do about each hold, in a sentence or two; docs/recovery.md says it at length."""

from __future__ import annotations

from rotator.model import Hold, HoldReason

GUIDE = "docs/recovery.md"
"""Has a section for each reason, under its very name."""

REMEDIES: dict[HoldReason, str] = {
    HoldReason.ADOPT_WHICH: (
        "rotator doesn't know which key is in use. `rotator adopt NAME` shows each key's age and last use, and asks."
    ),
    HoldReason.TWO_ROTATORS: (
        "stop the other rotator, or take the credential out of its config. If its store is lost:"
        " `rotator adopt NAME --take-over`."
    ),
    HoldReason.JOURNAL_BEHIND: (
        "stop rotator and put the newest copy of the store back. If there is none: `rotator adopt NAME --take-over`."
    ),
    HoldReason.SLOTS_FULL: "delete the key that nobody needs in the cloud, then `rotator resume NAME`.",
    HoldReason.MAX_ATTEMPTS: "`rotator show NAME` tells what failed each time; mend it, then `rotator resume NAME`.",
    HoldReason.MINT_REFUSED: "grant what the cloud says is missing (`rotator check`), then `rotator resume NAME`.",
    HoldReason.UNATTRIBUTED: (
        "say what each of those keys is: `rotator resume NAME --ours KEY --foreign KEY`. Ours are deleted."
    ),
    HoldReason.PUSH_REFUSED: "mend what Northflank says (`rotator check`), then `rotator resume NAME`.",
    HoldReason.PARTIAL_PUSH: (
        "mend the integration that did not take the key, then `rotator resume NAME`; or accept that it loses access"
        " until the next push: `rotator resume NAME --cut INTEGRATION`."
    ),
    HoldReason.STAMP_LOST: (
        "`rotator show NAME` has the stamp that the new key's push writes: end the description with it, unless it is"
        " certain that the integration still holds the old key. Then `rotator resume NAME`. Read the guide first:"
        " the text is taken at its word."
    ),
    HoldReason.DEPENDENTS_DEGRADED: (
        "mend what got worse, then `rotator resume NAME`: it takes the present state as good. The old key still works."
    ),
    HoldReason.CONTENDED: "find out who else writes to the integration and stop it, then `rotator resume NAME`.",
    HoldReason.STILL_USED: (
        "move whoever uses the old key, then `rotator resume NAME`. `rotator resume NAME --accept-use` revokes the key"
        " although it is used."
    ),
    HoldReason.CLOCK: "set this machine's clock (NTP), then `rotator resume NAME`.",
    HoldReason.UNDONE: (
        "the old key stays enabled. `rotator resume NAME` revokes it after all, `rotator abandon NAME` leaves it to"
        " you."
    ),
    HoldReason.REVOKE_REFUSED: "grant what the cloud says is missing (`rotator check`), then `rotator resume NAME`.",
    HoldReason.INTEGRATION_REMOVED: (
        "put the integration back into the config and reload, or accept that it loses access:"
        " `rotator resume NAME --cut INTEGRATION`."
    ),
}


def remedy(hold: Hold, name: str) -> str:
    """What a person can do about this hold of this credential, and where to read on."""
    return f"{REMEDIES[hold.reason].replace('NAME', name)} See {GUIDE}#{hold.reason.value}"
