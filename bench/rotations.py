"""What a rotation costs: HTTP calls, CPU, memory; with one credential and with a thousand. `make bench` prints it.

Everything is real but the clouds: the SDK, HTTP over sockets, the journal and the audit file with full durability. All
waits are as short as the config allows, so each ends at its first poll.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import httpx

from bench.stand_ins import StandIns, stand_ins
from rotator.audit.sinks import FileSink
from rotator.clock import SystemClock, new_id
from rotator.config.load import load
from rotator.providers.base import Provider
from rotator.rotation.engine import Engine
from rotator.rotation.managed import Managed
from rotator.sandbox.stage import CREDENTIAL
from rotator.service.fleet import assemble, register
from rotator.store.journal import Journal
from rotator.store.requests import RequestWriter

IMPATIENT: Mapping[str, object] = {
    "every": "1h",
    "grace": "0s",
    "quiet_for": "0s",
    "max_grace": "10ms",
    "quarantine": "0s",
    "proving": {"successes": 3, "every": "1ms", "timeout": "30s"},
    "watch": "1h",
}
"""The default policy without its waits."""

RESTLESS: Mapping[str, object] = {**IMPATIENT, "every": "20ms"}
"""The next rotation is due as soon as one is done."""

PROVIDER_CALLS = ("list_keys", "mint", "delete")
ABILITIES: Mapping[str, Sequence[str]] = {
    "proves": ("prove",),
    "disables": ("disable", "enable"),
    "tells_use": ("last_used",),
}
TARGET_CALLS = ("read", "push", "dependents")

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
CLOCK = SystemClock()
Result = TypeVar("Result")


# The engine in this process: what it costs beyond the calls.


@dataclass(slots=True)
class Calls:
    """The calls that are made through it: their number, and the CPU of their threads, in seconds."""

    number: int = 0
    cpu: float = 0.0
    _lock: Lock = field(default_factory=Lock)

    def of(self, managed: Managed) -> Managed:
        """The same credential, its calls counted."""
        return replace(
            managed,
            provider=self._provider(managed.provider),
            targets=tuple(self._through(target, TARGET_CALLS) for target in managed.targets),
        )

    def _provider(self, provider: Provider) -> Any:
        able = provider.abilities
        counted = {
            name: self._through(having, calls)
            for name, calls in ABILITIES.items()
            if (having := getattr(able, name)) is not None
        }
        calls = {name: self._counted(getattr(provider, name)) for name in PROVIDER_CALLS}
        return _Through(provider, {**calls, "abilities": replace(able, **counted)})

    def _through(self, thing: object, names: Sequence[str]) -> Any:
        return _Through(thing, {name: self._counted(getattr(thing, name)) for name in names})

    def _counted(self, call: Callable[..., Result]) -> Callable[..., Result]:
        def counted(*arguments: Any, **named: Any) -> Result:
            began = time.thread_time()
            try:
                return call(*arguments, **named)
            finally:
                with self._lock:
                    self.cpu += time.thread_time() - began
                    self.number += 1

        return counted


class _Through:
    def __init__(self, thing: object, counted: Mapping[str, object]) -> None:
        self._thing = thing
        self._counted = counted

    def __getattr__(self, name: str) -> Any:
        return self._counted.get(name) or getattr(self._thing, name)


@contextmanager
def engine(world: StandIns, calls: Calls) -> Iterator[Callable[[int], int]]:
    """An engine in this process.

    Gives a function that drives the credential until so many keys were minted, and returns the number of audit records.
    """
    os.environ.update(world.environment)
    config = load(world.config, {})
    sink = FileSink(Path(str(config.audit.file)))
    with httpx.Client() as http, Journal.open(config.store.url, sinks=[sink], clock=CLOCK.now) as journal:
        fleet = assemble(config, CLOCK, http)
        register(fleet, journal)
        managed = calls.of(fleet.managed[CREDENTIAL])
        driver = Engine(journal, CLOCK, new_id=new_id, threads=2)

        def drive(generation: int) -> int:
            while (state := journal.load(managed.name)).generation < generation:
                if state.hold is not None:
                    raise SystemExit(f"held: {state.hold}")
                at = driver.tick(managed)
                time.sleep(max(0.0, (at - CLOCK.now()).total_seconds()))
            return journal.reader.newest(1)[0].sequence

        yield drive
        driver.close()


def bench_engine(rotations: int, profile: cProfile.Profile | None) -> None:
    calls = Calls()
    warm = 3  # connections and caches
    with stand_ins(RESTLESS) as world, engine(world, calls) as drive:
        records = drive(warm)
        asked, calls.cpu, calls.number = world.requests(), 0.0, 0
        began, cpu = time.monotonic(), time.process_time()
        if profile is not None:
            profile.enable()
        records = drive(warm + rotations) - records
        if profile is not None:
            profile.disable()
        cpu, seconds = time.process_time() - cpu, time.monotonic() - began
        asked = world.requests() - asked
    say(f"{rotations} rotations of one credential, one after the other; each:")
    say(f"(a) {asked.total() / rotations:.1f} HTTP calls (limit: 18, polling and dependents apart)")
    for name, number in sorted(asked.items()):
        say(f"    {number / rotations:6.2f}  {name}")
    say(f"(b) {1000 * (cpu - calls.cpu) / rotations:.1f} ms of CPU beyond the SDK and HTTP calls (limit: 15)")
    say(f"    {1000 * calls.cpu / rotations:6.1f}  in {calls.number / rotations:.0f} calls")
    say(f"    {1000 * seconds / rotations:6.1f}  on the clock; {records / rotations:.0f} audit records\n")


# The service as it is.


@dataclass(frozen=True, slots=True)
class Service:
    """`rotator run` in a process of its own."""

    process: subprocess.Popen[bytes]
    world: StandIns

    def cpu(self) -> float:
        """Seconds that it has worked."""
        return cpu_of(self.process.pid)

    def memory(self, what: str) -> str:
        """VmRSS, or VmHWM: the peak."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return f"{int(status.partition(f'{what}:')[2].split()[0]) / 1000:.0f} MB"

    def wait_for(self, event: str, number: int) -> None:
        """Wait until the audit file has so many of this event."""
        audit = self.world.data / "audit.jsonl"
        while not audit.exists() or (read := audit.read_bytes()).count(f'"event":"{event}"'.encode()) < number:
            if self.process.poll() is not None or (audit.exists() and b'"event":"rotation.held"' in read):
                raise SystemExit(f"the service ended, or a rotation is held, before the {number}th {event}")
            time.sleep(0.1)


