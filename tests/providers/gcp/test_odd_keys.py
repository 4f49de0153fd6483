"""Keys that Google shows in an odd form, or only half: they cost themselves, never the list beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from google.cloud import iam_admin_v1 as iam
from google.protobuf.timestamp_pb2 import Timestamp

from rotator.errors import Verdict
from rotator.model import Key
from rotator.providers.base import AGES_AGO
from rotator.sandbox.wire.rules import Canned
from tests.providers.gcp.world import World, a_world, failure_of, refusal

ODD = "0a" * 20
GOOGLES, UPLOADED = 2, 1  # ServiceAccountKeyOrigin
GOOD = Timestamp(seconds=1_790_000_000)
CREATION, END = "the time of creation", "the time of its end"
GET_RIGHT = "iam.serviceAccountKeys.get"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as opened:
        yield opened


def entry(name: str = f"projects/p/serviceAccounts/a@b/keys/{ODD}", **fields: Any) -> iam.ServiceAccountKey:
    """As it comes over the wire, odd values included, which the SDK's own class would refuse to be given."""
    raw = iam.ServiceAccountKey.pb(iam.ServiceAccountKey(name=name))
    raw.MergeFrom(type(raw)(**fields))
    return cast("iam.ServiceAccountKey", iam.ServiceAccountKey.deserialize(raw.SerializeToString()))


def listed(world: World) -> dict[str, Key]:
    return {key.key_id: key for key in world.provider.list_keys().keys}


def beside_two_good_keys(world: World, stray: iam.ServiceAccountKey) -> dict[str, Key]:
    """What else the list shows than two keys in good order."""
    good = [world.mint().key for _ in range(2)]
    world.gcp.strays.append(stray)
    shown = listed(world)
    for key in good:
        own = shown.pop(key.key_id)
        assert (own.mark, own.created_at, own.odd) == (key.mark, key.created_at, None)
    return shown


@pytest.mark.parametrize(
    ("fields", "odd"),
    [
        ({}, CREATION),
        ({"valid_after_time": Timestamp()}, CREATION),
        ({"valid_after_time": Timestamp(seconds=10**15)}, CREATION),
        ({"valid_after_time": Timestamp(seconds=-(2**63))}, CREATION),
        ({"valid_after_time": Timestamp(seconds=-62_135_596_800)}, CREATION),
        ({"valid_after_time": Timestamp(seconds=253_402_300_799)}, CREATION),
        ({"valid_after_time": Timestamp(seconds=1_790_000_000, nanos=2**31 - 1)}, CREATION),
        ({"valid_after_time": GOOD, "valid_before_time": Timestamp(seconds=10**15)}, END),
        ({"valid_before_time": Timestamp(seconds=2**63 - 1)}, f"{CREATION} and {END}"),
    ],
)
def test_a_time_that_can_not_be_read(world: World, fields: dict[str, Any], odd: str) -> None:
    [key] = beside_two_good_keys(world, entry(key_origin=GOOGLES, **fields)).values()
    assert (key.key_id, key.enabled, key.expires_at, key.mark, key.odd) == (ODD, True, None, None, odd)
    assert (key.created_at == AGES_AGO) is (CREATION in odd)


def test_one_that_google_says_is_disabled(world: World) -> None:
    [key] = beside_two_good_keys(world, entry(key_origin=GOOGLES, disabled=True)).values()
    assert (key.enabled, key.odd) == (False, CREATION)


@pytest.mark.parametrize("origin", [UPLOADED, 0, 77])
def test_one_that_get_does_not_know_is_asked_for_again_wherever_it_is_from(world: World, origin: int) -> None:
    stray = entry(key_origin=origin, valid_after_time=GOOD)
    [key] = beside_two_good_keys(world, stray).values()
    assert (key.key_id, key.enabled, key.mark, key.odd) == (ODD, True, None, "the public key")
    asked = world.count("GetServiceAccountKey$")
    listed(world)
    assert world.count("GetServiceAccountKey$") == asked + 1


