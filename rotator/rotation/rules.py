"""The rules that every row of the state machine keeps, by name. docs/state-machine.md has this table."""

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
    OWN_ACTS_ONLY = (
        "14",
        (
            "Enable only a key that rotator disabled: its disabling is rotator's from the intent of its DISABLE until "
            "a settled look shows the key enabled. A key that others disabled counts as disabled, and gets no DISABLE. "
            "One that others enabled after an answered DISABLE is neither disabled nor deleted before the operator "
            "resumes, or it is disabled again. A DISABLE or ENABLE without an answer starts `settle`."
        ),
    )
    LOST_KEYS_ARE_SEEN = (
        "15",
        (
            "Compare every key that an integration is shown to hold with the cloud's list, at each look; alert where "
            "others disabled or deleted it, whatever row fires. Hold, or replace it where the policy says so, once two "
            "looks `settle` apart show the current key as lost; a push once sent is finished. Push a candidate only "
            "while the cloud lists it as enabled. Make room only with keys whose successor was seen in use, or by the "
            "operator's word. Only stamps of this store show what is held."
        ),
    )
    VOUCHED_TEXTS = (
        "15a",
        (
            "Let a text stand for a key only where an adoption, the operator or a replacement vouches for it; it names "
            "that key before any stamp in it, until the next confirm."
        ),
    )
    HOLDS_THAT_END = (
        "15b",
        (
            "End a hold when what it says is no longer so, in a look in which keys and texts were read; never one that "
            "only the operator can judge."
        ),
    )
    BOTH_CLOCKS = (
        "16",
        (
            "Date a wait that protects by our clock and by the vendor's, and end it only by both; mint, confirm and "
            "revoke nothing by a clock that is off; believe no stored moment beyond its own maximum; count `settle` by "
            "the monotonic clock."
        ),
    )
    USE_IS_SEEN = (
        "17",
        (
            "Where the cloud shows use, revoke an old key that was in use before the push only after the new one was "
            "used by another than rotator, or by the operator's word."
        ),
    )
    WORDS_OF_REPLICAS = (
        "18",
        (
            "Take a code that may come from a replica which doesn't know the key yet as NOT_YET until "
            "`proving.timeout`, whatever it says."
        ),
    )
    LISTS_LAG = (
        "19",
        (
            "Let no list contradict an answered create, disable, enable or delete before `settle` has passed since the "
            "answer; a key just deleted takes no slot, and one that is still listed later is deleted again."
        ),
    )
    LAST_CHECK = (
        "20",
        (
            "Refuse, last of all, to disable or delete the current key, the candidate, or a key that the freshest "
            "texts name."
        ),
    )
    ADMITTED = (
        "21",
        (
            "Begin a rotation only if it can be finished: so many are in hand between mint and confirm, and the calls "
            "of its push are set aside in the rate limit's budget before its mint; an emergency is always admitted."
        ),
    )
