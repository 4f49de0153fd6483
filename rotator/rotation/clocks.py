"""Our clock and the vendor's, and what both say of a wait. Pure.

Either clock may have been set while a wait was running: ours by an operator, by NTP, or with a restored snapshot; the
vendor's is read from Date headers, which a proxy may have written. A wait that protects a consumer needs both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rotator.model import State, Suspect
from rotator.policy import Policy

CLOCK_TOLERANCE = timedelta(minutes=2)
"""How far our clock may be from the vendor's before nothing is minted, confirmed or revoked by it."""

LONGEST_RETRY = timedelta(hours=1)
"""A vendor's Retry-After is never followed for longer than this."""


Reading = tuple[datetime, float]
"""This machine's clocks at one moment: the wall clock (aware UTC), and the monotonic one (seconds)."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """One reading of both.

    Args:
        now: ours (aware UTC).
        vendor_now: the vendor's, from the Date header of an answer of this look; None where none had one.
    """

    now: datetime
    vendor_now: datetime | None

    @property
    def apart(self) -> bool:
        """This machine's clock and the vendor's don't agree."""
        return self.vendor_now is not None and abs(self.now - self.vendor_now) > CLOCK_TOLERANCE

    def ended(self, state: State, wait: timedelta) -> bool:
        """A wait of the present phase is over."""
        vendor = state.since_vendor
        return self.past((state.since or self.now) + wait, vendor + wait if vendor is not None else None)

    def past(self, until: datetime, until_vendor: datetime | None) -> bool:
        """Both moments have come. A wait that the vendor's clock never dated is not over while that clock is shown."""
        if self.vendor_now is None:
            return self.now >= until
        return self.now >= until and until_vendor is not None and self.vendor_now >= until_vendor


def was_set(before: Reading, after: Reading) -> bool:
    """This machine's clock was set between two readings: the monotonic one went on."""
    passed = timedelta(seconds=after[1] - before[1])
    return abs(after[0] - before[0] - passed) > CLOCK_TOLERANCE


def within_reason(state: State, clocks: Clocks, policy: Policy, *, settled: bool, lag_over: bool) -> State:
    """The journal without any moment that outlasts its own wait: a clock was ahead when it was set, and is no more.

    Moments that count on the vendor's clock and have no date by it get one, as of now.

    Args:
        state: the journal's row, with no call open.
        clocks: both, now.
        policy: how long each wait is.
        settled: nothing may land any more, so that a later start need not wait for it again.
        lag_over: the same for what lists may not show yet.
    """
    dated = replace(
        state,
        since_vendor=_vendor_date(state, clocks.vendor_now),
        current_since=_not_ahead(state.current_since, clocks.vendor_now),
        unsettled_since=None if settled else state.unsettled_since,
        changed_at=None if lag_over else state.changed_at,
        clock_off_since=_off_since(state, clocks),
    )
    if clocks.apart:
        return dated  # a clock that is off judges none of its own moments
    longest = max(policy.backoff_max, LONGEST_RETRY)
    waits = longest if state.waits is None else min(state.waits, longest)
    return replace(
        dated,
        since=_not_ahead(state.since, clocks.now),
        not_before=None if state.not_before is None else min(state.not_before, clocks.now + waits),
        suspects=tuple(_suspect(suspect, clocks, policy.quarantine) for suspect in state.suspects),
    )


def _not_ahead(moment: datetime | None, now: datetime | None) -> datetime | None:
    return now if moment is not None and now is not None and moment > now + CLOCK_TOLERANCE else moment


def _vendor_date(state: State, vendor_now: datetime | None) -> datetime | None:
    if vendor_now is None:
        return state.since_vendor
    if state.since_vendor is None:
        return vendor_now
    return _not_ahead(state.since_vendor, vendor_now)


def _suspect(suspect: Suspect, clocks: Clocks, quarantine: timedelta) -> Suspect:
    until = min(suspect.until, clocks.now + quarantine)
    if clocks.vendor_now is None:
        return replace(suspect, until=until)
    end = clocks.vendor_now + quarantine
    return replace(suspect, until=until, until_vendor=min(suspect.until_vendor or end, end))


def _off_since(state: State, clocks: Clocks) -> datetime | None:
    if clocks.vendor_now is None:
        return state.clock_off_since
    return (state.clock_off_since or clocks.now) if clocks.apart else None
