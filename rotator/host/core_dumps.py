"""Keeps what is in this process's memory out of core dumps, and away from debuggers of the same user (P4)."""

from __future__ import annotations

import ctypes
import resource
import sys

import structlog

_PR_SET_DUMPABLE = 4  # <linux/prctl.h>

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("rotator.host.core_dumps")


def forbid() -> None:
    """From now on this process, and what it starts, leaves no core; on Linux, only root may look into its memory.

    The limit alone is not enough: a `core_pattern` that pipes cores to a collector ignores it (core(5)).
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux" and ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        log.warning("core dumps could not be forbidden")
