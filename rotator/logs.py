"""Logs go to standard error, one line each: JSON for machines, plain text on a terminal. Audit events are elsewhere."""

from __future__ import annotations

import logging
import sys

import structlog

OURS = "rotator"
"""The logger that the config's level is for.

All others, the libraries', stay at warning. Below it botocore, google-auth and azure-identity tell whole bodies and
headers, and with them new secrets and tokens; APScheduler tells of each job that runs, twice a second.
"""


def set_up(level: str) -> None:
    """Configure structlog and the standard library's logging.

    Args:
        level: debug, info, warning or error.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_traceback,
    ]
    render: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=False) if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render]
        )
    )
    handler.addFilter(_spoken_for)
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)
    logging.getLogger(OURS).setLevel(number)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _spoken_for(record: logging.LogRecord) -> bool:
    """A library's logger may have been given a level of its own, by a variable of its environment."""
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] == OURS


def _without_traceback(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """An exception's type is told, its message and its frames are not: they may quote what a call carried."""
    error = event.pop("exc_info", None)
    if isinstance(error, tuple) and error[0] is not None:
        event["exception"] = error[0].__name__
    return event
