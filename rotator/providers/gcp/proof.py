"""Proves a service account key: signs an assertion with it, and exchanges that for an access token (RFC 7523).

Google's answers, as its clients' issue trackers show them: to a key that it doesn't know, or no longer, 400
`invalid_grant` "Invalid JWT Signature."; to a wrong clock the same, "Token must be a short-lived token (60 minutes) and
in a reasonable timeframe". "No valid verifier found for issuer" comes and goes for keys that work
(googleapis/google-auth-library-python#301).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlencode

import httpx
from google.auth import jwt
from google.auth.crypt import RSASigner

from rotator.clock import Clock
from rotator.errors import CallFailed, Verdict
from rotator.http.answers import Answer, json_object
from rotator.http.calls import send
from rotator.http.exchange import Span
from rotator.http.outside_text import outside_text
from rotator.model import Proof
from rotator.providers.gcp.errors import GOOGLE
from rotator.providers.gcp.keys import token_endpoint

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SCOPE = "https://www.googleapis.com/auth/userinfo.email"  # enough for a proof; the token is dropped at once
_LIFETIME = 600  # seconds
_WHAT = "the candidate's access token"
PROOFS: Mapping[str, Proof] = {
    "invalid_grant: Invalid JWT Signature": Proof.NOT_YET,
    "invalid_grant: account not found": Proof.NOT_YET,
    "invalid_grant: No valid verifier found for issuer": Proof.NOT_YET,
    "invalid_grant: timeframe": Proof.CLOCK,
    "deleted_client": Proof.NOT_YET,
    "invalid_client": Proof.NOT_YET,
}
"""What the token endpoint's refusal says about the candidate: by its error, and by words of its description where one
error has several meanings. The page says why, one by one."""

_REMEDIES = {
    "disabled_client": "Enable the service account: it is disabled.",
    "invalid_grant": "Check `service_account`, and `token_uri` and `universe_domain` of the `gcp` section.",
}


def prove(http: httpx.Client, token_uri: str | None, key_file: str, clock: Clock, span: Span) -> Proof:
    """Use the key once.

    Args:
        http: trusts the endpoint.
        token_uri: where to; None for Google's own.
        key_file: the key.
        clock: by which the assertion is dated.
        span: the time there is for it.

    Raises:
        CallFailed: the endpoint could not be asked, or refuses for another reason than the key.
    """
    key = json.loads(key_file)
    url = token_uri or token_endpoint(key["universe_domain"])
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return _read(send(http, "POST", url, what=_WHAT, headers=headers, content=_assertion(key, clock), span=span))


def _assertion(key: Mapping[str, str], clock: Clock) -> bytes:
    now = int(clock.now().timestamp())
    claims = {
        "iss": key["client_email"],
        # The endpoint of the key's own universe, wherever it is asked through.
        "aud": token_endpoint(key["universe_domain"]),
        "scope": _SCOPE,
        "iat": now,
        "exp": now + _LIFETIME,
    }
    signer = RSASigner.from_string(key["private_key"], key["private_key_id"])
    return urlencode({"grant_type": _GRANT, "assertion": jwt.encode(signer, claims).decode()}).encode()


def _read(answer: Answer) -> Proof:
    body = json_object(answer.body) or {}
    if answer.status == HTTPStatus.OK and isinstance(body.get("access_token"), str):
        return Proof.ALIVE
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise GOOGLE.throttled(_WHAT, answer)
    error, description = body.get("error"), outside_text(body.get("error_description") or "")
    refused = answer.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    if not refused or not isinstance(error, str):
        raise GOOGLE.unclear(_WHAT, answer)
    for said, proof in PROOFS.items():
        known, _, words = said.partition(": ")
        if error == known and words.casefold() in description.casefold():
            return proof
    raise CallFailed(
        f"{_WHAT}: {outside_text(error)}: {description}",
        verdict=Verdict.REFUSED,
        code=outside_text(error),
        permanent=True,
        remedy=_REMEDIES.get(error, "Check the service account in Google Cloud. The candidate was not pushed."),
    )
