"""The promises, as checks on one situation or one change. Each raises `Broken` with the sentence that ends a story."""

from __future__ import annotations

from rotator.attention import Finding, FindingKind, HoldReason
from rotator.model import Call, Change, Origin, Phase, State
from rotator.rotation.rules import SafetyRule
from tests.rotation.world import EDITED, Flight, Shape, World


class Broken(Exception):
    """A promise does not hold."""

    def __init__(self, promise: str, how: str) -> None:
        super().__init__(f"{promise}: {how}")
        self.promise = promise


def holders(world: World, key_id: str | None) -> list[int]:
    """The integrations that really hold the key, those aside whose loss the operator accepted.

    One that clings to a key which others took away is cut off already.
    """
    key = world.key(key_id)
    dead = key is None or key.theirs
    return [
        i
        for i, (held, _) in enumerate(world.holds)
        if held == key_id
        and i not in world.accepted_loss
        and not world.silence_accepted
        and not (dead and world.clung(i))
    ]


def locked_out(world: World) -> list[int]:
    """The integrations whose key doesn't work."""
    working = {key.key_id for key in world.keys if key.enabled}
    return [i for i, (held, _) in enumerate(world.holds) if held not in working and i not in world.accepted_loss]


def check_decision(
    world: World, shape: Shape, before: State, call: Call, finding: Finding | None, *, keys_seen: bool
) -> None:
    """What must be true when a change is about to be journalled."""
    key_id = call.key_id
    if call.change in {Change.DISABLE, Change.DELETE}:
        repeated = key_id in world.doomed
        holding = holders(world, key_id)
        if shape.late_pushes:  # A push later than `settle`, hidden by an edit, can't be known of.
            holding = [i for i in holding if not world.holds[i][1].startswith(EDITED)]
        if holding and not repeated:
            raise Broken("P1", f"{call.change} of {key_id} is decided while integration {holding} holds it")
        if key_id in world.wanted:
            raise Broken(
                f"P1 (rule {SafetyRule.UNDONE_STAYS})", f"{call.change} of {key_id}, which the operator asked back"
            )
        _check_foreign(world, shape, before, call, finding)
    key, record = world.key(key_id), before.record(key_id)
    _check_others(world, shape, call, keys_seen=keys_seen)
    sent = record is not None and record.sent and key_id not in world.doomed
    if call.change is Change.DELETE and key and key.enabled and sent and shape.can.can_disable and keys_seen:
        raise Broken("P1", f"{key_id}, which was pushed once, is deleted without having been disabled first")
    shown = [i for i in locked_out(world) if not world.holds[i][1].startswith(EDITED) and not world.clung(i)]
    out = [i for i in shown if _is_enableable(world, before, world.holds[i][0])]
    if out and keys_seen and call.change is not Change.ENABLE:
        raise Broken("P1 (repair)", f"{call.change} goes before the enabling of the key that integration {out} holds")
    if call.change is Change.ENABLE and key_id in world.doomed:
        raise Broken(
            f"P1 (rule {SafetyRule.POINT_OF_NO_RETURN})",
            f"{key_id} is to be enabled although its deletion was journalled",
        )


def _check_others(world: World, shape: Shape, call: Call, *, keys_seen: bool) -> None:
    """P9: rotator undoes nothing but its own acts."""
    key = world.key(call.key_id)
    if call.change is Change.ENABLE and key is not None and key.theirs:
        raise Broken("P9", f"{key.key_id}, which another disabled, is to be enabled")
    revokes = call.change in {Change.DISABLE, Change.DELETE} and call.key_id not in world.doomed
    if revokes and key is not None and key.insisted:
        raise Broken("P9", f"{call.change} of {key.key_id}, which another enabled again")
    if call.change is Change.PUSH and not shape.can.supplied and keys_seen and (key is None or not key.enabled):
        raise Broken("P1 (rule 15)", f"{call.key_id} is pushed, though it does not work")


def check_seen(world: World, shape: Shape, state: State, alerts: frozenset[FindingKind], *, lagging: bool) -> None:
    """P9: what others did to a key that an integration is shown to hold is an alert, whatever row fires."""
    if state.phase is Phase.NEW or shape.can.supplied:
        return
    shown = {r for r in _shown(world, state) if r is not None}
    lost = [k for k in shown if (key := world.key(k)) is None or key.theirs]
    if lagging:
        if FindingKind.KEY_LOST in alerts and not lost:
            raise Broken(f"P9 (rule {SafetyRule.LISTS_LAG})", "an alert for a key that works, by a list that lags")
        return
    if lost and state.changed_at is None and FindingKind.KEY_LOST not in alerts:
        raise Broken("P9", f"{lost}, which an integration holds, is lost, and nothing says so")


def _shown(world: World, state: State) -> list[str | None]:
    """The keys that the stamps and the vouched texts name."""
    found: list[str | None] = [state.current]
    for number, (_, text) in enumerate(world.holds):
        if number in world.accepted_loss:
            continue
        vouched = {(v.integration, v.description): v.key_id for v in state.vouched}
        found.append(vouched.get((f"i{number}", text)))
    return found


