"""What must be true after whatever happened: P2, P4, P5 and P7, read from the outside and from what rotator wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from rotator.audit.verify import verify
from rotator.model import Origin, Phase, State
from rotator.store.reader import CredentialRow
from tests.audit.lines import is_intact
from tests.support.rig import Rig
from tests.support.running import Event, Running

_AWS = {
    "key.create": "CreateAccessKey",
    "key.disable": "UpdateAccessKey",
    "key.enable": "UpdateAccessKey",
    "key.delete": "DeleteAccessKey",
}
_SETTLED = {"done", "refused", "not_applied", "unknown"}
_SWITCHES = {404, 405}  # the update is sent again, with the other method


def check_books(rig: Rig) -> None:
    check_chain(rig)
    if not rig.forgetful:
        check_intents(rig)
    check_secrets(rig, rig.aws.secrets)
    check_orphans(rig)


def check_chain(rig: Running) -> None:
    """The audit log is whole, in the store and in its file."""
    rig.journal.flush(required_only=False)
    report = verify(rig.journal.reader, rig.stage.audit_file)
    assert is_intact(report), report


def check_intents(rig: Rig) -> None:
    """P5, P7: nothing was changed outside without an intent of its own, and each intent has one outcome."""
    intents = check_outcomes(rig)
    allowed = Counter(rig.by_people)
    for name, count in intents.items():
        allowed[_AWS.get(name, "push")] += count
    for action in set(_AWS.values()):
        assert rig.asked(action) <= allowed[action], action
    pushes = [seen for seen in rig.faults.requests() if seen.method != "GET" and seen.status not in _SWITCHES]
    assert len(pushes) <= allowed["push"]


def check_outcomes(rig: Running) -> Counter[str]:
    """Each intent has one outcome. Returns the intents, counted by their events."""
    events = rig.events()
    intents = Counter(event["event"] for event in events if event["outcome"] == "intent")
    assert intents == Counter(event["event"] for event in events if _concludes(event, intents))
    return intents


def check_secrets(rig: Running, secrets: Iterable[str]) -> None:
    """P4: no secret that the cloud ever gave out, and no token, is in anything that rotator wrote."""
    for path in rig.stage.store_file.parent.iterdir():
        assert not _found(rig, secrets, path.read_bytes()), path


def check_orphans(rig: Rig) -> None:
    """P2: each key that AWS lists is foreign, or the journal has a use for it."""
    for row in rig.journal.credentials():
        if row.state.phase is not Phase.NEW and row.state.mint is None and _user(row) in rig.users:
            check_looked_after(row.state, rig.listed(_user(row)).keys() - rig.foreign)


def check_looked_after(state: State, listed: AbstractSet[str]) -> None:
    """The journal has a use for each of these keys."""
    orphans = listed - _looked_after(state)
    assert not orphans, f"nobody looks after {orphans}: {state}"


def check_nothing_under_way(state: State) -> None:
    """No change is open, and no key is left for rotator to deal with."""
    left = (
        state.call,
        state.mint,
        state.candidate,
        state.to_revoke,
        state.maybe_held,
        state.to_delete,
        state.suspects,
    )
    assert not any(left), left


def leaked(rig: Rig, *written: bytes) -> list[str]:
    """The secrets that were written."""
    return _found(rig, rig.aws.secrets, *written)


def _found(rig: Running, secrets: Iterable[str], *written: bytes) -> list[str]:
    all_secrets = {*secrets, rig.stage.token_file.read_text().strip()}
    return [secret for secret in all_secrets for text in written if secret.encode() in text]


def _user(row: CredentialRow) -> str:
    return row.identity.rpartition("/")[2]


def _looked_after(state: State) -> set[str | None]:
    others = {record.key_id for record in state.keys if record.origin in {Origin.FOREIGN, Origin.RELEASED}}
    suspects = {suspect.key_id for suspect in state.suspects}
    return {state.current, state.candidate, *state.to_revoke, *state.maybe_held, *state.to_delete, *suspects, *others}


def _concludes(event: Event, changes: Iterable[str]) -> bool:
    return event["event"] in changes and event["outcome"] in _SETTLED
