"""Audit events, as an operator reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from rotator.audit.chain import Record
from rotator.audit.event import Result

AuditFields = Mapping[str, object]
"""The fields of an audit record; docs/audit.md says what each means."""

TIMELINE = ("TIME", "EVENT", "ABOUT", "REASON")

_SILENT = frozenset({"schedule", None})


def fields_of(record: Record) -> AuditFields:
    """The fields of a record."""
    fields: AuditFields = json.loads(record.line)
    return fields


def cells_of(event: AuditFields) -> tuple[str, str, str, str]:
    """One event for the timeline of a credential, in the order of its headings."""
    keys = event.get("key_ids")
    about = [event.get("integration"), *(keys if isinstance(keys, list) else ())]
    code = f"[{event['code']}]" if event.get("code") else None
    actor = f"({event['actor']})" if event.get("actor") not in _SILENT else None
    what = [event["event"], event["outcome"] if event["outcome"] != Result.FACT else None]
    return (
        f"{event['time']!s:.19}Z",
        _words(what),
        _words(about),
        _words([_phase(event), code, event.get("reason"), actor]),
    )


def line_of(event: AuditFields) -> str:
    """One event of any credential."""
    time, what, about, reason = cells_of(event)
    return "  ".join(filter(None, (time, _words([event.get("credential")]), what, about, reason)))


def _phase(event: AuditFields) -> str | None:
    return f"{event['phase']}:" if event["event"] == "rotation.phase" else None


def _words(values: list[object]) -> str:
    return " ".join(str(value) for value in values if value)
