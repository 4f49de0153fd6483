"""The hash chain: an event becomes a record, one line of canonical JSON that carries its predecessor's hash.

The line is made by a structlog processor chain. Its `hash` is the SHA-256 of the same line without the hash, so it can
be checked with `sha256sum`; docs/audit.md shows how.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from rotator.audit.event import Event
from rotator.http.outside_text import outside_text

FIELDS = (
    *("time", "sequence", "event", "outcome", "actor", "credential", "provider", "rotation", "generation"),
    *("integration", "key_ids", "phase", "reason", "code", "request_id", "fence", "prev"),
)
"""The order of a record's fields; `hash` comes last. A field that says nothing is left out."""

_TEXT_LIMIT = 1000
_DIGITS = 18
_HASH_LENGTH = 64
_BEFORE_HASH, _AFTER_HASH = b',"hash":"', b'"}'
_SEAL_LENGTH = len(_BEFORE_HASH) + _HASH_LENGTH + len(_AFTER_HASH)


@dataclass(frozen=True, slots=True)
class Record:
    """One link of the chain: its number (from 1), its hash (64 hex characters), and its line without the newline."""

    sequence: int
    hash: str
    line: bytes


def genesis(store_id: str) -> Record:
    """What the first record of a store names as its predecessor."""
    return Record(0, f"store:{store_id}", b"")


def link(head: Record, events: Sequence[Event], *, at: datetime, fence: int) -> tuple[Record, ...]:
    """Make the records that follow `head`.

    Args:
        head: the last record of the chain, or its genesis.
        events: what happened, in order.
        at: the time that the records carry (aware).
        fence: the owner's fence.
    """
    records: list[Record] = []
    time = timestamp(at)
    for event in events:
        line: bytes = _log.info(
            event.event,
            time=time,
            sequence=head.sequence + 1,
            outcome=event.outcome,
            actor=event.actor,
            credential=event.credential,
            provider=event.provider,
            rotation=event.rotation,
            generation=event.generation,
            integration=event.integration,
            key_ids=event.key_ids,
            phase=event.phase,
            reason=event.reason,
            code=event.code,
            request_id=event.request_id,
            fence=fence,
            prev=head.hash,
        )
        head = Record(head.sequence + 1, unseal(line)[1], line)
        records.append(head)
    return tuple(records)


def timestamp(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds, as in `2026-11-23T08:00:00.000000Z`."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def unseal(line: bytes) -> tuple[bytes, str]:
    """Take a record's line apart: the bytes that its hash covers, and the hash that it carries.

    Raises:
        ValueError: the line doesn't end in a hash.
    """
    seal = line[-_SEAL_LENGTH:]
    if not (seal.startswith(_BEFORE_HASH) and seal.endswith(_AFTER_HASH) and len(seal) == _SEAL_LENGTH):
        raise ValueError("no hash at the end")
    return line[:-_SEAL_LENGTH] + b"}", seal[len(_BEFORE_HASH) : -len(_AFTER_HASH)].decode("ascii", "replace")


def sequence_of(line: bytes) -> int | None:
    """The sequence that a line of an audit file claims, or None if it isn't one."""
    _, found, rest = line.partition(b'"sequence":')
    digits = rest.partition(b",")[0]
    return int(digits) if found and digits.isdigit() and len(digits) <= _DIGITS else None


def sha256(body: bytes) -> str:
    """The hash of what it covers, in hex."""
    return hashlib.sha256(body).hexdigest()


def _arrange(_logger: object, _method: str, event: structlog.typing.EventDict) -> dict[str, Any]:
    return {name: _printable(event[name]) for name in FIELDS if event[name] not in (None, "", ())}


def _printable(value: object) -> object:
    """The last line of defence against text from outside: printable, on one line, capped."""
    if isinstance(value, str):
        return value if len(value) <= _TEXT_LIMIT and value.isprintable() else outside_text(value, _TEXT_LIMIT)
    if isinstance(value, tuple):
        return [_printable(item) for item in value]
    return value


def _canonical(event: object, **_: object) -> str:
    return _ENCODER.encode(event)


def _seal(_logger: object, _method: str, rendered: Any) -> bytes:
    body: bytes = rendered.encode()
    return b"".join((body[:-1], _BEFORE_HASH, sha256(body).encode(), _AFTER_HASH))


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_log = structlog.wrap_logger(
    structlog.ReturnLogger(),
    processors=[
        _arrange,
        structlog.processors.JSONRenderer(serializer=_canonical),
        _seal,
    ],
    wrapper_class=structlog.make_filtering_bound_logger(0),
    cache_logger_on_first_use=True,
)
