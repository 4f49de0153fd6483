"""Ports for those who must know theirs before they listen."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

_BELOW_THE_KERNELS_OWN = range(20_000, 32_000)
"""The kernel gives away ports from 32768 on by itself: one of those could be anybody's a moment later."""


def free_port() -> int:
    """A port of 127.0.0.1 at which nobody listens."""
    while True:
        port = random.choice(_BELOW_THE_KERNELS_OWN)  # noqa: S311  # no secret
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
