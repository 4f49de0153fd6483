"""The table of the state machine: its rows and the rules that they keep, by name. docs/state-machine.md is this table.

The functions that decide are elsewhere in this room; each step that they return names the row that matched.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class SafetyRule(StrEnum):
    """What every row keeps. Without any one of them, the exploration finds a broken promise.

    The value is the rule's number, as comments and docs cite it.
    """

    sentence: str

    def __new__(cls, number: str, sentence: str) -> Self:
        """A rule by its number, with the sentence that states it."""
        rule = str.__new__(cls, number)
        rule._value_ = number
        rule.sentence = sentence
        return rule

    LOOK_BEFORE_MINT = (
        "1",
        "After a mint without an answer, wait `settle`, then look for its key, and only then mint again.",
    )
    NARROW_ATTRIBUTION = (
        "2",
        (
            "Where keys carry no mark, take a key for a lost mint's only if it is the one unknown key that was "
            "created within `settle` of the intent by the cloud's clock, and the cloud shows that it was never used; "
            "disable it as a suspect, and delete it only after a quarantine."
        ),
    )
    ONLY_PUSH = (
        "3",
        (
            "Believe a refusal only if it answers the only push of this candidate that was ever sent; otherwise let "
            "the descriptions say what was applied."
        ),
    )
    PROOF_OF_NO_PUSH = (
        "4",
        (
            "Count an integration as not pushed only if it shows the text that was recorded before the push, or "
            "another stamp of ours; a text that was changed in any other way proves nothing."
        ),
    )
    UNSETTLED_PUSH = (
        "5",
        "After a push without an answer, confirm nothing and judge nothing until `settle` has passed.",
    )
    INTENT_GUARD_CALL = (
        "6",
        "Commit the intent, check the ownership, make the call, with no other step in between.",
    )
    SETTLE_AGAIN = (
        "7",
        (
            "Start `settle` again at each push or create without an answer, and where a start finds an intent without "
            "an outcome."
        ),
    )
    ROLL_FORWARD_ORDER = (
        "8",
        (
            "Roll forward in this order: enable a disabled key that a stamp names; wait `settle`; keep every named "
            "key alive; make room only with keys that no integration holds; mint, push and confirm; then revoke."
        ),
    )
    FRESH_GENERATION = (
        "9",
        (
            "Raise the generation with each mint; a stamp names a key only if its store, its generation and, where it "
            "shows one, its key are equal."
        ),
    )
    CLEAN_ABANDON = (
        "10",
        (
            "Abandon a rotation only where no integration is left in doubt and no deletion has begun; the old keys "
            "are released: foreign from then on."
        ),
    )
    UNDONE_STAYS = (
        "11",
        "Keep a key that the operator asked back enabled, until the operator resumes or abandons.",
    )
    POINT_OF_NO_RETURN = (
        "12",
        (
            "Never make a key current again once its DELETE is journalled; before that, disable a key that was ever "
            "sent, where the cloud can, and read the descriptions once more."
        ),
    )
    ADOPT_NAMED_ONLY = (
        "13",
        "At first contact, adopt only a key that the config, the operator or an integration's answer names.",
    )


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
        "A stamp names a disabled key of ours whose deletion has not begun: ENABLE it.",
        SafetyRule.ROLL_FORWARD_ORDER,
        SafetyRule.POINT_OF_NO_RETURN,
    )
    FROZEN = "4", "The operator froze every change: wait. Only row 3 may change something, since it ends a lockout."
    GIVE_BACK = (
        "53",
        "A key that the operator asked back is disabled: ENABLE it. If a rotation would revoke it: hold (undone).",
        SafetyRule.UNDONE_STAYS,
    )
    DELETE_GIVEN_UP = (
        "5",
        (
            "`to_delete` holds a key: DELETE it. If a push of it was ever sent: keep it if a stamp names it, or hold "
            "(stamp_lost) if a description proves nothing; else DISABLE it where the cloud can, look again, and "
            "DELETE it. A key that is still listed `settle` after its deletion was answered: put it on `to_delete`."
        ),
        SafetyRule.PROOF_OF_NO_PUSH,
        SafetyRule.POINT_OF_NO_RETURN,
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
            "The config or an integration's answer names exactly one key, the key is enabled and no description is "
            "stamped: make it the current key. `current_key: unmanaged`: go on without a current key, due at once."
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

    # Idle.
    BEGIN = (
        "13a",
        (
            "A rotation is due, the window is open and the operator has not paused it: begin one. If an integration "
            "that may hold a key left the config, now or while a rotation is in flight: hold (integration_removed)."
        ),
    )

    # Minting.
    MINT = (
        "13",
        (
            "`settle` has passed, the window is open, the operator has not paused it and a slot is free: raise the "
            "generation, journal the intent and CREATE a key."
        ),
        SafetyRule.LOOK_BEFORE_MINT,
        SafetyRule.FRESH_GENERATION,
    )
    NO_SLOT = (
        "13b",
        (
            "No slot is free: put keys that provably no integration holds on `to_delete`; or wait for a suspect that "
            "fills one; else hold (slots_full)."
        ),
        SafetyRule.ROLL_FORWARD_ORDER,
        SafetyRule.UNDONE_STAYS,
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
            "back off. The cloud refuses its signature because of the clock: hold (clock)."
        ),
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
            "key and `maybe_held`."
        ),
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
    STAMP_EDITED = "43", "A description proves nothing about the current key: report it; the revocation waits."
    STILL_USED = (
        "44",
        (
            "An old key is still used at the end of `max_grace`, or was enabled by another than rotator during "
            "quarantine: hold (still_used)."
        ),
    )
    GRACE = "45", "`grace` is over and the old keys are silent, or an emergency needs neither: begin to revoke."
    CLOCK = "46", "This machine's clock and the cloud's are more than 2 minutes apart: hold (clock)."
    DISABLE = (
        "47",
        "A key of `to_revoke` is enabled, the window is open and the operator has not paused it: DISABLE it.",
    )
    DISABLED = "48", "Every key of `to_revoke` is disabled: begin the quarantine."
    QUARANTINE = "49", "The quarantine is over: begin to delete."
    DELETE = (
        "50",
        "`to_revoke` holds a key, the window is open and the operator has not paused it: DELETE it.",
        SafetyRule.POINT_OF_NO_RETURN,
    )
    FINISHED = "51", "`to_revoke` is empty: the rotation is done."
