"""What happens outside and in time: requests under way land, are lost or get stuck, and `settle` passes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from rotator.model import Change
from tests.rotation.promises import check_create, check_landing
from tests.rotation.world import AFTER, READY, WITHIN, CloudKey, Flight, Move, World, in_order, replaced, shown_by

if TYPE_CHECKING:
    from tests.rotation.moves import Moves


def land(moves: Moves, world: World, flight: Flight) -> World:
    if moves.shape.can.supplied and flight.change is not Change.PUSH:
        return world  # the operator makes the keys, and ends them: rotator's deletes only let go of one
    check_landing(world, moves.shape, flight)
    match flight.change:
        case Change.CREATE:
            if not moves.slot(world):
                return world
            stray = flight.stuck and not moves.shape.can.exact
            key = CloudKey(
                f"k{world.minted + 1}", born=AFTER if flight.stuck else WITHIN, mark=flight.mark, stray=stray
            )
            return world._replace(keys=tuple(sorted((*world.keys, key))), minted=world.minted + 1)
        case Change.PUSH:
            assert flight.key_id is not None
            number = flight.integration
            holds = replaced(world.holds, number, (flight.key_id, flight.text))
            state = moves.state(world)
            wanted = flight.key_id in {state.candidate, state.current}
            return world._replace(
                holds=holds, accepted_loss=world.accepted_loss - {number} if wanted else world.accepted_loss
            )
        case Change.DELETE:
            return world._replace(keys=tuple(key for key in world.keys if key.key_id != flight.key_id))
        case _:
            enabled = flight.change is Change.ENABLE
            keys = (
                k._replace(enabled=enabled, theirs=False, insisted=False) if k.key_id == flight.key_id else k
                for k in world.keys
            )
            return world._replace(keys=tuple(keys))


def happens(moves: Moves, world: World) -> Iterator[Move]:
    for number, flight in enumerate(world.flying):
        if number and world.flying[number - 1] == flight:
            continue
        rest = world._replace(flying=world.flying[:number] + world.flying[number + 1 :])
        yield Move(("lands", flight), land(moves, rest, flight))
        yield Move(("is lost", flight), rest)
        if world.budget.late and not flight.stuck and (moves.shape.late_pushes or flight.change is Change.CREATE):
            stuck = rest._replace(
                flying=in_order((*rest.flying, flight._replace(stuck=True))),
                budget=world.budget._replace(late=world.budget.late - 1),
            )
            yield Move(("gets stuck", flight), stuck, benign=False)
    state = moves.state(world)
    if world.pc == READY and state.unsettled_since is not None and all(f.stuck for f in world.flying):
        settled = moves.number(replace(state, unsettled_since=None, changed_at=None))
        yield Move(("`settle` passes",), world._replace(journal=settled, former=None))
    for number, (_, text) in enumerate(world.holds):
        shown = shown_by(text)
        if shown is not None and world.clung(number):
            holds = replaced(world.holds, number, (shown, text))
            yield Move(("an integration takes up the key that it shows", number), world._replace(holds=holds))
    if world.pc == READY and state.changed_at is not None:
        caught_up = moves.number(replace(state, changed_at=None))
        yield Move(("lists show the last change",), world._replace(journal=caught_up, former=None))
    if world.paused is not None and world.pc == READY:
        journal, waiting = world.paused
        assert waiting is not None
        woken = moves.commit(world._replace(paused=None), journal, waiting)
        if waiting.change is Change.CREATE:
            check_create(woken)
            woken = woken._replace(created=True)
        sent = woken._replace(pc=READY, flying=in_order((*woken.flying, waiting)))
        recovered = sent._replace(journal=moves.recovered(sent), material=0)
        yield Move(("the former owner wakes, writes its intent and makes its call", waiting), recovered)
