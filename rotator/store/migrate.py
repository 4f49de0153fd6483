"""The version of the store's schema: checked at each start, raised by Alembic only when it must be."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from rotator.errors import StoreError

HEAD = "0001"
"""The newest migration: four digits, in order."""

MIGRATIONS = Path(__file__).parent / "migrations"


def schema_of(connection: Connection) -> str:
    """The version of the store's schema; empty if there is nothing in it yet.

    Raises:
        StoreError: it holds something else.
    """
    tables = inspect(connection).get_table_names()
    if "alembic_version" in tables:
        return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")
    if tables:
        raise StoreError(
            "the database holds tables, but is not a rotator store; nothing was changed",
            remedy="check `store.url`: rotator wants a file of its own.",
        )
    return ""


def upgrade(connection: Connection) -> None:
    """Bring the store to `HEAD` inside the connection's transaction: all of it, or nothing.

    Raises:
        StoreError: it was written by a newer rotator, or by something else.
    """
    version = schema_of(connection)
    if version != HEAD:
        _refuse_newer(version)
        from alembic.command import upgrade as run  # noqa: PLC0415  # costs 0.1 s: only a store that needs it pays
        from alembic.config import Config  # noqa: PLC0415  # as above

        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        run(config, HEAD)


def require_head(connection: Connection) -> None:
    """For those who open the store beside its owner.

    Raises:
        StoreError: the store's schema is not exactly this program's.
    """
    version = schema_of(connection)
    _refuse_newer(version)
    if version != HEAD:
        raise StoreError(
            f"the store has schema {version or 'none'}, this program needs {HEAD}; nothing was changed",
            remedy="start the daemon of this version once: it migrates the store.",
        )


def _refuse_newer(version: str) -> None:
    if version > HEAD:
        raise StoreError(
            f"the store has schema {version}, this program knows up to {HEAD}; nothing was changed",
            remedy="install the version of rotator that wrote it, or a newer one; or restore the backup from before"
            " the upgrade.",
        )
