"""What is changed in a trust policy, what never is, and which policies are left alone."""

from __future__ import annotations

import json
import string
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rotator.errors import CallFailed, Verdict
from rotator.providers.aws.trust import CHARACTERS, Trust, key_id_of

Case = tuple[dict[str, Any], list[str], tuple[str | int, ...]]
"""A policy, its external ids, and the way to them."""

# Neither is about time: a busy machine is slow.
few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])

ID_CHARACTERS = string.ascii_letters + string.digits + "_+=,.@:/-"
NEW = "n" * 40

external_id = st.text(ID_CHARACTERS, min_size=2, max_size=60).filter(lambda text: text != NEW)
external_ids = st.lists(external_id, min_size=1, max_size=4, unique=True)
word = st.text(st.characters(codec="utf-8"), max_size=8)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | word,
    lambda part: st.lists(part, max_size=3) | st.dictionaries(word, part, max_size=3),
    max_leaves=4,
)


def not_an_external_id(name: str) -> bool:
    return name.casefold() != "sts:externalid"


@st.composite
def beside(draw: st.DrawFn, /, **own: Any) -> dict[str, Any]:
    """An object with these members somewhere among others."""
    others = draw(st.dictionaries(word.filter(lambda name: name not in own and not_an_external_id(name)), anything))
    return dict(draw(st.permutations([*others.items(), *own.items()])))


other_tests = st.dictionaries(word.filter(not_an_external_id), anything, max_size=2)
other_conditions = st.dictionaries(st.sampled_from(["StringLike", "Bool", "IpAddress"]), other_tests, max_size=2)
other_statement = st.fixed_dictionaries(
    {"Effect": st.sampled_from(["Allow", "Deny"])},
    optional={"Sid": word, "Principal": anything, "Action": anything, "Condition": other_conditions},
)


@st.composite
def policies(draw: st.DrawFn) -> Case:
    """Policies that rotator can change, with all sorts of things around the external ids."""
    ids = draw(external_ids)
    value = ids[0] if len(ids) == 1 and draw(st.booleans()) else ids
    key = draw(st.sampled_from(["sts:ExternalId", "sts:externalid", "STS:ExternalID"]))
    equals = draw(beside(**{key: value}))
    conditions = dict(draw(st.permutations([*draw(other_conditions).items(), ("StringEquals", equals)])))
    action = draw(st.sampled_from(["sts:AssumeRole", ["sts:TagSession", "sts:AssumeRole"], ["STS:assumerole"]]))
    principal = draw(st.sampled_from([{"AWS": "arn:aws:iam::123456789012:root"}, {"AWS": ["1" * 12, "AIDAGONE"]}]))
    members = {"Effect": "Allow", "Principal": principal, "Action": action, "Condition": conditions}
    statement = draw(beside(**members))
    if draw(st.booleans()):
        return draw(beside(Statement=statement)), ids, ("Statement", "Condition", "StringEquals", key)
    others = draw(st.lists(other_statement, max_size=3))
    at = draw(st.integers(0, len(others)))
    statements = [*others[:at], statement, *others[at:]]
    return draw(beside(Statement=statements)), ids, ("Statement", at, "Condition", "StringEquals", key)


def taken_out(document: Any, way: tuple[str | int, ...]) -> tuple[Any, str]:
    """What stands at the end of the way, and all else to the letter, in its order."""
    rest = deepcopy(document)
    inner = rest
    for step in way[:-1]:
        inner = inner[step]
    found = inner[way[-1]]
    inner[way[-1]] = "here"
    return found, json.dumps(rest)


@few
@given(policies())
def test_one_more_and_everything_else_to_the_letter(
    case: Case,
) -> None:
    document, ids, way = case
    original = json.dumps(document)
    written = json.loads(Trust.of(document).with_id(NEW).text)
    found, rest = taken_out(written, way)
    assert found == [*ids, NEW]
    assert rest == taken_out(document, way)[1]
    assert json.dumps(document) == original


@few
@given(policies(), st.data())
def test_one_less_and_everything_else_to_the_letter(case: Case, data: st.DataObject) -> None:
    document, ids, way = case
    gone = data.draw(st.sampled_from(ids))
    trust = Trust.of(document).with_id(NEW)
    written = json.loads(trust.without(key_id_of(gone)).text)
    found, rest = taken_out(written, way)
    assert found == [*(one for one in ids if one != gone), NEW]
    assert rest == taken_out(document, way)[1]


@few
@given(policies())
def test_a_policy_can_always_be_written_in_the_characters_that_iam_takes(
    case: Case,
) -> None:
    text = Trust.of(case[0]).text
    assert all("\x20" <= character <= "\xff" for character in text)
    assert json.loads(text) == case[0]


@few
@given(policies())
def test_none_is_never_left(case: Case) -> None:
    document, ids, _ = case
    trust = Trust.of(document)
    for external_id in ids[:-1]:
        trust = trust.without(key_id_of(external_id))
    with pytest.raises(CallFailed) as caught:
        trust.without(key_id_of(ids[-1]))
    failure = caught.value
    assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, "LastExternalId", True)
    assert failure.remedy
    # Another id in its place is told in the same words: a search would find a short id in any of them.
    with pytest.raises(CallFailed) as same:
        Trust.of(policy(Condition={"StringEquals": {"sts:ExternalId": NEW}})).without(key_id_of(NEW))
    assert str(failure).replace(key_id_of(ids[-1]), "") == str(same.value).replace(key_id_of(NEW), "")
    assert key_id_of(ids[-1]) in failure.message


