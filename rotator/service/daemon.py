"""The long-running service: takes up what is due and what is unfinished, and goes on by the clock.

APScheduler does the timing: one date job per credential at its next look, re-armed after each tick. The work itself
is in `rotation.engine`; here are threads, signals, the reload and the drain.
"""

from __future__ import annotations

import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor as Workers
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import timedelta
from pathlib import Path

import structlog

from rotator.audit.event import Event, EventName, Result
from rotator.clock import Clock
from rotator.config.models import Config
from rotator.errors import AuditError, ExitCode, RotatorError, StaleFence, StoreError
from rotator.host import logs
from rotator.host.systemd import Notifier
from rotator.http.outside_text import outside_text
from rotator.rotation.engine import Engine
from rotator.service.alarms import Bell, Looks, alarms_now, shortest_patience, summary
from rotator.service.fleet import Fleet
from rotator.service.people import serve_requests
from rotator.service.reload import reread
from rotator.service.timers import Timers
from rotator.service.turns import Rank, Turns, rank
from rotator.service.vitals import Vitals
from rotator.store.journal import Journal

REQUESTS_EVERY = 0.5
"""Seconds between looks at the request table: an operator's command is seen within a second."""

DELIVERY_EVERY = 0.5
"""Seconds between deliveries to the audit sinks; before a change, the required ones are flushed at once."""

HEARTBEAT = 1.0
"""Seconds between comparisons of the wall clock with the monotonic one."""

CLOCK_JUMP = 5.0
"""Seconds that the wall clock may gain on the monotonic one, or lose, between two heartbeats; more is a jump."""

DRAIN = 8.0
"""Seconds that calls under way get at a stop before they are journalled as unknown."""

LAST_DELIVERY = 1.0
"""Seconds that the sinks get for the last records; what they don't take, the next start delivers."""

STOPS = frozenset({signal.SIGTERM, signal.SIGINT})

STORE_RETRY = timedelta(seconds=10)
"""How soon a credential is tried again when the journal could not be written."""

STORE_EVERY = 30.0
"""Seconds between proofs that the store can be written: an idle service would not find out that the disk is full."""

SLACK = 30.0
"""Seconds that a part of the work may be silent beside the longest call: for a slow disk, or the making of a key."""

MAIN_LOOP, REQUESTS, CHORES = "the main loop", "the requests", "the reload"
"""Parts of the work beside the credentials, whose names have no spaces."""

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("rotator.service.daemon")


