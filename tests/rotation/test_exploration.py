"""The exhaustive walk: the promises hold in every situation, and each rule is needed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rotator.rotation.answer import answer
from rotator.rotation.commands import Command, Kind, Ruling
from rotator.rotation.rows import Row
from rotator.rotation.rules import SafetyRule
from tests.rotation import shapes
from tests.rotation.explore import explore
from tests.rotation.moves import Machine
from tests.rotation.mutants import MUTANTS, Mutant, revokes_the_current_key
from tests.rotation.world import Shape

ELSEWHERE = {SafetyRule.WORDS_OF_REPLICAS, SafetyRule.ADMITTED}
"""Each provider keeps the first for its own codes; the second is between credentials: tests/e2e has it."""

pytestmark = pytest.mark.timeout(600)  # seconds of work on an idle core; the machine may be busy

ENOUGH = 100_000
"""Situations within which each mutant breaks a promise; one that needs more wants a shape that shows it sooner."""

FROM_NEAR = {Row.FROZEN, Row.STRANGE_AT_CONTACT, Row.BACKOFF, Row.UNPROVABLE, Row.CONTENDED, Row.REFUSED_TO_REVOKE}
"""The rows that no move of the search leads to: test_decide.py and test_a_gate_only_ever_holds_back have them."""


@pytest.mark.parametrize("shape", shapes.SHAPES, ids=lambda shape: shape.name)
def test_every_promise_holds_in_every_situation(shape: Shape, record_property: Callable[[str, object], None]) -> None:
    result = explore(shape)
    record_property("situations", result.situations)
    record_property("moves", result.moves)
    assert result.counterexample is None, result.counterexample.story
    assert result.situations > 100, "the world hardly moved: the search proves nothing"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"rule {mutant.rule or '-'}: {mutant.without}")
def test_without_the_rule_a_promise_breaks(mutant: Mutant) -> None:
    result = explore(mutant.shape, mutant.machine, limit=ENOUGH)
    assert result.counterexample is not None, f"nothing breaks when the machine {mutant.without}: the world is too kind"
    story = result.counterexample.story
    assert story.splitlines()[-1].strip().startswith(f"=> {result.counterexample.promise}")
    assert " 1. " in story


def test_each_rule_has_a_mutant() -> None:
    assert {mutant.rule for mutant in MUTANTS} == {*SafetyRule, None} - ELSEWHERE


def test_the_last_check_stops_what_a_bug_decides() -> None:
    """Rule 20: the same bug that breaks P1 without it, with it."""
    result = explore(shapes.EXACT, Machine(decide=revokes_the_current_key))
    assert result.counterexample is not None
    assert result.counterexample.promise == "rule 20"


def test_the_search_reaches_the_rows_of_the_table() -> None:
    small = [explore(shape) for shape in shapes.QUICK]
    reached = frozenset[Row]().union(*(result.rows for result in small))
    assert set(Row) - reached <= FROM_NEAR


def test_a_hold_that_nothing_can_leave_is_found() -> None:
    """Liveness is really asserted: a machine whose resume is always refused gets stuck."""

    def never(state: object, request: Command, facts: object) -> Ruling:
        reply = answer(state, request, facts)  # type: ignore[arg-type]  # passed through as they came
        return Ruling(accepted=False, text="no", state=reply.state) if request.kind is Kind.RESUME else reply

    result = explore(shapes.QUICK[0], Machine(answer=never))
    assert result.counterexample is not None
    assert result.counterexample.promise == "liveness"
