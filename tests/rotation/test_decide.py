"""Properties of the pure functions over journals and facts that are unlikely, and the rows seen from near."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.attention import Hold, HoldReason
from rotator.errors import Verdict
from rotator.model import (
    UNMANAGED,
    Call,
    Capabilities,
    Change,
    IntegrationView,
    Key,
    KeyRecord,
    LastUse,
    LostMint,
    MintIntent,
    Observation,
    Origin,
    Outcome,
    Phase,
    Proof,
    Rotation,
    Stamp,
    State,
    Suspect,
)
from rotator.rotation.answer import answer
from rotator.rotation.commands import Command, Kind
from rotator.rotation.conclude import conclude
from rotator.rotation.decide import decide
from rotator.rotation.facts import Facts, look
from rotator.rotation.moment import Moment
from rotator.rotation.rows import Row
from rotator.rotation.step import Step
from tests.rotation import shapes
from tests.rotation.explore import Search
from tests.rotation.moves import Machine
from tests.rotation.world import ANY, READY, STORE, T0, Shape

IDS = ("k0", "k1", "k2", "k3", "h")
AWS = Capabilities(slots=2, can_disable=True, exact=False, has_evidence=True)
TIMES = Moment(
    now=T0,
    new_rotation_id="r2",
    integrations=frozenset({"i0"}),
    retry_at=T0 + timedelta(minutes=1),
    quarantine_until=T0 + timedelta(days=1),
)

ids = st.sampled_from(IDS)
few = st.lists(ids, max_size=2, unique=True).map(tuple)
maybe = st.none() | ids
moments = st.sampled_from((T0 - timedelta(days=1), T0, T0 + timedelta(seconds=30), T0 + timedelta(days=1)))
texts = st.none() | st.sampled_from(("text", "edited"))
stamps = st.none() | st.builds(
    Stamp, store=st.sampled_from((STORE, "beef")), generation=st.integers(0, 4), hint=st.none() | ids
)
records = st.builds(
    KeyRecord,
    key_id=ids,
    origin=st.sampled_from(Origin),
    generation=st.integers(0, 3),
    hint=st.none() | ids,
    sent=st.booleans(),
    disabled=st.booleans(),
    deleting=st.booleans(),
    gone_at=st.none() | moments,
)
calls = st.sampled_from(
    (
        Call(Change.CREATE),
        *(Call(Change.PUSH, key_id=i, integration="i0") for i in IDS),
        *(Call(change, key_id=i) for change in (Change.DISABLE, Change.ENABLE, Change.DELETE) for i in IDS),
    )
)


moment_of = st.builds(
    Moment,
    now=st.just(T0),
    new_rotation_id=st.just("r2"),
    integrations=st.just(frozenset({"i0"})),
    retry_at=st.just(T0 + timedelta(minutes=1)),
    quarantine_until=st.just(T0 + timedelta(days=1)),
    named_key=maybe,
    due=st.none() | st.just("due"),
    max_attempts=st.sampled_from((0, 12)),
    has_material=st.booleans(),
    settled=st.booleans(),
    waiting=st.booleans(),
    window=st.booleans(),
    frozen=st.booleans(),
    clock_ok=st.booleans(),
    grace_over=st.booleans(),
    quiet=st.booleans(),
    overstayed=st.booleans(),
    quarantine_over=st.booleans(),
    proving_over=st.booleans(),
    attempts_spared=st.booleans(),
    hold_unattributed=st.booleans(),
)
rotations = st.none() | st.builds(Rotation, st.just("r1"), st.just("due"), st.just(T0), emergency=st.booleans())
marks = st.none() | st.sampled_from(("m1", "m2"))


@st.composite
def states(draw: st.DrawFn) -> State:
    """Journals of the right types, likely or not."""
    known = {record.key_id: record for record in draw(st.lists(records, max_size=5))}
    return State(
        phase=draw(st.sampled_from(Phase)),
        hold=draw(st.none() | st.builds(Hold, st.sampled_from(HoldReason), st.just("why"))),
        generation=draw(st.integers(0, 3)),
        rotation=draw(rotations),
        roll_forwards=draw(st.integers(0, 3)),
        current=draw(maybe),
        candidate=draw(maybe),
        mint=draw(st.none() | st.builds(MintIntent, st.frozensets(ids), st.just(T0), marks)),
        call=draw(st.none() | calls),
        pushes_sent=draw(st.integers(0, 3)),
        pushed_at=draw(st.none() | moments),
        texts_before=draw(st.just(()) | texts.map(lambda text: (("i0", text),))),
        stopped=draw(st.booleans()),
        to_revoke=draw(few),
        maybe_held=draw(few),
        to_delete=draw(few),
        undone=draw(few),
        suspects=draw(st.just(()) | st.builds(Suspect, ids, moments).map(lambda suspect: (suspect,))),
        lost_mints=draw(st.just(()) | st.just((LostMint("r0", T0, "m1"),))),
        accepted_loss=draw(st.frozensets(st.just("i0"))),
        keys=tuple(known.values()),
        confirmed_in=draw(st.frozensets(st.sampled_from(("i0", "i1")))),
        stores=draw(st.frozensets(st.just("beef"))),
        paused=draw(st.booleans()),
    )


@st.composite
def looks(draw: st.DrawFn, state: State) -> Facts:
    """What might be seen in that moment."""
    keys = draw(st.none() | st.lists(st.builds(Key, ids, moments, st.booleans()), max_size=4))
    times = draw(moment_of)
    seen = Observation(
        keys=tuple({key.key_id: key for key in keys}.values()) if keys is not None else None,
        cloud_time=draw(st.none() | st.just(T0)),
        integrations=draw(
            st.none() | st.builds(IntegrationView, st.just("i0"), texts, stamps, maybe).map(lambda view: (view,))
        ),
        last_used=tuple((key_id, draw(st.none() | st.just(LastUse(T0)))) for key_id in draw(few)),
        proof=draw(st.none() | st.sampled_from(Proof)),
        proofs=draw(st.integers(0, 4)),
    )
    can = Capabilities(
        slots=draw(st.sampled_from((None, 2, 3))),
        can_disable=draw(st.booleans()),
        exact=draw(st.booleans()),
        has_evidence=True,
        provable=draw(st.booleans()),
    )
    return look(state, seen, times, can, STORE, worse=draw(st.sampled_from(((), ("cluster",)))))


@st.composite
def moments_of_a_rotation(draw: st.DrawFn) -> tuple[State, Facts]:
    state = draw(states())
    return state, draw(looks(state))


def looked_after(state: State) -> set[str]:
    """Keys that are current, candidate, on a list that leads out, or that the journal let go on purpose."""
    roles = {key_id for key_id in (state.current, state.candidate) if key_id is not None}
    on_lists = {*state.to_revoke, *state.maybe_held, *state.to_delete, *(suspect.key_id for suspect in state.suspects)}
    let_go = {r.key_id for r in state.keys if r.origin in {Origin.RELEASED, Origin.FOREIGN} or r.gone_at is not None}
    return roles | on_lists | let_go


@settings(max_examples=150, deadline=None)
@given(moments_of_a_rotation())
def test_decide_answers_always_and_always_the_same(moment: tuple[State, Facts]) -> None:
    state, facts = moment
    step = decide(state, facts)
    assert decide(state, facts) == step
    assert step.row
    assert step.state.call == (step.call or state.call)


@settings(max_examples=150, deadline=None)
@given(moments_of_a_rotation())
def test_a_step_never_loses_a_key(moment: tuple[State, Facts]) -> None:
    state, facts = moment
    before = looked_after(state)
    assert before <= looked_after(decide(state, facts).state) | {k for k in before if state.record(k) is None}


@settings(max_examples=150, deadline=None)
@given(moments_of_a_rotation(), st.sampled_from(Verdict), st.booleans(), st.booleans())
def test_an_outcome_never_loses_a_key(
    moment: tuple[State, Facts], verdict: Verdict, permanent: bool, slots_full: bool
) -> None:
    state, facts = moment
    created = state.call is not None and state.call.change is Change.CREATE
    outcome = Outcome(
        verdict,
        key=Key("k9", T0) if created and verdict is Verdict.DONE else None,
        permanent=permanent,
        slots_full=slots_full,
    )
    concluded = conclude(state, outcome, facts.moment).state
    # A mint is only begun without a candidate, so the one it brings replaces none.
    replaced = {state.candidate} if created else set()
    assert looked_after(state) - replaced <= looked_after(concluded)
    assert concluded.call is None
    if created and verdict is Verdict.DONE:
        assert concluded.candidate == "k9"


@settings(max_examples=150, deadline=None)
@given(
    moments_of_a_rotation(),
    st.builds(
        Command,
        kind=st.sampled_from(Kind),
        key_id=maybe,
        take_over=st.booleans(),
        leaked=st.booleans(),
        accept_use=st.booleans(),
        cut=st.none() | st.just("i0"),
    ),
)
def test_an_answer_never_loses_a_key_and_a_refusal_changes_nothing(
    moment: tuple[State, Facts], request: Command
) -> None:
    state, facts = moment
    reply = answer(state, request, facts)
    assert reply.text
    if not reply.accepted:
        assert reply.state == state
    assert looked_after(state) <= looked_after(reply.state)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("shape", [shapes.QUICK[0], shapes.QUICK[4]], ids=lambda shape: shape.name)
def test_a_gate_only_ever_holds_back(shape: Shape) -> None:
    """Freeze, pause and window only take steps away, in every situation of a search: so it needn't try them."""
    search = Search(shape, Machine())
    assert search.run(None).counterexample is None
    moves = search.moves
    alike = {(w.journal, w.keys, w.holds, moves.has_material(w)): w for w in search.found if w.pc == READY}
    closed = Counter[str]()
    for world in alike.values():
        state, facts = moves.state(world), moves.facts(world, ANY, due=True)
        if state.rotation is not None:
            state = replace(state, rotation=replace(state.rotation, now=False))
        free = decide(state, facts)
        for gate in ("frozen", "paused", "window"):
            held = _closed(gate, state, facts)
            assert held.state.hold in {state.hold, free.state.hold}
            if held.call is not None:
                _assert_passes(gate, state, held.call, free.call)
            closed[gate] += held.call != free.call
    assert min(closed.values()) > 10


