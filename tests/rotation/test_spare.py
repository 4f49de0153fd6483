"""A full cloud: the hold names each key, and the one that an operator can delete, or why none can be named."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rotator.model import ByHand, Capabilities, Key, KeyRecord, LastUse, Origin, Phase, State
from rotator.providers.base import AGES_AGO
from rotator.rotation.facts import Facts, Reading
from rotator.rotation.moment import Moment
from rotator.rotation.room import slots_full

NOW = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
BY_HAND = ByHand(delete="cloud delete {key}", disable="cloud disable {key}")
CAN = Capabilities(slots=2, can_disable=True, exact=False, has_evidence=True, by_hand=BY_HAND)
MADE = NOW - timedelta(days=90)
OURS = State(phase=Phase.MINTING, current="CURRENT", keys=(KeyRecord("CURRENT", Origin.ADOPTED, sent=True),))
SHOWN = (Reading("integration", "text", names="CURRENT", ours=True),)


def use(days: int) -> LastUse:
    return LastUse(NOW - timedelta(days=days), "s3", "eu-west-1")


def detail(
    *others: Key,
    state: State = OURS,
    can: Capabilities = CAN,
    readings: tuple[Reading, ...] = SHOWN,
    **uses: LastUse | None,
) -> str:
    keys = {key.key_id: key for key in (Key("CURRENT", MADE), *others)}
    facts = Facts(
        moment=Moment(
            now=NOW,
            new_rotation_id="",
            retry_at=NOW,
            quarantine_until=NOW,
            integrations=frozenset({"integration"}),
        ),
        can=replace(can, slots=len(keys)),
        keys=keys,
        cloud_time=NOW,
        readings=readings,
        named=frozenset({"CURRENT"}),
        last_used={"CURRENT": use(0), **uses} if can.has_evidence else {},
        proof=None,
        proofs=0,
        dependents=(),
        taken=len(keys),
    )
    held = slots_full(state, facts).state.hold
    assert held is not None
    return held.detail


def test_each_key_has_its_owner_age_and_use() -> None:
    said = detail(Key("FOREIGN", AGES_AGO, enabled=False), FOREIGN=use(40))
    assert "CURRENT (current, created 2026-08-28, 90d old, last used 2026-11-26 10:00 UTC by s3)" in said
    assert "FOREIGN (unknown, disabled, age not known, last used 2026-10-17 10:00 UTC by s3)" in said


@pytest.mark.parametrize(
    ("other", "used", "why"),
    [
        (Key("B", MADE), None, "foreign key B: it was never used"),
        (Key("B", MADE), use(40), "foreign key B: nothing used it lately"),
        (Key("B", MADE, enabled=False), use(1), "foreign key B: it is disabled"),
    ],
)
def test_the_key_that_can_go_is_named_with_the_clouds_own_commands(other: Key, used: LastUse | None, why: str) -> None:
    said = detail(Key("A", MADE), other, A=use(2), B=used)
    assert why in said
    assert "`cloud delete B`" in said
    assert ("`cloud disable B`" in said) is other.enabled
    assert "cloud delete A" not in said


def test_where_all_are_in_use_none_is_named_and_why() -> None:
    said = detail(Key("A", MADE), Key("B", MADE), A=use(2), B=use(3))
    assert "none can be named as spare: every foreign key (A, B) was used in the last 30 days" in said
    assert "Find what uses B, the least lately used" in said


def test_where_the_cloud_shows_no_use_none_is_named_and_why() -> None:
    said = detail(Key("B", MADE), can=replace(CAN, has_evidence=False, by_hand=ByHand(delete="cloud delete {key}")))
    assert "the cloud does not show rotator when keys were used, so none can be named as spare" in said
    assert "`cloud delete B`" in said
    assert "disable" not in said


def test_rotators_own_keys_are_left_to_rotator() -> None:
    asked_back = replace(OURS, undone=("B",), keys=(*OURS.keys, KeyRecord("B", Origin.MINTED, 1)))
    assert "the operator asked key B back: `rotator resume` lets rotator delete it" in detail(
        Key("B", MADE), state=asked_back
    )
    spare = replace(OURS, maybe_held=("B",), keys=(*OURS.keys, KeyRecord("B", Origin.MINTED, 1)))
    said = detail(Key("B", MADE), state=spare, B=use(0))
    assert "no integration shows key B" in said
    assert "--accept-silence" in said
    assert "cloud delete" not in said
    edited = (Reading("integration", "edited"),)
    said = detail(Key("B", MADE), state=spare, readings=edited, B=None)
    assert "the description of integration integration does not show which key" in said
    both = (*SHOWN, Reading("second", "text", names="B", ours=True))
    assert "an integration holds each of them" in detail(Key("B", MADE), state=spare, readings=both, B=None)


def test_an_id_is_quoted_for_a_shell() -> None:
    command = BY_HAND.delete_of("a b; rm -r /")
    assert shlex.split(command) == ["cloud", "delete", "a b; rm -r /"]
