"""A way through the situations, as numbered sentences."""

from __future__ import annotations

from itertools import pairwise

from rotator.model import Call
from rotator.rotation.commands import Command
from tests.rotation.moves import Moves
from tests.rotation.world import Flight, World


def tell(moves: Moves, way: list[World], ending: str) -> str:
    """One numbered line a move, each with what the world holds after it."""
    lines = [f"    {'':3} at first: {_world(moves, way[0])}"]
    for number, (before, after) in enumerate(pairwise(way), 1):
        label = next(move.label for move in moves.all(before) if move.world == after)
        lines.append(f"    {number:2}. {_sentence(moves, before, label)}")
        lines.append(f"        {_world(moves, after)}")
    return "\n".join([*lines, f"    => {ending}"])


def _sentence(moves: Moves, world: World, label: tuple[object, ...]) -> str:
    match label:
        case ("tick", str() as variant, bool() as due):
            ticked = moves.tick(world, variant, due=due)
            seen = "" if variant == "as it is" else f" (seen: {variant})"
            what = f"journals the intent: {_call(ticked.call)}" if ticked.call else "moves on"
            return f"The daemon looks{seen}, row {ticked.row}, {ticked.reason!r}; it {what}."
        case ("call", str() as outcome, Call() as call):
            return f"The daemon calls: {_call(call)}. Outcome: {outcome}; journalled."
        case (str() as what, Flight() as flight):
            return _under_way(what, flight)
        case ("asks", Command() as request):
            return _asked(request)
        case _:
            return " ".join(str(part) for part in label).capitalize() + "."


def _under_way(what: str, flight: Flight) -> str:
    if what in {"lands", "is lost", "gets stuck"}:
        return f"The {_flight(flight)} that was under way {what}."
    return f"{what.capitalize()}; the call: {_flight(flight)}."


def _asked(request: Command) -> str:
    given = {
        name: getattr(request, name)
        for name in (
            "key_id",
            "unmanaged",
            "leaked",
            "accept_use",
            "accept_silence",
            "still_holds",
            "cut",
            "ours",
            "foreign",
        )
    }
    options = " ".join(f"{name}={value}" for name, value in given.items() if value)
    return f"The operator asks: {request.kind} {options}".rstrip() + "."


def _call(call: Call | None) -> str:
    return " ".join(str(part) for part in (call.change, call.key_id, call.integration) if part) if call else "none"


def _flight(flight: Flight) -> str:
    into = f" into i{flight.integration}" if flight.text else ""
    return f"{flight.change} {flight.key_id or ''}".rstrip() + into


def _world(moves: Moves, world: World) -> str:
    state = moves.state(world)
    keys = ", ".join(k.key_id + ("" if k.enabled else " (disabled)") for k in world.keys)
    holds = ", ".join(f"i{n} holds {key} ({text})" for n, (key, text) in enumerate(world.holds))
    lists = " ".join(
        f"{name}={','.join(ids)}"
        for name, ids in (
            ("to_revoke", state.to_revoke),
            ("maybe_held", state.maybe_held),
            ("to_delete", state.to_delete),
            ("undone", state.undone),
        )
        if ids
    )
    roles = " ".join(f"{n}={i}" for n, i in (("current", state.current), ("candidate", state.candidate)) if i)
    held = f" held({state.hold.reason.value})" if state.hold else ""
    flying = f" Under way: {'; '.join(map(_flight, world.flying))}." if world.flying else ""
    unsettled = " unsettled" if state.unsettled_since else ""
    return f"[cloud: {keys}; {holds}; journal: {state.phase.value}{held}{unsettled} {roles} {lists}]{flying}".replace(
        "  ", " "
    )
