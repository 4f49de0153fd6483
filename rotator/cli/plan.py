"""`rotator plan`, `rotator rotate --dry-run`: what would be done now and next, and why. Real reads, no change."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated

import typer

from rotator.cli.options import ConfigPath, JsonOption
from rotator.cli.render import progress, relative, show_json, show_table
from rotator.cli.session import CLOCK, begin, read_store
from rotator.cli.wiring import fleet_of
from rotator.config.models import Config
from rotator.errors import CallFailed, ExitCode, UsageError, unforeseen
from rotator.model import State
from rotator.rotation.commands import Command
from rotator.rotation.foresee import foresee, foresee_answer
from rotator.rotation.managed import Managed
from rotator.rotation.step import Step
from rotator.store.reader import Owner
from rotator.store.sqlite import owner_alive

_AT_ONCE = 8
_HEADINGS = ("CREDENTIAL", "PHASE", "STEP", "WHY")


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What one credential has before it.

    Args:
        name: its name.
        state: the journal's, or what a request would make of it.
        answer: what a request would be answered, if there is one.
        refused: it would be refused.
        steps: up to the next external change or wait.
        next_look: when it would be looked at again (aware UTC).
        due_at: when the next rotation is due (aware UTC).
        unread: why the outside can't be read.
    """

    name: str
    state: State
    answer: str | None = None
    refused: bool = False
    steps: tuple[Step, ...] = ()
    next_look: datetime | None = None
    due_at: datetime | None = None
    unread: str | None = None


def plan(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="The credentials; all by default.", show_default=False)
    ] = None,
    path: ConfigPath = None,
    as_json: JsonOption = False,
) -> ExitCode:
    """What would be done for these credentials, or for all. Raises what `plan_for` does."""
    return plan_for(begin(path).config, names or (), as_json=as_json)


def plan_for(config: Config, names: Iterable[str], *, request: Command | None = None, as_json: bool) -> ExitCode:
    """What would be done for these credentials, or for all; with a request, what would follow from it.

    Raises:
        UsageError: the config has no such credential.
    """
    fleet = fleet_of(config, names)
    with read_store(config) as reader:
        states = {row.name: row.state for row in reader.credentials()}
        owner = reader.owner()
    alive = owner_alive(config.store.url)
    progress(f"asking the clouds and Northflank for {len(fleet.managed)} credentials ...")
    look = partial(_foresee, states=states, owner=owner, request=request, has_material=alive)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        foreseen = list(pool.map(look, fleet.managed.values()))
    if as_json:
        show_json({"plans": [_document(one) for one in foreseen]})
    else:
        show_table(_HEADINGS, [cells for one in foreseen for cells in _cells(one)])
    failed = any(one.unread is not None or one.refused for one in foreseen)
    return ExitCode.ERROR if failed else ExitCode.FINE


def answer_to(config: Config, name: str, request: Command) -> str:
    """What a request would be answered now.

    Raises:
        UsageError: the config has no such credential, or the request would be refused.
        CallFailed: something can't be read.
    """
    managed = fleet_of(config, [name]).managed[name]
    with read_store(config) as reader:
        states = {row.name: row.state for row in reader.credentials()}
        owner = reader.owner()
    state = states.get(name, State())
    frozen = owner.frozen_at is not None
    given = foresee_answer(managed, state, request, store_id=owner.store_id, frozen=frozen, clock=CLOCK)
    if not given.accepted:
        raise UsageError(f"{given.text}; nothing was changed.", remedy=f"`rotator show {name}` says where it stands.")
    return given.text


def _foresee(
    managed: Managed, *, states: dict[str, State], owner: Owner, request: Command | None, has_material: bool
) -> Foreseen:
    state = states.get(managed.name, State())
    frozen = owner.frozen_at is not None
    text = None
    try:
        if request is not None:
            given = foresee_answer(managed, state, request, store_id=owner.store_id, frozen=frozen, clock=CLOCK)
            if not given.accepted:
                return Foreseen(managed.name, state, given.text, refused=True)
            text, state = given.text, given.state
        ahead = foresee(managed, state, store_id=owner.store_id, frozen=frozen, clock=CLOCK, has_material=has_material)
    except CallFailed as failure:
        return Foreseen(managed.name, state, text, unread=str(failure))
    except Exception as bug:  # noqa: BLE001  # one credential's trouble must not cost the others their lines
        return Foreseen(managed.name, state, text, unread=unforeseen(bug))
    due_at = managed.calendar.due_at(ahead.steps[-1].state)
    return Foreseen(managed.name, state, text, steps=ahead.steps, next_look=ahead.next_look, due_at=due_at)


def _cells(one: Foreseen) -> Iterable[tuple[object, ...]]:
    now, phase = CLOCK.now(), one.state.phase.value
    if one.answer is not None:
        yield one.name, phase, "would be refused" if one.refused else "would be accepted", one.answer
    if one.unread is not None:
        yield one.name, phase, "can't be read", one.unread
    state = one.state
    for step in one.steps:
        yield one.name, state.phase.value, step.does(state), step.finding.text if step.finding else step.reason
        state = step.state
    if one.steps and one.steps[-1].call is None and one.next_look is not None:
        due = f"; a rotation is due {relative(one.due_at, now)}" if one.due_at is not None else ""
        yield one.name, state.phase.value, "look again", f"{relative(one.next_look, now)}{due}"


def _document(one: Foreseen) -> dict[str, object]:
    steps: list[dict[str, object]] = []
    state = one.state
    for step in one.steps:
        call = step.call
        steps.append(
            {
                "phase": state.phase.value,
                "step": step.does(state),
                "change": call.change.value if call is not None else None,
                "key_id": call.key_id if call is not None else None,
                "integration": call.integration if call is not None else None,
                "row": step.row,
                "reason": step.reason,
                "finding": step.finding.text if step.finding is not None else None,
            }
        )
        state = step.state
    answer = {"accepted": not one.refused, "answer": one.answer} if one.answer is not None else None
    return {
        "credential": one.name,
        "request": answer,
        "steps": steps,
        "next_look": one.next_look,
        "due_at": one.due_at,
        "unread": one.unread,
    }
