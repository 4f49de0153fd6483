"""Everything in a rotation that depends on time: what is due, what is over, when to look again. Pure.

A wait that protects (grace, `quiet_for`, a quarantine) is over only when both our clock and the vendor's say so: either
may have been set since it began. `settle` goes by the monotonic clock, which no one can set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from rotator.model import Capabilities, Observation, Phase, State
from rotator.policy import ConfirmUse, OnLost, OnUnattributed, Policy
from rotator.rotation.clocks import Clocks
from rotator.rotation.use import Use

ATTEMPTS_COUNT_FROM = timedelta(days=7)
"""This long before `max_age`, transport errors begin to count as attempts."""

EXPIRY_MARGIN = timedelta(days=3)
"""So long before its end at least is a key replaced, if it lives twice as long."""

Age = Callable[[datetime], timedelta]
"""How long ago a stored moment was, by the monotonic clock, as far as this process can know."""


class Calendar(Protocol):
    """The schedule of one credential, as the config sets it. Deterministic but for the backoff's jitter."""

    def due_at(self, state: State) -> datetime | None:
        """When the next rotation is due; None while the current key's age is not known."""

    def window_open(self, now: datetime) -> bool:
        """Changes that the window gates may be made now."""

    def window_opens(self, now: datetime) -> datetime:
        """The next moment at which they may, `now` included."""

    def backoff(self, failures: int) -> timedelta:
        """How long to wait after this many failures in a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What time, the process and the config say about this moment. Built once for each look, and passed on.

    Args:
        now: the wall clock, aware UTC.
        vendor_now: what time it is by the vendor's Date header (aware UTC); None where no answer has shown it.
        new_rotation_id: the id that a rotation begun now will have.
        integrations: the ids of the integrations that the config names for this credential.
        named_key: the key that the config names as the one in use; read at first contact only.
        has_material: the candidate's material is in this process.
        settled: `settle` has passed since the last thing that might still land.
        lag_over: `settle` has passed since the last answered change of a key: lists show it.
        lost_long: `settle` has passed since the first look that showed the current key as lost.
        waiting: the backoff or a vendor's Retry-After isn't over.
        window: changes that the window gates are allowed now (not counting `now` and emergency).
        frozen: an operator stopped every change of this store.
        clock_ok: our clock agrees with the vendor's to 2 minutes, or no vendor's was shown.
        clock_off_long: it has not for `proving.timeout`.
        blocked: why no rotation may begin or mint now, though it might otherwise; None if it may (rule 21).
        due: why a rotation is due, or None. `expiring` means that it can't wait for the window.
        key_supplied: the operator put a new key in its place, where the operator makes the keys.
        grace_over, quiet, overstayed: `grace` is over; the old keys are silent; `max_grace` is over.
        quiet_long: the old keys have been silent for `max_grace`.
        in_use_before: an old key was used in the `max_grace` before the push, or may have been.
        taken_up: the current key was used by another than rotator since its push.
        quarantine_over, proving_over: the respective time is over.
        suspects_over: the suspects whose quarantine is over.
        retry_at: when a call that fails now may be tried again.
        quarantine_until: when a quarantine that begins now ends.
        quarantine_until_vendor: the same by the vendor's clock.
        attempts_spared: transport errors, throttling and 5xx don't count as attempts (max_age isn't near).
            What rotator itself withheld never does.
        max_attempts, proofs_wanted, settle, hold_unattributed, replace_lost, confirm_use: from the policy.
    """

    now: datetime
    new_rotation_id: str
    integrations: frozenset[str]
    retry_at: datetime
    quarantine_until: datetime
    quarantine_until_vendor: datetime | None = None
    vendor_now: datetime | None = None
    named_key: str | None = None
    has_material: bool = False
    settled: bool = True
    lag_over: bool = True
    lost_long: bool = False
    waiting: bool = False
    window: bool = True
    frozen: bool = False
    clock_ok: bool = True
    clock_off_long: bool = False
    blocked: str | None = None
    due: str | None = None
    expiring: bool = False
    key_supplied: bool = False
    grace_over: bool = False
    quiet: bool = True
    quiet_long: bool = True
    in_use_before: bool = False
    taken_up: bool = False
    overstayed: bool = False
    quarantine_over: bool = False
    proving_over: bool = False
    suspects_over: frozenset[str] = frozenset()
    attempts_spared: bool = True
    max_attempts: int = 12
    proofs_wanted: int = 3
    settle: timedelta = timedelta(seconds=60)
    hold_unattributed: bool = False
    replace_lost: bool = False
    confirm_use: ConfirmUse = ConfirmUse.AUTO


