"""When a key was last used, as the policy analyzer reports it: by the day, and a day or more late.

A day is reported as its beginning in Pacific Standard Time. Google counts as a use also that it listed the account's
keys while it checked another one, so that a silent key may seem used, never the other way round
(https://cloud.google.com/policy-intelligence/docs/activity-analyzer-service-account-authentication).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import httpx

from rotator.errors import CallFailed, Verdict
from rotator.http.answers import Answer, json_object
from rotator.http.calls import send
from rotator.http.exchange import Span
from rotator.http.outside_text import outside_text
from rotator.model import LastUse
from rotator.providers.gcp.errors import GOOGLE

PERMISSION = "policyanalyzer.serviceAccountKeyLastAuthenticationActivities.query"
_TYPE = "serviceAccountKeyLastAuthentication"
_WHAT = "the policy analyzer"
_SERVICE = "Google Cloud"  # the analyzer doesn't say which service
_MISSING = "PERMISSION_DENIED"  # also where the API isn't enabled: the reason is then SERVICE_DISABLED (AIP-193)
_REMEDY = (
    f"Enable the Policy Analyzer API in the account's project and grant rotator {PERMISSION} there, or set "
    "`evidence: false`."
)


def last_use(http: httpx.Client, url: str, token: str, key_name: str, span: Span) -> LastUse | None:
    """Ask for one key.

    Args:
        http: trusts the endpoint.
        url: the analyzer's address, without a path.
        token: rotator's own access token.
        key_name: the key's full resource name, with the project's id.
        span: the time there is for it.

    Raises:
        CallFailed: it could not be asked, or refuses; `untold` where the right is missing or the API isn't enabled.
    """
    project = key_name.split("/")[1]
    query = urlencode({"filter": f'activities.fullResourceName="//iam.googleapis.com/{key_name}"'})
    where = f"{url}/v1/projects/{project}/locations/global/activityTypes/{_TYPE}/activities:query?{query}"
    answer = send(http, "GET", where, what=_WHAT, headers={"Authorization": f"Bearer {token}"}, span=span)
    body = json_object(answer.body)
    if answer.status != HTTPStatus.OK:
        raise _refused(answer, body or {})
    if body is None:
        raise GOOGLE.unclear(_WHAT, answer)
    try:
        return _latest(body)
    except (KeyError, TypeError, ValueError):
        unreadable = GOOGLE.unclear(_WHAT, answer)
    raise unreadable  # outside of the handler: the original may quote the body


def _latest(body: Mapping[str, Any]) -> LastUse | None:
    times = [datetime.fromisoformat(each["activity"]["lastAuthenticatedTime"]) for each in body.get("activities", ())]
    return LastUse(max(times).astimezone(UTC), _SERVICE) if times else None


def _refused(answer: Answer, body: Mapping[str, Any]) -> CallFailed:
    error = body.get("error")
    named = error.get("status") if isinstance(error, dict) else None
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return GOOGLE.throttled(_WHAT, answer)
    if not isinstance(error, dict) or not isinstance(named, str) or not _refuses(answer.status):
        return GOOGLE.unclear(_WHAT, answer)
    return CallFailed(
        f"{_WHAT}: {outside_text(named)}: {outside_text(error.get('message') or '')}",
        verdict=Verdict.REFUSED,
        code=outside_text(named),
        permanent=True,
        untold=answer.status == HTTPStatus.FORBIDDEN and named == _MISSING,
        remedy=_REMEDY,
    )


def _refuses(status: int) -> bool:
    return status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
