"""`rotator sandbox`: the stand-ins, to try a config against."""

from __future__ import annotations

import signal
import threading
from datetime import timedelta
from pathlib import Path

from rich.console import Console

from rotator.errors import UsageError
from rotator.sandbox.scene import Regenerated, beside_aws
from rotator.sandbox.stage import Stage


def serve(
    console: Console,
    *,
    directory: Path,
    every_cloud: bool,
    rate_limit: int,
    propagation: timedelta,
    aws_port: int,
    northflank_port: int,
) -> None:
    """Serve the stand-ins until SIGINT or SIGTERM.

    Args:
        console: where addresses and the ready config are printed.
        directory: where config, token and store go; made if need be, and private.
        every_cloud: serve all of them, not AWS alone.
        rate_limit: Northflank's, in requests an hour.
        propagation: how long a fresh key is unknown to its cloud.
        aws_port: a fixed port, or 0 for a free one.
        northflank_port: likewise.

    Raises:
        UsageError: the directory or a port can't be used.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        stage = Stage(
            directory,
            scenes=beside_aws() if every_cloud else (),
            propagation=propagation,
            rate_limit=rate_limit,
            aws_port=aws_port,
            northflank_port=northflank_port,
        )
        with stage:
            console.print(_banner(stage), markup=False, highlight=False, soft_wrap=True)
            stop.wait()
    except OSError as error:
        raise UsageError(f"the sandbox can't be set up: {error}") from None


def _banner(stage: Stage) -> str:
    exports = "\n".join(f"export {name}={value}" for name, value in stage.environment.items())
    addresses = {name: url for scene in stage.scenes for name, url in scene.addresses.items()}
    standing = "\n".join(
        f"{name + ' stand-in:':32} {url}" for name, url in {**addresses, "Northflank": stage.server.url}.items()
    )
    return f"""{standing}

Put this into the environment of another shell (the keys are the sandbox's own and worth nothing elsewhere):

{exports}

and try:  rotator check;  rotator run &  rotator status;  rotator rotate prod-aws --now --wait
{_regenerating(stage)}
The config, {stage.config_file}:

{stage.config()}
Faults, over HTTP at each of these addresses, e.g. the next push loses its answer after it was applied:

curl -X PUT {stage.server.url}/_sandbox/faults -d \
'[{{"method": "POST", "path": "/integrations/", "fault": {{"kind": "reset", "when": "after"}}}}]'

GET /_sandbox/faults shows the plan, DELETE ends it, GET /_sandbox/requests shows what was asked. Ctrl-C stops.
"""


def _regenerating(stage: Stage) -> str:
    """What an operator does where only an operator makes keys."""
    return "".join(f"\n{scene.by_hand}" for scene in stage.scenes if isinstance(scene, Regenerated))
