"""One request to Acme, and what came of it.

Acme's API, which is made up: bearer tokens, JSON, a Date header, and refusals as `{"error": {"code", "message"}}`.

    GET    /v1/robots/ROBOT/keys      {"keys": [{"id", "label", "created_at", "enabled"}, ..]}
    POST   /v1/robots/ROBOT/keys      takes {"label"}; the key, with its "secret": shown this once
    PATCH  /v1/robots/ROBOT/keys/ID   takes {"enabled"}
    DELETE /v1/robots/ROBOT/keys/ID
    GET    /v1/me                     {"robot"}: whose the bearer token is
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

import httpx
from pydantic import SecretStr

from rotator.errors import CallFailed, Verdict
from rotator.http.outside_text import outside_text

Value = TypeVar("Value")


def ask(
    http: httpx.Client,
    method: str,
    url: str,
    *,
    token: SecretStr,
    timeout: float,
    body: Mapping[str, object] | None = None,
) -> httpx.Response:
    """Send it once; repeating is rotator's decision.

    Raises:
        CallFailed: whatever happened, its verdict is true. When in doubt it is UNKNOWN: rotator then looks.
    """
    failed: CallFailed
    try:
        answer = http.request(
            method,
            url,
            json=body,
            headers={"Authorization": f"Bearer {token.get_secret_value()}"},
            timeout=timeout,
            follow_redirects=False,  # a token goes where the config says, and nowhere else
        )
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
        failed = CallFailed(f"acme: the {method} was not sent", verdict=Verdict.NOT_APPLIED, code="not-sent")
    except httpx.HTTPError:
        failed = CallFailed(f"acme: the {method} has no answer", verdict=Verdict.UNKNOWN, code="no-answer")
    else:
        if answer.is_success:
            return answer
        failed = _failure(method, answer)
    # Here, not above: an exception raised while another is handled keeps that one, and httpx's holds the token.
    raise failed


def read(answer: httpx.Response, meaning: Callable[[Any], Value]) -> Value:
    """What the JSON of an answer means.

    Raises:
        CallFailed: UNKNOWN: an answer that is cut or strange doesn't show what was done.
    """
    try:
        return meaning(answer.json())
    except (ValueError, TypeError, KeyError):
        failed = CallFailed("acme: the answer can't be read", verdict=Verdict.UNKNOWN, code="unreadable")
    raise failed


def _failure(method: str, answer: httpx.Response) -> CallFailed:
    """REFUSED only by Acme's own word: a page of some proxy, whatever its status, doesn't show what was done."""
    status = answer.status_code
    try:
        error = answer.json()["error"]
        code, message = str(error["code"]), outside_text(error["message"])
    except (ValueError, TypeError, KeyError):
        code, message = str(status), "an answer that isn't Acme's"
        status = HTTPStatus.BAD_GATEWAY
    said = f"acme: the {method}: {message}"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return CallFailed(said, verdict=Verdict.NOT_APPLIED, code=code)
    if not HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return CallFailed(said, verdict=Verdict.UNKNOWN, code=code)
    remedy = "`rotator policy NAME` prints the rights that rotator's token needs."
    return CallFailed(said, verdict=Verdict.REFUSED, code=code, permanent=True, remedy=remedy)
