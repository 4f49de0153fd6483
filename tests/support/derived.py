"""What is written elsewhere and follows from the registry: README's table, the extras and the config's schema.

`python -m tests.support.derived` writes them; `tests/test_registry.py` compares.
"""

from __future__ import annotations

import re
from pathlib import Path

from rotator.config.schema import schema
from rotator.providers.registry import REGISTERED, Registered

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "config/rotator.schema.json"
README = ROOT / "README.md"
PYPROJECT = ROOT / "pyproject.toml"

_TABLE = re.compile(r"(?<=\| cloud \| what Northflank holds \| set-up \|\n\| --- \| --- \| --- \|\n)(?:\| .*\n)+")
_ALL = re.compile(r'(?<=^all = \[")([a-z-]+)\[[a-z,]*\](?="\])', re.MULTILINE)


def providers() -> tuple[str, ...]:
    """As the registry has them, each once."""
    return tuple(dict.fromkeys(line.provider for line in REGISTERED))


def table() -> str:
    """The rows of README's table: a provider each, and what its keys are in each mode that has some."""
    rows = [
        f"| {_lines(name)[0].cloud} | {'; or '.join(line.held for line in _lines(name) if not line.settings.keyless)} "
        f"| [docs/providers/{name}.md](docs/providers/{name}.md) |\n"
        for name in providers()
    ]
    return "".join([*rows, "| anything else | what a [plugin](docs/plugins.md) makes | |\n"])


def readme(text: str) -> str:
    """README with the table."""
    return _TABLE.sub(lambda _: table(), text)


def pyproject(text: str) -> str:
    """pyproject.toml with the extra `all` of these."""
    return _ALL.sub(lambda found: f"{found[1]}[{','.join(providers())}]", text)


def _lines(name: str) -> list[Registered]:
    return [line for line in REGISTERED if line.provider == name]


if __name__ == "__main__":
    README.write_text(readme(README.read_text()))
    PYPROJECT.write_text(pyproject(PYPROJECT.read_text()))
    SCHEMA.write_text(schema())