def moment_of(
    state: State,
    *,
    policy: Policy,
    calendar: Calendar,
    can: Capabilities,
    seen: Observation,
    now: datetime,
    new_rotation_id: str,
    integrations: frozenset[str],
    named_key: str | None,
    has_material: bool,
    quiescent: bool,
    frozen: bool,
    age: Age,
) -> Moment:
    """What this moment means for the credential.

    Args:
        state: the journal's row.
        policy: the credential's times and limits.
        calendar: when it is due.
        can: the cloud's capabilities.
        seen: what was observed at this tick before now; `seeing` adds what is observed from now on.
        now: the wall clock, aware UTC.
        new_rotation_id: the id for a rotation that begins now.
        integrations: the integrations that the config names.
        named_key: the config's `current_key`.
        has_material: the candidate's material is in this process.
        quiescent: no call of this process may still be under way.
        frozen: an operator stopped every change.
        age: of a stored moment, by the monotonic clock.
    """
    moment = Moment(
        now=now,
        new_rotation_id=new_rotation_id,
        integrations=integrations,
        named_key=named_key,
        has_material=has_material,
        settled=quiescent and _aged(state.unsettled_since, policy.settle, age),
        lag_over=_aged(state.changed_at, policy.settle, age),
        lost_long=state.lost_since is not None and age(state.lost_since) >= policy.settle,
        waiting=state.not_before is not None and now < state.not_before,
        window=calendar.window_open(now),
        frozen=frozen,
        clock_off_long=state.clock_off_since is not None and age(state.clock_off_since) >= policy.proving_timeout,
        proving_over=state.since is not None and age(state.since) >= policy.proving_timeout,
        retry_at=_retry_at(state, calendar, now),
        quarantine_until=now + policy.quarantine,
        attempts_spared=_attempts_spared(state, policy, now),
        max_attempts=policy.max_attempts,
        proofs_wanted=policy.proving_successes,
        settle=policy.settle,
        hold_unattributed=policy.on_unattributed is OnUnattributed.HOLD,
        replace_lost=policy.on_lost is OnLost.REPLACE,
        confirm_use=policy.confirm_use,
    )
    return seeing(moment, state, policy=policy, calendar=calendar, can=can, seen=seen)


def seeing(
    moment: Moment, state: State, *, policy: Policy, calendar: Calendar, can: Capabilities, seen: Observation
) -> Moment:
    """The same moment, in the light of what was observed. The arguments are those of `moment_of`."""
    now, vendor_now = moment.now, seen.vendor_time
    key_supplied = can.supplied and any(key.key_id != state.current for key in seen.keys or ())
    expiring = key_supplied or _expiring(state, seen, vendor_now or now)
    clocks = Clocks(now, vendor_now)
    use = Use(state, policy, can, seen, clocks)
    return replace(
        moment,
        vendor_now=vendor_now,
        clock_ok=not clocks.apart,
        due=_due(state, calendar, moment.integrations, now, expiring=expiring, key_supplied=key_supplied),
        expiring=expiring,
        key_supplied=key_supplied,
        grace_over=clocks.ended(state, policy.grace),
        overstayed=clocks.ended(state, policy.max_grace),
        quarantine_over=clocks.ended(state, policy.quarantine),
        suspects_over=frozenset(s.key_id for s in state.suspects if clocks.past(s.until, s.until_vendor)),
        quarantine_until_vendor=None if vendor_now is None else vendor_now + policy.quarantine,
        quiet=use.silent_for(policy.quiet_for),
        quiet_long=use.silent_for(policy.max_grace),
        in_use_before=use.before_the_push(),
        taken_up=use.taken_up(),
    )


def after_call(moment: Moment, state: State, *, policy: Policy, calendar: Calendar, now: datetime) -> Moment:
    """The moment at which the call that was decided on at `moment` has ended.

    Args:
        moment: of the decision.
        state: the journal's row with the call's intent in it.
        policy: the credential's times and limits.
        calendar: how long to wait before another try.
        now: the wall clock, aware UTC.
    """
    return replace(
        moment,
        now=now,
        retry_at=_retry_at(state, calendar, now),
        attempts_spared=_attempts_spared(state, policy, now),
    )


