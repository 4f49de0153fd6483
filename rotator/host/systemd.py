"""The words between a service and systemd: sd_notify(3), a datagram of a few lines.

Of the libraries for it, one needs libsystemd and a compiler, and the others have had no maintainer for years.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, MutableMapping
from contextlib import suppress


class Notifier:
    """Reports the state of the service to systemd; sends nothing where no systemd listens.

    Args:
        environ: `NOTIFY_SOCKET` says where it listens: a path, or `@` and a name in the abstract namespace. It is taken
            out, so that no child of ours can speak for the service.
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        address = environ.pop("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._told = ""

    def ready(self) -> None:
        """The service is up; or goes on after a reload."""
        self._send({"READY": "1"})

    def reloading(self, monotonic: float) -> None:
        """A reload begins. `ready` ends it.

        Args:
            monotonic: seconds of CLOCK_MONOTONIC, which systemd compares with its own (`Type=notify-reload`).
        """
        self._send({"RELOADING": "1", "MONOTONIC_USEC": str(int(monotonic * 1_000_000))})

    def stopping(self) -> None:
        """The service is on its way down."""
        self._send({"STOPPING": "1"})

    def alive(self) -> None:
        """The work goes on. systemd kills a service that hasn't said so for `WatchdogSec=`."""
        self._send({"WATCHDOG": "1"})

    def status(self, text: str) -> None:
        """One line for `systemctl status`; said only when it has changed."""
        if text != self._told:
            self._told = text
            self._send({"STATUS": text})

    def _send(self, fields: Mapping[str, str]) -> None:
        if not self._address:
            return
        message = "\n".join(f"{name}={value}" for name, value in fields.items()).encode()
        # Like sd_notify's own callers: whether systemd hears it must not matter to the work.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as speaker:
            speaker.settimeout(1)
            speaker.sendto(message, self._address)
