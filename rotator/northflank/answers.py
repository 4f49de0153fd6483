"""What Northflank's answers say: what they show, secret-free, and what they mean for a call. Pure.

Failures are returned, never raised here, so that no traceback keeps an answer with echoed credentials alive.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

from rotator.errors import CallFailed, Verdict
from rotator.http.answers import Answer, NoAnswer, json_of
from rotator.http.calls import no_answer
from rotator.http.outside_text import outside_text

_REFUSALS = {400, 401, 403, 404, 405, 409, 422}
_REMEDIES = {
    401: "Put a valid token where the connection's `token` says: one that has not expired and was not revoked.",
    403: "Give the token's role Account > Cloud > Integrations > Read, Update; for `dependents` also Clusters > Read.",
    404: "Check the integration's id, and the connection's `api_url` and `team`.",
    405: "Set the connection's `method` to the method that this API accepts.",
    409: "Nothing to do: rotator tries again later.",
}
_OTHER_REMEDY = "Northflank's message names what Northflank does not accept."
_MESSAGE_READ = 1000
_DESCRIPTION_KEPT = 2000  # characters; ten times what Northflank allows

# The field of a provider's credentials that holds the key's id, and what an id looks like that isn't masked.
_AWS = ("accessKey", re.compile(r"[A-Z0-9]{16,128}"))
_EUSC = "aws-eusc"  # the European Sovereign Cloud, shown as `aws` is
_KEY_ID = {"aws": _AWS, _EUSC: _AWS}


@dataclass(frozen=True, slots=True)
class Item:
    """One integration as Northflank shows it.

    Args:
        description: None where the answer has none.
        mode: how Northflank authenticates to the cloud, `accessKey` or `crossAccountRole`, if the answer says so.
        project, service_account: Google Cloud's: the project's id, the account's e-mail address, if the answer has
            them. A list has no account.
        echoed_key: the key id in the answer's credentials, if it shows one.
        registries: the state of the registry credentials made from it, if the answer has it.
        at: the Date header of the answer, where only this integration was asked for (aware UTC).
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
    at: datetime | None = None

    def words(self) -> tuple[str | None, ...]:
        """All that Northflank, or somebody in its place, wrote."""
        return (
            self.id,
            self.name,
            self.provider,
            self.description,
            self.mode,
            self.project,
            self.service_account,
            self.echoed_key,
            self.registries,
        )


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What Northflank says of the token: when it ends (aware UTC), None if it does not say."""

    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list. `more` is False on the last one."""

    values: tuple[object, ...]
    more: bool
    cursor: str | None


def item(value: object) -> Item | None:
    """An integration out of `data`. Its credentials are dropped here but for a key id."""
    fields = _object(value)
    provider = _text(fields, "provider")
    if not _text(fields, "id") or not provider:
        return None
    description = fields.get("description")
    # Northflank's API reference: only integrations with AWS and Google Cloud have this, under the provider's name.
    details = _object(fields.get("aws" if provider == _EUSC else provider))
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
    body = _object(json_of(answer.body))
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
    value = _object(json_of(answer.body)).get("data")
    return value if isinstance(value, dict) else None


def _refuses(answer: Answer) -> bool:
    """Northflank itself says that nothing was done, and why. A proxy's page never counts."""
    if answer.status not in _REFUSALS:
        return False
    if answer.status == HTTPStatus.METHOD_NOT_ALLOWED and answer.body.strip() == b"Method Not Allowed":
        return True  # its router's own answer, before anything else
    return _error(answer).get("status") == answer.status


def failure(result: Answer | NoAnswer, *, what: str) -> CallFailed:
    """What a call without its due answer means.

    Args:
        result: what came back.
        what: the call, e.g. "the update of integration prod-aws".
    """
    if isinstance(result, NoAnswer):
        return no_answer(what, result, address="`api_url`")
    if result.status == HTTPStatus.TOO_MANY_REQUESTS and not _is_page(result):
        return CallFailed(
            f"{what}: Northflank's rate limit is reached",
            verdict=Verdict.NOT_APPLIED,
            code=str(result.status),
            request_id=result.request_id,
            retry_after=result.retry_after,
            remedy="rotator waits as long as Northflank asks. Other clients of this account share the limit.",
        )
    if _refuses(result):
        return CallFailed(
            f"{what} was refused: {result.status} {_message(result)}",
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
        retry_after=result.retry_after,
        remedy="If this repeats, check what stands between rotator and Northflank.",
    )


def _foreign(answer: Answer) -> str:
    if answer.status == HTTPStatus.OK:
        return "a 200 that is not in the form of Northflank's API"
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
        return f"a redirect ({answer.status}); rotator follows none"
    if _is_page(answer):
        return f"a proxy's page ({answer.status}) instead of Northflank's answer"
    return f"an answer ({answer.status}) that does not say what Northflank did"


def _is_page(answer: Answer) -> bool:
    return "html" in answer.headers.get("content-type", "").lower() or answer.body.lstrip()[:1] == b"<"


def _message(answer: Answer) -> str:
    error = _error(answer)
    parts = (error.get("id"), error.get("message"), _json_text(error.get("details")))
    text = ", ".join(part for part in parts if isinstance(part, str) and part)[:_MESSAGE_READ]
    return outside_text(text) or HTTPStatus(answer.status).phrase


def _error(answer: Answer) -> Mapping[str, object]:
    return _object(_object(json_of(answer.body)).get("error"))


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
    """The text itself, but for what no database takes: half characters, NULs and more than a description needs."""
    return text[:_DESCRIPTION_KEPT].encode("utf-8", "replace").decode().replace("\0", "?")


def _echoed_key(provider: str, credentials: Mapping[str, object]) -> str | None:
    name, pattern = _KEY_ID.get(provider, ("", None))
    value = credentials.get(name)
    return value if pattern is not None and isinstance(value, str) and pattern.fullmatch(value) else None


def _time(value: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
        return time if time is None else (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
