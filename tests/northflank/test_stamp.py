from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rotator.model import Stamp
from rotator.northflank import stamp as stamps
from rotator.northflank.stamp import compose, parse, pushed_on, strip

DAY = date(2026, 11, 23)
STAMP = Stamp("7f3a", 42, "AKIA..WXYZ")
# As Northflank's API reference gives it.
NORTHFLANK_TAKES = re.compile(r"""^[a-zA-Z0-9.,?\s\\/'"()[\];`%^&*\-_:!]+$""")

allowed_text = st.text(st.sampled_from("abzAZ09.,?\\/'\"()[];`%^&*-_:! \t\n"), max_size=200)
pieces = st.sampled_from(
    [
        "[rotator 7f3a g41 AKIA..AAAA 2026-10-23]",
        "[rotator 99ff g1 2025-01-01]",
        "[rotator 7f3a g42 AKIA..WXYZ 2026@11@23]",
        "[rotator ",
        "[rotator 7f3a g42 ",
        "7f3a g7 ",
        "2026-11-23]",
        "] [",
        "été #1 @home",
        "\u00a0\u2028\ud7ff",
        "the AWS account of the shop",
        "x" * 190,
    ]
)
hostile_text = st.lists(st.one_of(pieces, st.text(max_size=20)), max_size=6).map("".join)
some_stamp = st.builds(
    Stamp,
    st.from_regex(r"\A[0-9a-z]{4,32}\Z"),
    st.integers(0, 999_999_999),
    st.none() | st.from_regex(r"\A[A-Za-z0-9_.,:/-]{1,40}\Z"),
)


def test_the_form_of_a_stamp() -> None:
    assert compose("Production", STAMP, DAY) == "Production [rotator 7f3a g42 AKIA..WXYZ 2026-11-23]"
    assert compose("", Stamp("7f3a", 42), DAY) == "[rotator 7f3a g42 2026-11-23]"


@given(allowed_text | hostile_text, some_stamp, st.dates())
@settings(max_examples=150, deadline=None)
@example("[rotator abcd [rotator 7f3a g1 2026-01-01] g2 2026-01-01]", STAMP, DAY)
@example("[rotator 7f3a g1 2026@01@01]", STAMP, DAY)
def test_what_is_pushed_names_this_push_and_no_other(text: str, stamp: Stamp, day: date) -> None:
    description = compose(text, stamp, day)
    assert parse(description) == stamp
    assert len(description) <= 200
    assert NORTHFLANK_TAKES.match(description)
    assert description.isascii()
    assert compose(description, stamp, day) == description


@given(allowed_text, some_stamp, some_stamp)
@settings(deadline=None)
def test_the_users_text_survives(text: str, first: Stamp, second: Stamp) -> None:
    own = strip(text)
    replaced = strip(compose(compose(text, first, DAY), second, DAY))
    shortest_room = 200 - max(len(compose("", each, DAY)) for each in (first, second)) - 1
    if len(own) <= shortest_room:
        assert replaced == own
    else:
        assert replaced.endswith("..")
        assert own.startswith(replaced.rstrip(".").rstrip())


@given(hostile_text)
@settings(deadline=None)
@example("[rotator abcd [rotator 7f3a g1 2026-01-01] g2 2026-01-01]")
def test_stripping_leaves_no_stamp_and_is_done_once(text: str) -> None:
    own = strip(text)
    assert parse(own) is None
    assert strip(own) == own


@pytest.mark.parametrize(
    "description",
    [
        None,
        "",
        "Production",
        "[rotator 7f3a g42 AKIA..WXYZ 2026-11-2",
        "[rotator 7f3a g42  2026-11-23]",
        "[rotator 7F3A g42 2026-11-23]",
        "[rotator 7f3a g042 2026-11-23]",
        "[rotator 7f3a 42 2026-11-23]",
        "[rotator 7f3a g٤٢ 2026-11-23]",
        "[Rotator 7f3a g42 2026-11-23]",
        "[rotator 7f3a g41 2026-10-23] [rotator 7f3a g42 2026-11-23]",
    ],
)
def test_an_absent_malformed_or_ambiguous_stamp_is_none(description: str | None) -> None:
    assert parse(description) is None


@pytest.mark.parametrize(
    "description",
    [
        "[rotator 7f3a g42 AKIA..WXYZ 2026-11-23]",
        "text before [rotator 7f3a g42 AKIA..WXYZ 2026-11-23] and behind",
        "[rotator 7f3a g42 AKIA..WXYZ 2026-11-23] [rotator 7f3a g42 AKIA..WXYZ 2026-11-24]",
        "[rotator 7f3a g4 [rotator 7f3a g42 AKIA..WXYZ 2026-11-23]",
    ],
)
def test_a_stamp_is_read_wherever_a_person_moved_it(description: str) -> None:
    assert parse(description) == STAMP


@pytest.mark.parametrize(
    ("description", "day"),
    [
        ("Production [rotator 7f3a g42 AKIA..WXYZ 2026-11-23]", DAY),
        ("[rotator 7f3a g42 2026-11-23] [rotator 7f3a g42 2026-11-23]", DAY),
        ("[rotator 7f3a g42 2026-11-23] [rotator 7f3a g42 2026-11-24]", None),
        ("[rotator 7f3a g42 2026-13-45]", None),
        ("Production since 2026-11-23", None),
        (None, None),
    ],
)
def test_the_day_of_the_push_is_the_stamps(description: str | None, day: date | None) -> None:
    assert pushed_on(description) == day


@pytest.mark.parametrize(
    "stamp", [Stamp("", 1), Stamp("7f3a", -1), Stamp("7f3a", 1, ""), Stamp("7f3a", 1, "a b"), Stamp("7f3a", 1, "k=v")]
)
def test_a_stamp_that_could_not_be_read_back_is_never_pushed(stamp: Stamp) -> None:
    with pytest.raises(ValueError, match="not a stamp"):
        compose("text", stamp, DAY)


def test_the_limit_is_northflanks() -> None:
    assert stamps.DESCRIPTION_LIMIT == 200