def _assert_passes(gate: str, state: State, call: Call, free: Call | None) -> None:
    assert call == free
    if gate == "frozen":
        assert call.change is Change.ENABLE
    elif not (gate == "window" and state.emergency):
        assert call.change is not Change.CREATE
        assert not (call.change in {Change.DISABLE, Change.DELETE} and call.key_id in state.to_revoke)


def _closed(gate: str, state: State, facts: Facts) -> Step:
    if gate == "paused":
        step = decide(replace(state, paused=True), facts)
        return replace(step, state=replace(step.state, paused=state.paused))
    if gate == "frozen":
        return decide(state, replace(facts, moment=replace(facts.moment, frozen=True)))
    return decide(state, replace(facts, moment=replace(facts.moment, window=False)))


def seen(state: State, *keys: Key, text: str = "text", stamp: Stamp | None = None, **times: object) -> Facts:
    observation = Observation(keys=keys, cloud_time=T0, integrations=(IntegrationView("i0", text, stamp),))
    moment_of = replace(TIMES, **times)  # type: ignore[arg-type]  # names and values of one dataclass
    return look(state, observation, moment_of, AWS, STORE)


K0 = Key("k0", T0 - timedelta(days=30))
IDLE = State(
    phase=Phase.IDLE,
    current="k0",
    keys=(KeyRecord("k0", Origin.ADOPTED, sent=True),),
    texts_before=(("i0", "text"),),
    confirmed_in=frozenset({"i0"}),
)


