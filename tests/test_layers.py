"""Imports only point downwards: the order of the rooms, from the command line to the words."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import rotator

ROOT = Path(rotator.__file__).parent

LAYERS = (
    {"cli", "__main__"},
    {"sandbox"},  # stand-ins: they may use whatever they stand in for; nothing but the command line uses them
    {"service"},
    {"config"},
    {"rotation"},
    {"providers"},
    {"northflank"},
    {"store"},
    {"audit"},
    {"host"},
    {"http"},
    {"settings"},
    {"clock", "material", "model"},
    {"attention", "policy"},
    {"errors"},
)
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}


def imports() -> Iterator[tuple[str, str]]:
    """Every (module, room that it imports) of the package."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module == "rotator":
                names = [f"rotator.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                names = [node.module]
            for name in names:
                parts = name.split(".")
                if parts[0] == "rotator" and len(parts) > 1 and parts[1] != "__version__":
                    yield str(path.relative_to(ROOT)), parts[1]


def test_every_room_has_its_place() -> None:
    rooms = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert rooms - {"__init__"} == RANK.keys()


def test_imports_point_downwards() -> None:
    wrong = [
        f"{module} imports rotator.{room}"
        for module, room in imports()
        if RANK[room] < RANK[Path(module).parts[0].removesuffix(".py")]
    ]
    assert wrong == []