class Daemon:
    """Runs the credentials of one config against one journal until a signal stops it.

    Args:
        config_path: read again at SIGHUP.
        config: what was read there.
        fleet: the credentials, wired.
        journal: owned by this process.
        clock: wall and monotonic time.
        notifier: reports to systemd.
        new_id: makes ids.
    """

    def __init__(
        self,
        config_path: Path,
        config: Config,
        fleet: Fleet,
        journal: Journal,
        clock: Clock,
        *,
        notifier: Notifier,
        new_id: Callable[[], str],
    ) -> None:
        self._config_path = config_path
        self._config = config
        self._notifier = notifier
        self._readable = self._reloaded = True
        self._stuck: str | None = None
        self._summary = "starting"
        self._fleet = fleet
        self._journal = journal
        self._clock = clock
        self._engine = Engine(journal, clock, new_id=new_id, threads=config.workers, in_hand=config.in_hand)
        self._stop = threading.Event()
        # Handlers run in the middle of anything, so they may take no lock; this queue takes none (it is documented to
        # be reentrant), while an Event set by a handler can wait for ever for the very code that it interrupted.
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._exit = ExitCode.FINE
        self._turns = Turns(config.workers)
        self._workers = Workers(config.workers, thread_name_prefix="worker")  # a waiting rotation holds none of them
        self._chores = Workers(1, thread_name_prefix="chores")  # what takes long and isn't a credential's
        self._ticking = 0
        self._ticked = threading.Condition()
        self._timers = Timers(self._offer)
        self._looks, self._bell = Looks(clock), Bell()

    def run(self) -> ExitCode:
        """Serve until SIGTERM or SIGINT. Returns the process's exit code.

        Raises:
            RotatorError: the health listener can't listen.
        """
        for number in (*STOPS, signal.SIGHUP):
            signal.signal(number, lambda received, _: self._signals.put(received))
        with self._health_listener():
            count = len(self._fleet.managed)
            self._journal.record([Event(event=EventName.DAEMON_STARTED, reason=f"{count} credentials")])
            self._serve_fleet(self._fleet)
            self._set_timers()
            self._timers.start()
            log.info("rotator is running", credentials=count, store=self._journal.store_id)
            self._notifier.ready()
            self._serve()
            return self._drain()

    # The main thread.

    def _serve(self) -> None:
        """Wait for signals, and notice when the wall clock jumps: timers sleep through that."""
        offset = self._offset()
        while not STOPS & (received := self._received()):
            self._tell_systemd()
            if signal.SIGHUP in received:
                self._notifier.reloading(self._clock.monotonic())
                self._chore(self._reload_config)
            moved = self._offset()
            if abs(moved - offset) > CLOCK_JUMP:
                log.warning("the clock jumped; looking at every credential again", seconds=round(moved - offset))
                self._chore(self._set_timers)
            offset = moved

    def _chore(self, work: Callable[[], None]) -> None:
        """Have it done beside the main thread, which only takes signals and beats; one after the other."""

        def done() -> None:
            with self._engine.pulse.working(CHORES):
                work()

        self._chores.submit(done)

    def _received(self) -> set[int]:
        """The signals since the last look. Waits for one, at most a heartbeat long."""
        received: set[int] = set()
        with suppress(queue.Empty):
            received.add(self._signals.get(timeout=HEARTBEAT))
            while True:
                received.add(self._signals.get_nowait())
        return received

    def _offset(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()

    def _tell_systemd(self) -> None:
        """That the work goes on, if it does: the watchdog acts on silence."""
        self._engine.pulse.mark(MAIN_LOOP)
        stuck = self._stuck_part()
        if stuck is None:
            self._notifier.alive()
            self._notifier.status(self._summary)
        elif stuck != self._stuck:
            log.critical("the work is stuck; a watchdog would end it", at=stuck, limit_seconds=self._patience())
        self._stuck = stuck

    def _drain(self) -> ExitCode:
        log.info("stopping: no new change is begun")
        self._notifier.stopping()
        self._stop.set()
        self._engine.drain()
        self._timers.stop()
        self._chores.shutdown(wait=False, cancel_futures=True)
        self._workers.shutdown(wait=False, cancel_futures=True)
        with self._ticked:
            self._ticked.wait_for(lambda: self._ticking == 0, timeout=DRAIN)
        try:
            for name in self._engine.give_up_open_calls(tuple(self._fleet.managed.values())):
                log.warning("a call is still open; the next start finds out what became of it", credential=name)
            self._journal.record([Event(event=EventName.DAEMON_STOPPED)])
        except StoreError as error:
            log.error("the end could not be journalled; the next start finds out what became of it", error=str(error))
            self._exit = self._exit or error.exit_code
        last = threading.Thread(target=self._deliver, daemon=True)
        last.start()
        last.join(LAST_DELIVERY)
        return self._exit

    # Health.

    def _health_listener(self) -> AbstractContextManager[object]:
        health = self._config.health
        if health is None:
            return nullcontext()
        if sys.modules.get("click", health) is None:
            del sys.modules["click"]  # kept out by `run`, for all that can do without: uvicorn can't
        from rotator.service.health import HealthListener  # noqa: PLC0415  # most services have none, and it weighs 9 MB

        return HealthListener(health.host, health.port, self._vitals)

    def _vitals(self) -> Vitals:
        try:
            self._journal.guard()
            owned = True
        except StaleFence:
            owned = False
        return Vitals(
            store=self._journal.writable and self._readable,
            audit=not self._journal.refusing_sinks(),
            work=self._stuck_part() is None,
            config=self._reloaded,
            ownership=owned and not self._stop.is_set(),
        )

    def _stuck_part(self) -> str | None:
        """What has given no sign of life for longer than any call may take."""
        part, silent = self._engine.pulse.quietest()
        return part if silent > self._patience() else None

    def _patience(self) -> float:
        """Seconds."""
        longest = max((managed.policy.settle for managed in self._fleet.managed.values()), default=timedelta(0))
        return longest.total_seconds() / 2 + SLACK

    # Work.

    def _set_timers(self) -> None:
        """Set every timer by the wall clock as it is now. One that was set before a jump back would sleep as long."""
        self._engine.pulse.mark(REQUESTS)
        for name, work, seconds in (
            ("requests", self._serve_requests, REQUESTS_EVERY),
            ("delivery", self._deliver, DELIVERY_EVERY),
            ("store", self._prove_store, min(STORE_EVERY, shortest_patience(self._fleet.managed.values()) / 6)),
            ("summary", self._sum_up, HEARTBEAT),
        ):
            self._timers.every(seconds, name, work)
        self._look_at(self._fleet.managed)

    def _look_at(self, names: Iterable[str]) -> None:
        for name in names:
            self._timers.at(name, self._clock.now())

    def _offer(self, name: str) -> None:
        """Hand a credential that is due for a look to the workers, by its urgency."""
        managed = self._fleet.managed.get(name)
        if managed is None or self._stop.is_set():
            return
        urgency = Rank.LOOK  # where the journal can't be read: the tick reports it
        with suppress(StoreError):
            urgency = rank(managed, self._journal.load(name), self._clock.now())
        self._turns.offer(name, urgency, managed.ways)
        with suppress(RuntimeError):  # the workers were dismissed in between: the service stops
            self._workers.submit(self._work)

    def _work(self) -> None:
        """Take what is ready until nothing may be taken: what waits for a share is taken by the one that leaves it."""
        while (turn := self._turns.take()) is not None:
            try:
                self._tick(turn.name)
            finally:
                self._turns.done(turn)

    def _tick(self, name: str) -> None:
        managed = self._fleet.managed.get(name)
        if managed is None or self._stop.is_set():
            return
        with self._ticked:
            self._ticking += 1
        try:
            at = self._engine.tick(managed)
        except StaleFence as error:
            self._lost_ownership(error)
            return
        except StoreError as error:
            log.error(
                "the journal can't be written; nothing is changed until it can", credential=name, error=str(error)
            )
            at = self._clock.now() + STORE_RETRY
        except Exception as bug:  # noqa: BLE001  # one credential's trouble must not stop the others
            log.error("a tick broke in an unforeseen way", credential=name, error=type(bug).__name__)
            at = self._clock.now() + managed.policy.watch
        finally:
            with self._ticked:
                self._ticking -= 1
                self._ticked.notify_all()
        self._looks.note(name)
        self._timers.at(name, at)
        self._look_at(self._engine.admission.may_try())

    def _lost_ownership(self, error: StaleFence) -> None:
        log.critical("another process owns the store; this one stops at once", error=str(error))
        self._exit = ExitCode.OTHER_OWNER
        self._engine.drain()
        self._signals.put(signal.SIGTERM)

    def _sum_up(self) -> None:
        """One line for `systemctl status`."""
        fleet = self._fleet.managed.values()
        try:
            alarms = self._bell.ring(alarms_now(fleet, self._journal, self._looks, self._clock))
            self._summary = summary(fleet, self._journal, alarms)
            self._bell.lagging(self._journal.lagging_sinks())
        except StoreError:  # the ticks report it; here it must end nothing
            self._summary = "the journal can't be read"

    def _deliver(self) -> None:
        """Bring the audit log's sinks up to date. Only a required sink that lags holds anything up."""
        try:
            with suppress(AuditError):  # an alarm says so, once
                self._journal.flush(required_only=False)
        except StoreError as error:
            log.error("the audit log can't be delivered now", error=str(error))

    def _prove_store(self) -> None:
        was_writable = self._journal.writable
        try:
            self._journal.touch(self._looks.fresh())
            if not was_writable:
                log.info("the store can be written again")
        except StaleFence as error:
            self._lost_ownership(error)
        except StoreError as error:
            log.error("the store can't be written; nothing is changed until it can", error=str(error))

    # People.

    def _serve_requests(self) -> None:
        try:
            with self._engine.pulse.working(REQUESTS):
                self._look_at(serve_requests(self._fleet, self._journal, self._engine, self._clock))
            self._readable = True
        except StaleFence as error:
            self._lost_ownership(error)
        except StoreError as error:
            self._readable = False
            log.error("requests can't be answered now", error=str(error))
        except Exception as bug:  # noqa: BLE001  # the library would log what it says, which may be anything
            log.error("a request broke in an unforeseen way", error=type(bug).__name__)
        finally:
            self._engine.pulse.mark(REQUESTS)

    # Reload.

    def _reload_config(self) -> None:
        """Take a new config if it is sound and fits what is in flight; else the old one stays in force."""
        try:
            config, fleet = reread(
                self._config_path,
                self._config,
                self._fleet,
                self._journal,
                self._clock,
                beat=self._engine.pulse.beat,
            )
        except Exception as error:  # noqa: BLE001  # whatever breaks over the new config, the service goes on with the old
            why = str(error) if isinstance(error, RotatorError) else f"an unforeseen {type(error).__name__}"
            self._reloaded = False
            log.error("the new config is refused; the old one stays in force", error=why)
            self._tell_of_reload(Result.REFUSED, outside_text(why))
        else:
            # Ticks may still use the former fleet. Both share the process's HTTP client; what else the former one
            # opened, for a `ca_file` or through an SDK, ends with its last user.
            self._fleet, self._config, self._reloaded = fleet, config, True
            self._serve_fleet(fleet)
            logs.set_level(config.log.level)
            self._tell_of_reload(Result.DONE, f"{len(fleet.managed)} credentials")
            log.info("the config was reloaded", credentials=len(fleet.managed))
            self._set_timers()
        if not self._stop.is_set():
            self._notifier.ready()

    def _serve_fleet(self, fleet: Fleet) -> None:
        self._engine.keep(fleet.managed.values())
        self._turns.serve(fleet.managed.values())

    def _tell_of_reload(self, outcome: Result, reason: str) -> None:
        try:
            self._journal.record([Event(event=EventName.CONFIG_RELOADED, outcome=outcome, reason=reason)])
        except StoreError as error:
            log.error("the reload could not be journalled", error=str(error))
