"""`rotator show`: one credential, its keys, its integrations, its rotations, and what happened to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Annotated

import typer

from rotator.attention import FindingKind
from rotator.cli.names import must_exist
from rotator.cli.options import ConfigPath, JsonOption, Name
from rotator.cli.remedies import remedy
from rotator.cli.render import say, show_json, show_table
from rotator.cli.session import begin, read_store, refuse_keyless
from rotator.cli.status import Standing, stand
from rotator.cli.timeline import TIMELINE, AuditFields, cells_of, fields_of
from rotator.config.models import Config
from rotator.errors import ExitCode, UsageError
from rotator.model import KeyRecord, Origin, Stamp, State
from rotator.northflank.stamp import compose
from rotator.store.reader import RotationRow

_KEYS = ("KEY", "WHAT", "GENERATION", "NOW")
_INTEGRATIONS = ("INTEGRATION", "HOLDS", "ITS TEXT BEFORE THE PUSH")
_ROTATIONS = ("ROTATION", "STARTED", "TOOK", "OUTCOME", "REASON")


def show(
    name: Name,
    path: ConfigPath = None,
    events: Annotated[int, typer.Option("--events", min=1, help="How many events to show.")] = 50,
    as_json: JsonOption = False,
) -> ExitCode:
    """Where it stands, its history, and the last `events` that concern it.

    Raises:
        UsageError: there is no such credential, no rotator has taken it up yet, or it is keyless.
    """
    session = begin(path)
    config = session.config
    must_exist(config, [name], or_have_left=True)
    with read_store(config) as reader:
        owner = reader.owner()
        standings = stand(session, reader.credentials(), owner)
        known = {standing.name: standing for standing in standings if standing.row is not None}
        if name not in known:
            refuse_keyless(config, [name])
            raise UsageError(
                f"{name} is in the config, and no rotator has taken it up yet.",
                remedy="start the service (`rotator run`), or reload it.",
            )
        keys, rotations = reader.keys(name), reader.rotations(name)
        events_shown = [fields_of(record) for record in reader.newest(events, credential=name)]
    standing = known[name]
    stamps = {key.key_id: _stamp(owner.store_id, key, standing.now.date()) for key in keys if _may_be_named(key)}
    if as_json:
        integrations = [
            {"integration": one, "holds": key, "before": text} for one, key, text in _held(config, standing)
        ]
        history = {
            "keys": [asdict(key) | {"stamp": stamps.get(key.key_id)} for key in keys],
            "integrations": integrations,
            "rotations": [asdict(rotation) for rotation in rotations],
            "timeline": events_shown,
        }
        show_json(standing.document() | history)
    else:
        _show(config, standing, keys, stamps)
        _show_history(rotations, events_shown)
    return ExitCode.FINE


def _show(config: Config, standing: Standing, keys: tuple[KeyRecord, ...], stamps: Mapping[str, str]) -> None:
    state = standing.state
    identity = standing.row.identity if standing.row is not None else ""
    say(f"{standing.name} ({identity}): {standing.phase}, generation {state.generation}")
    for text in standing.in_the_way():
        say(f"  {text}")
    if state.hold is not None:
        say(f"  -> {remedy(state.hold, standing.name, state, below='show')}")
    if keys:
        say("")
        show_table(_KEYS, [(key.key_id, key.origin.value, key.generation, _role(state, key)) for key in keys])
    say("")
    show_table(_INTEGRATIONS, _held(config, standing))
    if (state.hold is not None and state.candidate is not None) or _lost_a_stamp(state):
        for key_id, stamp in stamps.items():
            say(f"\nAn integration that holds {key_id} ends its description with: {stamp}")


def _lost_a_stamp(state: State) -> bool:
    return any(finding.kind is FindingKind.STAMP_LOST for finding in state.findings)


def _show_history(rotations: tuple[RotationRow, ...], events: list[AuditFields]) -> None:
    if rotations:
        say("")
        show_table(_ROTATIONS, [_rotation(rotation) for rotation in rotations])
    if events:
        say("")
        show_table(TIMELINE, [cells_of(event) for event in events])


def _may_be_named(key: KeyRecord) -> bool:
    """A stamp may name it: rotator minted it, and it is not gone."""
    return key.origin is Origin.MINTED and key.gone_at is None


def _stamp(store_id: str, key: KeyRecord, day: date) -> str:
    return compose("", Stamp(store_id, key.generation, key.hint), day)


def _rotation(rotation: RotationRow) -> tuple[object, ...]:
    outcome = rotation.outcome or "in flight"
    return (
        rotation.rotation_id,
        rotation.started_at,
        rotation.ended_at - rotation.started_at if rotation.ended_at is not None else None,
        f"{outcome}, an emergency" if rotation.emergency else outcome,
        rotation.reason,
    )


def _role(state: State, key: KeyRecord) -> str:
    """What the journal has in mind for this key."""
    roles = {
        "current": state.current == key.key_id,
        "candidate": state.candidate == key.key_id,
        "retiring": key.key_id in state.to_revoke,
        "an integration may hold it": key.key_id in state.maybe_held,
        "to be deleted": key.key_id in state.to_delete,
        "enabled again by an operator": key.key_id in state.undone,
        "in doubt": any(suspect.key_id == key.key_id for suspect in state.suspects),
        "disabled": key.disabled and key.gone_at is None,
        "enabled again by another": key.enabled_again,
        "deleted": key.gone_at is not None,
    }
    return ", ".join(role for role, plays in roles.items() if plays)


def _held(config: Config, standing: Standing) -> list[tuple[str, str, str | None]]:
    """Each integration, what it holds as far as the journal knows, and its text from before the last push."""
    state = standing.state
    wanted = {
        integration.id
        for section in config.credentials
        if section.name == standing.name
        for integration in section.integrations
    }
    before = dict(state.texts_before)
    return [(one, _holds(state, one, wanted), before.get(one)) for one in sorted(wanted | state.confirmed_in)]


def _holds(state: State, integration: str, wanted: set[str]) -> str:
    if integration in state.accepted_loss:
        return "cut off by an operator until the next push"
    if integration not in wanted:
        return f"{state.current}, but the config no longer names the integration"
    if integration in state.refused:
        return f"refused {state.candidate}"
    if integration in state.accepted:
        return f"accepted {state.candidate}, not yet confirmed"
    if integration in state.confirmed_in and state.current is not None:
        return state.current
    return "not known yet"
