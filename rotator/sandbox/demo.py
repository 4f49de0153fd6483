"""`rotator demo`: one whole rotation by the real daemon against the stand-ins, seen from all sides."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rotator.errors import ExitCode, RotatorError, StoreError
from rotator.model import Phase, State
from rotator.sandbox.aws_scene import USER
from rotator.sandbox.consumer import Consumer
from rotator.sandbox.stage import CREDENTIAL, INTEGRATION, Stage
from rotator.store.journal import Journal

_PATIENCE = 80.0  # seconds, for the whole rotation
_REFRESH = 0.25  # seconds
_WAY = (
    Phase.MINTING,
    Phase.PROVING,
    Phase.PUSHING,
    Phase.CONFIRMING,
    Phase.GRACE,
    Phase.DISABLING,
    Phase.QUARANTINE,
    Phase.DELETING,
)


def run(console: Console) -> ExitCode:
    """Show a rotation and tell whether it was flawless.

    Raises:
        RotatorError: the daemon ended, or the rotation did not, within the time.
    """
    with TemporaryDirectory(prefix="rotator-demo-") as directory, Stage(Path(directory)) as stage:
        environment = {**os.environ, **stage.environment}
        console.print(f"Stand-ins: AWS at {stage.aws.server.url}, Northflank at {stage.server.url}")
        console.print(f"IAM user {USER}, whose key {stage.first_key} the integration {INTEGRATION} holds\n")
        with (
            Consumer(stage.server.url, stage.scenes[0]) as consumer,
            _daemon(environment, Path(directory)) as daemon,
        ):
            _watch_rotation(console, stage, consumer, daemon, environment)
            tally = consumer.tally
        console.print("\nTimeline (rotator show):\n")
        shown = _command(environment, "show", CREDENTIAL)
        console.print("\nAudit log (rotator audit verify):\n")
        verified = _command(environment, "audit", "verify")
        keys = stage.aws.keys(USER)
        console.print(f"\nAWS lists for {USER}: {', '.join(key.key_id for key in keys)}")
        console.print(f"The integration says: {stage.account.integration(INTEGRATION).description}", markup=False)
        console.print(f"consumer calls: {tally.calls}, failed: {tally.failed}")
        if tally.failed:
            console.print(f"first failure: {tally.first_failure}")
        flawless = not tally.failed and shown == verified == 0 and len(keys) == 1
        return ExitCode.FINE if flawless else ExitCode.ERROR


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
    done = subprocess.run([sys.executable, "-m", "rotator", *arguments], env=environment, check=False)  # noqa: S603
    return done.returncode


def _watch_rotation(
    console: Console, stage: Stage, consumer: Consumer, daemon: subprocess.Popen[bytes], environment: Mapping[str, str]
) -> None:
    """Ask for a rotation once first contact is made, and follow it to its end."""
    began = time.monotonic()
    asked = False
    state = State()
    with Live(console=console, refresh_per_second=8, transient=False) as live:
        while not (asked and state.phase is Phase.IDLE and state.generation):
            if daemon.poll() is not None:
                raise RotatorError(f"the daemon ended with {daemon.returncode}:\n{_log(stage)}")
            if time.monotonic() - began > _PATIENCE or state.hold is not None:
                raise RotatorError(f"the rotation did not end ({_phase(state)}):\n{_log(stage)}")
            state = _look(stage, state)
            if state.phase is Phase.IDLE and not asked:
                asked = True
                _quietly(environment, "rotate", CREDENTIAL, "--now")
            live.update(_view(stage, state, consumer, time.monotonic() - began))
            time.sleep(_REFRESH)


def _quietly(environment: Mapping[str, str], *arguments: str) -> None:
    command = [sys.executable, "-m", "rotator", *arguments]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise RotatorError(f"rotator {' '.join(arguments)} failed: {done.stderr}")


def _look(stage: Stage, before: State) -> State:
    try:
        with Journal.open_read_only(f"sqlite:///{stage.store_file}") as reader:
            row = next((row for row in reader.credentials() if row.name == CREDENTIAL), None)
    except StoreError:  # the daemon is still making it
        return before
    return row.state if row is not None else before


def _view(stage: Stage, state: State, consumer: Consumer, seconds: float) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    way = Text()
    for phase in _WAY:
        way.append(phase.value, style="bold green" if phase is state.phase else "dim")
        way.append(" ")
    table.add_row("phase", way if state.phase in _WAY else Text(_phase(state), style="bold"))
    for key in stage.aws.keys(USER):
        role = (
            "current" if key.key_id == state.current else "candidate" if key.key_id == state.candidate else "retiring"
        )
        held = "held by Northflank" if stage.account.held(INTEGRATION).get("accessKey") == key.key_id else ""
        enabled = "Active" if key.enabled else "Inactive"
        table.add_row("key", Text(f"{key.key_id}  {enabled:8}  {role:9}  {held}"))
    tally = consumer.tally
    table.add_row("consumer", Text(f"calls {tally.calls}, failed {tally.failed}"))
    table.add_row("time", Text(f"{seconds:.0f} s"))
    return table


def _phase(state: State) -> str:
    return f"held ({state.hold.reason.value}): {state.hold.detail}" if state.hold is not None else state.phase.value


def _log(stage: Stage) -> str:
    return (stage.directory / "daemon.log").read_text(errors="replace")[-4000:]
