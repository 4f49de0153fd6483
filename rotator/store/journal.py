"""The journal as its owner writes it: every change is one transaction, refused once a newer owner has taken over."""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import Self

from sqlalchemy import bindparam, insert, literal_column, select, update

from rotator.audit.chain import Record, genesis, link
from rotator.audit.event import Event, EventName
from rotator.audit.sinks import Sink
from rotator.errors import StaleFence, StoreError
from rotator.model import State
from rotator.store import history, registry
from rotator.store.backup import keep_before_migration
from rotator.store.codec import decode_state, encode_state
from rotator.store.history import StateChange
from rotator.store.lane import Cursor
from rotator.store.migrate import require_head, upgrade
from rotator.store.outbox import Outbox
from rotator.store.reader import REPEATED, CredentialRow, JournalReader
from rotator.store.registry import Registration
from rotator.store.requests import Answered, Malformed, Request
from rotator.store.schema import AUDIT_EVENT, CREDENTIAL, OUTBOX, OWNER, REQUEST
from rotator.store.sqlite import Database

_RAISE_FENCE = update(OWNER).values(fence=OWNER.c.fence + 1)
# FOR SHARE (PostgreSQL): raising the fence waits for this transaction, and sees what it wrote.
_FENCE = select(OWNER.c.fence, OWNER.c.frozen_at).with_for_update(read=True)
_LAST_RECORD = select(AUDIT_EVENT).order_by(AUDIT_EVENT.c.sequence.desc()).limit(1)
_ADD_RECORDS = insert(AUDIT_EVENT)
_CREDENTIALS = select(CREDENTIAL).where(CREDENTIAL.c.forgotten_at.is_(None))
_CHANGE_CREDENTIAL = update(CREDENTIAL).where(CREDENTIAL.c.id == bindparam("row_id"))
_LOOKED = _CHANGE_CREDENTIAL.values(updated_at=bindparam("updated_at"))
_ANSWER = update(REQUEST).where(REQUEST.c.id == bindparam("which"), REQUEST.c.answered_at.is_(None))
_SAVE_CURSOR = update(OUTBOX).where(OUTBOX.c.sink == bindparam("which"))


@dataclass(frozen=True, slots=True)
class _Known:
    row_id: int
    state: State


