"""What the service says of its own health: words, no detail. That is for those who may read the store and the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Words = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Vitals:
    """A look at the service from within. True is good.

    Args:
        store: the last transaction was committed, and the journal can be read.
        audit: every required sink has taken all that it was offered.
        work: no part of the work has been silent for too long.
        config: the file that was last read is in force.
        ownership: this process owns the store, and isn't stopping.
    """

    store: bool
    audit: bool
    work: bool
    config: bool
    ownership: bool

    @property
    def healthy(self) -> bool:
        """No part calls for a restart or for the operator."""
        return self.store and self.audit and self.work

    @property
    def ready(self) -> bool:
        """It goes by the config that it was given, as the one owner, and its own work can be done."""
        return self.config and self.ownership and self.healthy

    def health(self) -> Words:
        """As `/healthz` answers."""
        parts = {"process": True, "store": self.store, "audit": self.audit, "work": self.work}
        return words(parts, good="ok", bad="failing")

    def readiness(self) -> Words:
        """As `/readyz` answers."""
        parts = {"config": self.config, "ownership": self.ownership, "store": self.store, "audit": self.audit}
        return words({**parts, "work": self.work}, good="ready", bad="not ready")


def words(parts: Mapping[str, bool], *, good: str, bad: str) -> Words:
    """One word for all of the parts, and one for each."""
    words = {part: "ok" if fine else "failing" for part, fine in parts.items()}
    return {"status": good if all(parts.values()) else bad, **words}
