"""One pass, for a timer or by hand: carries what is due from mint to confirm, and leaves the waits to later runs."""

from __future__ import annotations

import threading
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

import structlog

from rotator.attention import FindingKind
from rotator.clock import Clock
from rotator.errors import ExitCode, StoreError
from rotator.model import Phase, State
from rotator.rotation.engine import Engine
from rotator.rotation.managed import Managed
from rotator.service.alarms import Bell, Looks, alarms_now
from rotator.service.fleet import Fleet
from rotator.service.people import serve_requests
from rotator.service.turns import Turns, rank
from rotator.store.journal import Journal

_TURN = 1.0
"""Seconds between looks of a credential that waits for its turn."""

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("rotator.service.once")


def run_once(
    fleet: Fleet,
    journal: Journal,
    engine: Engine,
    *,
    clock: Clock,
    stop: threading.Event,
    workers: int,
    names: Collection[str] | None = None,
) -> ExitCode:
    """Take up what is due and what is unfinished, as far as it goes without a long wait.

    Args:
        fleet: the credentials.
        journal: owned by this process.
        engine: drives them.
        clock: wall and monotonic time.
        stop: set to end early: no new change is begun.
        workers: how many credentials are worked at side by side.
        names: these credentials only; all of them by default.

    Returns:
        HELD if a credential needs an operator, can't be read, or did not reach a phase that holds no material; else
        FINE.

    Raises:
        StoreError: the journal can't be written.
    """
    serve_requests(fleet, journal, engine, clock)
    chosen = [managed for name, managed in fleet.managed.items() if names is None or name in names]
    engine.keep(fleet.managed.values())
    looks, turns = Looks(clock), Turns(workers)
    turns.serve(chosen)
    for managed in chosen:
        turns.offer(managed.name, rank(managed, journal.load(managed.name), clock.now()), managed.ways)

    def work() -> list[bool]:
        finished = []
        while (turn := turns.take()) is not None:
            try:
                finished.append(_carry(fleet.managed[turn.name], journal, engine, clock, stop))
            except StoreError:
                raise
            except Exception as bug:  # noqa: BLE001  # one credential's trouble must not stop the others
                log.error("a pass broke in an unforeseen way", credential=turn.name, error=type(bug).__name__)
                finished.append(False)
            finally:
                turns.done(turn)
        return finished

    with ThreadPoolExecutor(workers, thread_name_prefix="once") as pool:
        passes = [pool.submit(work) for _ in range(min(workers, len(chosen)))]
    finished = [done for each in passes for done in each.result()]
    journal.flush(required_only=False)
    for managed in chosen:
        looks.note(managed.name)
    journal.touch(looks.fresh())
    alarms = Bell().ring(alarms_now(chosen, journal, looks, clock))
    unread = any(journal.load(managed.name).unread for managed in chosen)
    return ExitCode.HELD if alarms or unread or not all(finished) else ExitCode.FINE


def _carry(managed: Managed, journal: Journal, engine: Engine, clock: Clock, stop: threading.Event) -> bool:
    """Tick until nothing is left to do that a later run could not do as well. False if patience ran out first."""
    patience = (managed.policy.proving_timeout + 2 * managed.policy.settle).total_seconds()
    last: tuple[Phase, int] | None = None
    since = clock.monotonic()
    while not stop.is_set():
        next_look = engine.tick(managed)
        state = journal.load(managed.name)
        if not _must_go_on(state, holds_material=engine.holds_material(managed)):
            return True
        if (state.phase, state.generation) != last:
            last, since = (state.phase, state.generation), clock.monotonic()
            log.info("going on", credential=managed.name, phase=state.phase.value)
        elif clock.monotonic() - since > patience:
            log.warning("gave up waiting; the next run goes on", credential=managed.name, phase=state.phase.value)
            return False
        wait = max(0.0, (next_look - clock.now()).total_seconds())
        stop.wait(min(wait, _TURN) if _waits_for_its_turn(state) else wait)
    return False


def _waits_for_its_turn(state: State) -> bool:
    return any(finding.kind is FindingKind.NOT_ADMITTED for finding in state.findings)


def _must_go_on(state: State, *, holds_material: bool) -> bool:
    if state.hold is not None:
        return False
    unconfirmed = state.phase in {Phase.PROVING, Phase.PUSHING, Phase.CONFIRMING}
    return unconfirmed or _waits_for_its_turn(state) or holds_material or state.mint is not None
