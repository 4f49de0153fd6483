"""A request: how it is written for the store's owner, answered, and followed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rotator.audit.event import EventName, Result
from rotator.cli.names import must_exist
from rotator.cli.options import Manner
from rotator.cli.remedies import remedy
from rotator.cli.render import note, progress_if_slow, say, show_json
from rotator.cli.session import CLOCK, Session, read_store, refuse_keyless
from rotator.cli.status import stand
from rotator.cli.timeline import AuditFields, cells_of, fields_of
from rotator.clock import new_id
from rotator.errors import ExitCode, OtherOwner, RotatorError, StoreError, UsageError
from rotator.store.reader import JournalReader
from rotator.store.requests import Request, RequestWriter
from rotator.store.sqlite import owner_alive

_ANSWER_WITHIN = 5.0  # seconds; the owner looks twice a second, but may be reading from a slow cloud
_STARTS_WITHIN = 3.0  # seconds; a service needs one
_POLL = 0.1  # seconds, between looks at the answer
_FOLLOW = 0.5  # seconds, between looks at the audit log

_STAYS = "The request stays in the store, and expires 10 minutes after it was made."


@dataclass(frozen=True, slots=True)
class NewRequest:
    """What is asked for, before it is a row of the store.

    Args:
        kind: of the request.
        credential: its name; None for the whole store.
        arguments: the request's options.
    """

    kind: str
    credential: str | None
    arguments: Mapping[str, object]


def ready(session: Session, manner: Manner, kind: str, credential: str | None) -> None:
    """Say what is in the way of a request, as far as it can be known: before anything is asked of the operator.

    Args:
        session: this command's.
        manner: how the operator asks.
        kind: the request's kind.
        credential: its name; None for the whole store.

    Raises:
        UsageError: the options exclude each other, there is no such credential, or it is keyless.
        RotatorError: the store has no owner, or with `--standalone` it has one.
    """
    if manner.wait and manner.standalone:
        raise UsageError(
            "--wait needs a running rotator, and --standalone needs that none runs.", remedy="give one of the two."
        )
    forgets = kind == "forget"  # a former key of a credential that became keyless can be forgotten too
    if credential is not None:
        must_exist(session.config, [credential], or_have_left=forgets)
        if not forgets:
            refuse_keyless(session.config, [credential])
    if manner.standalone:
        if owner_alive(session.config.store.url):
            raise OtherOwner(
                "another rotator owns this store, so this command can't take its place; nothing was changed.",
                remedy="give the command without --standalone: that rotator answers it.",
            )
        return
    with progress_if_slow("waiting for a rotator to start ..."):
        _await_owner(session)


def _await_owner(session: Session) -> None:
    """Let a rotator that was started right before this command come up. Raises RotatorError where none does."""
    until = time.monotonic() + _STARTS_WITHIN
    while (problem := _without_owner(session)) is not None:
        if time.monotonic() > until:
            raise problem
        time.sleep(_POLL)


def _without_owner(session: Session) -> RotatorError | None:
    try:
        read_store(session.config).close()
        if owner_alive(session.config.store.url):
            return None
    except StoreError as error:
        return error
    return RotatorError(
        "no rotator runs on this store, so nothing can answer the request; nothing was changed.",
        remedy="start rotator (`rotator run`), or add --standalone: this command then carries the request out.",
    )


def ask(
    session: Session, manner: Manner, kind: str, credential: str | None, arguments: Mapping[str, object] | None = None
) -> ExitCode:
    """Have a request answered: by the store's owner, or with `--standalone` by this process in the owner's place.

    Args:
        session: this command's.
        manner: how the operator asks.
        kind: the request's kind.
        credential: its name; None for the whole store.
        arguments: the request's options.

    Raises:
        UsageError, RotatorError: as `ready`. No request is left in the store.
    """
    ready(session, manner, kind, credential)
    request = NewRequest(kind, credential, arguments or {})
    if manner.standalone:
        from rotator.cli.owner import carry_out  # noqa: PLC0415  # loads the engine: a request to an owner needs none

        return carry_out(session, request, manner)
    return _ask_owner(session, request, manner)


def _ask_owner(session: Session, request: NewRequest, manner: Manner) -> ExitCode:
    with read_store(session.config) as reader:
        seen = max((record.sequence for record in reader.newest(1)), default=0)
        code = show_answer(_answer(reader, submit(session, request, manner)), manner)
        if code is ExitCode.FINE and manner.wait and request.credential is not None:
            return _follow(session, reader, request.credential, seen)
        return code


def submit(session: Session, request: NewRequest, manner: Manner) -> Request:
    """Write the request into the store.

    Raises:
        StoreError: there is none, or it can't be written.
    """
    sudo_user = os.environ.get("SUDO_USER")
    claimed = ", ".join(filter(None, (manner.claimed, sudo_user and f"sudo by {sudo_user}")))
    with RequestWriter.open(session.config.store.url, clock=CLOCK.now, new_id=new_id) as writer:
        return writer.submit(
            request.kind,
            credential=request.credential,
            arguments=request.arguments,
            uid=session.uid,
            claimed=claimed or None,
            why=manner.why,
        )


def _answer(reader: JournalReader, row: Request) -> Request:
    """The request with its answer; without one, if the owner took too long."""
    until = time.monotonic() + _ANSWER_WITHIN
    found: Request | None = None
    try:
        while time.monotonic() < until:
            found = reader.request(row.request_id)
            if found is not None and found.answered_at is not None:
                return found
            time.sleep(_POLL)
    except KeyboardInterrupt:
        note(_STAYS)
        raise
    return row


def show_answer(row: Request, manner: Manner) -> ExitCode:
    """Print the answer."""
    text = row.answer if row.accepted is not None else f"The running rotator has not answered yet. {_STAYS}"
    if manner.as_json:
        show_json({"request": row.request_id, "accepted": row.accepted, "answer": row.answer})
    elif row.accepted is None:
        note(str(text))
    else:
        say(f"{'accepted' if row.accepted else 'refused'}: {text}")
    return ExitCode.FINE if row.accepted else ExitCode.ERROR


def _follow(session: Session, reader: JournalReader, name: str, seen: int) -> ExitCode:
    """Print what happens to a credential as it happens, until its rotation is over or held."""
    try:
        return _watch(session, reader, name, seen)
    except KeyboardInterrupt:
        note("This command stopped following; the rotation goes on. `rotator status` shows the rotation.")
        raise


def _watch(session: Session, reader: JournalReader, name: str, seen: int) -> ExitCode:
    said_way = ""
    while True:
        # State, then events: what led to it is printed by the time the state ends the watch.
        standings = stand(session, reader.credentials(), reader.owner())
        standing = next(one for one in standings if one.name == name)
        records = reader.records(after=seen, credential=name)
        seen = records[-1].sequence if records else seen
        events = [fields_of(record) for record in records]
        _print_events(events)
        state = standing.state
        if state.hold is not None:
            note(f"held: {remedy(state.hold, name, state)}")
            return ExitCode.HELD
        if not state.in_flight and state.asked is None:
            abandoned = any(event["event"] == EventName.ROTATION_ABANDONED for event in events)
            return ExitCode.ERROR if abandoned else ExitCode.FINE
        way = "; ".join(standing.in_the_way())
        if way not in {"", said_way}:
            note(f"in the way: {way}")
        said_way = way
        if not owner_alive(session.config.store.url):
            raise RotatorError(
                "rotator has stopped; the rotation continues when rotator starts again.",
                remedy="read rotator's log, then start rotator.",
            )
        time.sleep(_FOLLOW)


def _print_events(events: Iterable[AuditFields]) -> None:
    """An outcome says its intent too."""
    for event in events:
        if event["outcome"] != Result.INTENT:
            note("  ".join(filter(None, cells_of(event))))
