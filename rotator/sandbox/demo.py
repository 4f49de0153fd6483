"""`rotator demo`: every kind of credential rotated side by side by the real daemon, against the stand-ins."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rotator.errors import ExitCode, RotatorError, StoreError
from rotator.model import Phase, State
from rotator.sandbox.consumer import Consumer
from rotator.sandbox.scene import Regenerated, Scene, beside_aws
from rotator.sandbox.stage import Stage
from rotator.store.journal import Journal

_PATIENCE = 150.0  # seconds, for all the rotations
_REFRESH = 0.25  # seconds
_HEADINGS = ("credential", "phase", "keys in the cloud", "calls", "failed")

States = Mapping[str, State]


def run(console: Console) -> ExitCode:
    """Show a rotation of each credential and return whether all were flawless.

    Raises:
        RotatorError: the daemon ended, or the rotations did not, within the time.
    """
    with (
        TemporaryDirectory(prefix="rotator-demo-") as directory,
        Stage(Path(directory), scenes=beside_aws()) as stage,
        ExitStack() as running,
    ):
        environment = {**os.environ, **stage.environment}
        for scene in stage.scenes:
            for name, url in scene.addresses.items():
                console.print(f"stand-in: {name} at {url}", highlight=False)
        console.print(f"stand-in: Northflank at {stage.server.url}\n", highlight=False)
        consumers = [running.enter_context(Consumer(stage.server.url, scene)) for scene in stage.scenes]
        daemon = running.enter_context(_daemon(environment, Path(directory)))
        _watch_rotations(console, stage, consumers, daemon, environment)
        running.close()
        console.print(f"\nTimeline of one of them (rotator show {stage.scenes[0].name}):\n")
        shown = _command(environment, "show", stage.scenes[0].name)
        console.print("\nAudit log (rotator audit verify):\n")
        verified = _command(environment, "audit", "verify")
        locked_out = [scene.name for scene in stage.scenes if scene.use(stage.account.held(scene.name))]
        if locked_out:
            console.print(f"locked out: {', '.join(locked_out)}")
        flawless = _sum_up(console, stage, consumers) and shown == verified == 0 and not locked_out
        return ExitCode.FINE if flawless else ExitCode.ERROR


def _sum_up(console: Console, stage: Stage, consumers: Sequence[Consumer]) -> bool:
    """Print what clouds and integrations hold now, and what the workloads noticed. True if that was nothing."""
    console.print("\nWhat the integrations say now:")
    for scene in stage.scenes:
        text = stage.account.integration(scene.name).description
        console.print(f"  {scene.name:12} {text}", markup=False, highlight=False)
    tallies = [consumer.tally for consumer in consumers]
    calls, failed = (sum(values) for values in zip(*((tally.calls, tally.failed) for tally in tallies), strict=True))
    dead = sum(tally.foreseen for tally in tallies)
    console.print(f"\nconsumer calls: {calls}, failed: {failed}")
    console.print(f"and between the Regenerate in Civo's dashboard and the push, when no key could work: {dead}")
    for scene, tally in zip(stage.scenes, tallies, strict=True):
        if tally.failed:
            console.print(f"first failure of {scene.name}: {tally.first_failure}", markup=False)
    return not failed


@contextmanager
def _daemon(environment: Mapping[str, str], directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The real service, with its output in a file; stopped as systemd would."""
    with (directory / "daemon.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "rotator", "run"], env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=15)


def _command(environment: Mapping[str, str], *arguments: str) -> int:
    sys.stdout.flush()
    done = subprocess.run([sys.executable, "-m", "rotator", *arguments], env=environment, check=False)  # noqa: S603  # rotator itself
    return done.returncode


def _watch_rotations(
    console: Console,
    stage: Stage,
    consumers: Sequence[Consumer],
    daemon: subprocess.Popen[bytes],
    environment: Mapping[str, str],
) -> None:
    """Have each credential rotated once its first contact is made, and follow all of them to the end."""
    began = time.monotonic()
    asked: set[str] = set()
    states: States = {scene.name: State() for scene in stage.scenes}
    with Live(console=console, refresh_per_second=8, transient=False) as live:
        while not all(_done(states[scene.name]) for scene in stage.scenes):
            if daemon.poll() is not None:
                raise RotatorError(f"the daemon ended with {daemon.returncode}:\n{_log(stage)}")
            stuck = [name for name, state in states.items() if state.hold is not None]
            if stuck or time.monotonic() - began > _PATIENCE:
                where = ", ".join(f"{name} {_phase(state)}" for name, state in states.items())
                raise RotatorError(f"the rotations did not end: {where}\n{_log(stage)}")
            states = _look(stage, states)
            for scene in stage.scenes:
                if states[scene.name].phase is Phase.IDLE and scene.name not in asked:
                    asked.add(scene.name)
                    _begin(environment, scene)
            live.update(_view(stage, states, consumers, time.monotonic() - began))
            time.sleep(_REFRESH)


def _begin(environment: Mapping[str, str], scene: Scene) -> None:
    """An operator asks for the rotation, or, where only an operator can make a key, makes one."""
    if isinstance(scene, Regenerated):
        scene.regenerate()
        return
    command = [sys.executable, "-m", "rotator", "rotate", scene.name, "--now"]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)  # noqa: S603  # rotator itself
    if done.returncode:
        raise RotatorError(f"rotator rotate {scene.name} failed: {done.stderr}")


def _done(state: State) -> bool:
    return state.phase is Phase.IDLE and state.generation > 0


def _look(stage: Stage, before: States) -> States:
    try:
        with Journal.open_read_only(f"sqlite:///{stage.store_file}") as reader:
            seen = {row.name: row.state for row in reader.credentials()}
    except StoreError:  # the daemon is still making it
        return before
    return {**before, **seen}


def _view(stage: Stage, states: States, consumers: Sequence[Consumer], seconds: float) -> Table:
    table = Table(*_HEADINGS, box=None, padding=(0, 2, 0, 0), caption=f"{seconds:.0f} s", caption_justify="left")
    for scene, consumer in zip(stage.scenes, consumers, strict=True):
        state, tally = states[scene.name], consumer.tally
        phase = Text("done", "green") if _done(state) else Text(_phase(state), "bold")
        failed = Text(str(tally.failed), "bold red" if tally.failed else "")
        table.add_row(scene.name, phase, _keys(scene, state), str(tally.calls), failed)
    return table


def _keys(scene: Scene, state: State) -> Text:
    """Each key's role, and whether it is enabled."""
    names = {state.current: "current", state.candidate: "candidate"}
    keys = sorted(scene.keys(), key=lambda key: key.created_at)
    roles = ((names.get(key.key_id, "retiring"), "" if key.enabled else " (disabled)") for key in keys)
    return Text(", ".join(f"{role}{disabled}" for role, disabled in roles))


def _phase(state: State) -> str:
    return f"held ({state.hold.reason.value}): {state.hold.detail}" if state.hold is not None else state.phase.value


def _log(stage: Stage) -> str:
    return (stage.directory / "daemon.log").read_text(errors="replace")[-4000:]
