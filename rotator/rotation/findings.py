"""What the operator should know of a credential as it stands, whatever row fires: looked for at each look. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from rotator.attention import Finding, FindingKind
from rotator.model import Origin, Phase, State
from rotator.rotation.facts import Facts, loss
from rotator.rotation.others import wanted_again
from rotator.rotation.step import alert, held_key, is_lost, listed_as, note

STANDING = frozenset(
    {
        FindingKind.CLOCK,
        FindingKind.KEY_LOST,
        FindingKind.STAMP_LOST,
        FindingKind.ENABLED_AGAIN,
        FindingKind.STILL_LISTED,
        FindingKind.SLOT_TAKEN,
        FindingKind.USE_UNTOLD,
        FindingKind.ODD_KEY,
        FindingKind.EXPOSED_FILE,
    }
)
"""The kinds that are found here: they stay until a look that reads keys and descriptions shows them no more."""

_RETIRING = frozenset({Phase.GRACE, Phase.DISABLING, Phase.QUARANTINE, Phase.DELETING})


def standing(state: State, facts: Facts) -> tuple[Finding, ...]:
    """The findings of this look; of the last one, where this look did not read both keys and descriptions."""
    if facts.keys is None or facts.readings is None or state.phase is Phase.NEW:
        return tuple(finding for finding in state.findings if finding.kind in STANDING)
    return (
        *_lost(state, facts),
        *_edited(state, facts),
        *_again(state, facts),
        *_still_listed(state, facts),
        *_slot_taken(state, facts),
        *_clock(facts),
        *_untold(facts),
        *_odd(facts),
        *_exposed(facts),
    )


def _lost(state: State, facts: Facts) -> Iterator[Finding]:
    """Every key that an integration is shown to hold is compared with the cloud's list (rule 15)."""
    if facts.can.supplied:
        return
    shown: dict[str, list[str]] = {}
    for reading in facts.readings or ():
        key_id = held_key(state, reading)
        if key_id is not None and reading.integration not in state.accepted_loss:
            shown.setdefault(key_id, []).append(reading.integration)
    if state.current is not None:
        shown.setdefault(state.current, [])
    for key_id, integrations in sorted(shown.items()):
        record = state.record(key_id)
        how = loss(state, facts, key_id)
        if how is None and record is not None and (record.deleting or record.gone_at is not None) and integrations:
            how = "being deleted" if facts.listed(key_id) else "deleted"
        if how is not None:
            holder = f"integration {listed_as(integrations)} holds" if integrations else "the journal has as current"
            yield alert(FindingKind.KEY_LOST, f"key {key_id}, which {holder}, is {how} in the cloud")


def _edited(state: State, facts: Facts) -> Iterator[Finding]:
    current = state.current
    if current is None or state.candidate is not None:
        return
    lost = [r.integration for r in facts.readings or () if is_lost(state, facts, r, current) and not r.strange]
    if not lost:
        return
    what = f"the stamp of integration {listed_as(lost)} is gone or was edited"
    if state.phase in _RETIRING:
        yield alert(FindingKind.STAMP_LOST, f"{what}; the revocation waits")
    else:
        yield note(FindingKind.STAMP_LOST, f"{what}; the next push writes it again")


def _again(state: State, facts: Facts) -> Iterator[Finding]:
    wanted = wanted_again(state, facts)
    if wanted:
        yield alert(FindingKind.ENABLED_AGAIN, f"key {listed_as(wanted)} was enabled by another than rotator")


def _still_listed(state: State, facts: Facts) -> Iterator[Finding]:
    if not facts.moment.lag_over or facts.can.supplied:
        return
    for record in state.keys:
        if record.gone_at is not None and facts.listed(record.key_id):
            yield alert(
                FindingKind.STILL_LISTED,
                f"the cloud still lists key {record.key_id}, whose deletion it had answered; rotator deletes it again",
            )


def _slot_taken(state: State, facts: Facts) -> Iterator[Finding]:
    """The next rotation would be held: said when it is seen, not when that rotation is due."""
    slots = facts.can.slots
    if slots is None or facts.slot or state.phase is not Phase.IDLE or facts.keys is None:
        return
    foreign = [k for k in sorted(facts.keys) if _is_foreign(state, k)]
    if foreign:
        yield alert(
            FindingKind.SLOT_TAKEN,
            f"foreign key {listed_as(foreign)} takes the last of {slots} slots: the next rotation will be held "
            f"(slots_full){_by_hand(facts, foreign)}",
        )


def _by_hand(facts: Facts, foreign: list[str]) -> str:
    delete = facts.can.by_hand.delete_of(foreign[0]) if facts.can.by_hand is not None else None
    return f". Find its owner; if nothing needs it: `{delete}`" if delete is not None else ""


def _is_foreign(state: State, key_id: str) -> bool:
    record = state.record(key_id)
    return record is None or record.origin in {Origin.FOREIGN, Origin.RELEASED}


def _clock(facts: Facts) -> Iterator[Finding]:
    if not facts.moment.clock_ok:
        yield alert(
            FindingKind.CLOCK,
            "this machine's clock and the vendor's are more than 2 minutes apart: rotator mints, confirms and revokes "
            "nothing until they agree",
        )


def _untold(facts: Facts) -> Iterator[Finding]:
    if facts.use_untold is not None:
        yield note(
            FindingKind.USE_UNTOLD,
            f"the cloud does not say when keys were used ({facts.use_untold}): silence is all there is",
        )


def _odd(facts: Facts) -> Iterator[Finding]:
    for key_id, key in sorted((facts.keys or {}).items()):
        if key.odd is not None:
            yield note(FindingKind.ODD_KEY, f"rotator can't read {key.odd} of key {key_id} in the cloud's list")


def _exposed(facts: Facts) -> Iterator[Finding]:
    for text in facts.exposed:
        yield alert(FindingKind.EXPOSED_FILE, f"{text}. rotator goes on, and will not start again before that is done")
