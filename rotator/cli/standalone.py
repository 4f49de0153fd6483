"""`--standalone`: with no owner alive, a command takes its place for one request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from rotator.cli.asking import submit, tell
from rotator.cli.manner import Manner
from rotator.cli.service import end_now, engine_of
from rotator.cli.session import CLOCK, Session
from rotator.cli.wiring import fleet_of, own_store
from rotator.errors import ExitCode
from rotator.service.once import run_once


def carry_out(
    session: Session, kind: str, credential: str | None, arguments: Mapping[str, object], manner: Manner
) -> NoReturn:
    """Own the store, answer the request, take its credential as far as it goes without a long wait, and end.

    Args:
        session: this command's.
        kind: the request's kind.
        credential: its name; None for the whole store.
        arguments: the request's options.
        manner: how it is asked.

    Raises:
        OtherOwner: the store has an owner; ask that one.
        RotatorError: the store or a provider can't be opened.
    """
    fleet = fleet_of(session.config)
    with own_store(session.config, fleet, stdout=False) as journal, engine_of(journal) as (engine, stop):
        row = submit(session, kind, credential, arguments, manner)
        names = [name for name in fleet.managed if name == credential]
        code = run_once(fleet, journal, engine, clock=CLOCK, stop=stop, names=names)
        told = tell(journal.reader.request(row.request_id) or row, manner)
    end_now(told if told is not ExitCode.FINE else code)
