from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from rotator.errors import StoreError
from rotator.store.backup import back_up
from rotator.store.journal import Journal
from rotator.store.migrate import HEAD, MIGRATIONS
from rotator.store.requests import RequestWriter
from rotator.store.schema import METADATA
from tests.store.children import child, die_in_the_migration
from tests.store.stores import START, TickingClock, open_journal, url


def shell(directory: Path, script: str) -> None:
    with closing(sqlite3.connect(directory / "data" / "rotator.db")) as connection:
        connection.executescript(script)


def beside(directory: Path) -> list[Callable[[], object]]:
    return [
        lambda: Journal.open_read_only(url(directory)),
        lambda: RequestWriter.open(url(directory), clock=TickingClock(), new_id=lambda: "R"),
        lambda: back_up(url(directory), directory / "copy.db", at=START),
    ]


def test_head_is_the_newest_script() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_the_migrations_build_what_the_schema_says(tmp_path: Path) -> None:
    open_journal(tmp_path).close()
    with create_engine(url(tmp_path)).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), METADATA) == []


def test_the_schema_is_not_sqlites_alone() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
    built = [
        *(str(CreateTable(table).compile(dialect=dialect)) for table in METADATA.sorted_tables),
        *(
            str(CreateIndex(index).compile(dialect=dialect))
            for each in METADATA.sorted_tables
            for index in each.indexes
        ),
    ]
    assert len(built) > len(METADATA.tables)
    assert any("TIMESTAMP WITH TIME ZONE" in statement for statement in built)
    assert any("WHERE forgotten_at IS NULL" in statement for statement in built)


def test_a_start_that_migrates_nothing_does_not_load_alembic(tmp_path: Path) -> None:
    open_journal(tmp_path).close()
    look = """
import sys
from pathlib import Path
from tests.store.stores import open_journal
open_journal(Path(sys.argv[1])).close()
print("alembic" in sys.modules)
"""
    command = [sys.executable, "-c", look, str(tmp_path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  # our own script
    assert said == "False\n"


def test_a_newer_store_is_refused_untouched(tmp_path: Path) -> None:
    open_journal(tmp_path).close()
    shell(tmp_path, "UPDATE alembic_version SET version_num = '0999'")
    before = (tmp_path / "data" / "rotator.db").read_bytes()
    for look in (lambda: open_journal(tmp_path), *beside(tmp_path)):
        with pytest.raises(StoreError) as refused:
            look()
        assert "0999" in refused.value.message
        assert HEAD in refused.value.message
        assert "newer" in refused.value.remedy

    assert (tmp_path / "data" / "rotator.db").read_bytes() == before


def test_an_older_store_waits_for_the_daemon(tmp_path: Path) -> None:
    open_journal(tmp_path).close()
    shell(tmp_path, "UPDATE alembic_version SET version_num = '0000'")
    for look in beside(tmp_path):
        with pytest.raises(StoreError) as refused:
            look()
        assert "start the daemon" in refused.value.remedy


def test_a_database_of_something_else_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    shell(tmp_path, "CREATE TABLE customers (name)")
    (tmp_path / "data" / "rotator.db").chmod(0o600)
    with pytest.raises(StoreError, match="not a rotator store"):
        open_journal(tmp_path)

    with closing(sqlite3.connect(tmp_path / "data" / "rotator.db")) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("customers",)]


def test_a_kill_in_the_middle_of_a_migration_leaves_nothing_half_done(tmp_path: Path) -> None:
    with child(die_in_the_migration, tmp_path) as process:
        assert process.hear() == "dying"
        assert process.end() == -signal.SIGKILL

    assert (tmp_path / "data" / "rotator.db").exists()
    with open_journal(tmp_path) as journal:
        assert journal.fence == journal.reader.owner().fence == 1
