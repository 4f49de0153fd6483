"""Which credentials the journal knows. A credential is its identity; its name may change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select, update

from rotator.audit.event import Event, EventName
from rotator.errors import StoreError
from rotator.model import KeyRecord, Origin, State
from rotator.store.codec import encode_state
from rotator.store.schema import CREDENTIAL

_ACTIVE = select(CREDENTIAL.c.id, CREDENTIAL.c.name, CREDENTIAL.c.identity).where(CREDENTIAL.c.forgotten_at.is_(None))
_RENAME = update(CREDENTIAL).where(CREDENTIAL.c.id == bindparam("row_id"))


@dataclass(frozen=True, slots=True)
class Registration:
    """A credential of the config. The identity, not the name, makes it the same one."""

    name: str
    provider: str
    identity: str


def register(connection: Connection, wanted: Sequence[Registration], now: datetime) -> Iterator[Event]:
    """Rename and add what the journal doesn't know yet; say so in events.

    Raises:
        StoreError: a name belongs to another identity.
    """
    rows = {row.identity: row for row in connection.execute(_ACTIVE)}
    renamed = [
        (rows[new.identity], new) for new in wanted if new.identity in rows and rows[new.identity].name != new.name
    ]
    added = [new for new in wanted if new.identity not in rows]
    names = {row.name: row.identity for row in rows.values()}
    for row, _ in renamed:
        del names[row.name]
    for new in [*(new for _, new in renamed), *added]:
        if new.name in names:
            raise StoreError(
                f"credential {new.name} has been {names[new.name]} so far, the config now says {new.identity};"
                " nothing was changed",
                remedy=f"give the new one another name; or take it out, `rotator forget {new.name}`, and put it back.",
            )
    for row, _ in renamed:  # two may swap names, so all of them let go first
        connection.execute(_RENAME, {"row_id": row.id, "name": f"{row.name} (renamed, {row.id})"})
    for row, new in renamed:
        connection.execute(_RENAME, {"row_id": row.id, "name": new.name, "updated_at": now})
        reason = f"{row.name} is now {new.name}"
        yield Event(event=EventName.CREDENTIAL_RENAMED, credential=new.name, provider=new.provider, reason=reason)
    for new in added:
        connection.execute(
            insert(CREDENTIAL),
            encode_state(State())
            | {"name": new.name, "provider": new.provider, "identity": new.identity}
            | {"registered_at": now, "updated_at": now},
        )


def released(key: KeyRecord) -> KeyRecord:
    """The record of a key whose credential is forgotten: ours no more, unless it is gone already."""
    ours = key.origin in {Origin.MINTED, Origin.ADOPTED, Origin.SUSPECT} and key.gone_at is None
    return replace(key, origin=Origin.RELEASED) if ours else key
