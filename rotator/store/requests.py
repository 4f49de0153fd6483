"""Requests by operators: a command writes a row beside the owner, and the owner answers in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from pydantic import TypeAdapter
from sqlalchemy import RowMapping, insert

from rotator.http.outside_text import outside_text
from rotator.store.migrate import require_head
from rotator.store.schema import REQUEST
from rotator.store.sqlite import Database

EXPIRES_AFTER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What an operator asks of the owner, and its answer once there is one. Times are aware UTC.

    Args:
        request_id: a ULID.
        credential: the name that the request is about, as the operator wrote it; None if it is about the store.
        kind: the command, e.g. `rotate`.
        arguments: its options, as JSON values.
        uid: who asks, as the operating system knows them.
        claimed: who they say they are (SUDO_USER, `--as`). Not proved.
        why: their reason, in their words.
        accepted: None until it is answered.
    """

    request_id: str
    credential: str | None
    kind: str
    arguments: Mapping[str, object]
    uid: int
    claimed: str | None
    why: str | None
    created_at: datetime
    expires_at: datetime
    answered_at: datetime | None = None
    accepted: bool | None = None
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """A row that is no request: a user who may write the store may write anything into it.

    Args:
        row: its number in the table, which it has whatever else it lacks.
        problem: what is wrong with it, without its values.
    """

    row: int
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer to be written in the transaction of what the request caused."""

    request_id: str
    accepted: bool
    text: str


_REQUEST = TypeAdapter(Request)


class RequestWriter:
    """Writes requests into a store that another process owns."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime], new_id: Callable[[], str]) -> None:
        self._database = database
        self._clock = clock
        self._new_id = new_id

    @classmethod
    def open(cls, url: str, *, clock: Callable[[], datetime], new_id: Callable[[], str]) -> Self:
        """Open an existing store of this program's schema.

        Args:
            url: `store.url` of the config.
            clock: gives the present time (aware).
            new_id: makes a ULID.

        Raises:
            StoreError: there is none, it can't be written, or its schema is another.
        """
        database = Database.beside(url, read_only=False)
        with database.reading() as connection:
            require_head(connection)
        return cls(database, clock=clock, new_id=new_id)

    def submit(
        self,
        kind: str,
        *,
        credential: str | None,
        arguments: Mapping[str, object],
        uid: int,
        claimed: str | None = None,
        why: str | None = None,
    ) -> Request:
        """Ask. The request is durable on return, and expires 10 minutes later.

        Raises:
            StoreError: it could not be written.
        """
        now = self._clock()
        request = Request(
            request_id=self._new_id(),
            credential=credential and outside_text(credential),
            kind=kind,
            arguments=arguments,
            uid=uid,
            claimed=claimed and outside_text(claimed),
            why=why and outside_text(why),
            created_at=now,
            expires_at=now + EXPIRES_AFTER,
        )
        with self._database.errors(), self._database.writer() as connection, connection.begin():
            connection.execute(insert(REQUEST), _encode(request))
        return request

    def close(self) -> None:
        """Close the store."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def decode_request(row: RowMapping) -> Request:
    """The request that a row of `request` holds.

    Raises:
        ValueError: it holds none.
    """
    values = dict(row)
    try:
        arguments = json.loads(values["arguments"])
        json.dumps(arguments, ensure_ascii=False).encode()  # half characters can't be journalled
    except (TypeError, RecursionError):
        raise ValueError("its arguments are no JSON") from None
    values |= {"request_id": values.pop("id"), "arguments": arguments}
    return _REQUEST.validate_python(values)


def _encode(request: Request) -> dict[str, object]:
    return {
        "id": request.request_id,
        "credential": request.credential,
        "kind": request.kind,
        "arguments": json.dumps(dict(request.arguments)),
        "uid": request.uid,
        "claimed": request.claimed,
        "why": request.why,
        "created_at": request.created_at,
        "expires_at": request.expires_at,
    }
