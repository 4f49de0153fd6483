"""The journal, its requests, and the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def utc(name: str, *, nullable: bool = True) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def text(name: str, *, nullable: bool = False) -> "sa.Column[object]":
    return sa.Column(name, sa.Text, nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "owner",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        text("store_id"),
        sa.Column("fence", sa.Integer, nullable=False),
        utc("frozen_at"),
        text("frozen_by", nullable=True),
    )
    op.create_table(
        "credential",
        sa.Column("id", sa.Integer, primary_key=True),
        text("name"),
        text("provider"),
        text("identity"),
        text("phase"),
        text("hold_reason", nullable=True),
        text("hold_detail", nullable=True),
        sa.Column("generation", sa.Integer, nullable=False),
        text("current_key", nullable=True),
        text("candidate", nullable=True),
        utc("not_before"),
        sa.Column("paused", sa.Boolean, nullable=False),
        text("state"),
        utc("next_at"),
        utc("registered_at", nullable=False),
        utc("updated_at", nullable=False),
        utc("forgotten_at"),
    )
    known = sa.text("forgotten_at IS NULL")
    for column in ("name", "identity"):
        op.create_index(
            f"credential_{column}", "credential", [column], unique=True, sqlite_where=known, postgresql_where=known
        )
    op.create_table(
        "key",
        sa.Column("credential_id", sa.Integer, sa.ForeignKey("credential.id"), primary_key=True),
        sa.Column("key_id", sa.Text, primary_key=True),
        text("origin"),
        sa.Column("generation", sa.Integer, nullable=False),
        text("hint", nullable=True),
        text("record"),
        utc("first_seen", nullable=False),
        utc("changed_at", nullable=False),
    )
    op.create_table(
        "rotation",
        sa.Column("rotation_id", sa.Text, primary_key=True),
        sa.Column("credential_id", sa.Integer, sa.ForeignKey("credential.id"), nullable=False),
        text("reason"),
        sa.Column("emergency", sa.Boolean, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        utc("started_at", nullable=False),
        utc("ended_at"),
        text("outcome", nullable=True),
    )
    op.create_index("rotation_credential", "rotation", ["credential_id", "started_at"])
    op.create_table(
        "request",
        sa.Column("id", sa.Text, primary_key=True),
        text("credential", nullable=True),
        text("kind"),
        text("arguments"),
        sa.Column("uid", sa.Integer, nullable=False),
        text("claimed", nullable=True),
        text("why", nullable=True),
        utc("created_at", nullable=False),
        utc("expires_at", nullable=False),
        utc("answered_at"),
        sa.Column("accepted", sa.Boolean),
        text("answer", nullable=True),
    )
    op.create_index("request_answered", "request", ["answered_at"])
    op.create_table(
        "audit_event",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        text("time"),
        text("event"),
        text("credential", nullable=True),
        text("rotation", nullable=True),
        text("hash"),
        text("line"),
    )
    op.create_index("audit_event_credential", "audit_event", ["credential", "sequence"])
    op.create_table(
        "outbox",
        sa.Column("sink", sa.Text, primary_key=True),
        sa.Column("delivered", sa.Integer, nullable=False),
        text("error", nullable=True),
        utc("updated_at", nullable=False),
    )
