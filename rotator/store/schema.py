"""The tables. The migrations build them; a test proves that both say the same."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Boolean, Column, DateTime, Dialect, ForeignKey, Index, Integer, MetaData, Table, Text
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, stored as UTC to the microsecond. SQLite has no time zones, so they are put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # SQLAlchemy passes it
        """To UTC; a time without a zone is a bug."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a zone can't be stored")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # SQLAlchemy passes it
        """To aware UTC."""
        return value and (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC))


METADATA = MetaData()

OWNER = Table(
    "owner",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),  # there is one row: 1
    Column("store_id", Text, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("frozen_at", UtcDateTime),
    Column("frozen_by", Text),
)

CREDENTIAL = Table(
    "credential",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("hold_reason", Text),
    Column("hold_detail", Text),
    Column("generation", Integer, nullable=False),
    Column("current_key", Text),
    Column("candidate", Text),
    Column("not_before", UtcDateTime),
    Column("paused", Boolean, nullable=False),
    Column("state", Text, nullable=False),  # the rest of model.State, as JSON
    Column("next_at", UtcDateTime),
    Column("registered_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),  # or last looked at
    Column("forgotten_at", UtcDateTime),
)
# A forgotten credential stays as history and gives its name and identity free.
_KNOWN = CREDENTIAL.c.forgotten_at.is_(None)
for _column in ("name", "identity"):
    Index(f"credential_{_column}", CREDENTIAL.c[_column], unique=True, sqlite_where=_KNOWN, postgresql_where=_KNOWN)

KEY = Table(
    "key",
    METADATA,
    Column("credential_id", ForeignKey("credential.id"), primary_key=True),
    Column("key_id", Text, primary_key=True),
    Column("origin", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("hint", Text),
    Column("record", Text, nullable=False),  # the rest of model.KeyRecord, as JSON
    Column("first_seen", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)

ROTATION = Table(
    "rotation",
    METADATA,
    Column("rotation_id", Text, primary_key=True),
    Column("credential_id", ForeignKey("credential.id"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("emergency", Boolean, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("outcome", Text),
    Index("rotation_credential", "credential_id", "started_at"),
)

REQUEST = Table(
    "request",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("credential", Text),
    Column("kind", Text, nullable=False),
    Column("arguments", Text, nullable=False),  # JSON
    Column("uid", Integer, nullable=False),
    Column("claimed", Text),
    Column("why", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("answered_at", UtcDateTime),
    Column("accepted", Boolean),
    Column("answer", Text),
    Index("request_answered", "answered_at"),
)

AUDIT_EVENT = Table(
    "audit_event",
    METADATA,
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("time", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("credential", Text),
    Column("rotation", Text),
    Column("hash", Text, nullable=False),
    Column("line", Text, nullable=False),  # the truth; the columns before it repeat parts of it for queries
    Index("audit_event_credential", "credential", "sequence"),
)

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("sink", Text, primary_key=True),
    Column("delivered", Integer, nullable=False),
    Column("error", Text),
    Column("updated_at", UtcDateTime, nullable=False),
)
