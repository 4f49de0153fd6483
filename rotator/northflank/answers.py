"""What Northflank's answers say: what they show, secret-free, and what they mean for a call. Pure.

Nothing here raises: failures are returned, so that no traceback keeps an answer with echoed credentials alive.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TypeVar

from rotator.errors import CallFailed, Verdict
from rotator.http.exchange import Answer, NoAnswer
from rotator.http.outside_text import outside_text
from rotator.northflank.budget import retry_after

_REFUSALS = {400, 401, 403, 404, 405, 409, 422}
_REMEDIES = {
    401: "Check the connection's token: `rotator check` shows what it is and when it expires.",
    403: "Give the token's role Account > Cloud > Integrations > Read, Update; for `dependents` also Clusters > Read.",
    404: "Check the integration's id, and the connection's `api_url` and `team`.",
    405: "Set the connection's `method` to the one that this API takes.",
    409: "rotator tries again later.",
}
_OTHER_REMEDY = "Northflank's message says what it doesn't accept."
_QUOTED = 8  # characters in a row that tell that an answer repeats a secret
_MESSAGE_READ = 1000
_DESCRIPTION_KEPT = 2000  # characters; ten times what Northflank allows

# The field of a provider's credentials that holds the key's id, and what an id looks like that isn't masked.
_KEY_ID = {"aws": ("accessKey", re.compile(r"[A-Z0-9]{16,128}"))}

Shown = TypeVar("Shown")


@dataclass(frozen=True, slots=True)
class Item:
    """One integration as Northflank shows it.

    Args:
        description: None where the answer has none.
        mode: how Northflank authenticates to the cloud, `accessKey` or `crossAccountRole`, if the answer tells.
        project, service_account: Google Cloud's: the project's id, the account's e-mail address, if the answer tells.
            A list tells no account.
        echoed_key: the key id in the answer's credentials, if it shows one.
        registries: the state of the registry credentials made from it, if the answer tells.
    """

    id: str
    name: str
    provider: str
    description: str | None
    mode: str | None = None
    project: str | None = None
    service_account: str | None = None
    echoed_key: str | None = None
    registries: str | None = None


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What Northflank says of the token: when it ends (aware UTC), None if it doesn't say."""

    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list. `more` is False on the last one."""

    values: tuple[object, ...]
    more: bool
    cursor: str | None


def shown(value: Shown | CallFailed) -> Shown:
    """The value; raises it where it is a failure."""
    if isinstance(value, CallFailed):
        raise value
    return value


def item(value: object) -> Item | None:
    """An integration out of `data`. Its credentials are dropped here but for a key id."""
    fields = _object(value)
    provider = _text(fields, "provider")
    if not _text(fields, "id") or not provider:
        return None
    description = fields.get("description")
    # Northflank's API reference: only integrations with AWS and Google Cloud have this, under the provider's name.
    details = _object(fields.get(provider))
    return Item(
        id=_text(fields, "id"),
        name=_text(fields, "name"),
        provider=provider,
        description=_storable(description) if isinstance(description, str) else None,
        mode=_text(details, "authenticationMode") or None,
        project=_text(details, "projectId") or None,
        service_account=_text(details, "serviceAccountEmail") or None,
        echoed_key=_echoed_key(provider, _object(fields.get("credentials"))),
        registries=_text(_object(fields.get("registryCredentialRefresh")), "status") or None,
    )


def token_info(value: object) -> TokenInfo:
    """What `GET /v1/auth` says."""
    return TokenInfo(expires_at=_time(_object(value).get("expiresAt")))


def page(answer: Answer, name: str) -> Page | None:
    """One page of the list `name`; None if the answer isn't one."""
    body = _object(_json(answer))
    values = _object(body.get("data")).get(name)
    if not isinstance(values, list):
        return None
    pagination = _object(body.get("pagination"))
    cursor = pagination.get("cursor")
    cursor = cursor if isinstance(cursor, str) and cursor else None
    return Page(tuple(values), more=pagination.get("hasNextPage", cursor is not None) is True, cursor=cursor)


def data(answer: Answer) -> Mapping[str, object] | None:
    """The `data` of a 200; None for any other answer."""
    if answer.status != HTTPStatus.OK:
        return None
    value = _object(_json(answer)).get("data")
    return value if isinstance(value, dict) else None


