"""Everything in a rotation that depends on time: what is due, what is over, when to look again. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from rotator.model import Capabilities, Key, LastUse, Observation, OnUnattributed, Phase, Policy, State

CLOCK_TOLERANCE = timedelta(minutes=2)
"""How far our clock may be from the cloud's Date header before a revocation is held."""

ATTEMPTS_COUNT_FROM = timedelta(days=7)
"""This long before `max_age`, transport errors begin to count as attempts."""

EXPIRY_MARGIN = timedelta(days=3)
"""So long before its end at least is a key replaced, if it lives twice as long."""


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
        new_rotation_id: the id that a rotation begun now will have.
        integrations: the ids of the integrations that the config names for this credential.
        named_key: the key that the config names as the one in use; read at first contact only.
        has_material: the candidate's material is in this process.
        settled: `settle` has passed since the last thing that might still land.
        waiting: the backoff or a vendor's Retry-After isn't over.
        window: changes that the window gates are allowed now (not counting `now` and emergency).
        frozen: an operator stopped every change of this store.
        clock_ok: our clock agrees with the cloud's Date header to 2 minutes.
        due: why a rotation is due, or None. `expiring` means that it can't wait for the window.
        key_supplied: the operator put a new key in its place, where the operator makes the keys.
        grace_over, quiet, overstayed: `grace` is over; the old keys are silent; `max_grace` is over.
        quarantine_over, proving_over: the respective time is over.
        retry_at: when a call that fails now may be tried again.
        quarantine_until: when a quarantine that begins now ends.
        attempts_spared: transport errors, throttling and 5xx don't count as attempts (max_age isn't near).
        max_attempts, proofs_wanted, settle, hold_unattributed: from the policy.
    """

    now: datetime
    new_rotation_id: str
    integrations: frozenset[str]
    retry_at: datetime
    quarantine_until: datetime
    named_key: str | None = None
    has_material: bool = False
    settled: bool = True
    waiting: bool = False
    window: bool = True
    frozen: bool = False
    clock_ok: bool = True
    due: str | None = None
    expiring: bool = False
    key_supplied: bool = False
    grace_over: bool = False
    quiet: bool = True
    overstayed: bool = False
    quarantine_over: bool = False
    proving_over: bool = False
    attempts_spared: bool = True
    max_attempts: int = 12
    proofs_wanted: int = 3
    settle: timedelta = timedelta(seconds=60)
    hold_unattributed: bool = False


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
        quiescent: no call of this process may still be under way, by the monotonic clock too.
        frozen: an operator stopped every change.
    """
    since = state.since or now
    moment = Moment(
        now=now,
        new_rotation_id=new_rotation_id,
        integrations=integrations,
        named_key=named_key,
        has_material=has_material,
        settled=quiescent and (state.unsettled_since is None or now >= state.unsettled_since + policy.settle),
        waiting=state.not_before is not None and now < state.not_before,
        window=calendar.window_open(now),
        frozen=frozen,
        grace_over=now >= since + policy.grace,
        overstayed=now >= since + policy.max_grace,
        quarantine_over=now >= since + policy.quarantine,
        proving_over=now >= since + policy.proving_timeout,
        retry_at=_retry_at(state, calendar, now),
        quarantine_until=now + policy.quarantine,
        attempts_spared=_attempts_spared(state, policy, now),
        max_attempts=policy.max_attempts,
        proofs_wanted=policy.proving_successes,
        settle=policy.settle,
        hold_unattributed=policy.on_unattributed is OnUnattributed.HOLD,
    )
    return seeing(moment, state, policy=policy, calendar=calendar, can=can, seen=seen)


def seeing(
    moment: Moment, state: State, *, policy: Policy, calendar: Calendar, can: Capabilities, seen: Observation
) -> Moment:
    """The same moment, in the light of what was observed. The arguments are those of `moment_of`."""
    now = moment.now
    key_supplied = can.supplied and any(key.key_id != state.current for key in seen.keys or ())
    expiring = key_supplied or _expiring(state, seen, now)
    return replace(
        moment,
        clock_ok=seen.cloud_time is not None and abs(now - seen.cloud_time) <= CLOCK_TOLERANCE,
        due=_due(state, calendar, moment.integrations, now, expiring=expiring, key_supplied=key_supplied),
        expiring=expiring,
        key_supplied=key_supplied,
        quiet=_quiet(state, policy, can, seen, now),
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


def next_look(state: State, *, policy: Policy, calendar: Calendar, now: datetime) -> datetime:
    """When to observe the credential again, after a step that only waits. At most `watch` from now."""
    ahead = [moment for moment in _moments(state, policy, calendar, now) if moment > now]
    return min([now + policy.watch, *ahead])


def overdue(state: State, policy: Policy, now: datetime) -> bool:
    """The current key is older than `max_age`."""
    return state.current_since is not None and now > state.current_since + policy.max_age


def _moments(state: State, policy: Policy, calendar: Calendar, now: datetime) -> Iterator[datetime]:
    if state.not_before is not None:
        yield state.not_before
    if state.unsettled_since is not None:
        yield state.unsettled_since + policy.settle
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
            yield since + policy.grace
            yield since + policy.quiet_for
            yield since + policy.max_grace
        case Phase.QUARANTINE:
            yield since + policy.quarantine
        case _:
            return


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


def _expiring(state: State, seen: Observation, now: datetime) -> bool:
    current = _find(seen.keys, state.current)
    if current is None or current.expires_at is None:
        return False
    life = current.expires_at - current.created_at
    # Half of a short life: a key that is due as soon as it is made would be replaced for ever.
    margin = min(max(EXPIRY_MARGIN, life / 10), life / 2)
    return now >= current.expires_at - margin


def _find(keys: tuple[Key, ...] | None, key_id: str | None) -> Key | None:
    return next((key for key in keys or () if key.key_id == key_id), None)


def _quiet(state: State, policy: Policy, can: Capabilities, seen: Observation, now: datetime) -> bool:
    """Every old key that is left has been silent for `quiet_for` since the push, as far as the cloud reports use."""
    if not can.has_evidence:
        return True
    last_used: Mapping[str, LastUse | None] = dict(seen.last_used)
    pushed = state.current_since or now
    for key_id in state.to_revoke:
        if seen.keys is not None and _find(seen.keys, key_id) is None:
            continue
        if key_id not in last_used:
            return False
        use = last_used[key_id]
        if now < max(pushed, use.at if use is not None else pushed) + policy.quiet_for:
            return False
    return True
