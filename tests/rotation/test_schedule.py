"""When is it due, and may it be done now: over clock changes in both directions, in whole and in half hours."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rotator.model import State
from rotator.policy import Policy
from rotator.rotation.moment import Calendar
from rotator.rotation.schedule import Schedule, Window, backoff, due_at, jitter

HOUR = timedelta(hours=1)
QUARTER = timedelta(minutes=15)
NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
ZONES = ("Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")

# Shortly before clocks were moved: London and New York by an hour, Lord Howe by half of one; the rest is anywhere.
CHANGES = tuple(
    datetime(*day, tzinfo=UTC)
    for day in ((2026, 3, 28), (2026, 10, 24), (2026, 3, 7), (2026, 10, 31), (2026, 4, 3), (2026, 10, 2))
)
near_a_change = st.builds(
    lambda change, minutes: change + timedelta(minutes=minutes), st.sampled_from(CHANGES), st.integers(0, 3 * 24 * 60)
)
anywhere = st.integers(0, 10 * 365 * 24 * 3600).map(lambda seconds: CHANGES[0] + timedelta(seconds=seconds))
moments = near_a_change | anywhere


@st.composite
def windows(draw: st.DrawFn) -> Window:
    days = draw(st.sets(st.sampled_from(NAMES), min_size=1))
    start = draw(st.integers(0, 24 * 60 - 1))
    end = draw(st.integers(1, 24 * 60).filter(lambda minute: minute != start))
    zone = draw(st.sampled_from(ZONES))
    clock = [f"{minute // 60:02}:{minute % 60:02}" for minute in (start, end)]
    return Window.parse(f"{','.join(sorted(days))} {'-'.join(clock)} {zone}")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def opened(window: Window, since: datetime, hours: int) -> list[str]:
    """The quarters of an hour, as UTC times of day, in which the window is open."""
    quarters = (since + n * QUARTER for n in range(hours * 4))
    return [f"{moment:%H:%M}" for moment in quarters if window.is_open(moment)]


@given(windows(), moments)
def test_the_next_opening_is_open_and_nothing_before_it_is(window: Window, now: datetime) -> None:
    opening = window.next_open(now)

    assert opening >= now
    assert window.is_open(opening)
    for share in range(16):
        between = now + (opening - now) * share / 16
        assert between == opening or not window.is_open(between)
    assert opening == now or not window.is_open(opening - timedelta(microseconds=1))


@given(windows(), moments)
def test_away_from_clock_changes_open_is_what_the_wall_clock_says(window: Window, now: datetime) -> None:
    local = now.astimezone(window.zone)
    around = [(now + timedelta(days=n)).astimezone(window.zone).utcoffset() for n in (-3, 3)]
    assume(around == [local.utcoffset()] * 2)
    since_midnight = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)
    since_midnight += timedelta(microseconds=local.microsecond)
    today = local.weekday() in window.days and window.start <= since_midnight < window.end
    yesterday = (local.weekday() - 1) % 7 in window.days and since_midnight < window.end - timedelta(days=1)

    assert window.is_open(now) == (today or yesterday)


@given(windows(), moments)
def test_nobody_waits_longer_than_the_longest_closed_time(window: Window, now: datetime) -> None:
    assert window.next_open(now) - now <= window.longest_closed()


@pytest.mark.parametrize(
    ("text", "longest"),
    [
        ("Mon-Fri 08:00-16:00 Europe/London", 65 * HOUR),  # a weekend of 64, when the clocks go back
        ("Mon-Fri 08:00-16:00 Asia/Kathmandu", 64 * HOUR),
        ("daily 08:00-16:00 America/New_York", 17 * HOUR),
        ("daily 08:00-16:00 Australia/Lord_Howe", 16.5 * HOUR),
        ("Sat,Sun 00:00-24:00 Europe/London", 120 * HOUR),  # the clocks change while it is open
        ("* 22:00-21:00 UTC", 1 * HOUR),
        ("daily 00:00-24:00 Europe/London", 0 * HOUR),
        ("Mon 09:00-10:00 Africa/Casablanca", 168 * HOUR),  # clocks change around Ramadan, which moves
    ],
)
def test_longest_closed(text: str, longest: timedelta) -> None:
    assert Window.parse(text).longest_closed() == longest


def test_no_window_is_always_open() -> None:
    window = Window.parse(None)

    assert window.longest_closed() == timedelta(0)
    assert all(window.is_open(moment + n * HOUR) for moment in CHANGES for n in range(48))


def test_a_window_crosses_midnight_from_the_day_that_it_names() -> None:
    window = Window.parse("Fri 22:00-02:00 UTC")

    assert window.next_open(utc("2026-11-23T00:00")) == utc("2026-11-27T22:00")
    assert window.is_open(utc("2026-11-28T01:59"))
    assert not window.is_open(utc("2026-11-28T02:00"))
    assert not window.is_open(utc("2026-11-27T01:00"))


@pytest.mark.parametrize(
    ("text", "open_at"),
    [
        ("daily 01:30-03:00 Europe/London", ["01:30", "01:45"]),  # 01:30 is left out: 02:30, that is 01:30 UTC
        ("daily 00:30-01:30 Europe/London", ["00:30", "00:45", "01:00", "01:15"]),
        ("daily 01:00-01:30 Europe/London", ["01:00", "01:15"]),  # left out as a whole: moved as a whole
        ("daily 01:30-02:15 Europe/London", ["01:30", "01:45", "02:00"]),
    ],
)
def test_local_times_that_are_left_out_move_forward(text: str, open_at: list[str]) -> None:
    assert opened(Window.parse(text), utc("2026-03-29T00:00"), 12) == open_at


@pytest.mark.parametrize(
    ("text", "open_at"),
    [
        ("daily 01:15-01:45 Europe/London", ["00:15", "00:30"]),  # and not again an hour later
        ("daily 01:30-02:15 Europe/London", ["00:30", "00:45", "01:00", "01:15", "01:30", "01:45", "02:00"]),
        ("daily 00:30-01:30 Europe/London", ["00:00", "00:15"]),
    ],
)
def test_local_times_that_come_twice_count_once(text: str, open_at: list[str]) -> None:
    assert opened(Window.parse(text), utc("2026-10-25T00:00"), 12) == open_at


def test_half_an_hour_is_moved_on_lord_howe_island() -> None:
    window = Window.parse("daily 02:00-02:30 Australia/Lord_Howe")

    # 2026-10-04: 02:00 to 02:30 is left out, at 15:30 UTC of the day before.
    assert opened(window, utc("2026-10-03T12:00"), 12) == ["15:30", "15:45"]
    # 2026-04-05: 01:30 to 02:00 comes twice, 02:00 once.
    assert opened(window, utc("2026-04-04T12:00"), 12) == ["15:30", "15:45"]


@pytest.mark.parametrize(
    ("text", "days"),
    [("Mon-Fri", {0, 1, 2, 3, 4}), ("sat,SUN", {5, 6}), ("Fri-Mon", {4, 5, 6, 0}), ("Wed-Wed,Mon", {0, 2})],
)
def test_days(text: str, days: set[int]) -> None:
    window = Window.parse(f" {text}  8:00-16:00  Europe/London ")

    assert window == Window(frozenset(days), 8 * HOUR, 16 * HOUR, ZoneInfo("Europe/London"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is written like"),
        ("08:00-16:00", "is written like"),
        ("Mon-Fri 08:00-16:00", "is written like"),
        ("Mon-Fri 08:00 - 16:00 UTC", "is written like"),
        ("Mon-Fri ٠٨:00-16:00 UTC", "is written like"),
        ("Mon-Fry 08:00-16:00 UTC", "'Mon-Fry' is no weekday"),
        ("Mon- 08:00-16:00 UTC", "'Mon-' is no weekday"),
        ("Mon,,Tue 08:00-16:00 UTC", "'' is no weekday"),
        ("Mon-Tue-Wed 08:00-16:00 UTC", "is no weekday"),
        ("Mon 08:60-16:00 UTC", "is written like"),
        ("Mon 08:00-24:01 UTC", "24:01 is no time of day"),
        ("Mon 08:00-08:00 UTC", "a whole day is written 00:00-24:00"),
        ("Mon 24:00-08:00 UTC", "a whole day is written 00:00-24:00"),
        ("Mon 08:00-16:00 Europe/Londn", "'Europe/Londn' is no IANA time zone"),
        ("Mon 08:00-16:00 Europe", "'Europe' is no IANA time zone"),
        ("Mon 08:00-16:00 ../../etc/passwd", "is no IANA time zone"),
        ("Mon 08:00-16:00 /etc/localtime", "is no IANA time zone"),
    ],
)
def test_what_is_no_window_is_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Window.parse(text)


@given(st.text(), st.integers(0, 10**6), st.timedeltas(timedelta(0), timedelta(days=3650)))
def test_jitter_is_the_same_each_time_and_below_its_limit(identity: str, generation: int, limit: timedelta) -> None:
    delay = jitter(identity, generation, limit)

    assert delay == jitter(identity, generation, limit)
    assert timedelta(0) <= delay < max(limit, timedelta(microseconds=1))


def test_jitter_spreads_credentials_and_generations() -> None:
    by_name = [jitter(f"aws:user/{n}", 1, HOUR) for n in range(400)]
    by_generation = [jitter("aws:user/one", n, HOUR) for n in range(400)]

    for delays in (by_name, by_generation):
        assert len(set(delays)) == 400
        quarters = [sum(1 for delay in delays if delay // QUARTER == n) for n in range(4)]
        assert all(70 <= number <= 130 for number in quarters)


def test_jitter_never_changes_between_versions() -> None:
    assert jitter("aws:user/northflank-byoc", 42, HOUR) == timedelta(microseconds=2_581_046_935)


def test_due_is_every_and_the_jitter_after_the_confirm() -> None:
    since, policy = utc("2026-11-23T12:00"), Policy(every=timedelta(days=14), jitter=HOUR)

    due = due_at(since, policy, "aws:user/one", 7)

    assert due == since + timedelta(days=14) + jitter("aws:user/one", 7, HOUR)


@given(
    first=st.timedeltas(timedelta(milliseconds=1), timedelta(days=3650)),
    limit=st.timedeltas(timedelta(milliseconds=1), timedelta(days=3650)),
    failures=st.integers(1, 10**6),
    fraction=st.floats(0, 1, exclude_max=True),
)
def test_backoff_never_exceeds_its_limit(first: timedelta, limit: timedelta, failures: int, fraction: float) -> None:
    wait = backoff(first, limit, failures, fraction)

    assert timedelta(0) <= wait <= limit
    assert wait <= backoff(first, limit, failures + 1, fraction)


def test_backoff_doubles_up_to_its_limit() -> None:
    waits = [backoff(timedelta(minutes=1), 6 * HOUR, failures, 0.5) for failures in range(1, 12)]

    assert [wait // timedelta(seconds=30) for wait in waits] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360]


def test_the_schedule_is_the_calendar_that_rotations_ask() -> None:
    policy = Policy(every=timedelta(days=30), window="Mon-Fri 08:00-16:00 UTC")
    calendar: Calendar = Schedule(policy, "aws:user/one", Window.parse(policy.window), lambda: 0.5)
    monday, saturday = utc("2026-11-23T09:00"), utc("2026-11-21T09:00")

    assert calendar.due_at(State()) is None
    assert calendar.due_at(State(current_since=monday, generation=3)) == due_at(monday, policy, "aws:user/one", 3)
    assert calendar.window_open(monday)
    assert not calendar.window_open(saturday)
    assert calendar.window_opens(saturday) == utc("2026-11-23T08:00")
    assert calendar.backoff(1) == timedelta(seconds=30)