def _refuses(answer: Answer) -> bool:
    """Northflank itself says that nothing was done, and why. A proxy's page never counts."""
    if answer.status not in _REFUSALS:
        return False
    if answer.status == HTTPStatus.METHOD_NOT_ALLOWED and answer.body.strip() == b"Method Not Allowed":
        return True  # its router's own answer, before anything else
    return _error(answer).get("status") == answer.status


def failure(result: Answer | NoAnswer, *, what: str, secrets: Collection[str], now: datetime) -> CallFailed:
    """What a call without its due answer means.

    Args:
        result: what came back.
        what: the call, e.g. "the update of integration prod-aws".
        secrets: what was sent and must not be repeated: a message that does is withheld.
        now: the wall clock (aware UTC).
    """
    if isinstance(result, NoAnswer):
        return _no_answer(result, what)
    wait = retry_after(result, now)
    if result.status == HTTPStatus.TOO_MANY_REQUESTS and not _is_page(result):
        return CallFailed(
            f"{what}: Northflank's rate limit is reached",
            verdict=Verdict.NOT_APPLIED,
            code=str(result.status),
            request_id=result.request_id,
            retry_after=wait,
            remedy="rotator waits as long as it is told. Other clients of this account share the limit.",
        )
    if _refuses(result):
        return CallFailed(
            f"{what} was refused: {result.status} {_message(result, secrets)}",
            verdict=Verdict.REFUSED,
            code=str(result.status),
            request_id=result.request_id,
            permanent=result.status != HTTPStatus.CONFLICT,
            remedy=_REMEDIES.get(result.status, _OTHER_REMEDY),
        )
    return CallFailed(
        f"{what}: {_foreign(result)}",
        verdict=Verdict.UNKNOWN,
        code=str(result.status),
        request_id=result.request_id,
        retry_after=wait,
        remedy="If it stays so, look at what stands between rotator and Northflank.",
    )


def _no_answer(result: NoAnswer, what: str) -> CallFailed:
    if result.sent:
        return CallFailed(f"{what}: {result.reason}", verdict=Verdict.UNKNOWN, code="no-answer")
    return CallFailed(
        f"{what} was not sent: {result.reason}",
        verdict=Verdict.NOT_APPLIED,
        code="not-sent",
        remedy="If it stays so, check `api_url`, DNS, proxies and the firewall.",
    )


def _foreign(answer: Answer) -> str:
    if answer.status == HTTPStatus.OK:
        return "the answer, a 200, is not what Northflank's API says"
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
        return f"a redirect ({answer.status}), which is not followed"
    if _is_page(answer):
        return f"a page of some proxy ({answer.status}) in place of an answer"
    return f"an answer ({answer.status}) that doesn't tell what was done"


def _is_page(answer: Answer) -> bool:
    return "html" in answer.headers.get("content-type", "").lower() or answer.body.lstrip()[:1] == b"<"


def _message(answer: Answer, secrets: Collection[str]) -> str:
    error = _error(answer)
    told = (error.get("id"), error.get("message"), _json_text(error.get("details")))
    text = ", ".join(part for part in told if isinstance(part, str) and part)[:_MESSAGE_READ]
    if any(_repeats(text, secret) for secret in secrets):
        return "(its message is withheld, because it repeats a part of what was sent)"
    return outside_text(text) or HTTPStatus(answer.status).phrase


def _repeats(text: str, secret: str) -> bool:
    """Some stretch of the secret stands in the text."""
    length = min(len(secret), _QUOTED)
    return length > 0 and any(secret[at : at + length] in text for at in range(len(secret) - length + 1))


def _error(answer: Answer) -> Mapping[str, object]:
    return _object(_object(_json(answer)).get("error"))


def _json(answer: Answer) -> object:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None


def _json_text(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False) if value else ""
    except RecursionError:
        return ""


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    return outside_text(value, 128) if isinstance(value, str) else ""


def _storable(text: str) -> str:
    """The text itself, but for what no database takes: half characters, NULs and more than anybody writes."""
    return text[:_DESCRIPTION_KEPT].encode("utf-8", "replace").decode().replace("\0", "?")


def _echoed_key(provider: str, credentials: Mapping[str, object]) -> str | None:
    name, pattern = _KEY_ID.get(provider, ("", None))
    value = credentials.get(name)
    return value if pattern is not None and isinstance(value, str) and pattern.fullmatch(value) else None


def _time(value: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return time if time is None or time.tzinfo is not None else time.replace(tzinfo=UTC)
