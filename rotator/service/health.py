"""The health listener: `/healthz` and `/readyz`, for what keeps the process alive. No other path, no detail.

A request costs no look at the store or at the outside: it gets what the service knows at that moment.
"""

from __future__ import annotations

import socket
import threading
from asyncio import Transport
from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address, ip_address
from types import TracebackType
from typing import Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import Server

from rotator.errors import RotatorError
from rotator.service.vitals import Vitals, Words

_AT_ONCE = 32
"""Connections held side by side. Only a few probes have business here: for one more, the oldest idle one is closed."""

_PATIENCE = 5
"""Seconds after which a connection is closed, whether it has asked something or not. An answer takes milliseconds."""

_STOP = 1.0
"""Seconds that answers under way get at the end."""

_UNAVAILABLE = 503

Handler = Callable[[Request], Awaitable[JSONResponse]]


class HealthListener:
    """Serves the two paths between entering and leaving its `with` block.

    Args:
        host: an IP address.
        port: 0 for a free one.
        look: the service's vitals at this moment; called for each request, so it must be quick.

    Attributes:
        port: where it listens, once entered.

    Raises:
        RotatorError: on entering, if the address can't be listened on.
    """

    def __init__(self, host: str, port: int, look: Callable[[], Vitals]) -> None:
        self.host = host
        self.port = port
        self._server = Server(
            Config(
                application(look),
                http=_Impatient,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=_PATIENCE,
                timeout_graceful_shutdown=int(_STOP),
            )
        )
        self._thread = threading.Thread(target=self._serve, name="health", daemon=True)
        self._socket: socket.socket

    def __enter__(self) -> Self:
        family = socket.AF_INET6 if isinstance(ip_address(self.host), IPv6Address) else socket.AF_INET
        try:
            self._socket = socket.create_server((self.host, self.port), family=family)
        except OSError as error:
            raise RotatorError(
                f"the health listener can't listen on {self.host} port {self.port}: {error.strerror}",
                remedy="set `health.listen` to a free address of this machine, or to null.",
            ) from None
        self.port = self._socket.getsockname()[1]
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(_STOP)
        self._socket.close()

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])


class _Impatient(H11Protocol):
    """Lets no number of silent connections keep a probe from its answer: uvicorn waits for a first request for ever."""

    _opened = 0.0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begin to count."""
        super().connection_made(transport)
        self._opened = self.loop.time()
        self.loop.call_later(_PATIENCE, transport.abort)
        idle = [one for one in self.connections if isinstance(one, _Impatient) and one is not self and one.is_idle]
        if len(self.connections) > _AT_ONCE and idle:
            min(idle, key=lambda one: one._opened).transport.abort()  # noqa: SLF001  # of its own class

    @property
    def is_idle(self) -> bool:
        """No answer of it is under way."""
        return bool(getattr(self.cycle, "response_complete", True))  # before the first request there is no cycle


def application(look: Callable[[], Vitals]) -> Starlette:
    """The two paths."""

    def answering(words_of: Callable[[Vitals], Words], good: Callable[[Vitals], bool]) -> Handler:
        async def endpoint(_: Request) -> JSONResponse:
            vitals = look()
            return JSONResponse(words_of(vitals), 200 if good(vitals) else _UNAVAILABLE, {"Cache-Control": "no-store"})

        return endpoint

    made = Starlette(
        routes=[
            Route("/healthz", answering(Vitals.health, lambda vitals: vitals.healthy)),
            Route("/readyz", answering(Vitals.readiness, lambda vitals: vitals.ready)),
        ]
    )
    made.router.redirect_slashes = False
    return made
