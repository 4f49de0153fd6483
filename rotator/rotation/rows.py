"""The table of the state machine: its rows by name, with the rules that they keep. docs/state-machine.md is this table.

The functions that decide are elsewhere in this room; each step that they return names the row that matched.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from rotator.rotation.rules import SafetyRule


class Row(StrEnum):
    """One row of the table: what is seen, and the step that follows. The first row that matches wins.

    The value is the row's number, as `rotator plan --json`, comments and docs cite it. `rules` are those that the row
    itself keeps.
    """

    sentence: str
    rules: tuple[SafetyRule, ...]

    def __new__(cls, number: str, sentence: str, *rules: SafetyRule) -> Self:
        """A row by its number, with the sentence that states it and the rules that it keeps."""
        row = str.__new__(cls, number)
        row._value_ = number
        row.sentence = sentence
        row.rules = rules
        return row

    # In every phase but new.
    JOURNAL_BEHIND = (
        "1",
        "A stamp of this store shows a higher generation than the journal: hold (journal_behind).",
    )
    TWO_ROTATORS = "2", "A description carries another store's stamp: hold (two_rotators)."
    ENABLE_NAMED = (
        "3",
        "An integration is shown to hold a key that rotator disabled, and whose deletion has not begun: ENABLE it.",
        SafetyRule.ROLL_FORWARD_ORDER,
        SafetyRule.POINT_OF_NO_RETURN,
        SafetyRule.OWN_ACTS_ONLY,
    )
    SEEN_ENABLED = (
        "54",
        (
            "A settled look shows a key that rotator disabled as enabled: where the DISABLE was answered, record that "
            "others enabled it; else forget the DISABLE. One that others enabled is disabled again: forget that."
        ),
        SafetyRule.OWN_ACTS_ONLY,
        SafetyRule.LISTS_LAG,
    )
    ENABLED_AGAIN = (
        "55",
        "`to_revoke` or `to_delete` holds a key that others enabled again: hold (enabled_again).",
        SafetyRule.OWN_ACTS_ONLY,
    )
    CURRENT_LOST = (
        "56",
        (
            "Others disabled or deleted the current key: record since when. A look `settle` later shows the same, and "
            "no push of a candidate was sent: hold (current_disabled, current_gone), or mint and push a fresh key at "
            "once where `on_lost` says so."
        ),
        SafetyRule.LOST_KEYS_ARE_SEEN,
        SafetyRule.LISTS_LAG,
    )
    FROZEN = "4", "The operator froze every change: wait. Only row 3 may change something, since it ends a lockout."
    GIVE_BACK = (
        "53",
        (
            "rotator disabled a key that the operator asked back: ENABLE it. If a rotation would revoke it: hold "
            "(undone)."
        ),
        SafetyRule.UNDONE_STAYS,
        SafetyRule.OWN_ACTS_ONLY,
    )
    DELETE_GIVEN_UP = (
        "5",
        (
            "`to_delete` holds a key: DELETE it. If a push of it was ever sent: keep it if an integration is shown to "
            "hold it, or hold (stamp_lost) if a description proves nothing; else DISABLE it where the cloud can, look "
            "again, and DELETE it. A key that is still listed `settle` after its deletion was answered: put it on "
            "`to_delete`."
        ),
        SafetyRule.PROOF_OF_NO_PUSH,
        SafetyRule.POINT_OF_NO_RETURN,
        SafetyRule.LISTS_LAG,
    )
    SUSPECT = (
        "6",
        (
            "A suspect was used, or enabled by another than rotator: record it as foreign and enable it. Its "
            "quarantine is over and it was never used: put it on `to_delete`."
        ),
        SafetyRule.NARROW_ATTRIBUTION,
    )
    LATE_CREATE = (
        "7",
        "An unknown key carries the mark of a mint that was given up: put it on `to_delete`.",
    )
    FOREIGN = "8", "A key is unknown and no mint is open: record it as foreign, once, and report it."
    CLOCK = (
        "46",
        (
            "The step would mint, confirm, disable or delete, and this machine's clock and the vendor's are more than "
            "2 minutes apart: wait, and at `proving.timeout` hold (clock). An emergency goes on."
        ),
        SafetyRule.BOTH_CLOCKS,
    )
    BACKOFF = "12", "A backoff, or the time that a server asked for, is not over: wait."

    # New: first contact.
    STRANGE_AT_CONTACT = (
        "10",
        "A description carries another store's stamp: hold (two_rotators).",
        SafetyRule.ADOPT_NAMED_ONLY,
    )
    ADOPT = (
        "9",
        (
            "No description is stamped, and the config or an integration's answer names exactly one key, which is "
            "enabled: make it the current key. Or the config says `current_key: unmanaged`, and no answer names an "
            "enabled key: go on without a current key, due at once."
        ),
        SafetyRule.ADOPT_NAMED_ONLY,
    )
    ADOPT_WHICH = "11", "Anything else: hold (adopt_which).", SafetyRule.ADOPT_NAMED_ONLY

    # Held.
    HELD = (
        "52",
        (
            "The rotation is held: wait. If a stamp names a key that is gone or whose deletion has begun: report it, "
            "and after a confirm do as row 42 does."
        ),
        SafetyRule.ROLL_FORWARD_ORDER,
    )
    HOLD_ENDED = (
        "57",
        (
            "What the hold says is no longer so, and it is one of current_disabled, current_gone, stamp_lost, clock, "
            "slots_full, still_used, not_taken_up, dependents_degraded, enabled_again: end it."
        ),
        SafetyRule.HOLDS_THAT_END,
    )

    # Idle.
    BEGIN = (
        "13a",
        (
            "A rotation is due and admitted, the window is open and the operator has not paused it: begin one. If an "
            "integration that may hold a key left the config, now or while a rotation is in flight: hold "
            "(integration_removed)."
        ),
        SafetyRule.ADMITTED,
    )

    # Minting.
    MINT = (
        "13",
        (
            "`settle` has passed, the window is open, the operator has not paused it, the rotation is admitted and a "
            "slot is free: raise the generation, journal the intent and CREATE a key."
        ),
        SafetyRule.LOOK_BEFORE_MINT,
        SafetyRule.FRESH_GENERATION,
        SafetyRule.ADMITTED,
    )
    NO_SLOT = (
        "13b",
        (
            "No slot is free: put keys that provably no integration holds, and whose successor was seen in use, on "
            "`to_delete`; or wait for a suspect that fills one, or for a list that lags; else hold (slots_full)."
        ),
        SafetyRule.ROLL_FORWARD_ORDER,
        SafetyRule.UNDONE_STAYS,
        SafetyRule.LOST_KEYS_ARE_SEEN,
        SafetyRule.USE_IS_SEEN,
    )
    MAX_ATTEMPTS = "13c", "`max_attempts` mints came to nothing: hold (max_attempts)."
    MINTED = "14", "The cloud answered with a key: it is the candidate."
    MINT_REFUSED = (
        "15",
        (
            "The cloud refused the mint, or did not apply it: hold (slots_full or mint_refused) where waiting can't "
            "help, else back off."
        ),
    )
    MINT_UNSETTLED = (
        "16",
        "The mint has no answer and `settle` has not passed: wait.",
        SafetyRule.LOOK_BEFORE_MINT,
    )
    MINT_LEFT_NOTHING = (
        "17",
        "No key can be the unanswered mint's: close its intent, and go on looking for its mark.",
        SafetyRule.LOOK_BEFORE_MINT,
    )
    MINT_FOUND = (
        "18",
        (
            "An unknown key carries the unanswered mint's mark: it is the candidate if this process has its material, "
            "else put it on `to_delete`."
        ),
        SafetyRule.LOOK_BEFORE_MINT,
    )
    MINT_INFERRED = (
        "19",
        "Exactly one key can be the unanswered mint's: make it a suspect and DISABLE it.",
        SafetyRule.LOOK_BEFORE_MINT,
        SafetyRule.NARROW_ATTRIBUTION,
    )
    UNATTRIBUTED = (
        "20",
        (
            "Several keys can be the unanswered mint's, or the cloud shows no use, or the policy says hold: hold "
            "(unattributed)."
        ),
        SafetyRule.LOOK_BEFORE_MINT,
        SafetyRule.NARROW_ATTRIBUTION,
    )

    # Proving.
    UNPROVABLE = "21", "This kind of key can't be proved before its push: push it."
    NEVER_ALIVE = (
        "22",
        (
            "The material is gone, or the candidate never worked within `proving.timeout`: put it on `to_delete` and "
            "back off. The cloud refuses its signature because of the clock, at `proving.timeout` still: hold (clock)."
        ),
        SafetyRule.WORDS_OF_REPLICAS,
        SafetyRule.BOTH_CLOCKS,
    )
    PROVED = "23", "The candidate worked as often in a row as the config asks: push it. Not yet: try it again."

    # Pushing.
    PUSH_REFUSED = (
        "24",
        (
            "The integration refused the only push that was ever sent: put the candidate on `to_delete`; hold "
            "(push_refused) where waiting can't help, else back off."
        ),
        SafetyRule.ONLY_PUSH,
    )
    PUSH_NOT_APPLIED = "25", "The push was not applied, as with a 429: send the same push again later."
    PUSH_STOPPED = (
        "26",
        "The integration refused one of several pushes: send no more, and let the descriptions say what was applied.",
        SafetyRule.ONLY_PUSH,
    )
    UNFIT = (
        "58",
        (
            "The cloud does not list the candidate as enabled: wait until `settle` has passed since its mint, then put "
            "it on `to_delete` and back off, or, if a push of it was sent, push no more."
        ),
        SafetyRule.LOST_KEYS_ARE_SEEN,
        SafetyRule.LISTS_LAG,
    )
    PUSH = (
        "27",
        "An integration has not accepted the candidate: record the texts of all before the first push, and PUSH.",
        SafetyRule.PROOF_OF_NO_PUSH,
    )
    PUSHED = "28", "Every integration accepted the push: confirm it."
    NOTHING_SENT = "29", "The material is gone and no push was sent: put the candidate on `to_delete` and mint again."

    # Pushing or confirming, where no push can be repeated: the material is gone, or a refusal stopped the pushes.
    PUSH_UNSETTLED = "30", "`settle` has not passed: wait.", SafetyRule.UNSETTLED_PUSH
    SHOWN_BY_ALL = "31", "Every integration names the candidate: confirm it."
    STAMP_LOST = (
        "32",
        "A description proves nothing, or evidence of use is missing at `max_grace`: hold (stamp_lost).",
        SafetyRule.PROOF_OF_NO_PUSH,
    )
    SHOWN_BY_NONE = (
        "33",
        "No integration took the push: put the candidate on `to_delete` and mint again.",
        SafetyRule.PROOF_OF_NO_PUSH,
    )
    SHOWN_BY_SOME = (
        "34",
        "Only some integrations took the push, and a slot is free: put the candidate on `maybe_held` and mint again.",
        SafetyRule.PROOF_OF_NO_PUSH,
    )
    PARTIAL_PUSH = (
        "35",
        "Only some integrations took the push, and no slot is free or one refused it: hold (partial_push).",
        SafetyRule.PROOF_OF_NO_PUSH,
    )

    # Confirming.
    CONFIRM_UNSETTLED = "36", "`settle` has not passed: wait.", SafetyRule.UNSETTLED_PUSH
    DEPENDENTS_DEGRADED = (
        "37",
        (
            "Every integration names the candidate, but a dependent is worse than before the push: hold "
            "(dependents_degraded)."
        ),
    )
    CONFIRMED = (
        "38",
        (
            "Every integration names the candidate: it is the current key, and `to_revoke` records the former current "
            "key and `maybe_held`. No text is vouched for any more."
        ),
        SafetyRule.VOUCHED_TEXTS,
    )
    PUSH_AGAIN = "39", "An integration does not name the candidate: push to it again, or wait for evidence of use."

    # Grace to deleting, and idle: the watch over the stamps.
    OTHER_UNSETTLED = (
        "40",
        "An integration shows another push of ours and `settle` has not passed: report it and wait.",
        SafetyRule.ROLL_FORWARD_ORDER,
        SafetyRule.UNSETTLED_PUSH,
    )
    CONTENDED = "41", "An integration shows another push of ours for the third time in a row: hold (contended)."
    ROLL_FORWARD = (
        "42",
        "An integration shows another push of ours: keep every key that may be held on `maybe_held` and mint again.",
        SafetyRule.ROLL_FORWARD_ORDER,
        SafetyRule.UNDONE_STAYS,
    )

    # Grace to deleting.
    STAMP_EDITED = (
        "43",
        (
            "A description proves nothing about the current key: report it; when the wait is otherwise over, hold "
            "(stamp_lost)."
        ),
        SafetyRule.VOUCHED_TEXTS,
    )
    STILL_USED = "44", "An old key is still used at the end of `max_grace`: hold (still_used)."
    NOT_TAKEN_UP = (
        "59",
        "The new key was not seen in use by the end of `max_grace`, though it has to be: hold (not_taken_up).",
        SafetyRule.USE_IS_SEEN,
    )
    GRACE = (
        "45",
        (
            "`grace` is over by both clocks, the old keys are silent, and the new one was seen in use where it has to "
            "be, or an emergency needs none of this: begin to revoke."
        ),
        SafetyRule.BOTH_CLOCKS,
        SafetyRule.USE_IS_SEEN,
    )
    DISABLE = (
        "47",
        "A key of `to_revoke` is enabled, the window is open and the operator has not paused it: DISABLE it.",
    )
    DISABLED = "48", "Every key of `to_revoke` is disabled: begin the quarantine."
    QUARANTINE = "49", "The quarantine is over by both clocks: begin to delete.", SafetyRule.BOTH_CLOCKS
    DELETE = (
        "50",
        "`to_revoke` holds a key, the window is open and the operator has not paused it: DELETE it.",
        SafetyRule.POINT_OF_NO_RETURN,
    )
    FINISHED = "51", "`to_revoke` is empty: the rotation is done."

    # The engine, after all rows.
    REFUSED_TO_REVOKE = (
        "60",
        (
            "The step would disable or delete the current key, the candidate, or a key that the freshest texts name: "
            "hold (refused_to_revoke), send nothing."
        ),
        SafetyRule.LAST_CHECK,
    )
