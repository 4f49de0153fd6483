"""Breadth-first search over every situation that a shape's budget allows, with the promises checked in each.

    python -m tests.rotation.explore [--deep] [SHAPE...]

prints the number of situations and moves of each shape, and the story of the first broken promise, if there is one.
"""

from __future__ import annotations

import sys
import time
from array import array
from dataclasses import dataclass

from rotator.rotation.rows import Row
from tests.rotation.moves import Machine, Moves
from tests.rotation.promises import Broken, check_journal, is_good
from tests.rotation.shapes import DEEP, SHAPES
from tests.rotation.story import tell
from tests.rotation.world import Move, Shape, World

MINTS = 9  # a search that needs more keys than this has found an endless loop


@dataclass(frozen=True, slots=True)
class Counterexample:
    """The shortest way to a broken promise: the situations on it, and the sentence that says what broke."""

    promise: str
    story: str


@dataclass(frozen=True, slots=True)
class Explored:
    """What a search saw."""

    shape: str
    situations: int
    moves: int
    seconds: float
    counterexample: Counterexample | None
    rows: frozenset[Row]
    holds: frozenset[str]


def explore(shape: Shape, machine: Machine | None = None, *, limit: int | None = None) -> Explored:
    """Search everything; stop at the first broken promise."""
    return Search(shape, machine or Machine()).run(limit)


class Search:
    """One search: the situations found so far, how each was reached, and the moves that need no fault."""

    def __init__(self, shape: Shape, machine: Machine) -> None:
        self.shape = shape
        self.moves = Moves(shape, machine)
        self.found: list[World] = []
        self.numbers: dict[World, int] = {}
        self.parents = array("l")
        self.benign_from = array("l")
        self.benign_to = array("l")
        self.good = array("l")
        self.checked: set[tuple[object, ...]] = set()
        self.count = 0

    def run(self, limit: int | None) -> Explored:
        started = time.monotonic()
        self._find(self.moves.begin(), -1)
        counterexample = self._walk(limit) or self._stuck()
        return Explored(
            self.shape.name,
            len(self.found),
            self.count,
            time.monotonic() - started,
            counterexample,
            frozenset(self.moves.rows),
            frozenset(reason.value for reason in self.moves.holds),
        )

    def _walk(self, limit: int | None) -> Counterexample | None:
        at = 0
        while at < len(self.found):
            if limit is not None and len(self.found) > limit:
                raise RuntimeError(f"{self.shape.name}: more than {limit} situations")
            world = self.found[at]
            move: Move | None = None
            try:
                self._check(world)
                for move in self.moves.all(world):
                    self.count += 1
                    number = self._find(move.world, at)
                    if move.benign:
                        self.benign_from.append(at)
                        self.benign_to.append(number)
            except Broken as broken:
                return Counterexample(broken.promise, tell(self.moves, self._way(at), str(broken)))
            if is_good(world, self.shape, self.moves.state(world)):
                self.good.append(at)
            at += 1
        return None

    def _check(self, world: World) -> None:
        at = (world.journal, world.keys, world.doomed)
        if at not in self.checked:
            self.checked.add(at)
            check_journal(world, self.shape, self.moves.state(world))
        if world.minted > MINTS:
            raise Broken("liveness", f"more than {MINTS} keys were minted")

    def _find(self, world: World, parent: int) -> int:
        number = self.numbers.get(world)
        if number is None:
            number = self.numbers[world] = len(self.found)
            self.found.append(world)
            self.parents.append(parent)
        return number

    def _stuck(self) -> Counterexample | None:
        """Liveness: from every situation, with no further fault, some way leads to a good one."""
        sources: list[array[int]] = [array("l") for _ in self.found]
        for source, target in zip(self.benign_from, self.benign_to, strict=True):
            sources[target].append(source)
        fine = bytearray(len(self.found))
        todo = list(self.good)
        for number in todo:
            fine[number] = 1
        while todo:
            for source in sources[todo.pop()]:
                if not fine[source]:
                    fine[source] = 1
                    todo.append(source)
        stuck = fine.find(0)
        if stuck < 0:
            return None
        ending = "liveness: from here no way leads back to one live current key in every integration"
        return Counterexample("liveness", tell(self.moves, self._way(stuck), ending))

    def _way(self, number: int) -> list[World]:
        way = [number]
        while self.parents[way[-1]] >= 0:
            way.append(self.parents[way[-1]])
        return [self.found[step] for step in reversed(way)]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Explore the shapes, print the figures, exit 1 at a broken promise."""
    shapes = DEEP if "--deep" in arguments else SHAPES
    wanted = [argument for argument in arguments if not argument.startswith("--")]
    status = 0
    rows: set[Row] = set()
    holds: set[str] = set()
    for shape in shapes:
        if wanted and shape.name not in wanted:
            continue
        result = explore(shape)
        rows |= result.rows
        holds |= result.holds
        _say(f"{shape.name:24} {result.situations:>9,} situations {result.moves:>10,} moves {result.seconds:6.1f} s")
        if result.counterexample is not None:
            _say(result.counterexample.story)
            status = 1
    _say(f"rows: {' '.join(sorted(rows))}\nholds: {' '.join(sorted(holds))}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