@few
@given(policies())
def test_what_is_there_or_is_not_there_already_changes_nothing(
    case: Case,
) -> None:
    document, ids, _ = case
    trust = Trust.of(document)
    assert trust.with_id(ids[0]) is trust
    assert trust.without(key_id_of(NEW)) is trust


def reordered(value: Any, draw: Callable[[st.SearchStrategy[Any]], Any]) -> Any:
    """The same to IAM: other orders, and a list of one as its element."""
    if isinstance(value, dict):
        return {key: reordered(part, draw) for key, part in draw(st.permutations(list(value.items())))}
    if isinstance(value, list):
        parts = [reordered(part, draw) for part in draw(st.permutations(value))]
        return parts[0] if len(parts) == 1 and draw(st.booleans()) else parts
    return value


@few
@given(policies(), st.data())
def test_the_order_of_what_iam_gives_back_is_no_difference(case: Case, data: st.DataObject) -> None:
    document, _, _ = case
    shuffled = Trust.of(reordered(document, data.draw))
    assert shuffled.same_as(Trust.of(document))
    assert shuffled.difference(Trust.of(document)) == ""


def policy(**changes: Any) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": ["old-id", "other-id"]}},
        **changes,
    }
    return {"Version": "2012-10-17", "Statement": [{k: v for k, v in statement.items() if v is not None}]}


PLAIN = policy()


class TestDifferences:
    def test_are_told_in_general_terms(self) -> None:
        trust = Trust.of(PLAIN)
        others = {
            "its external ids": policy(Condition={"StringEquals": {"sts:ExternalId": "third-id"}}),
            "other parts of it": policy(Sid="new"),
            "its external ids and other parts of it": policy(
                Sid="new", Condition={"StringEquals": {"sts:ExternalId": "third-id"}}
            ),
        }
        assert {said: trust.difference(Trust.of(other)) for said, other in others.items()} == {
            said: said for said in others
        }

    def test_a_truth_is_no_number(self) -> None:
        assert not Trust.of(policy(Sid=True)).same_as(Trust.of(policy(Sid=1)))


WITH = {"StringEquals": {"sts:ExternalId": "old-id"}}
UNUSABLE: dict[str, object] = {
    "no policy": "{not json",
    "a list": [],
    "no statement": {"Version": "2012-10-17"},
    "statements that are none": {"Statement": ["x"]},
    "a condition that is none": policy(Condition="x"),
    "no condition": policy(Condition=None),
    "no external id": policy(Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
    "two statements": {"Statement": [*PLAIN["Statement"], *PLAIN["Statement"]]},
    "two spellings": policy(Condition={"StringEquals": {"sts:ExternalId": "old-id", "sts:externalid": "old-id"}}),
    "two operators": policy(Condition={**WITH, "Null": {"sts:ExternalId": "false"}}),
    "a denial as well": {
        "Statement": [
            *PLAIN["Statement"],
            {
                "Effect": "Deny",
                "Principal": {"AWS": "*"},
                "Action": "sts:AssumeRole",
                "Condition": {"StringNotEquals": {"sts:ExternalId": "old-id"}},
            },
        ]
    },
    **{
        operator: policy(Condition={operator: {"sts:ExternalId": "old-id"}})
        for operator in (
            "StringLike",
            "ForAnyValue:StringEquals",
            "StringEqualsIfExists",
            "StringEqualsIgnoreCase",
            "StringNotEquals",
            "stringequals",
        )
    },
    "a denial": policy(Effect="Deny"),
    "another action": policy(Action="sts:TagSession"),
    "every action": policy(Action="*"),
    "all actions but": policy(Action=None, NotAction="sts:TagSession"),
    "no principal": policy(Principal=None),
    "all principals but": policy(Principal=None, NotPrincipal={"AWS": "x"}),
    "a principal that is no AWS account": policy(Principal={"Service": "ec2.amazonaws.com"}),
    "an empty list": policy(Condition={"StringEquals": {"sts:ExternalId": []}}),
    "a number": policy(Condition={"StringEquals": {"sts:ExternalId": [1]}}),
    "a variable": policy(Condition={"StringEquals": {"sts:ExternalId": "${aws:PrincipalTag/id}"}}),
}


@pytest.mark.parametrize("document", UNUSABLE.values(), ids=UNUSABLE)
def test_it_never_guesses(document: object) -> None:
    with pytest.raises(CallFailed) as caught:
        Trust.of(document)
    failure = caught.value
    assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, "TrustPolicyUnusable", True)
    assert "sts:ExternalId" in failure.remedy
    assert "old-id" not in str(failure)


def test_it_does_not_print() -> None:
    assert "old-id" not in f"{Trust.of(PLAIN)!r}"


def test_the_length_is_without_white_space() -> None:
    trust = Trust.of(policy(Sid="a b"))
    assert trust.length == len(trust.text) - 1
    assert trust.length < CHARACTERS


def test_principals_and_keys_can_be_shown() -> None:
    trust = Trust.of(PLAIN)
    assert trust.principals == ("arn:aws:iam::123456789012:root",)
    assert list(trust.keys.values()) == ["old-id", "other-id"]
    assert next(iter(trust.keys)) == key_id_of("old-id") == "xid-28d6bcab90f81f94"
