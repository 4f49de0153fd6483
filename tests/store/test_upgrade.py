"""An upgrade in the middle of a rotation, and the way back: real services, of this version and of a newer schema's."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import rotator
from rotator.audit.verify import verify
from rotator.model import Phase
from rotator.sandbox.aws.scene import USER
from rotator.sandbox.stage import INTEGRATION
from rotator.store.journal import Journal
from rotator.store.migrate import HEAD
from tests.audit.lines import is_intact
from tests.chaos.process import RUN, Service
from tests.chaos.trial import Trial, trial

pytestmark = pytest.mark.realtime

NEXT = f"{int(HEAD) + 1:04}"
MIGRATION = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "NEXT", "HEAD"
def upgrade():
    op.add_column("credential", sa.Column("note", sa.Text))
    op.execute("UPDATE credential SET note = 'migrated in ' || phase")
""".replace("NEXT", NEXT).replace("HEAD", HEAD)
BROKEN = f'{MIGRATION}    op.drop_table("nowhere")\n'

Version = Mapping[str, str]
"""The environment in which `python -m rotator` is of that version."""

THIS: Version = {}


@pytest.fixture
def in_grace(tmp_path: Path) -> Iterator[Trial]:
    """A rotation that came to its grace; its service was stopped then."""
    with trial(tmp_path) as made:
        made.configure(policy={"every": "12h", "grace": "1h", "max_grace": "2h"})
        with service(made, THIS) as running:
            running.wait_for("key.adopted")
            made.ask(now=True)
            running.wait_for("rotation.phase", where=lambda record: record["phase"] == Phase.GRACE)
            assert running.stop() == 0
        made.configure()
        yield made


@pytest.fixture
def version_with(tmp_path: Path) -> Callable[[str], Version]:
    """Makes a rotator with one more migration."""

    def make(migration: str) -> Version:
        package = tmp_path / "next" / "rotator"
        shutil.copytree(
            Path(rotator.__file__).parent,
            package,
            ignore=shutil.ignore_patterns("__pycache__", "sandbox"),
            dirs_exist_ok=True,
        )
        (package / f"store/migrations/versions/{NEXT}_note.py").write_text(migration)
        migrate = package / "store/migrate.py"
        migrate.write_text(migrate.read_text().replace(f'HEAD = "{HEAD}"', f'HEAD = "{NEXT}"'))
        return {"PYTHONPATH": str(package.parent), "PYTHONSAFEPATH": "1"}

    return make


def service(trial: Trial, version: Version) -> Service:
    return Service(RUN, {**trial.environment(), **version}, trial.output)


def command(trial: Trial, version: Version, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-m", "rotator", *arguments],
        env={**trial.environment(), **version},
        capture_output=True,
        text=True,
        check=False,
    )


def answer(trial: Trial, version: Version, *arguments: str) -> Any:
    done = command(trial, version, *arguments, "--json")
    assert done.returncode == 0, done
    return json.loads(done.stdout)


def copies(trial: Trial) -> list[Path]:
    return sorted(trial.stage.store_file.parent.glob("*.bak"))


def notes(store: Path) -> list[tuple[str]]:
    with closing(sqlite3.connect(store)) as connection:
        return connection.execute("SELECT note FROM credential").fetchall()


def check_outside(trial: Trial) -> None:
    """The rotation came to its end, and no consumer noticed."""
    (key,) = trial.stage.aws.keys(USER)
    assert trial.stage.account.held(INTEGRATION)["accessKey"] == key.key_id != trial.stage.first_key
    assert not trial.consumer.tally.failed, trial.consumer.tally
    assert len(trial.aws.requests(action="CreateAccessKey")) == 1


def test_it_is_migrated_and_the_rotation_goes_on_to_its_end(
    in_grace: Trial, version_with: Callable[[str], Version]
) -> None:
    newer = version_with(MIGRATION)
    with service(in_grace, newer) as running:
        running.wait_for("rotation.done")
        running.stop()
        assert f'"schema": "{HEAD}"' in running.said
    check_outside(in_grace)
    assert notes(in_grace.stage.store_file) == [("migrated in grace",)]
    assert answer(in_grace, newer, "audit", "verify")["intact"]
    (standing,) = answer(in_grace, newer, "status")["credentials"]
    assert (standing["phase"], standing["held"]) == ("idle", None)

    (copy,) = copies(in_grace)
    assert copy.name.startswith(f"rotator.db.schema-{HEAD}.20")
    assert copy.stat().st_mode & 0o7777 == 0o600
    with Journal.open_read_only(f"sqlite:///{copy}") as before:
        assert [row.state.phase for row in before.credentials()] == [Phase.GRACE]

    store = in_grace.stage.store_file.read_bytes()
    for arguments in (("run",), ("status",), ("store", "backup", ".")):
        refused = command(in_grace, THIS, *arguments)
        assert (refused.returncode, refused.stdout) == (1, ""), arguments
        assert refused.stderr.splitlines()[0] == (
            f"rotator: the store has schema {NEXT}, this program knows up to {HEAD}; nothing was changed"
        ), arguments
    assert in_grace.stage.store_file.read_bytes() == store


def test_with_the_copy_from_before_it_the_way_back_is_open(
    in_grace: Trial, version_with: Callable[[str], Version]
) -> None:
    store = in_grace.stage.store_file
    before, broken = store.read_bytes(), version_with(BROKEN)
    for _ in range(2):
        assert command(in_grace, broken, "run").returncode == 1
    assert store.read_bytes() == before, "a migration that fails changes nothing"
    (copy,) = copies(in_grace)

    with service(in_grace, version_with(MIGRATION)) as running:
        running.wait_for("daemon.started")
        running.kill()
    assert copies(in_grace) == [copy]
    aside = in_grace.stage.directory / "aside"
    store.parent.rename(aside)
    store.parent.mkdir(mode=0o700)
    (aside / copy.name).rename(store)
    with service(in_grace, THIS) as running:
        running.wait_for("rotation.done")
        running.stop()
    check_outside(in_grace)
    with in_grace.reader() as reader:
        assert is_intact(verify(reader, in_grace.stage.audit_file))
