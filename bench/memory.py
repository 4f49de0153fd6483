"""What one credential of each cloud costs in memory: a process for each, that assembles it and lists its keys once.

An SDK is imported only where a credential needs it, so what a sidecar weighs is decided by its cloud.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from rotator.sandbox.scene import beside_aws
from rotator.sandbox.stage import Stage

KEYLESS: Mapping[str, object] = {
    "name": "none",
    "provider": "gcp",
    "mode": "crossAccountRole",
    "service_account": "northflank@proj-1234.iam.gserviceaccount.com",
    "integrations": ["none"],
}
"""There is nothing to rotate: no provider is opened for it."""


def weigh(stage: Stage, credential: Mapping[str, object]) -> tuple[int, int]:
    """RSS in kB of a process with this credential alone: once it is assembled, and once its keys were listed."""
    config = stage.directory / "one.yaml"
    config.write_text(json.dumps({**yaml.safe_load(stage.config()), "credentials": [credential]}))
    command = (sys.executable, "-m", "bench.one_credential", str(config))
    environment = {**stage.environment, "HOME": str(stage.directory)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603  # ours
    assembled, used = map(int, done.stdout.split())
    return assembled, used


def main() -> None:
    print("(e) RSS of a process with one credential, assembled, and once its keys were listed", flush=True)
    with (
        TemporaryDirectory(prefix="rotator-bench-") as directory,
        Stage(Path(directory), scenes=beside_aws(), propagation=timedelta(0)) as stage,
    ):
        for credential in (KEYLESS, *yaml.safe_load(stage.config())["credentials"]):
            assembled, used = weigh(stage, credential)
            print(f"    {credential['name']:<14} {assembled / 1000:4.0f} MB {used / 1000:5.0f} MB", flush=True)


if __name__ == "__main__":
    main()
