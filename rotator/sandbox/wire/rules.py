"""What can go wrong between a client and a stand-in, as values that are read from JSON."""

from __future__ import annotations

import json
import re
from typing import Annotated, Literal

from pydantic import BaseModel, Field, NonNegativeFloat, NonNegativeInt, PositiveInt, TypeAdapter, ValidationError

When = Literal["before", "after"]
"""Before: the request is never processed. After: it is processed, and what it changed stays changed."""


class Canned(BaseModel, extra="forbid", frozen=True):
    """The client gets this answer instead of the stand-in's own."""

    kind: Literal["answer"] = "answer"
    when: When = "before"
    status: int = Field(ge=200, le=599)
    body: str = ""
    content_type: str = "application/json"
    headers: dict[str, str] = {}


class Delay(BaseModel, extra="forbid", frozen=True):
    """Processing (before) or answering (after) waits so many seconds, or until released (null)."""

    kind: Literal["delay"] = "delay"
    when: When = "before"
    seconds: NonNegativeFloat | None


class Reset(BaseModel, extra="forbid", frozen=True):
    """The connection is held open for `hold` seconds (null: until released), then reset without a byte of an answer."""

    kind: Literal["reset"] = "reset"
    when: When = "before"
    hold: NonNegativeFloat | None = 0


class Cut(BaseModel, extra="forbid", frozen=True):
    """The request is processed; the connection ends after the first `keep` bytes of the answer's body."""

    kind: Literal["cut"] = "cut"
    keep: NonNegativeInt


class Drip(BaseModel, extra="forbid", frozen=True):
    """The request is processed; the answer's body comes `size` bytes at a time, `pause` seconds apart."""

    kind: Literal["drip"] = "drip"
    size: PositiveInt = 1
    pause: NonNegativeFloat


class Late(BaseModel, extra="forbid", frozen=True):
    """The connection is reset at once; the request is processed so many seconds later, or when released (null)."""

    kind: Literal["late"] = "late"
    seconds: NonNegativeFloat | None = None


Fault = Canned | Delay | Reset | Cut | Drip | Late


class Rule(BaseModel, extra="forbid", frozen=True):
    """Which requests suffer which fault.

    Args:
        method: the HTTP method; None is any.
        path: a regular expression, found anywhere in the path.
        action: for AWS, the form field `Action`; None is any.
        skip: how many matching requests pass before the first one suffers.
        times: how many requests suffer; None is every one.
        fault: what happens to them.
    """

    method: Literal["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"] | None = None
    path: re.Pattern[str] = re.compile("")
    action: str | None = None
    skip: NonNegativeInt = 0
    times: PositiveInt | None = 1
    fault: Annotated[Fault, Field(discriminator="kind")]


RULES = TypeAdapter(list[Rule])
"""Reads and writes a list of rules as JSON."""


def explain(invalid: ValidationError) -> bytes:
    """JSON that says what is wrong with a list of rules, and what is allowed."""
    problems = [
        {"at": ".".join(map(str, problem["loc"])), "problem": problem["msg"]}
        for problem in invalid.errors(include_url=False, include_context=False, include_input=False)
    ]
    return json.dumps({"error": problems, "allowed": RULES.json_schema()}).encode()
