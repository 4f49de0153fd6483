"""A key as the API server lists it: a Secret that a token of the account lives with, or lies in.

Each is read by itself, as it is: an annotation may have been written by anyone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rotator.model import Key
from rotator.providers.base import AGES_AGO

ACCOUNT = "kubernetes.io/service-account.name"
"""The annotation that says whose token it is."""

ACCOUNT_UID = "kubernetes.io/service-account.uid"
"""The annotation that says which account of that name: one that was made anew ended all tokens of the former one."""

EXPIRES = "rotator/expires-at"
"""The annotation that says when a bound token ends: no listing shows it."""


def account_of(item: object) -> str | None:
    """The service account that a Secret names."""
    return _text(_annotations(item).get(ACCOUNT))


def listed_key(item: object, account: str | None) -> Key | None:
    """The key of a Secret; None if it has no uid or no name. The name is its mark.

    Args:
        item: as the API server shows it.
        account: the uid of the service account as it is now; a token of a former one of its name works no more. None:
            not known.
    """
    metadata = _metadata(item)
    uid, name = _text(metadata.get("uid")), _text(metadata.get("name"))
    if uid is None or name is None:
        return None
    expires = _annotations(item).get(EXPIRES)
    made_at, ends_at = _time(metadata.get("creationTimestamp")), _time(expires)
    unread = [
        *([] if made_at is not None else ["the time of creation"]),
        *([] if ends_at is not None or expires is None else ["the end"]),
    ]
    of_account = _text(_annotations(item).get(ACCOUNT_UID))
    return Key(
        uid,
        made_at or AGES_AGO,
        enabled=account is None or of_account in {None, account},
        expires_at=ends_at,
        mark=name,
        odd=" and ".join(unread) or None,
    )


def _metadata(item: object) -> dict[str, Any]:
    metadata = item.get("metadata") if isinstance(item, dict) else None
    return metadata if isinstance(metadata, dict) else {}


def _annotations(item: object) -> dict[str, Any]:
    annotations = _metadata(item).get("annotations")
    return annotations if isinstance(annotations, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _time(value: object) -> datetime | None:
    """None if it is none with a zone. lightkube has made a time of it where rotator made the Secret."""
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(value) if isinstance(value, str) else None
        return at.astimezone(UTC) if at is not None and at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