class Journal:
    """The owner's view of the store. Thread-safe; one process at a time.

    Every method that writes raises StaleFence if a newer owner has taken over, and StoreError if the store can't be
    written; nothing of the transaction is kept then.

    Attributes:
        store_id: 8 hex characters, made with the store. The stamp shows it; the audit chain begins with it.
        fence: rises with each change of owner.
        frozen: an operator stopped every change of this store.
        writable: the last transaction was committed.
        reader: answers questions about the store.
    """

    def __init__(
        self, database: Database, sinks: Sequence[Sink], clock: Callable[[], datetime], new_store_id: Callable[[], str]
    ) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.RLock()
        self._connection = database.writer()
        self.reader = JournalReader(database)
        self._known: dict[str, _Known] = {}
        self._head = genesis("")
        self._stale = False
        self.writable = True
        with database.errors():
            keep_before_migration(database)
            with self._connection.begin():
                upgrade(self._connection)
            # Raise first, then look, in one transaction: the owner before can add nothing after it.
            with self._connection.begin():
                self.store_id, self.fence = self._take_over(new_store_id)
                self.frozen = False
                cursors = self._cursors(sinks)
                self._read()
        self._outbox = Outbox(sinks, cursors, self.reader, head=self._head.sequence, report=self._report)
        self.record([Event(event=EventName.OWNERSHIP_TAKEN, reason=f"pid {os.getpid()} on {socket.gethostname()}")])

    @classmethod
    def open(
        cls,
        url: str,
        *,
        sinks: Sequence[Sink],
        clock: Callable[[], datetime],
        new_store_id: Callable[[], str] = lambda: secrets.token_hex(4),
    ) -> Self:
        """Become the store's owner: take its lock, make or migrate it (a copy is kept), raise the fence, and read it.

        Args:
            url: `store.url` of the config.
            sinks: where audit records go. They stay the caller's to close.
            clock: gives the present time (aware).
            new_store_id: makes the id of a new store.

        Raises:
            OtherOwner: another process owns it.
            StoreError: it can't be used: its permissions, its schema, a full disk, a damaged file.
        """
        with ExitStack() as undo:
            database = Database.own(url)
            undo.callback(database.close)
            journal = cls(database, sinks, clock, new_store_id)
            undo.pop_all()
        return journal

    @staticmethod
    def open_read_only(url: str) -> JournalReader:
        """Look into a store beside its owner. Nothing is made, locked or migrated.

        Raises:
            StoreError: there is none, or its schema is another.
        """
        with ExitStack() as undo:
            database = Database.beside(url, read_only=True)
            undo.callback(database.close)
            with database.reading() as connection:
                require_head(connection)
            undo.pop_all()
        return JournalReader(database)

    # Credentials.

    def load(self, credential: str) -> State:
        """The state of this credential; an empty one if the journal doesn't know it."""
        with self._lock:
            self._refresh()
            known = self._known.get(credential)
            return known.state if known is not None else State()

    def credentials(self) -> tuple[CredentialRow, ...]:
        """All credentials that the journal knows, by name."""
        return self.reader.credentials()

    def commit(
        self,
        credential: str,
        state: State,
        *,
        events: Sequence[Event],
        next_at: datetime | None,
        answers: Sequence[Answered] = (),
    ) -> None:
        """Put one transition into the journal: state, history, audit records, timer and answers, in one transaction.

        Args:
            credential: a registered name.
            state: replaces the one before.
            events: what the audit log says of it, in order.
            next_at: when to look at the credential again (aware).
            answers: to the requests that caused it.
        """
        with self._transaction(events) as now:
            known = self._find(credential)
            columns = encode_state(state) | {"next_at": next_at, "updated_at": now, "row_id": known.row_id}
            self._connection.execute(_CHANGE_CREDENTIAL, columns)
            history.note(self._connection, StateChange(known.row_id, known.state, state, events, now))
            self._answer(answers, now)
            self._known[credential] = replace(known, state=state)

    def register(self, wanted: Sequence[Registration]) -> None:
        """Make the journal know the config's credentials, all at once, so that two may swap names.

        One whose identity is known under another name is renamed. Those that aren't wanted stay as they are.

        Raises:
            StoreError: a name belongs to another identity, which is neither renamed nor forgotten.
        """
        events: list[Event] = []
        with self._transaction(events) as now:
            events += registry.register(self._connection, wanted, now)
            self._read()

    def forget(self, credential: str, *, events: Sequence[Event], answers: Sequence[Answered] = ()) -> None:
        """Close the credential's row and release its keys: from now on they are foreign."""
        with self._transaction(events) as now:
            known = self._known.pop(credential, None) or self._find(credential)
            released = replace(known.state, rotation=None, keys=tuple(map(registry.released, known.state.keys)))
            history.note(self._connection, StateChange(known.row_id, known.state, released, events, now))
            columns = encode_state(released) | {"next_at": None, "updated_at": now, "forgotten_at": now}
            self._connection.execute(_CHANGE_CREDENTIAL, columns | {"row_id": known.row_id})
            self._answer(answers, now)

    # Requests by operators.

    def open_requests(self) -> tuple[Request, ...]:
        """Requests without an answer, the oldest first; expired ones too: they are answered that they are."""
        return self.reader.open_requests()

    def malformed_requests(self) -> tuple[Malformed, ...]:
        """Rows without an answer that are no requests."""
        return self.reader.malformed_requests()

    def refuse(self, malformed: Malformed, text: str, *, events: Sequence[Event]) -> None:
        """Answer a row that is no request."""
        with self._transaction(events) as now:
            self._connection.execute(
                update(REQUEST).where(literal_column("rowid") == malformed.row),
                {"answered_at": now, "accepted": False, "answer": text},
            )

    def answer(self, answered: Answered, *, events: Sequence[Event]) -> None:
        """Answer a request that changes no state."""
        with self._transaction(events) as now:
            self._answer([answered], now)

    def freeze(self, by: str | None, *, events: Sequence[Event], answers: Sequence[Answered] = ()) -> None:
        """Stop every change of this store in the name of `by`, or with None let them go on."""
        with self._transaction(events) as now:
            self._connection.execute(update(OWNER), {"frozen_by": by, "frozen_at": now if by else None})
            self._answer(answers, now)
            self.frozen = by is not None

    # The audit log.

    def record(self, events: Sequence[Event]) -> None:
        """Append audit records that come with no change of state."""
        with self._transaction(events):
            pass

    def flush(self, *, required_only: bool) -> None:
        """Deliver the audit records that have been committed to their sinks.

        This takes milliseconds; the first call that finds a sink stuck waits some seconds for it. Without
        `required_only` it also notes in the store how far each sink is.

        Raises:
            AuditError: a required sink could not take them: nothing outside may be changed.
        """
        try:
            self._outbox.flush(required_only=required_only)
        finally:
            if not required_only:
                self._save_cursors()

    def refusing_sinks(self) -> Mapping[str, str]:
        """The required sinks that did not take what they were last offered, by name, and why."""
        return self._outbox.refusing()

    def lagging_sinks(self) -> Mapping[str, str]:
        """The same of the sinks that are not required."""
        return self._outbox.lagging()

    # Ownership.

    def touch(self, looked: Collection[str] = ()) -> None:
        """Prove that the store can be written, by a write that says no more than that its cursors are still true.

        Args:
            looked: the credentials that were looked at since the last time, whatever was seen.
        """
        with self._transaction(()) as now:
            rows = [{"row_id": self._known[name].row_id, "updated_at": now} for name in looked if name in self._known]
            if rows:
                self._connection.execute(_LOOKED, rows)
            # Another value each time: SQLite writes nothing where nothing changes.
            self._connection.execute(update(OUTBOX), {"updated_at": now})

    def guard(self) -> None:
        """Prove, right before an external change, that this process still owns the store.

        Raises:
            StaleFence: it doesn't.
        """
        self._database.guard()

    def close(self) -> None:
        """Save what is left to save and give the store up."""
        self._outbox.close()  # a delivery under way may want to say something in the journal
        with self._lock:
            self._save_cursors()
            self._connection.close()
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Inside.

    @contextmanager
    def _transaction(self, events: Sequence[Event]) -> Iterator[datetime]:
        """One transaction: the body's writes, then the audit records of `events`. Gives the time."""
        try:
            with self._committed(events) as now:
                yield now
        except StoreError:
            self.writable = False
            raise
        self.writable = True

    @contextmanager
    def _committed(self, events: Sequence[Event]) -> Iterator[datetime]:
        with self._lock, self._database.errors():
            with self._connection.begin():
                self._prove_fence()
                if self._stale:
                    self._read()
                self._stale = True  # until the commit is known to have succeeded, memory proves nothing
                now = self._clock()
                yield now
                records = self._append(events, now)
            self._stale = False
            self._outbox.offer(records)

    def _prove_fence(self) -> None:
        fence, frozen_at = self._connection.execute(_FENCE).one()
        if fence != self.fence:
            raise StaleFence(
                f"a newer owner has taken the store over (fence {fence}, ours is {self.fence}); nothing was written",
                remedy="this process must end; the newer one goes on.",
            )
        self.frozen = frozen_at is not None

    def _append(self, events: Sequence[Event], now: datetime) -> tuple[Record, ...]:
        records = link(self._head, events, at=now, fence=self.fence)
        if records:
            self._connection.execute(_ADD_RECORDS, [_columns(record) for record in records])
            self._head = records[-1]
        return records

    def _answer(self, answers: Sequence[Answered], now: datetime) -> None:
        for answered in answers:
            columns = {"answered_at": now, "accepted": answered.accepted, "answer": answered.text}
            if self._connection.execute(_ANSWER, columns | {"which": answered.request_id}).rowcount != 1:
                raise StoreError(f"request {answered.request_id} has an answer already; nothing was done twice")

    def _find(self, credential: str) -> _Known:
        try:
            return self._known[credential]
        except KeyError:
            raise StoreError(f"the journal doesn't know the credential {credential}; nothing was written") from None

    def _refresh(self) -> None:
        """Read again after a transaction that failed."""
        if self._stale:
            with self._database.errors(), self._connection.begin():
                self._read()
            self._stale = False

    def _read(self) -> None:
        last = self._connection.execute(_LAST_RECORD).one_or_none()
        self._head = genesis(self.store_id) if last is None else Record(last.sequence, last.hash, b"")
        rows = self._connection.execute(_CREDENTIALS).mappings()
        self._known = {row["name"]: _Known(row["id"], decode_state(row)) for row in rows}

    def _take_over(self, new_store_id: Callable[[], str]) -> tuple[str, int]:
        if self._connection.execute(_RAISE_FENCE).rowcount == 0:
            self._connection.execute(insert(OWNER), {"id": 1, "store_id": new_store_id(), "fence": 1})
        owner = self._connection.execute(select(OWNER)).one()
        return owner.store_id, owner.fence

    def _cursors(self, sinks: Sequence[Sink]) -> dict[str, Cursor]:
        """Each sink's cursor; a sink that is new to the store begins with the first record."""
        rows = self._connection.execute(select(OUTBOX))
        known = {row.sink: Cursor(row.delivered, row.error) for row in rows}
        for sink in sinks:
            if sink.name not in known:
                columns = {"sink": sink.name, "delivered": 0, "updated_at": self._clock()}
                self._connection.execute(insert(OUTBOX), columns)
        return {sink.name: known.get(sink.name, Cursor()) for sink in sinks}

    def _save_cursors(self) -> None:
        cursors = self._outbox.unsaved()
        if not cursors:
            return
        with suppress(StoreError):  # a cursor is a hint, and there is a next time
            with self._transaction(()) as now:
                for sink, cursor in cursors.items():
                    self._connection.execute(_SAVE_CURSOR, {"which": sink, "updated_at": now, **asdict(cursor)})
            self._outbox.saved(cursors)

    def _report(self, note: str) -> None:
        self.record([Event(event=EventName.AUDIT_RESUMED, actor="recovery", reason=note)])


def _columns(record: Record) -> dict[str, object]:
    fields = json.loads(record.line)
    repeated = {name: fields.get(name) for name in REPEATED}
    return repeated | {"sequence": record.sequence, "hash": record.hash, "line": record.line.decode()}
