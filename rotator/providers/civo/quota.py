"""Whose is this API key? Civo's answer to GET /v2/quota, or the want of one.

Sources: Civo's API reference on /v2/quota; the errors that its client civogo knows (errors.go); and what api.civo.com
was seen to say in September 2026: to an unknown key 404 `database_account_not_found`, to none at all 403
`authentication_access_denied`, to an unknown path 404 in plain text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

import httpx
from pydantic import SecretStr

from rotator.clock import Clock
from rotator.errors import CallFailed, Verdict
from rotator.http.answers import Answer, date_of, is_refusal, json_object
from rotator.http.calls import Vendor, patiently, send
from rotator.http.exchange import Span
from rotator.http.outside_text import outside_text
from rotator.model import Proof

_CIVO = Vendor("Civo", remedy="If this repeats, check `api_url`, and what stands between rotator and Civo.")
_WHAT = "asking Civo for the quota"
PROOFS: Mapping[str, Proof] = {
    "authentication_invalid_key": Proof.NOT_YET,
    "database_account_not_found": Proof.NOT_YET,
}
"""What Civo's refusal of a key says about it, by its code: that Civo doesn't know the key, or not yet."""

_CODE = re.compile("[a-z][a-z0-9_]{0,79}")


@dataclass(frozen=True, slots=True)
class KeyAccount:
    """An account of Civo's, as the quota shows it."""

    email: str
    id: str

    def __str__(self) -> str:
        return f"{self.email} ({self.id})" if self.id else self.email

    def is_called(self, name: str) -> bool:
        """It is this e-mail address, or this id."""
        return name.casefold() in {self.email.casefold(), self.id.casefold()}


@dataclass(frozen=True, slots=True)
class Taken:
    """The key works, for this account. `date` is the answer's Date header (aware UTC), if that can be read."""

    account: KeyAccount
    date: datetime | None


@dataclass(frozen=True, slots=True)
class KeyRefused:
    """Civo knows no such key: it was never made, or has been regenerated. `code` is Civo's word for it."""

    code: str


class Quota:
    """Asks for the quota of the account whose key is given. Changes nothing. Thread-safe.

    Args:
        http: shared by the whole process.
        api_url: without a slash at its end.
        deadline: for one question, its repetition included.
        clock: both its clocks are used.
    """

    def __init__(self, http: httpx.Client, api_url: str, deadline: timedelta, clock: Clock) -> None:
        self._http = http
        self._url = f"{api_url}/v2/quota"
        self._deadline = deadline
        self._clock = clock

    def ask(self, key: SecretStr) -> Taken | KeyRefused:
        """Ask with this key, once more if no answer came.

        Raises:
            CallFailed: neither was answered. REFUSED and permanent where Civo itself says something else.
        """
        return patiently(lambda span: self._ask(key, span), clock=self._clock, deadline=self._deadline)

    def ask_once(self, key: SecretStr) -> Taken | KeyRefused:
        """Ask with this key, in one request. Raises CallFailed as `ask`."""
        return self._ask(key, Span(self._clock, self._deadline))

    def _ask(self, key: SecretStr, span: Span) -> Taken | KeyRefused:
        headers = {"Authorization": f"bearer {key.get_secret_value()}", "Accept": "application/json"}
        answer = send(self._http, "GET", self._url, what=_WHAT, headers=headers, span=span)
        read = _read(answer, key)
        if isinstance(read, CallFailed):
            raise read
        return read


def _read(answer: Answer, key: SecretStr) -> Taken | KeyRefused | CallFailed:
    said = json_object(answer.body) or {}
    if answer.status == HTTPStatus.OK:
        return _taken(answer, said) or _CIVO.unclear(_WHAT, answer)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return _CIVO.throttled(_WHAT, answer)
    error = _error(answer, said)
    if error is None:
        return _CIVO.unclear(_WHAT, answer)
    code, reason = error
    if code in PROOFS:
        return KeyRefused(code)
    shown = outside_text(reason.replace(key.get_secret_value(), "**********"))
    return CallFailed(
        f"{_WHAT}: {code}: {shown}",
        verdict=Verdict.REFUSED,
        code=code,
        permanent=True,
        remedy="Check the account in Civo's dashboard, and `api_url`.",
    )


def _taken(answer: Answer, said: Mapping[str, object]) -> Taken | None:
    email, own_id = said.get("default_user_email_address"), said.get("id")
    if not isinstance(email, str) or not email:
        return None
    account = KeyAccount(outside_text(email), outside_text(own_id) if isinstance(own_id, str) else "")
    return Taken(account, date_of(answer))


def _error(answer: Answer, said: Mapping[str, object]) -> tuple[str, str] | None:
    """Code and reason, which each refusal of an account or a key has. A proxy's page hasn't, nor an unknown path."""
    code, reason = said.get("code"), said.get("reason")
    if not (is_refusal(answer.status) and isinstance(code, str) and isinstance(reason, str) and _CODE.fullmatch(code)):
        return None
    return code, reason