def next_look(
    state: State, *, policy: Policy, calendar: Calendar, now: datetime, vendor_now: datetime | None = None
) -> datetime:
    """When to observe the credential again, after a step that only waits. At most `watch` from now.

    Args:
        state: the journal's row.
        policy: its times.
        calendar: when it is due.
        now: the wall clock at the last decision (aware UTC).
        vendor_now: the vendor's clock of that look, where an answer showed it.
    """
    ahead = [moment for moment in _moments(state, policy, calendar, now) if moment > now]
    if vendor_now is not None:
        ahead += [now + (moment - vendor_now) for moment in _vendor_moments(state, policy) if moment > vendor_now]
    return min([now + policy.watch, *ahead])


def overdue(state: State, policy: Policy, now: datetime) -> bool:
    """The current key is older than `max_age`."""
    return state.current_since is not None and now > state.current_since + policy.max_age


def _vendor_moments(state: State, policy: Policy) -> Iterator[datetime]:
    """When the waits that protect are over by the vendor's clock."""
    yield from (suspect.until_vendor for suspect in state.suspects if suspect.until_vendor is not None)
    if state.since_vendor is None or state.hold is not None:
        return
    match state.phase:
        case Phase.GRACE:
            yield from (state.since_vendor + wait for wait in (policy.grace, policy.quiet_for, policy.max_grace))
        case Phase.QUARANTINE:
            yield state.since_vendor + policy.quarantine
        case _:
            return


def _moments(state: State, policy: Policy, calendar: Calendar, now: datetime) -> Iterator[datetime]:
    if state.not_before is not None:
        yield state.not_before
    for moment in (state.unsettled_since, state.changed_at, state.lost_since):
        if moment is not None:
            yield moment + policy.settle
    for suspect in state.suspects:
        yield suspect.until
    if state.hold is not None:
        return
    yield calendar.window_opens(now)
    since = state.since or now
    match state.phase:
        case Phase.IDLE:
            due_at = calendar.due_at(state)
            if due_at is not None:
                yield due_at
        case Phase.PROVING:
            yield now + policy.proving_every
        case Phase.GRACE:
            yield from (since + wait for wait in (policy.grace, policy.quiet_for, policy.max_grace))
        case Phase.QUARANTINE:
            yield since + policy.quarantine
        case _:
            return


def _aged(moment: datetime | None, wait: timedelta, age: Age) -> bool:
    return moment is None or age(moment) >= wait


def _retry_at(state: State, calendar: Calendar, now: datetime) -> datetime:
    return now + calendar.backoff(max(state.failures, state.attempts - 1) + 1)


def _attempts_spared(state: State, policy: Policy, now: datetime) -> bool:
    return state.current_since is None or now < state.current_since + policy.max_age - ATTEMPTS_COUNT_FROM


def _due(
    state: State, calendar: Calendar, integrations: frozenset[str], now: datetime, *, expiring: bool, key_supplied: bool
) -> str | None:
    if state.phase is not Phase.IDLE:
        return None
    if key_supplied:
        return "the operator supplied a new key"
    if expiring:
        return "the current key expires soon"
    if state.current is None:
        return "no key is confirmed to be held"
    new = sorted(integrations - state.confirmed_in)
    if new:
        return f"integration {', '.join(new)} was added"
    due_at = calendar.due_at(state)
    if due_at is not None and now >= due_at:
        return f"due since {due_at:%Y-%m-%d %H:%M} UTC"
    return None


def _expiring(state: State, seen: Observation, at: datetime) -> bool:
    current = next((key for key in seen.keys or () if key.key_id == state.current), None)
    if current is None or current.expires_at is None:
        return False
    if current.odd is not None:
        return at >= current.expires_at - EXPIRY_MARGIN  # how long its life is may be what can't be read
    life = current.expires_at - current.created_at
    # Half of a short life: a key that is due as soon as it is made would be replaced for ever.
    margin = min(max(EXPIRY_MARGIN, life / 10), life / 2)
    return at >= current.expires_at - margin
