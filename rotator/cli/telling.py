"""Audit events, as a person reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from rotator.audit.chain import Record
from rotator.audit.event import Result

Told = Mapping[str, object]
"""The fields of an audit record; docs/audit.md says what each means."""

TIMELINE = ("TIME", "EVENT", "ABOUT", "REASON")

_SILENT = frozenset({"schedule", None})


def read(record: Record) -> Told:
    """The fields of a record."""
    fields: Told = json.loads(record.line)
    return fields


def cells(told: Told) -> tuple[str, str, str, str]:
    """One event for the timeline of a credential, in the order of its headings."""
    keys = told.get("key_ids")
    about = [told.get("integration"), *(keys if isinstance(keys, list) else ())]
    code = f"[{told['code']}]" if told.get("code") else None
    actor = f"({told['actor']})" if told.get("actor") not in _SILENT else None
    event = [told["event"], told["outcome"] if told["outcome"] != Result.FACT else None]
    return (
        f"{told['time']!s:.19}Z",
        _words(event),
        _words(about),
        _words([_phase(told), code, told.get("reason"), actor]),
    )


def line(told: Told) -> str:
    """One event of any credential."""
    time, event, about, reason = cells(told)
    return "  ".join(filter(None, (time, _words([told.get("credential")]), event, about, reason)))


def _phase(told: Told) -> str | None:
    return f"{told['phase']}:" if told["event"] == "rotation.phase" else None


def _words(values: list[object]) -> str:
    return " ".join(str(value) for value in values if value)
