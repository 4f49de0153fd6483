"""The version before this one, from its own wheel, refuses a newer store, says so in a line, and changes nothing.

That version is the newest tag's; before the first release it is this tree's.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from tests.release.building import ROOT, build, epoch, exported, tracked
from tests.release.check import last_tag
from tests.release.environments import Environment
from tests.support.desk import Desk

pytestmark = [pytest.mark.machine, pytest.mark.timeout(900)]

NEWER = "0999"
MAKE = """
from datetime import UTC, datetime
from rotator.store.journal import Journal
from rotator.store.migrate import HEAD
Journal.open({url!r}, sinks=(), clock=lambda: datetime.now(UTC)).close()
print(HEAD)
"""
COMMANDS = {
    "run": ("run",),
    "once": ("run", "--once"),
    "status": ("status",),
    "check": ("check",),
    "backup": ("store", "backup", "."),
    "show": ("show", "prod-civo"),
    "pause": ("pause", "prod-civo"),
    "standalone": ("pause", "prod-civo", "--standalone"),
    "audit": ("audit", "verify"),
}


@dataclass(frozen=True, slots=True)
class Previous:
    """The version before, installed, with a config, a store that it made, and the schema of that."""

    environment: Environment
    desk: Desk
    schema: str

    def rotator(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.environment.rotator_in({"ROTATOR_CONFIG": str(self.desk.config_file), "TOKEN": "t"}, *arguments)

    @property
    def store(self) -> Path:
        return self.desk.data / "rotator.db"


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Previous:
    directory = tmp_path_factory.mktemp("previous")
    tag = last_tag(ROOT)
    tree = directory / "tree"
    if tag is None:
        tracked(ROOT, tree)
    else:
        exported(ROOT, tag, tree)
    wheel = build(tree, directory / "dist", epoch=epoch(ROOT, tag or "HEAD")).wheel
    environment = Environment(directory / "venv", Path(sys.executable))
    environment.install(wheel)
    civo = {"name": "prod-civo", "provider": "civo", "integrations": ["prod-civo"]}
    (directory / "key").write_text("0123456789")
    (directory / "key").chmod(0o600)
    api = {"api_key": {"file": str(directory / "key")}, "api_url": "http://127.0.0.1:9"}
    desk = Desk(directory)
    desk.config_file.write_text(desk.config(credentials=[{**civo, "civo": api}]))
    desk.data.mkdir(mode=0o700)
    return Previous(environment, desk, environment.python(MAKE.format(url=desk.url)).strip())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_newer_store_is_refused_untouched(previous: Previous, command: str) -> None:
    with closing(sqlite3.connect(previous.store)) as store, store:
        store.execute("UPDATE alembic_version SET version_num = ?", (NEWER,))
    before = sha256(previous.store.read_bytes()).hexdigest()
    refused = previous.rotator(*COMMANDS[command])
    said = refused.stdout + refused.stderr
    line = f"the store has schema {NEWER}, this program knows up to {previous.schema}; nothing was changed"
    assert refused.returncode == 1, said
    assert said.count(line) == 1, said
    assert "install the version of rotator that wrote it" in said
    assert "Traceback" not in said
    assert sha256(previous.store.read_bytes()).hexdigest() == before
    assert not list(Path.cwd().glob("rotator-*.db"))


def test_its_own_store_it_takes(previous: Previous) -> None:
    with closing(sqlite3.connect(previous.store)) as store, store:
        store.execute("UPDATE alembic_version SET version_num = ?", (previous.schema,))
    verified = previous.rotator("audit", "verify")
    assert verified.returncode == 0, verified
