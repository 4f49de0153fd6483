"""Requests by people, as the owner serves them: each is decided, carried out and answered in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime, timedelta

import structlog
from pydantic import TypeAdapter

from rotator.audit.event import Event, EventName, Result
from rotator.clock import Clock
from rotator.errors import StoreError
from rotator.http.outside_text import outside_text
from rotator.rotation.clocks import CLOCK_TOLERANCE
from rotator.rotation.commands import Command
from rotator.rotation.engine import Engine
from rotator.rotation.narrate import because
from rotator.service.fleet import Fleet
from rotator.store.journal import Journal
from rotator.store.requests import EXPIRES_AFTER, Answered, Request

FORGET = "forget"
FREEZE = "freeze"
UNFREEZE = "unfreeze"

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("rotator.service.people")

_REQUEST = TypeAdapter(Command)
_OPTIONS = {field.name for field in fields(Command)} - {"kind"}


def serve_requests(fleet: Fleet, journal: Journal, engine: Engine, clock: Clock) -> list[str]:
    """Answer every open request. One that can't be carried out costs no other.

    Returns:
        The names of the credentials to look at again.

    Raises:
        StoreError: the journal can't be read or written; what isn't answered stays open.
    """
    for malformed in journal.malformed_requests():
        text = f"this row is no request ({malformed.problem}); nothing was done"
        event = Event(event=EventName.REQUEST_ANSWERED, outcome=Result.REFUSED, reason=text, code="malformed")
        journal.refuse(malformed, text, events=[event])
    names: list[str] = []
    for row in journal.open_requests():
        try:
            names += _serve(row, fleet, journal, engine, clock.now())
        except StoreError:
            raise
        except Exception as bug:  # noqa: BLE001  # whatever it asks for, the others want their answer
            kind = type(bug).__name__
            log.error("a request broke in an unforeseen way", credential=row.credential, kind=row.kind, error=kind)
            _refuse(row, journal, f"it broke in an unforeseen way ({kind}); `rotator status` shows what was done")
    return names


def actor_of(row: Request) -> str:
    """Who asks, as the audit log names them: the uid is the system's word, the name is their own."""
    return f"uid:{row.uid}" + (f" claimed:{row.claimed}" if row.claimed else "")


def _serve(row: Request, fleet: Fleet, journal: Journal, engine: Engine, now: datetime) -> tuple[str, ...]:
    left = row.expires_at - now
    # One from the future was made by a clock that was ahead: it may be years old.
    if not timedelta(0) < left <= EXPIRES_AFTER + CLOCK_TOLERANCE:
        _refuse(row, journal, "no daemon took the request within 10 minutes; it was not carried out")
        return ()
    if row.kind in {FREEZE, UNFREEZE}:
        frozen = row.kind == FREEZE
        text = "every change is frozen" if frozen else "changes are made again"
        journal.freeze(
            actor_of(row) if frozen else None, events=[_event(row, text, Result.DONE)], answers=[_yes(row, text)]
        )
        return tuple(fleet.managed)
    managed = fleet.managed.get(row.credential or "")
    if row.kind == FORGET:
        _forget(row, journal, configured=managed is not None)
        return ()
    if managed is None:
        _refuse(row, journal, f"{row.credential} is not in the config")
        return ()
    try:
        request = _read(row.kind, row.arguments)
    except ValueError:
        options = outside_text(", ".join(row.arguments))
        with_options = f" with {options}" if options else ""
        _refuse(row, journal, f"this daemon doesn't know the request {row.kind}{with_options}")
        return ()
    engine.ask(managed, row.request_id, request, actor_of(row), row.why)
    return (managed.name,)


def _read(kind: str, arguments: Mapping[str, object]) -> Command:
    """Raises ValueError for what a newer command may ask: to leave an option out could do more than was meant."""
    if unknown := arguments.keys() - _OPTIONS:
        raise ValueError(f"no such options: {unknown}")
    return _REQUEST.validate_python({**arguments, "kind": kind})


def _forget(row: Request, journal: Journal, *, configured: bool) -> None:
    name = row.credential or ""
    if configured:
        _refuse(row, journal, f"{name} is in the config: take it out first, and reload")
    elif all(known.name != name for known in journal.credentials()):
        _refuse(row, journal, f"{name} is not in the journal")
    else:
        text = f"{name} is forgotten; rotator leaves its keys alone from now on"
        event = Event(
            event=EventName.CREDENTIAL_FORGOTTEN,
            outcome=Result.DONE,
            actor=actor_of(row),
            credential=name,
            reason=because(text, row.why),
        )
        journal.forget(name, events=[event], answers=[_yes(row, text)])


def _refuse(row: Request, journal: Journal, text: str) -> None:
    answer = Answered(request_id=row.request_id, accepted=False, text=text)
    journal.answer(answer, events=[_event(row, text, Result.REFUSED)])


def _yes(row: Request, text: str) -> Answered:
    return Answered(request_id=row.request_id, accepted=True, text=text)


def _event(row: Request, text: str, outcome: Result) -> Event:
    return Event(
        event=EventName.REQUEST_ANSWERED,
        outcome=outcome,
        actor=actor_of(row),
        credential=row.credential,
        reason=because(text, row.why),
        code=row.kind,
    )
