"""The store of a released version as text, and the world that it is about.

`released/NNNN.sql` is the store as SQL; `released/NNNN.json` has the config's credentials, the keys that AWS lists and
what Northflank holds at that moment, and the words of the journal's JSON. No secret is in either: a key that is put
back gets a new one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from moto.iam.models import iam_backends
from pydantic import TypeAdapter

from rotator.model import KeyRecord, State
from rotator.sandbox.northflank.account import HeldIntegration
from tests.support.rig import Rig

RELEASED = Path(__file__).with_name("released")


def save(rig: Rig, schema: str) -> None:
    """Write a stopped rig's store and its world down."""
    with closing(sqlite3.connect(rig.stage.store_file)) as store:
        dump = "".join(f"{line}\n" for line in store.iterdump())
    world = {
        "at": rig.clock.world().isoformat(),
        "credentials": rig.overlay["credentials"],
        "keys": {
            user: [
                {"key_id": key.key_id, "created_at": key.created_at.isoformat(), "enabled": key.enabled}
                for key in rig.aws.keys(user)
            ]
            for user in rig.users
        },
        "foreign": sorted(rig.foreign),
        "integrations": {
            each.id: {"description": each.description, "holds": each.credentials["accessKey"]}
            for each in rig.account.integrations()
        },
        "words": words(),
    }
    told = [text for text in (dump, json.dumps(world)) for secret in rig.aws.secrets if secret in text]
    assert not told, "a secret is in it"
    (RELEASED / f"{schema}.sql").write_text(dump)
    (RELEASED / f"{schema}.json").write_text(json.dumps(world, indent=1) + "\n")


def load(rig: Rig, schema: str) -> None:
    """Make the world of a rig that was not started the one that was saved, and put the store there."""
    world = json.loads((RELEASED / f"{schema}.json").read_text())
    rig.configure({"credentials": world["credentials"]})
    rig.clock.advance(datetime.fromisoformat(world["at"]) - rig.clock.world())
    rig.delete_user()
    secrets: dict[str, str] = {}
    for user, keys in world["keys"].items():
        rig.add_user(user)
        for key in keys:
            secrets[key["key_id"]] = _put_key(rig, user, key)
    for name, shown in world["integrations"].items():
        held = {"accessKey": shown["holds"], "secretKey": secrets[shown["holds"]]}
        rig.account.put(HeldIntegration(name, name, "aws", description=shown["description"], credentials=held))
    rig.foreign |= set(world["foreign"])
    rig.forgetful = True  # what was asked of the stand-ins before isn't in their books
    data = rig.stage.store_file.parent
    data.mkdir(mode=0o700)
    with closing(sqlite3.connect(rig.stage.store_file)) as store:
        store.executescript((RELEASED / f"{schema}.sql").read_text())
    rig.stage.store_file.chmod(0o600)


def words() -> list[str]:
    """The fields and the values that the JSON of states and keys can have, whatever their order."""
    return sorted({word for kind in (State, KeyRecord) for word in _words(TypeAdapter(kind).json_schema())})


def words_of(schema: str) -> list[str]:
    """The same, of the version that wrote the dump."""
    saved: list[str] = json.loads((RELEASED / f"{schema}.json").read_text())["words"]
    return saved


def _words(schema: Mapping[str, Any]) -> Iterator[str]:
    definitions = schema.get("$defs", {}) | {schema.get("title", ""): schema}
    for name, definition in definitions.items():
        yield from (f"{name}.{field}" for field in definition.get("properties", {}))
        yield from (f"{name}={value}" for value in definition.get("enum", ()))


def _put_key(rig: Rig, user: str, key: Mapping[str, Any]) -> str:
    """A key with this id, which AWS would choose itself. Returns its secret."""
    made = rig.aws.create_key(user).reveal()
    iam = iam_backends[rig.aws.account]["aws"]
    record = iam.access_keys.pop(made["accessKey"])
    record.access_key_id = key["key_id"]
    record.create_date = datetime.fromisoformat(key["created_at"]).replace(tzinfo=None)
    record.status = "Active" if key["enabled"] else "Inactive"
    iam.access_keys[record.access_key_id] = record
    return made["secretKey"]
