"""A page of the documentation as a script: its shell blocks, by heading."""

from __future__ import annotations

from pathlib import Path


class Page:
    """The shell blocks of a page, each to be run once.

    Args:
        path: where it is.
    """

    def __init__(self, path: Path) -> None:
        self._blocks: dict[str, list[str]] = {}
        heading, block = "", None
        for line in path.read_text().splitlines():
            if block is not None:
                if line == "```":
                    block = None
                else:
                    self._blocks[heading][-1] += f"{line}\n"
            elif line.startswith("#"):
                heading = line.lstrip("# ")
            elif line == "```sh":
                block = line
                self._blocks.setdefault(heading, []).append("")

    def take(self, heading: str) -> list[str]:
        """The blocks below this heading, in order."""
        return self._blocks.pop(heading)

    @property
    def left(self) -> list[str]:
        """The headings whose blocks nobody has taken."""
        return list(self._blocks)
