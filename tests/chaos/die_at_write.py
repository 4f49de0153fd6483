"""Runs `rotator` and dies as by kill -9 at one of its journal writes: `die_at_write.py KIND N before|after ARGUMENTS`.

A write of the kind `audited` puts something into the audit log, which each transition does; the others are of the kind
`plain`: the schema, and how far each sink is. They are counted by SQLAlchemy's own events. With N = 0 it lives, and
says on stderr what it counts.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from collections import Counter
from typing import Any

from sqlalchemy import Connection, Engine, event

AUDITED, PLAIN = "audited", "plain"


def count(kind: str, number: int, when: str) -> None:
    counted: Counter[str] = Counter()
    audited: set[Connection] = set()

    @event.listens_for(Engine, "before_cursor_execute")
    def _statement(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO audit_event"):
            audited.add(connection)

    @event.listens_for(Engine, "commit")
    def _commit(connection: Connection) -> None:
        if not connection.get_execution_options().get("writes", False):
            return
        this = AUDITED if connection in audited else PLAIN
        audited.discard(connection)
        counted[this] += 1
        if not number:
            sys.stderr.write(f"{this} writes: {counted[this]}\n")
        elif (this, counted[this]) == (kind, number):
            if when == "after":
                connection.connection.commit()  # durable now; nobody has been told
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    _, fatal, at, moment, *sys.argv[1:] = sys.argv
    count(fatal, int(at), moment)
    runpy.run_module("rotator", run_name="__main__", alter_sys=True)
