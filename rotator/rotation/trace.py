"""What the service's log has at debug: one line for each look, decision and call.

Nothing new is shown: ids and texts are those that the journal has, or that have passed the same gates. A line is
bounded, whatever a cloud lists. A vendor's answer, and with it a secret, never comes here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import structlog

from rotator.errors import CallFailed
from rotator.model import IntegrationView, Observation, State
from rotator.rotation.managed import Managed
from rotator.rotation.moment import next_look
from rotator.rotation.step import Step

_LONGEST = 300
"""Characters of one value."""

_MOST = 10
"""Stamps of one look."""

_LOGGER = "rotator.engine"

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(_LOGGER)


def looked(credential: str, seen: Observation) -> None:
    """What a look showed: how many keys, the stamps, the evidence. None where it did not read that."""
    if not _wanted():
        return
    log.debug(
        "look",
        credential=credential,
        keys=len(seen.keys) if seen.keys is not None else None,
        stamps=_stamps(seen.integrations) if seen.integrations is not None else None,
        uses=len(seen.last_used),
        proof=seen.proof.value if seen.proof is not None else None,
        proofs=seen.proofs,
    )


def decided(managed: Managed, state: State, step: Step, now: datetime) -> None:
    """What follows from a look, by which row and why; and when the journal has the next look, if this step waits."""
    if not _wanted():
        return
    next_at = now
    if step.call is None and step.state == state:
        next_at = next_look(state, policy=managed.policy, calendar=managed.calendar, now=now)
    log.debug(
        "decision",
        credential=managed.name,
        phase=state.phase.value,
        row=step.row.value if step.row is not None else None,
        step=_short(step.does(state)),
        reason=_short(step.reason),
        next_at=next_at.isoformat(timespec="seconds"),
    )


@contextmanager
def call(credential: str, what: str, monotonic: Callable[[], float]) -> Iterator[None]:
    """One call, a read or a change: what came of it, and after how many seconds."""
    if not _wanted():
        yield
        return
    began, outcome, code = monotonic(), "done", ""
    try:
        yield
    except CallFailed as failure:
        outcome, code = failure.verdict.value, failure.code
        raise
    except Exception as error:
        outcome = type(error).__name__
        raise
    finally:
        seconds = round(monotonic() - began, 3)
        log.debug(
            "call", credential=credential, operation=_short(what), outcome=outcome, code=_short(code), seconds=seconds
        )


def _wanted() -> bool:
    return logging.getLogger(_LOGGER).isEnabledFor(logging.DEBUG)


def _stamps(views: tuple[IntegrationView, ...]) -> str:
    shown = [f"{view.integration}: {_stamp(view)}" for view in views[:_MOST]]
    more = [f"and {len(views) - _MOST} more"] if len(views) > _MOST else []
    return _short(", ".join([*shown, *more]))


def _stamp(view: IntegrationView) -> str:
    return f"{view.stamp.store} g{view.stamp.generation}" if view.stamp is not None else "none"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}.."