def test_row_10_another_stores_stamp_at_first_contact_is_for_the_operator() -> None:
    strange = seen(State(), K0, stamp=Stamp("beef", 4, "k0"), named_key="k0")
    step = decide(State(), strange)
    assert step.row is Row.STRANGE_AT_CONTACT
    assert step.state.hold is not None
    assert step.state.hold.reason is HoldReason.TWO_ROTATORS
    refused = answer(step.state, Command(kind=Kind.ADOPT, key_id="k0"), strange)
    assert not refused.accepted
    assert "--take-over" in refused.text
    taken = answer(step.state, Command(kind=Kind.ADOPT, key_id="k0", take_over=True), strange)
    assert taken.accepted
    assert taken.state.phase is Phase.IDLE
    assert taken.state.current == "k0"
    assert taken.state.stores == {"beef"}


def test_row_12_a_backoff_waits() -> None:
    minting = replace(IDLE, phase=Phase.MINTING)
    assert decide(minting, seen(minting, K0, waiting=True)).row is Row.BACKOFF
    assert decide(minting, seen(minting, K0)).row is Row.MINT


def test_row_21_what_cannot_be_proved_is_pushed() -> None:
    proving = replace(IDLE, phase=Phase.PROVING, candidate="k1")
    facts = seen(proving, K0, has_material=True)
    step = decide(proving, replace(facts, can=replace(AWS, provable=False)))
    assert (step.row, step.state.phase) == (Row.UNPROVABLE, Phase.PUSHING)


def test_row_41_the_third_roll_in_a_row_is_for_the_operator() -> None:
    keys = (KeyRecord("k1", Origin.MINTED, 1, "k1", sent=True), KeyRecord("k2", Origin.MINTED, 2, "k2", sent=True))
    grace = State(phase=Phase.GRACE, generation=2, current="k2", to_revoke=("k1",), keys=keys, roll_forwards=2)
    stale = seen(grace, Key("k1", T0), Key("k2", T0), stamp=Stamp(STORE, 1, "k1"))
    step = decide(grace, stale)
    assert step.row is Row.CONTENDED
    assert step.state.hold is not None
    assert step.state.hold.reason is HoldReason.CONTENDED
    again = answer(step.state, Command(kind=Kind.RESUME), stale)
    assert again.accepted
    assert decide(again.state, stale).row is Row.ROLL_FORWARD


