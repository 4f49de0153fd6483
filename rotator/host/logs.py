"""Logs go to standard error, one line each: JSON for machines, plain text on a terminal. Audit events are elsewhere.

Where standard error is the journal's stream, they go to systemd's journal by its own protocol, fields and all.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import structlog

from rotator.host import journald
from rotator.host.spool import Spool

OURS = "rotator"
"""The logger that the config's level is for.

All others, the libraries', stay at warning. Below it botocore, google-auth and azure-identity log whole bodies and
headers, and with them new secrets and tokens; APScheduler logs each job that runs, twice a second.
"""

_TALKATIVE = ("apscheduler", "stamina")
"""Libraries that warn of what is no news: a timer whose last run isn't over, a read that is repeated."""


def set_up(level: str, *, spooled: bool = False) -> None:
    """Configure structlog and the standard library's logging.

    Args:
        level: debug, info, warning or error.
        spooled: lines are written by a thread of their own, so that no caller waits for who reads them. The process
            ends with `drain`.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_traceback,
    ]
    render: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=False) if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    )
    to_journal = journald.connected(sys.stderr.fileno())
    writer = JournalHandler() if to_journal else logging.StreamHandler(sys.stderr)
    handler = Spool(writer) if spooled else writer
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render]
        )
    )
    handler.addFilter(_spoken_for)
    logging.basicConfig(handlers=[handler], force=True)
    logging.captureWarnings(spooled)  # Python's own go to standard error, past the spool
    for library in _TALKATIVE:
        logging.getLogger(library).setLevel(logging.ERROR)
    set_level(level)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def set_level(level: str) -> None:
    """Change what is logged: debug, info, warning or error."""
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger().setLevel(max(number, logging.WARNING))
    logging.getLogger(OURS).setLevel(number)


def drain(seconds: float) -> None:
    """Have the lines written that are still spooled, at most so long. None can follow."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, Spool):
            handler.drain(seconds)


class JournalHandler(logging.StreamHandler[Any]):
    """Sends each log line to the journal; what it doesn't take goes to standard error, which it reads as well."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self._socket = journald.JournalSocket()

    def emit(self, record: logging.LogRecord) -> None:
        """Send the line's event as the message, with the rest after it and in fields."""
        said: dict[str, object] = json.loads(self.format(record))
        event, level = said.pop("event", ""), said.pop("level", "info")
        said.pop("timestamp", None)  # the journal has its own
        message = " ".join([str(event), *(f"{name}={value}" for name, value in said.items() if name != "logger")])
        try:
            self._socket.send(message, _PRIORITIES.get(str(level), _PRIORITIES["error"]), journald.fields(said))
        except OSError:
            super().emit(record)


_PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
"""syslog's, for each level."""


def _spoken_for(record: logging.LogRecord) -> bool:
    """A library's logger may have been given a level of its own, by a variable of its environment."""
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] == OURS


def _without_traceback(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """An exception's type is logged, its message and its frames are not: they may quote what a call carried."""
    error = event.pop("exc_info", None)
    if isinstance(error, tuple) and error[0] is not None:
        event["exception"] = error[0].__name__
    return event
