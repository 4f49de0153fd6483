"""Durations as people write them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.settings.durations import format_duration, parse_duration


@given(st.integers(0, 3650 * 24 * 3600 * 1000).map(lambda number: timedelta(milliseconds=number)))
def test_what_is_written_is_read_back(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
        ("1d12h", timedelta(hours=36)),
        ("1m5ms", timedelta(seconds=60, milliseconds=5)),
        ("0s", timedelta(0)),
        ("3650d", timedelta(days=3650)),
    ],
)
def test_durations(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text", ["", " 5s", "5", "5 s", "5S", "-5s", "1.5h", "5s5s", "12h1d", "1w", "٥s", "5s\n", "P30D", "30 days", "5min"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is written like 500ms, 90s, 15m, 12h, 30d or 1d12h"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["3651d", "999999999999d", "999999999999h"])
def test_ten_years_are_the_longest(text: str) -> None:
    with pytest.raises(ValueError, match="at most 3650d"):
        parse_duration(text)


def test_a_time_that_is_over_has_a_minus() -> None:
    assert format_duration(timedelta(hours=-36)) == "-1d12h"
