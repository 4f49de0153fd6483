"""When a secret was last used, as Graph's report on credentials has it: a day late, and in beta.

Source: "appCredentialSignInActivity resource type" in Microsoft Graph's beta reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from rotator.http.answers import json_object
from rotator.model import LastUse
from rotator.providers.azure.errors import MICROSOFT
from rotator.providers.azure.graph import Graph

PERMISSION = "AuditLog.Read.All"
_WHAT = "appCredentialSignInActivities"
_PATH = f"/beta/reports/{_WHAT}"
_PAGES = 20  # an application has few secrets; whatever has more pages answers something else


def last_use(graph: Graph, client_id: str, key_id: str) -> LastUse | None:
    """Ask for the report on the application, and find the secret in it.

    Raises:
        CallFailed: it can't be read.
    """
    times = [at for each in _report(graph, client_id) if (at := _time(each, key_id)) is not None]
    return LastUse(max(times)) if times else None


def _report(graph: Graph, client_id: str) -> Iterator[Mapping[str, Any]]:
    wanted = quote(f"appId eq '{client_id}'")
    path: str | None = f"{_PATH}?$filter={wanted}"
    pages = 0
    while path is not None and pages < _PAGES:
        pages += 1
        answer = graph.read(_WHAT, path)
        page = json_object(answer.body) or {}
        rows = page.get("value")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise MICROSOFT.unclear(_WHAT, answer)
        yield from rows
        path = _next(page)


def _next(page: Mapping[str, Any]) -> str | None:
    """Where the next page is: asked for where the first one was, whatever host the link names."""
    link = page.get("@odata.nextLink")
    parts = urlsplit(link) if isinstance(link, str) else None
    return f"{_PATH}?{parts.query}" if parts is not None and parts.query else None


def _time(row: Mapping[str, Any], key_id: str) -> datetime | None:
    activity = row.get("signInActivity")
    at = activity.get("lastSignInDateTime") if isinstance(activity, dict) else None
    if not isinstance(at, str) or str(row.get("keyId")).lower() != key_id.lower():
        return None
    try:
        read = datetime.fromisoformat(at)
    except ValueError:
        return None
    return read.astimezone(UTC) if read.tzinfo is not None else None