@pytest.mark.parametrize("name", ["", "no name", "projects/p/serviceAccounts/a", "keys/", "a/keys/b/c", "a/keys/0a\n"])
def test_one_without_an_id_to_act_on_is_left_out(world: World, name: str) -> None:
    assert beside_two_good_keys(world, entry(name, key_origin=UPLOADED, valid_after_time=GOOD)) == {}


def _shows(pem: str) -> Canned:
    return _says(iam.ServiceAccountKey(public_key_data=pem.encode()))


def _says(answer: iam.ServiceAccountKey) -> Canned:
    message = iam.ServiceAccountKey.serialize(answer)
    body = (b"\0" + len(message).to_bytes(4, "big") + message).decode("ascii")
    return Canned(status=200, content_type="application/grpc", body=body, headers={"grpc-status": "0"})


@pytest.mark.parametrize(
    "answer",
    [
        refusal(3, "Invalid name."),
        refusal(5, "Not found."),
        refusal(9, "Precondition check failed."),
        refusal(13, "Internal error encountered."),
        _shows(""),
        _shows("no key"),
        _shows("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
        _shows("-----BEGIN PUBLIC KEY-----\nMAowBQYDK2VzAwEA\n-----END PUBLIC KEY-----\n"),
        Canned(status=200, content_type="application/grpc", body="\0\0\0\0\1\7", headers={"grpc-status": "0"}),
    ],
    ids=[
        "invalid",
        "unknown",
        "precondition",
        "internal",
        "empty",
        "no PEM",
        "no public key",
        "an unknown kind",
        "no message",
    ],
)
def test_one_whose_public_key_google_does_not_show(world: World, answer: Canned) -> None:
    good = world.mint().key
    assert listed(world)[good.key_id].odd is None
    late = world.mint().key
    world.spoil("GetServiceAccountKey$", answer)
    shown = listed(world)
    assert (shown[good.key_id].mark, shown[good.key_id].odd) == (good.mark, None)
    assert (shown[late.key_id].mark, shown[late.key_id].odd) == (None, "the public key")
    world.gcp.faults.put()
    assert (listed(world)[late.key_id].mark, listed(world)[late.key_id].odd) == (late.mark, None)


def test_a_get_that_is_denied_for_one_key_costs_that_one(world: World) -> None:
    good = world.mint().key
    listed(world)
    late = world.mint().key
    world.gcp.denied.add(GET_RIGHT)
    shown = listed(world)
    assert (shown[good.key_id].mark, shown[good.key_id].odd) == (good.mark, None)
    assert shown[late.key_id].odd == "the public key"


def test_without_the_right_to_read_any_public_key_the_list_is_of_no_use(world: World) -> None:
    world.mint()
    world.gcp.denied.add(GET_RIGHT)
    failure = failure_of(world.provider.list_keys)
    assert (failure.verdict, failure.permanent) == (Verdict.REFUSED, True)
    assert GET_RIGHT in failure.message


@pytest.mark.parametrize("answer", [Canned(status=503), Canned(status=403), refusal(7), refusal(16)])
def test_a_get_that_has_no_answer_is_no_odd_key(world: World, answer: Canned) -> None:
    world.mint()
    listed(world)
    world.mint()
    world.spoil("GetServiceAccountKey$", answer)
    assert failure_of(world.provider.list_keys).verdict is Verdict.UNKNOWN


def test_a_minted_key_that_is_shown_without_its_time_is_still_minted(world: World) -> None:
    world.spoil("UploadServiceAccountKey", _says(iam.ServiceAccountKey(name=f"a/keys/{ODD}")))
    minted = world.mint()
    assert (minted.key.key_id, minted.key.odd) == (ODD, CREATION)
    assert json.loads(minted.material.reveal()["keyfileJson"])["private_key_id"] == ODD
