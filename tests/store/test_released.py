"""The store of every released schema, with rotations under way: this version takes it up and carries them on."""

from __future__ import annotations

from datetime import timedelta

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from rotator.attention import HoldReason
from rotator.audit.verify import verify
from rotator.model import Phase
from rotator.store.migrate import HEAD, MIGRATIONS
from tests.audit.lines import is_intact
from tests.store import world
from tests.store.dump import HELD, IDLE, IN_GRACE, MID_PUSH, USERS
from tests.support.books import check_books
from tests.support.fixtures import MakeRig
from tests.support.rig import Rig

HOW = "python -m tests.store.dump (docs/release.md)"


def schemas() -> list[str]:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return sorted(script.revision for script in ScriptDirectory.from_config(config).walk_revisions())


@pytest.mark.parametrize("schema", schemas())
def test_every_schema_has_its_dump(schema: str) -> None:
    for kind in ("sql", "json"):
        assert (world.RELEASED / f"{schema}.{kind}").exists(), HOW


def test_what_the_journal_can_say_changes_only_with_the_schema() -> None:
    """An older version must refuse a newer store at its start, not at the first word that it doesn't know."""
    assert world.words_of(HEAD) == world.words(), f"released? then add a migration, else: {HOW}"


@pytest.mark.parametrize("schema", schemas())
def test_its_rotations_go_on_to_their_ends(prepare: MakeRig, schema: str) -> None:
    rig: Rig = prepare()
    world.load(rig, schema)
    rig.start()
    assert {name: rig.state_of(name).phase for name in USERS} == {
        IN_GRACE: Phase.GRACE,
        MID_PUSH: Phase.PUSHING,
        HELD: Phase.MINTING,
        IDLE: Phase.IDLE,
    }
    rig.name = HELD
    hold = rig.state.hold
    assert hold is not None
    assert hold.reason is HoldReason.SLOTS_FULL
    (foreign,) = rig.foreign
    rig.delete(foreign)
    assert rig.ask("resume").accepted
    for name in USERS:
        rig.name = name
        began = rig.held(name)
        rig.finish()
        (key,) = rig.listed(name)
        assert rig.held(name) == key
        assert (key == began) == (name != HELD)
        rig.wait(timedelta(hours=1))
    assert rig.asked("CreateAccessKey") == 1, "only the held one had yet to mint"
    assert is_intact(verify(rig.journal.reader, rig.stage.audit_file))
    check_books(rig)
