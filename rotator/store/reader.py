"""What the journal can be asked. Read-only: for the owner, and for the commands beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError
from sqlalchemy import Integer, RowMapping, Select, literal_column, select

from rotator.audit.chain import Record
from rotator.audit.verify import Stored
from rotator.errors import StoreError
from rotator.model import KeyRecord, State
from rotator.store.codec import decode_key, decode_state
from rotator.store.lane import Cursor
from rotator.store.requests import Malformed, Request, decode_request
from rotator.store.schema import AUDIT_EVENT, CREDENTIAL, KEY, OUTBOX, OWNER, REQUEST, ROTATION
from rotator.store.sqlite import Database

_FETCH = 1000
REPEATED = ("time", "event", "credential", "rotation")
"""The columns of `audit_event` that repeat fields of its line."""


@dataclass(frozen=True, slots=True)
class CredentialRow:
    """A credential as the journal knows it: when it is looked at again, and was last looked at (aware UTC)."""

    name: str
    provider: str
    identity: str
    state: State
    next_at: datetime | None
    looked_at: datetime


@dataclass(frozen=True, slots=True)
class RotationRow:
    """A rotation's history. Times are aware UTC; `ended_at` and `outcome` are None while it runs.

    Args:
        generation: the credential's at its last change.
        outcome: `done`, `abandoned`, `forgotten`, or `superseded` by another rotation.
    """

    rotation_id: str
    reason: str
    emergency: bool
    generation: int
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class Owner:
    """The store, how often it was taken over, and since when (aware UTC) an operator has stopped every change of it."""

    store_id: str
    fence: int
    frozen_at: datetime | None
    frozen_by: str | None


class JournalReader:
    """Answers from the store. Each answer is one consistent view. Thread-safe.

    Every method raises StoreError if the store can't be read.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def owner(self) -> Owner:
        """The store's id and its owner."""
        columns = [column for column in OWNER.c if column.name != "id"]
        rows = self._rows(select(*columns))
        if not rows:
            raise StoreError("the store has never had an owner", remedy="start the daemon once.")
        return Owner(**rows[0])

    @property
    def store_id(self) -> str:
        """The random id that was made with the store."""
        return self.owner().store_id

    def credentials(self) -> tuple[CredentialRow, ...]:
        """All credentials but forgotten ones, by name."""
        query = select(CREDENTIAL).where(CREDENTIAL.c.forgotten_at.is_(None)).order_by(CREDENTIAL.c.name)
        return tuple(
            CredentialRow(
                row["name"], row["provider"], row["identity"], decode_state(row), row["next_at"], row["updated_at"]
            )
            for row in self._rows(query)
        )

    def keys(self, credential: str) -> tuple[KeyRecord, ...]:
        """Every key that was ever known of this credential, in the order they were first seen."""
        query = _of(credential, select(KEY).join(CREDENTIAL)).order_by(KEY.c.first_seen, KEY.c.key_id)
        return tuple(decode_key(row) for row in self._rows(query))

    def rotations(self, credential: str) -> tuple[RotationRow, ...]:
        """Its rotations, the first one first."""
        columns = [column for column in ROTATION.c if column.name != "credential_id"]
        query = _of(credential, select(*columns).join(CREDENTIAL)).order_by(ROTATION.c.started_at)
        return tuple(RotationRow(**row) for row in self._rows(query))

    def open_requests(self) -> tuple[Request, ...]:
        """Requests without an answer, the oldest first; the expired ones too, since they want an answer as well."""
        found = [each for each in self._unanswered() if isinstance(each, Request)]
        return tuple(sorted(found, key=lambda request: (request.created_at, request.request_id)))

    def malformed_requests(self) -> tuple[Malformed, ...]:
        """Rows without an answer that are no requests."""
        return tuple(each for each in self._unanswered() if isinstance(each, Malformed))

    def _unanswered(self) -> Iterator[Request | Malformed]:
        """Each row is read by itself: SQLite takes anything into any column, and reading that may raise."""
        number = literal_column("rowid", Integer)
        for row in self._rows(select(number).select_from(REQUEST).where(REQUEST.c.answered_at.is_(None))):
            try:
                [whole] = self._rows(select(REQUEST).where(number == row["rowid"]))
                yield decode_request(whole)
            except ValidationError as error:
                fields = {".".join(map(str, each["loc"])) for each in error.errors(include_input=False)}
                yield Malformed(row["rowid"], f"wrong: {', '.join(sorted(fields))}")
            except Exception as error:  # noqa: BLE001  # as the method says
                yield Malformed(row["rowid"], f"a {type(error).__name__} while it was read")

    def request(self, request_id: str) -> Request | None:
        """The request with this id, with its answer once there is one."""
        rows = self._rows(select(REQUEST).where(REQUEST.c.id == request_id))
        return decode_request(rows[0]) if rows else None

    def record(self, sequence: int) -> Record | None:
        """The audit record of this sequence."""
        rows = self._rows(_RECORDS.where(AUDIT_EVENT.c.sequence == sequence))
        return _record(rows[0]) if rows else None

    def records(self, *, after: int = 0, limit: int | None = None, credential: str | None = None) -> tuple[Record, ...]:
        """Audit records after a sequence, in order; at most `limit`, only those about one credential."""
        query = _RECORDS.where(AUDIT_EVENT.c.sequence > after).order_by(AUDIT_EVENT.c.sequence).limit(limit)
        return tuple(_record(row) for row in self._rows(_about(credential, query)))

    def newest(self, count: int, *, credential: str | None = None) -> tuple[Record, ...]:
        """The last `count` audit records, in order."""
        query = _about(credential, _RECORDS.order_by(AUDIT_EVENT.c.sequence.desc()).limit(count))
        return tuple(_record(row) for row in reversed(self._rows(query)))

    def stored(self, *, after: int = 0) -> Iterator[Stored]:
        """All rows of the audit log after a sequence, in order, streamed."""
        query = select(AUDIT_EVENT).where(AUDIT_EVENT.c.sequence > after).order_by(AUDIT_EVENT.c.sequence)
        with self._database.reading() as connection:
            for row in connection.execution_options(yield_per=_FETCH).execute(query).mappings():
                yield Stored(_record(row), {name: row[name] for name in REPEATED})

    def cursors(self) -> Mapping[str, Cursor]:
        """How far each sink is, and its error if it has one."""
        return {row["sink"]: Cursor(row["delivered"], row["error"]) for row in self._rows(select(OUTBOX))}

    def delivered(self) -> Mapping[str, int]:
        """For each sink, the last sequence that it is known to have taken."""
        return {name: cursor.delivered for name, cursor in self.cursors().items()}

    def close(self) -> None:
        """Close the store."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _rows(self, query: Select[Any]) -> list[RowMapping]:
        with self._database.reading() as connection:
            return list(connection.execute(query).mappings())


_RECORDS = select(AUDIT_EVENT.c.sequence, AUDIT_EVENT.c.hash, AUDIT_EVENT.c.line)


def _record(row: RowMapping) -> Record:
    # str: SQLite keeps whatever it is given, and a tampered row must reach the check, not break it.
    return Record(row["sequence"], row["hash"], str(row["line"]).encode())


def _of(credential: str, query: Select[Any]) -> Select[Any]:
    return query.where(CREDENTIAL.c.name == credential, CREDENTIAL.c.forgotten_at.is_(None))


def _about(credential: str | None, query: Select[Any]) -> Select[Any]:
    return query if credential is None else query.where(AUDIT_EVENT.c.credential == credential)