def check_hold(world: World, before: State, after: State) -> None:
    """A hold says what is so: one list proves nothing, nor does one that lags."""
    lost = {HoldReason.CURRENT_GONE, HoldReason.CURRENT_DISABLED}
    ended = before.hold is not None and before.hold.reason in lost and after.hold is None
    if ended and after.current == before.current:  # else it is being replaced, as the policy says
        key = world.key(before.current)
        if key is None or not key.enabled:
            raise Broken("P9", f"the hold over {before.current}, which is lost, ended without the operator")
    if after.hold is None or after.hold == before.hold or after.current is None:
        return
    key = world.key(after.current)
    if after.hold.reason in lost and key is not None and key.enabled:
        raise Broken("P10", f"held as {after.hold.reason}, though {after.current} works")
    if after.hold.reason is HoldReason.REFUSED_TO_REVOKE:
        raise Broken("rule 20", "decide asked for what the last check refuses")


def _is_enableable(world: World, state: State, key_id: str) -> bool:
    key = world.key(key_id)
    record = state.record(key_id)
    ours = record is not None and record.origin in {Origin.MINTED, Origin.ADOPTED}
    lags = record is not None and not record.disabled and state.changed_at is not None
    return key is not None and not key.enabled and not key.theirs and ours and not lags and key_id not in world.doomed


def _check_foreign(world: World, shape: Shape, before: State, call: Call, finding: Finding | None) -> None:
    key = world.key(call.key_id)
    if key is None or key.ours or shape.can.supplied:
        return
    if shape.can.exact:
        raise Broken("P3", f"{call.change} of {key.key_id}, a foreign key")
    if not key.in_window:
        raise Broken("P3", f"{call.change} of {key.key_id}, a foreign key created outside of every lost mint's window")
    if key.used:
        raise Broken("P3", f"{call.change} of {key.key_id}, a foreign key that is in use")
    if call.change is Change.DISABLE and before.record(key.key_id) is None and finding is None:
        raise Broken("P3", f"{key.key_id}, a foreign key, is disabled without a word")
    others = [k for k in world.keys if k.stray and k.in_window and k.key_id != key.key_id]
    if others and call.change is Change.DELETE:
        raise Broken("P3", f"{key.key_id} was one of several that the lost mint may have made")


def check_landing(world: World, shape: Shape, flight: Flight) -> None:
    """What must be true when a change takes effect."""
    key_id = flight.key_id
    if flight.change not in {Change.DISABLE, Change.DELETE} or world.key(key_id) is None:
        return
    if flight.change is Change.DELETE and key_id in world.wanted:
        raise Broken(f"P1 (rule {SafetyRule.UNDONE_STAYS})", f"{key_id}, which the operator asked back, is deleted")
    if shape.late_pushes:
        return
    if holders(world, key_id):
        raise Broken(
            "P1", f"{flight.change} of {key_id} takes effect while integration {holders(world, key_id)} holds it"
        )
    if any(
        f.change is Change.PUSH and f.key_id == key_id and f.integration not in world.accepted_loss
        for f in world.flying
    ):
        raise Broken("P1", f"{flight.change} of {key_id} takes effect while a push of it is still under way")


def check_create(world: World) -> None:
    """P7, when a CREATE is sent."""
    if world.created:
        raise Broken("P7", "a second CREATE is sent for one mint intent")
    if any(f.change is Change.CREATE and not f.stuck for f in world.flying):
        raise Broken("P7", "a CREATE is sent while an earlier one is unresolved and still under way")


def check_journal(world: World, shape: Shape, state: State) -> None:
    """What must be true in every situation."""
    for role, key_id in (("current", state.current), ("candidate", state.candidate)):
        if key_id is not None and key_id in world.doomed:
            raise Broken(
                f"P1 (rule {SafetyRule.POINT_OF_NO_RETURN})",
                f"{key_id} is the {role} key although its deletion was journalled",
            )
    leading_out = {*state.to_revoke, *state.maybe_held, *state.to_delete, *(s.key_id for s in state.suspects)}
    looked_for = {lost.mark for lost in state.lost_mints if lost.mark is not None}
    for key in world.keys:
        if not key.ours or key.stray or key.key_id in {state.current, state.candidate} or key.key_id in leading_out:
            continue
        record = state.record(key.key_id)
        if record is not None and (record.origin is Origin.RELEASED or record.gone_at is not None):
            continue  # one that is still there after its answered deletion is looked for, and deleted again
        if record is None and (state.mint is not None or (shape.can.exact and key.mark in looked_for)):
            continue
        if state.phase is Phase.NEW or (state.hold and state.hold.reason is HoldReason.JOURNAL_BEHIND):
            continue
        raise Broken("P2", f"{key.key_id}, minted by rotator, is on no list: an orphan")


def is_good(world: World, shape: Shape, state: State) -> bool:
    """Idle: every integration holds the one live current key, and nothing of ours is left over."""
    busy = (state.hold, state.call, state.mint, state.candidate, state.asked)
    # After a take-over, what was in flight stays alive until the next confirm.
    lists = (
        state.to_revoke,
        () if shape.doubt else state.maybe_held,
        state.to_delete,
        state.suspects,
        state.undone,
        world.flying,
    )
    if state.phase is not Phase.IDLE or any(busy) or any(lists) or world.paused or world.pending:
        return False
    current = world.key(state.current)
    if current is None or not current.enabled or any(held != state.current for held, _ in world.holds):
        return False
    released = {record.key_id for record in state.keys if record.origin is Origin.RELEASED}
    if not all(key.enabled for key in world.keys if not key.ours):
        return False
    left = {state.current, *state.maybe_held, *released}
    return all(key.key_id in left or not key.ours or key.stray for key in world.keys)