def test_a_suspect_that_was_used_is_given_back() -> None:
    """Evidence of use lags by hours: the key was disabled before it was seen, so it is enabled again."""
    suspected = replace(
        IDLE,
        keys=(*IDLE.keys, KeyRecord("h", Origin.SUSPECT, 1, disabling=True, disabled=True)),
        suspects=(Suspect("h", T0 + timedelta(days=1)),),
    )
    disabled = Key("h", T0, enabled=False)
    facts = replace(seen(suspected, K0, disabled), last_used={"h": LastUse(T0)})
    step = decide(suspected, facts)
    assert step.row is Row.SUSPECT
    record = step.state.record("h")
    assert record is not None
    assert record.origin is Origin.FOREIGN
    assert decide(step.state, facts).call == Call(Change.ENABLE, key_id="h")


def test_integrations_removed_from_the_config_are_not_cut_off_silently() -> None:
    confirmed_in_two = replace(IDLE, confirmed_in=frozenset({"i0", "i1"}))
    step = decide(confirmed_in_two, seen(confirmed_in_two, K0, due="due"))
    assert step.state.hold is not None
    assert step.state.hold.reason is HoldReason.INTEGRATION_REMOVED
    cut = answer(step.state, Command(kind=Kind.RESUME, cut="i1"), seen(confirmed_in_two, K0))
    assert cut.accepted
    assert decide(cut.state, seen(cut.state, K0, due="due")).row is Row.BEGIN


def test_a_key_in_use_that_no_list_shows_is_replaced_at_once_and_left_alone() -> None:
    new = State()
    listed = (K0,)
    facts = seen(new, *listed, named_key=UNMANAGED)
    idle = decide(new, facts).state
    assert (idle.phase, idle.current, idle.to_revoke, idle.maybe_held) == (Phase.IDLE, None, (), ())
    due = seen(idle, K0, named_key=UNMANAGED, due="no key is confirmed to be held")
    foreign = decide(idle, due).state
    record = foreign.record("k0")
    assert record is not None
    assert record.origin is Origin.FOREIGN
    assert decide(foreign, due).state.phase is Phase.MINTING
    assert decide(new, seen(new, K0, named_key=UNMANAGED, stamp=Stamp(STORE, 3, "k0"))).state.hold is not None


@pytest.mark.parametrize("echoed", [None, "k9"], ids=["shows nothing", "shows a key of another's"])
def test_the_operators_word_that_no_listed_key_is_in_use(echoed: str | None) -> None:
    new = State()
    for named in (None, "k9", UNMANAGED):
        facts = showing(echoed, K0, named_key=named)
        given = answer(new, Command(kind=Kind.ADOPT, unmanaged=True), facts)
        assert given.accepted, given.text
        assert "none of the listed keys (k0)" in given.text
        assert (given.state.phase, given.state.current, given.state.keys) == (Phase.IDLE, None, ())
    assert decide(new, showing(echoed, K0, named_key=UNMANAGED)).state == given.state


def test_a_working_key_that_northflank_shows_contradicts_that_word_and_a_dead_one_does_not() -> None:
    new, request = State(), Command(kind=Kind.ADOPT, unmanaged=True, take_over=True)
    works = showing("k0", K0, named_key=UNMANAGED)
    assert "integration i0 holds key k0" in answer(new, request, works).text
    held = decide(new, works).state
    assert held.hold is not None
    assert held.hold.reason is HoldReason.ADOPT_WHICH
    assert "integration i0 holds key k0" in held.hold.detail
    assert decide(held, works).state == held
    assert answer(held, Command(kind=Kind.ADOPT, key_id="k0"), works).state.current == "k0"
    dead = showing("k0", replace(K0, enabled=False), named_key=UNMANAGED)
    assert answer(new, request, dead).accepted
    assert decide(new, dead).state.phase is Phase.IDLE


def showing(echoed: str | None, *keys: Key, named_key: str | None) -> Facts:
    """First contact, where Northflank shows which key it holds."""
    facts = seen(State(), *keys, named_key=named_key)
    return replace(facts, readings=tuple(replace(reading, echoed=echoed) for reading in facts.readings or ()))


def test_where_use_leaves_no_trace_rotator_guesses_no_lost_mints_key() -> None:
    """P3 asks for a key that was never used; where that can't be told, a suspect would stay disabled for ever."""
    minting = replace(
        IDLE,
        phase=Phase.MINTING,
        rotation=Rotation("r1", "due", T0),
        generation=1,
        mint=MintIntent(frozenset({"k0"}), T0),
    )
    blind = replace(AWS, has_evidence=False)
    facts = replace(seen(minting, K0, Key("h", T0)), can=blind)
    step = decide(minting, facts)
    assert step.call is None
    assert step.state.hold is not None
    assert step.state.hold.reason is HoldReason.UNATTRIBUTED
    ours = answer(step.state, Command(kind=Kind.RESUME, ours=("h",)), facts)
    assert ours.accepted
    assert ours.state.to_delete == ("h",)
