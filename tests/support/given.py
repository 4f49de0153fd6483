"""What a provider under test is given to work with."""

from __future__ import annotations

from datetime import timedelta

import httpx

from rotator.clock import Clock, SystemClock
from rotator.http.clients import HttpClients
from rotator.providers.base import Tools

LIFETIME = timedelta(days=91)


def tools(
    deadline: timedelta,
    *,
    clock: Clock | None = None,
    http: httpx.Client | None = None,
    clients: HttpClients | None = None,
) -> Tools:
    """As the fleet makes them. Without a client of the test's own, one that lives as long as the process."""
    return Tools(deadline, LIFETIME, clock or SystemClock(), clients or HttpClients(http or httpx.Client()))
