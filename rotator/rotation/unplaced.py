"""Rows 6 to 8, and a key that is back: keys of which rotator has yet to say, or to say again, whose they are."""

from __future__ import annotations

from dataclasses import replace

from rotator.attention import FindingKind
from rotator.model import KeyRecord, Origin, State
from rotator.rotation.facts import Facts, marked_keys, unknown_keys
from rotator.rotation.rows import Row
from rotator.rotation.step import Step, added, alert, disable, note


def suspects(state: State, facts: Facts) -> Step | None:
    """Row 6: a suspect was used, is wanted by others, is gone, or its quarantine is over."""
    if facts.keys is None:
        return None
    for suspect in state.suspects:
        record = state.record(suspect.key_id) or KeyRecord(suspect.key_id, Origin.SUSPECT)
        rest = replace(state, suspects=tuple(s for s in state.suspects if s != suspect))
        if not facts.listed(suspect.key_id):
            gone = rest.with_record(replace(record, gone_at=facts.moment.now))
            return Step(Row.SUSPECT, f"suspect key {suspect.key_id} is gone from the cloud", gone)
        used = facts.last_used.get(suspect.key_id) is not None
        enabled = record.disabled and facts.enabled(suspect.key_id) and facts.moment.lag_over
        if used or enabled:
            seen = "was used" if used else "was enabled by another than rotator"
            why = f"suspect key {suspect.key_id} {seen} during quarantine: it is foreign; enabling it"
            theirs = replace(rest, undone=added(rest.undone, (suspect.key_id,)))
            foreign = theirs.with_record(replace(record, origin=Origin.FOREIGN))
            return Step(Row.SUSPECT, why, foreign, finding=alert(FindingKind.SUSPECT, why))
        if not record.disabled and facts.can.can_disable:
            return disable(
                state, Row.MINT_INFERRED, suspect.key_id, f"an unanswered mint probably made key {suspect.key_id}"
            )
        if suspect.key_id in facts.moment.suspects_over and suspect.key_id in facts.last_used:
            return Step(
                Row.SUSPECT,
                f"suspect key {suspect.key_id} was not used during quarantine; deleting it",
                replace(
                    rest.with_record(replace(record, origin=Origin.MINTED)),
                    to_delete=added(state.to_delete, (suspect.key_id,)),
                ),
            )
    return None


def late_creates(state: State, facts: Facts) -> Step | None:
    """Row 7: a mint that was given up made a key after all."""
    if state.mint is not None or not facts.can.exact:
        return None
    marked = marked_keys(state, facts)
    if not marked:
        return None
    key_id = marked[0].key_id
    known = state.with_record(KeyRecord(key_id, Origin.MINTED))
    return Step(
        Row.LATE_CREATE,
        f"a mint without an answer made key {key_id}",
        replace(known, to_delete=added(state.to_delete, (key_id,))),
        finding=note(
            FindingKind.LATE_KEY, f"a mint without an answer made key {key_id}, which no integration holds; deleting it"
        ),
    )


def classify(state: State, facts: Facts) -> Step | None:
    """Row 8: an unknown key is foreign. One that can't be read yet is classified when it can."""
    if state.mint is not None or facts.can.supplied:
        return None
    unknown = [key for key in unknown_keys(state, facts) if key.odd is None]
    if not unknown:
        return None
    key = unknown[0]
    after = next((lost for lost in reversed(state.lost_mints) if key.created_at >= lost.at), None)
    after_mint = f", created after the unanswered mint of rotation {after.rotation_id}" if after else ""
    return Step(
        Row.FOREIGN,
        f"key {key.key_id} is foreign{after_mint}",
        state.with_record(KeyRecord(key.key_id, Origin.FOREIGN)),
        finding=note(FindingKind.FOREIGN_KEY, f"unknown key {key.key_id}{after_mint}: rotator leaves it alone"),
    )


def reappeared(state: State, facts: Facts) -> Step | None:
    """A key that the cloud still lists, longer after its deletion than lag explains, is deleted again."""
    if facts.can.supplied:
        return None
    for record in state.keys:
        if record.gone_at is None or not facts.listed(record.key_id) or record.key_id in state.to_delete:
            continue
        if record.origin in {Origin.MINTED, Origin.ADOPTED} and facts.moment.lag_over:
            return Step(
                Row.DELETE_GIVEN_UP,
                f"the cloud still lists key {record.key_id} after its deletion; deleting it again",
                replace(state, to_delete=added(state.to_delete, (record.key_id,))),
            )
    return None
