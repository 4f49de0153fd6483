"""What people may do: create, use and enable keys, edit descriptions, restore a journal; and what operators may ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rotator.attention import HoldReason
from rotator.model import Origin, Phase, State
from rotator.rotation.commands import Command, Kind
from tests.rotation.world import (
    AFTER,
    EDITED,
    OLD,
    OTHER_STORE,
    READY,
    WITHIN,
    CloudKey,
    Move,
    World,
    adopted,
    changed,
    replaced,
)

if TYPE_CHECKING:
    from tests.rotation.moves import Moves


def acts(moves: Moves, world: World) -> Iterator[Move]:
    """What people may do without rotator: repair things at any time, and a few times stir them up."""
    state = moves.state(world)
    if moves.shape.doubt and world.backup is None and state.phase is Phase.IDLE and world.pc == READY:
        yield Move(("the operator copies the journal",), world._replace(backup=world.journal))
    yield from _repairs(world, state)
    if moves.shape.can.supplied and state.asked is not None and world.keys[0].key_id == state.current:
        yield _make_key(world, benign=True)
    if world.budget.others and state.phase is not Phase.NEW:
        yield from _others(world._replace(budget=world.budget._replace(others=world.budget.others - 1)), state)
    if not world.budget.people or state.phase is Phase.NEW:
        return
    asked = world._replace(budget=world.budget._replace(people=world.budget.people - 1))
    if moves.shape.doubt:
        yield from _doubts(moves, asked)
    yield from _stirs(moves, asked, state)


def _repairs(world: World, state: State) -> Iterator[Move]:
    if state.hold is not None and state.hold.reason is HoldReason.SLOTS_FULL and world.pc == READY:
        for key in world.keys:
            record = state.record(key.key_id)
            released = record is not None and record.origin is Origin.RELEASED
            theirs = record is None or record.origin is Origin.FOREIGN
            in_use = any(held == key.key_id for held, _ in world.holds)
            if not in_use and (released or (theirs and (not key.ours or key.stray))):
                keys = tuple(k for k in world.keys if k != key)
                yield Move(("the operator deletes a foreign key", key.key_id), world._replace(keys=keys))
    for number, (held, text) in enumerate(world.holds):
        if text.startswith(EDITED) and (f"i{number}", text) not in state.texts_before:
            holds = replaced(world.holds, number, (held, text.removeprefix(EDITED)))
            yield Move(("the operator puts back the description of", number), world._replace(holds=holds))


def _stirs(moves: Moves, asked: World, state: State) -> Iterator[Move]:
    if moves.shape.can.supplied:
        yield _make_key(asked, benign=False)
    elif moves.slot(asked) and asked.key("h") is None and "h" not in asked.doomed:
        for born in (WITHIN, AFTER) if state.mint is not None else (OLD,):
            key = CloudKey("h", born=born, ours=False, in_window=born == WITHIN)
            keys = tuple(sorted((*asked.keys, key)))
            yield Move(("someone creates a key", born), asked._replace(keys=keys), benign=False)
    for key in asked.keys:
        if not key.ours and not key.used and key.enabled and not moves.shape.can.exact:
            keys = changed(asked.keys, key._replace(used=True))
            yield Move(("someone uses their key", key.key_id), asked._replace(keys=keys), benign=False)
        if not key.enabled:
            yield _enables(asked, state, key)
    for number, (held, text) in enumerate(asked.holds):
        if not text.startswith(EDITED):
            holds = replaced(asked.holds, number, (held, EDITED + text))
            yield Move(("someone edits the description of", number), asked._replace(holds=holds), benign=False)


def _others(world: World, state: State) -> Iterator[Move]:
    """Others disable, enable and delete any key at any moment."""
    under_way = {flight.key_id for flight in world.flying}
    for key in world.keys:
        record = state.record(key.key_id)
        # What both did at once, none of them can tell apart: it counts as rotator's.
        at_once = key.key_id in under_way or (record is not None and record.disabling)
        if key.enabled and not at_once:
            keys = changed(world.keys, key._replace(enabled=False, theirs=True, insisted=False))
            yield Move(("another disables", key.key_id), world._replace(keys=keys), benign=False)
        if not key.enabled:
            yield _enables(world, state, key)
        keys = tuple(k for k in world.keys if k != key)
        yield Move(("another deletes", key.key_id), world._replace(keys=keys), benign=False)


def _enables(world: World, state: State, key: CloudKey) -> Move:
    record = state.record(key.key_id)
    suspect = any(s.key_id == key.key_id for s in state.suspects)
    answered = record is not None and record.disabled and state.changed_at is None and key.key_id not in state.undone
    insists = answered and not suspect and not any(flight.key_id == key.key_id for flight in world.flying)
    enabled = key._replace(enabled=True, theirs=False, insisted=insists, stray=key.stray or suspect)
    return Move(("someone enables", key.key_id), world._replace(keys=changed(world.keys, enabled)), benign=False)


def _make_key(world: World, *, benign: bool) -> Move:
    fresh = f"k{world.minted + 1}"
    made = world._replace(keys=(CloudKey(fresh, ours=False, mark=fresh),), minted=world.minted + 1)
    return Move(("the operator makes a key, which ends the one before, and puts it in its place", fresh), made, benign)


def _doubts(moves: Moves, asked: World) -> Iterator[Move]:
    if asked.backup is not None and asked.pc == READY and not asked.flying:
        known = {record.key_id for record in moves.journals[asked.backup].keys}
        restored = asked._replace(
            journal=asked.backup,
            keys=tuple(k._replace(stray=k.stray or k.key_id not in known) for k in asked.keys),
            material=0,
            doomed=frozenset(),
            wanted=frozenset(),
        )
        yield Move(("a backup of the journal is restored",), restored, benign=False)
    theirs = asked.key("f0")
    if theirs is not None and theirs.enabled and asked.pc == READY and not asked.flying:
        holds = replaced(asked.holds, 0, ("f0", OTHER_STORE))
        yield Move(("another rotator pushes its own key again",), asked._replace(holds=holds), benign=False)
    elif moves.slot(asked) and theirs is None and "f0" not in asked.doomed:
        keys = tuple(sorted((*asked.keys, CloudKey("f0", born=OLD, used=True, ours=False))))
        holds = replaced(asked.holds, 0, ("f0", OTHER_STORE))
        yield Move(("another rotator pushes its own key",), asked._replace(keys=keys, holds=holds), benign=False)


def requests(moves: Moves, world: World) -> Iterator[Move]:
    state = moves.state(world)
    for request in _answers_to(state.hold.reason, world, state) if state.hold else ():
        yield from _ask(moves, world, request, benign=True)
    if not world.budget.people or state.phase is Phase.NEW:
        return
    spent = world._replace(budget=world.budget._replace(people=world.budget.people - 1))
    yield from _ask(moves, spent, Command(kind=Kind.UNDO))
    yield from _ask(moves, spent, Command(kind=Kind.ABANDON))
    for key_id in dict.fromkeys((state.current, state.candidate, *state.to_revoke)):
        if key_id is not None:
            yield from _ask(moves, spent, Command(kind=Kind.ROTATE, leaked=True, key_id=key_id))


def _ask(moves: Moves, world: World, request: Command, *, benign: bool = False) -> Iterator[Move]:
    accepted, journal = moves.ask(world, request)
    if not accepted or journal == world.journal:
        return
    before, after = moves.state(world), moves.journals[journal]
    keys, wanted, accepted_loss = world.keys, world.wanted, world.accepted_loss
    match request.kind:
        case Kind.UNDO:
            wanted |= frozenset(after.undone)
            suspects = {suspect.key_id for suspect in before.suspects}
            keys = tuple(k._replace(stray=True) if k.key_id in suspects and k.ours else k for k in keys)
        case Kind.ADOPT:
            keys = adopted(keys, request.key_id)
        case _:
            wanted = frozenset()
            keys = tuple(key._replace(insisted=False) for key in keys)
    if request.cut is not None:
        accepted_loss |= {int(request.cut[1:])}
    accepted_silence = world.silence_accepted or request.accept_silence or request.accept_use or request.leaked
    after_world = world._replace(
        journal=journal,
        keys=keys,
        wanted=wanted,
        accepted_loss=accepted_loss,
        silence_accepted=accepted_silence and moves.shape.uses,
    )
    yield Move(("asks", request), moves.clean(after_world), benign)


def _answers_to(reason: HoldReason, world: World, state: State) -> Iterator[Command]:
    """What operators, who know the truth, may answer to a hold."""
    yield Command(kind=Kind.RESUME)
    match reason:
        case HoldReason.STILL_USED:
            yield Command(kind=Kind.RESUME, accept_use=True)
        case HoldReason.NOT_TAKEN_UP | HoldReason.SLOTS_FULL:
            yield Command(kind=Kind.RESUME, accept_silence=True)
        case HoldReason.STAMP_LOST:
            yield from _vouchers(world, state)
        case HoldReason.PARTIAL_PUSH:
            yield from _cuts(world)
        case HoldReason.UNATTRIBUTED:
            unknown = [key for key in world.keys if state.record(key.key_id) is None]
            ours = tuple(key.key_id for key in unknown if key.ours)
            yield Command(kind=Kind.RESUME, ours=ours, foreign=tuple(k.key_id for k in unknown if not k.ours))
        case HoldReason.ADOPT_WHICH | HoldReason.TWO_ROTATORS | HoldReason.JOURNAL_BEHIND:
            if reason is HoldReason.ADOPT_WHICH and all(world.key(held) is None for held, _ in world.holds):
                yield Command(kind=Kind.ADOPT, unmanaged=True)
            for key_id in sorted({held for held, _ in world.holds}):
                yield Command(kind=Kind.ADOPT, key_id=key_id, take_over=reason is not HoldReason.ADOPT_WHICH)


def _cuts(world: World) -> Iterator[Command]:
    for number in range(len(world.holds)):
        yield Command(kind=Kind.RESUME, cut=f"i{number}")
        if world.clinging:
            yield Command(kind=Kind.RESUME, cut=f"i{number}", accept_silence=True)


def _vouchers(world: World, state: State) -> Iterator[Command]:
    """The operator vouches for nothing that isn't so."""
    lost = [f"i{n}" for n, (held, text) in enumerate(world.holds) if text.startswith(EDITED) and held == state.current]
    if lost:
        yield Command(kind=Kind.RESUME, still_holds=tuple(lost))
