"""The external ids in a role's trust policy: which statement holds them, and the policy with one more or one less.

Pure functions over the document. Facts from the IAM User Guide (JSON policy elements, how to use an external id): the
names of condition keys ignore upper and lower case, everything else does not; StringEquals with several values is met
by any one of them; a StringEquals is not met where the request has no external id.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from rotator.errors import CallFailed, Verdict
from rotator.http.outside_text import outside_text

CHARACTERS = 2048
"""How long a trust policy may be, white space apart. The quota can be raised to 4096."""

ID_LENGTH = 40
"""How long the external ids are that rotator makes, of 2 to 1224 characters: 238 random bits, in little room."""

_KEY = "sts:externalid"
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
_REMEDY = (
    "Keep external ids in one statement of the role's trust policy only, the statement that lets Northflank in: "
    '{"Effect": "Allow", "Principal": {"AWS": ..}, "Action": "sts:AssumeRole", "Condition": '
    '{"StringEquals": {"sts:ExternalId": [..]}}}. rotator changed nothing.'
)

_Step = str | int


@dataclass(frozen=True, slots=True)
class Trust:
    """A trust policy in which one condition holds the external ids.

    Args:
        document: the whole policy. It is never changed, and doesn't print: external ids are secret.
        condition: the way from the document to the external ids.
    """

    document: Mapping[str, Any] = field(repr=False)
    condition: tuple[_Step, ...]

    @classmethod
    def of(cls, document: object) -> Trust:
        """Find the external ids.

        Raises:
            CallFailed: REFUSED and permanent: they don't stand in one plain condition.
        """
        if not isinstance(document, Mapping):
            raise _refusal("is not a JSON object")
        places = [
            ((*way, "Condition", operator, key), statement)
            for way, statement in _statements(document)
            for operator, tests in _mapping(statement.get("Condition", {})).items()
            for key in _mapping(tests)
            if key.casefold() == _KEY  # IAM's names of condition keys ignore upper and lower case
        ]
        if len(places) != 1:
            raise _refusal(f"has {len(places) or 'no'} conditions on sts:ExternalId, but must have one")
        [(condition, statement)] = places
        _check(statement, operator=condition[-2])
        trust = cls(document, condition)
        values: Sequence[object] = trust.ids
        if not values or not all(isinstance(value, str) and _EXTERNAL_ID.fullmatch(value) for value in values):
            raise _refusal("has values that are not external ids in its condition on sts:ExternalId")
        return trust

    @property
    def ids(self) -> tuple[str, ...]:
        """The external ids that the policy accepts."""
        return tuple(_several(_at(self.document, self.condition)))

    @property
    def keys(self) -> Mapping[str, str]:
        """The external ids by what rotator calls them, in the policy's order."""
        return {key_id_of(external_id): external_id for external_id in self.ids}

    @property
    def principals(self) -> tuple[str, ...]:
        """Whom the statement lets in."""
        statement = _at(self.document, self.condition[:-3])
        return tuple(outside_text(one) for one in _several(statement["Principal"]["AWS"]))

    @property
    def text(self) -> str:
        """The document as JSON without white space, in the characters that IAM takes."""
        text = json.dumps(self.document, ensure_ascii=False, separators=(",", ":"))
        return re.sub(r"[^\x20-\xff]", lambda found: json.dumps(found[0])[1:-1], text)

    @property
    def length(self) -> int:
        """What the quota counts."""
        return len(re.sub(r"\s", "", self.text))

    def with_id(self, external_id: str) -> Trust:
        """The same policy, in which this external id is allowed too, after the others."""
        return self if external_id in self.ids else self._with([*self.ids, external_id])

    def without(self, key_id: str) -> Trust:
        """The same policy without this external id; the very same if it isn't there.

        Raises:
            CallFailed: REFUSED and permanent: it is the only one, and without it Northflank is locked out.
        """
        rest = [external_id for external_id in self.ids if key_id_of(external_id) != key_id]
        if len(rest) == len(self.ids):
            return self
        if not rest:
            raise CallFailed(
                f"{key_id} is the only external id that the role accepts: without {key_id} Northflank is locked out",
                verdict=Verdict.REFUSED,
                code="LastExternalId",
                permanent=True,
                remedy="Put the external id that Northflank holds back into the trust policy: another client took it "
                "out. rotator changed nothing.",
            )
        return self._with(rest)

    def same_as(self, other: Trust) -> bool:
        """They mean the same. IAM may give lists back in another order, and a list of one as its only element."""
        return _meaning(self.document) == _meaning(other.document)

    def difference(self, other: Trust) -> str:
        """What is not the same in them, without a word of it; empty where they mean the same."""
        ids = "its external ids" if set(self.ids) != set(other.ids) else ""
        rest = self._with([]).same_as(other._with([]))
        return " and ".join(part for part in (ids, "" if rest else "other parts of it") if part)

    def _with(self, ids: list[str]) -> Trust:
        return replace(self, document=_replaced(self.document, self.condition, ids))


def key_id_of(external_id: str) -> str:
    """What rotator calls an external id: it can be shown, and the external id can't be derived from it."""
    return f"xid-{sha256(external_id.encode()).hexdigest()[:16]}"


def _statements(document: Mapping[str, Any]) -> list[tuple[tuple[_Step, ...], Mapping[str, Any]]]:
    found = document.get("Statement")
    if isinstance(found, list):
        return [(("Statement", number), _mapping(statement)) for number, statement in enumerate(found)]
    return [(("Statement",), _mapping(found))]


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _refusal("is not in the form of a policy")
    return value


def _check(statement: Mapping[str, Any], *, operator: _Step) -> None:
    if operator != "StringEquals":
        raise _refusal(f"compares sts:ExternalId by {outside_text(operator)}; it must be StringEquals")
    if statement.get("Effect") != "Allow":
        raise _refusal("has its condition on sts:ExternalId in a statement that doesn't allow")
    actions = _several(statement.get("Action", []))
    if not any(isinstance(action, str) and action.casefold() == "sts:assumerole" for action in actions):
        raise _refusal("has its condition on sts:ExternalId in a statement without the action sts:AssumeRole")
    principal = statement.get("Principal")
    if not isinstance(principal, Mapping) or not principal.get("AWS"):
        raise _refusal("has its condition on sts:ExternalId in a statement that lets in no principal of AWS")


def _refusal(why: str) -> CallFailed:
    return CallFailed(
        f"the role's trust policy {why}",
        verdict=Verdict.REFUSED,
        code="TrustPolicyUnusable",
        permanent=True,
        remedy=_REMEDY,
    )


def _several(one_or_more: Any) -> Sequence[Any]:
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


def _at(value: Any, way: Sequence[_Step]) -> Any:
    for step in way:
        value = value[step]
    return value


def _replaced(value: Any, way: Sequence[_Step], new: object) -> Any:
    """A copy with something new at the end of the way; all beside the way is shared, and in the same order."""
    if not way:
        return new
    step, *rest = way
    copy: Any = [*value] if isinstance(value, list) else {**value}
    copy[step] = _replaced(value[step], rest, new)
    return copy


def _meaning(value: object) -> Hashable:
    if isinstance(value, Mapping):
        return "object", frozenset((key, _meaning(part)) for key, part in value.items())
    if isinstance(value, list):
        parts = frozenset(map(_meaning, value))
        return next(iter(parts)) if len(parts) == 1 else ("list", parts)
    return type(value).__name__, value  # True is no 1
