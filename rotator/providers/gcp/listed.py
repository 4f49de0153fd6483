"""A service account key as IAM lists it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from google.cloud import iam_admin_v1 as iam

from rotator.model import Key
from rotator.providers.base import AGES_AGO

_NO_END = 9999  # the year of the end of a key that has none
_NAME = re.compile(r"(?:.*/)?keys/([A-Za-z0-9_-]+)")


def key_id_of(name: str) -> str:
    """The key's id, which ends its resource name; empty if it is no such name, or the id none to act on."""
    found = _NAME.fullmatch(name)
    return found[1] if found else ""


def listed_key(shown: iam.ServiceAccountKey) -> Key:
    """The key, without its mark, which no list shows.

    An uploaded key's times are those of its certificate, in which its maker may write any.

    Raises:
        ValueError: it has no id.
    """
    key_id = key_id_of(shown.name)
    if not key_id:
        raise ValueError("the answer has no key")
    made_at, ends_at = _time(lambda: shown.valid_after_time), _time(lambda: shown.valid_before_time)
    dated = made_at is not None and made_at > AGES_AGO and made_at.year < _NO_END
    bounded = ends_at is not None or "valid_before_time" not in shown
    unread = [*([] if dated else ["the time of creation"]), *([] if bounded else ["the time of its end"])]
    return Key(
        key_id,
        made_at if made_at is not None and dated else AGES_AGO,
        enabled=not shown.disabled,
        expires_at=ends_at if ends_at is not None and ends_at.year < _NO_END else None,
        odd=" and ".join(unread) or None,
    )


def _time(read: Callable[[], Any]) -> datetime | None:
    """None if there is none, or one that no date can hold: the SDK reads it when it is asked for it."""
    try:
        at = read()
        return datetime.fromtimestamp(at.timestamp(), UTC) if at is not None else None  # the SDK's has nanoseconds
    except (ValueError, OverflowError, OSError):
        return None
