"""What an operator can do about each hold, in a sentence or two; docs/recovery.md says it at length."""

from __future__ import annotations

import re

from rotator.attention import Hold, HoldReason
from rotator.model import State

GUIDE = "docs/recovery.md"
"""Has a section for each reason, under its very name."""

# NAME stands for the credential's name; OLD, CURRENT and CANDIDATE for its keys.
REMEDIES: dict[HoldReason, str] = {
    HoldReason.ADOPT_WHICH: (
        "rotator doesn't know which key is in use. `rotator adopt NAME` lists the keys with their age and last use, and"
        " asks. If Northflank holds none of them, or a dead one: `rotator adopt NAME --unmanaged`."
    ),
    HoldReason.TWO_ROTATORS: (
        "stop the other rotator, or remove the credential from its config. If the other rotator's store is lost:"
        " `rotator adopt NAME --take-over`."
    ),
    HoldReason.JOURNAL_BEHIND: (
        "stop rotator and restore the newest copy of the store. If there is no copy: `rotator adopt NAME --take-over`."
    ),
    HoldReason.SLOTS_FULL: (
        "the hold names the key to look at first, with the cloud's own command that deletes it, or says why it can name"
        " none. The hold ends by itself when a slot is free. If a key that no integration shows fills the slot, and you"
        " are certain that it is unused: `rotator resume NAME --accept-silence`."
    ),
    HoldReason.MAX_ATTEMPTS: "fix what failed (`rotator show NAME` lists each attempt), then `rotator resume NAME`.",
    HoldReason.MINT_REFUSED: (
        "grant the right that the cloud says is missing (`rotator check`), then `rotator resume NAME`."
    ),
    HoldReason.UNATTRIBUTED: (
        "name each key in doubt as rotator's or not: `rotator resume NAME --ours KEY --foreign KEY`. rotator deletes"
        " the keys that --ours names."
    ),
    HoldReason.PUSH_REFUSED: "fix what Northflank refused (`rotator check`), then `rotator resume NAME`.",
    HoldReason.PARTIAL_PUSH: (
        "fix the integration that did not take the key, then `rotator resume NAME`; or accept that the integration"
        " loses access until the next push: `rotator resume NAME --cut INTEGRATION`."
    ),
    HoldReason.STAMP_LOST: (
        "read the guide first. `rotator show NAME` shows the stamp of CANDIDATE: end the integration's description"
        " with that stamp, unless you are certain that the integration still holds the key from before: the hold then"
        " ends by itself. If you are certain that the integration holds CURRENT:"
        " `rotator resume NAME --still-holds` lets the description as it is now stand for that key."
    ),
    HoldReason.DEPENDENTS_DEGRADED: (
        "fix what got worse, then `rotator resume NAME`, which accepts the present state. CURRENT still works."
    ),
    HoldReason.CONTENDED: "find and stop the other writer of the integration, then `rotator resume NAME`.",
    HoldReason.STILL_USED: (
        "move what uses OLD to CURRENT, then `rotator resume NAME`. `rotator resume NAME --accept-use` revokes OLD"
        " although it is used."
    ),
    HoldReason.CLOCK: (
        "set this machine's clock (NTP): the hold ends by itself when the clocks agree. `rotator resume NAME` looks"
        " again at once."
    ),
    HoldReason.UNDONE: (
        "OLD stays enabled. `rotator resume NAME` revokes OLD after all; `rotator abandon NAME` ends the rotation, and"
        " from then on OLD is the operator's to delete."
    ),
    HoldReason.REVOKE_REFUSED: (
        "grant the right that the cloud says is missing (`rotator check`), then `rotator resume NAME`."
    ),
    HoldReason.INTEGRATION_REMOVED: (
        "put the integration back into the config and reload, or accept that the integration loses access:"
        " `rotator resume NAME --cut INTEGRATION`."
    ),
    HoldReason.CURRENT_DISABLED: (
        "find out who disabled CURRENT, and why: rotator never enables CURRENT. `rotator resume NAME` mints and pushes"
        " a fresh key at once; `rotator adopt NAME` names a key that an operator put into the integration. If CURRENT"
        " is enabled again in the cloud, the hold ends by itself."
    ),
    HoldReason.CURRENT_GONE: (
        "`rotator resume NAME` mints and pushes a fresh key at once; `rotator adopt NAME` names a key that an operator"
        " put into the integration."
    ),
    HoldReason.ENABLED_AGAIN: (
        "find out who needs the key that the hold names. `rotator resume NAME` disables that key again and goes on; if"
        " the key is disabled in the cloud, the hold ends by itself."
    ),
    HoldReason.NOT_TAKEN_UP: (
        "make a consumer use the integration: once the cloud shows a use of CURRENT, the hold ends by itself."
        " `rotator resume NAME` waits for max_grace again; `rotator resume NAME --accept-silence` revokes OLD"
        " although CURRENT seems unused."
    ),
    HoldReason.REFUSED_TO_REVOKE: (
        "report this as a bug in rotator; nothing was revoked. `rotator resume NAME` looks again."
    ),
}


_WORDS = re.compile(r"\b(NAME|OLD|CURRENT|CANDIDATE)\b")


def remedy(hold: Hold, name: str, state: State, *, below: str = "") -> str:
    """What an operator can do about this hold of this credential, by the names of its keys, and where to read on.

    Args:
        hold: the hold.
        name: the credential.
        state: the journal's row.
        below: the command that says it, where what the remedy names is shown below.
    """
    words = {
        "NAME": name,
        "OLD": f"old key {', '.join(state.to_revoke)}" if state.to_revoke else "the old key",
        "CURRENT": f"key {state.current}" if state.current is not None else "the current key",
        "CANDIDATE": f"key {state.candidate}" if state.candidate is not None else "the new key",
    }
    text = REMEDIES[hold.reason]
    if below:
        text = text.replace(f"`rotator {below} NAME`", "this command, below,")
    said = _WORDS.sub(lambda word: words[word[0]], text)
    return f"{said} See {GUIDE}#{hold.reason.value}"
