"""Runs `rotator` with a wall clock that jumps a day ahead at SIGUSR1, and a day back at SIGUSR2."""

from __future__ import annotations

import runpy
import signal
import time
from datetime import timedelta

import time_machine

DAY = timedelta(days=1)

if __name__ == "__main__":
    traveller = time_machine.travel(time.time()).start()
    signal.signal(signal.SIGUSR1, lambda *_: traveller.shift(DAY))
    signal.signal(signal.SIGUSR2, lambda *_: traveller.shift(-DAY))
    runpy.run_module("rotator", run_name="__main__", alter_sys=True)