@contextmanager
def service(world: StandIns) -> Iterator[Service]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(world.config.parent), **world.environment}
    command = (sys.executable, "-m", "rotator", "run")
    with subprocess.Popen(command, env=environment) as process:  # noqa: S603  # our own program
        try:
            yield Service(process, world)
        finally:
            process.terminate()


def cpu_of(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / TICKS_PER_SECOND


def bench_one(rotations: int) -> None:
    with stand_ins(IMPATIENT) as world:
        with service(world) as first:
            first.wait_for("key.adopted", 1)  # the store is made: from now on nothing is migrated
        with service(world) as running:
            running.wait_for("daemon.started", 2)
            time.sleep(3)
            idle, cpu = running.memory("VmRSS"), running.cpu()
            url = f"sqlite:///{world.data / 'rotator.db'}"
            with RequestWriter.open(url, clock=CLOCK.now, new_id=new_id) as writer:
                for number in range(1, rotations + 1):
                    writer.submit("rotate", credential=CREDENTIAL, arguments={"now": True}, uid=os.getuid())
                    running.wait_for("rotation.done", number)
            cpu = (running.cpu() - cpu) / rotations
            used, peak = running.memory("VmRSS"), running.memory("VmHWM")
    say("`rotator run` with one credential")
    say(f"(c) RSS {idle} idle, {used} after {rotations} rotations, at most {peak} (limit: 100 MB)")
    say(f"    {1000 * cpu:.0f} ms of CPU a rotation, with all that a service does meanwhile\n")


def bench_fleet(credentials: int) -> None:
    with stand_ins(IMPATIENT, credentials=credentials) as world, service(world) as running:
        running.wait_for("daemon.started", 1)
        began, cpu, theirs = time.monotonic(), running.cpu(), cpu_of(world.pid)
        running.wait_for("rotation.done", credentials)
        seconds = time.monotonic() - began
        cpu, theirs = running.cpu() - cpu, cpu_of(world.pid) - theirs
        used, peak = running.memory("VmRSS"), running.memory("VmHWM")
    say(f"`rotator run` with {credentials} credentials, all due at once, first contact included")
    say(
        f"(d) {60 * credentials / seconds:.0f} rotations a minute; {1000 * cpu / credentials:.0f} ms of CPU each, calls"
    )
    say(f"    included; RSS {used}, at most {peak}")
    say(f"    Of {os.cpu_count()} cores, it used {cpu / seconds:.0%} of one, the stand-ins {theirs / seconds:.0%}.")
    say("    Near 100%, the stand-ins (one Python process) are what limits the rate, not rotator.")


def say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rotations", type=int, default=100, help="of one credential")
    parser.add_argument("--credentials", type=int, default=1000, help="of the fleet")
    parser.add_argument("--profile", action="store_true", help="only show where the CPU beyond the calls goes")
    asked = parser.parse_args()
    if asked.profile:
        profile = cProfile.Profile(time.thread_time)
        bench_engine(asked.rotations, profile)
        pstats.Stats(profile).sort_stats("cumulative").print_stats(50)
        return
    bench_engine(asked.rotations, None)
    bench_one(20)
    bench_fleet(asked.credentials)


if __name__ == "__main__":
    main()
