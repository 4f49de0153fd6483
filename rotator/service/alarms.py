"""The alarms of a running service: each is a line in the log when it begins, and one when it ends."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

import structlog

from rotator.clock import Clock
from rotator.rotation.alarms import Alarm, of_credential, of_sinks
from rotator.rotation.managed import Managed
from rotator.store.journal import Journal

_SHOWN = 3  # names in a line

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("rotator.service.alarms")


class Looks:
    """When this process last looked at each credential, by the clock that never jumps. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = clock.monotonic()
        self._lock = threading.Lock()
        self._at: dict[str, float] = {}
        self._fresh: set[str] = set()

    def note(self, name: str) -> None:
        """This credential was looked at, whatever was seen."""
        with self._lock:
            self._at[name] = self._clock.monotonic()
            self._fresh.add(name)

    def fresh(self) -> set[str]:
        """Those that were looked at since this was last asked."""
        with self._lock:
            fresh, self._fresh = self._fresh, set()
            return fresh

    def at(self, name: str) -> datetime:
        """When it was last looked at, or this process began (aware UTC)."""
        with self._lock:
            ago = self._clock.monotonic() - self._at.get(name, self._began)
        return self._clock.now() - timedelta(seconds=ago)


def alarms_now(fleet: Iterable[Managed], journal: Journal, looks: Looks, clock: Clock) -> Iterator[Alarm]:
    """What needs an operator now.

    Args:
        fleet: the credentials of the config.
        journal: the store.
        looks: when each was last looked at.
        clock: the wall clock.

    Raises:
        StoreError: the journal can't be read.
    """
    yield from of_sinks(journal.refusing_sinks())
    now = clock.now()
    for managed in fleet:
        state = journal.load(managed.name)
        yield from of_credential(managed.name, state, managed.policy, looks.at(managed.name), now)


class Bell:
    """Says when an alarm begins, and when it ends; and the same of audit sinks that nothing waits for."""

    def __init__(self) -> None:
        self._ringing: dict[tuple[str, str, str], Alarm] = {}
        self._lagging: AbstractSet[str] = frozenset()

    def ring(self, alarms: Iterable[Alarm]) -> tuple[Alarm, ...]:
        """Say what has changed, and give all that is."""
        now = {alarm.key: alarm for alarm in alarms}
        for key, alarm in now.items():
            if key not in self._ringing:
                log.error("alarm", kind=alarm.kind.value, about=alarm.about, detail=alarm.detail, text=alarm.text)
        for key, alarm in self._ringing.items():
            if key not in now:
                log.warning("alarm over", kind=alarm.kind.value, about=alarm.about, detail=alarm.detail)
        self._ringing = now
        return tuple(now.values())

    def lagging(self, sinks: Mapping[str, str]) -> None:
        """Say which sinks have stopped taking records, by name with the reason, and which take them again."""
        for sink in sinks.keys() - self._lagging:
            log.warning("an audit sink fails; its records wait in the store", sink=sink, error=sinks[sink])
        for sink in self._lagging - sinks.keys():
            log.info("an audit sink takes records again", sink=sink)
        self._lagging = frozenset(sinks)


def shortest_patience(fleet: Collection[Managed]) -> float:
    """Seconds after which some credential that was not looked at is an alarm; at least 6, so that a sixth is one."""
    return max(6.0, min((one.policy.alarm_after.total_seconds() for one in fleet), default=float("inf")))


def summary(fleet: Collection[Managed], journal: Journal, alarms: Collection[Alarm]) -> str:
    """One line for `systemctl status`. Raises StoreError if the journal can't be read."""
    states = [journal.load(managed.name) for managed in fleet]
    rotating, held = sum(state.in_flight for state in states), sum(state.hold is not None for state in states)
    return f"credentials: {len(states)}, in rotation: {rotating}, held: {held}{_needed(alarms)}"


def _needed(alarms: Collection[Alarm]) -> str:
    if not alarms:
        return ""
    about = sorted({alarm.about for alarm in alarms})
    shown = ", ".join(about[:_SHOWN]) + (f" and {len(about) - _SHOWN} more" if len(about) > _SHOWN else "")
    return f"; an operator is needed: {shown}"
