"""Assembles a config's credentials, uses each once, and prints what that cost: `one_credential.py CONFIG`.

It imports what rotator itself does, and nothing of the sandbox.
"""

from __future__ import annotations

import sys
from pathlib import Path

import httpx

from rotator.clock import SystemClock
from rotator.config.load import load
from rotator.service.fleet import assemble


def resident() -> int:
    """VmRSS of this process, in kB."""
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0])


def main(config: Path) -> None:
    with httpx.Client() as http:
        fleet = assemble(load(config, {}), SystemClock(), http)
        assembled = resident()
        for managed in fleet.managed.values():
            managed.provider.list_keys()
        print(assembled, resident())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
