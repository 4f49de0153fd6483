"""Proves a client secret: gets an access token with it, and shows that to the subscription.

Nothing of azure-identity is used: it keeps tokens, and a proof must not be answered from memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlencode

import httpx
from pydantic import SecretStr

from rotator.errors import CallFailed, Verdict
from rotator.http.answers import Answer, json_object
from rotator.http.calls import send
from rotator.http.exchange import Span
from rotator.model import Proof
from rotator.providers.azure.access import AzureAccess
from rotator.providers.azure.errors import MICROSOFT, OAuthError, ODataError, refusal

_LOGIN, _SUBSCRIPTION = "the candidate's access token", "GET subscription"
_ARM_VERSION = "2022-12-01"

PROOFS: Mapping[str, Proof] = {
    "AADSTS7000215": Proof.NOT_YET,
    "AADSTS7000222": Proof.NOT_YET,
    "AADSTS7000229": Proof.NOT_YET,
    "AADSTS700016": Proof.NOT_YET,
    "invalid_client": Proof.NOT_YET,
    "unauthorized_client": Proof.NOT_YET,
}
"""What the login's refusal says about the candidate, by Microsoft's code, or OAuth's where there is none. The page says
why, one by one. Source: https://learn.microsoft.com/en-us/entra/identity-platform/reference-error-codes"""

_REMEDIES = {
    "AADSTS7000112": "Enable the application's service principal: the application is disabled.",
    "AADSTS90002": "Check `tenant_id` and `authority`: there is no such tenant.",
    "AADSTS53003": "Let the application in from where rotator runs: a Conditional Access policy keeps it out.",
}


def prove(
    http: httpx.Client,
    access: AzureAccess,
    *,
    client_id: str,
    secret: SecretStr,
    subscription: str,
    span: Span,
) -> Proof:
    """Use the secret once. That the subscription refuses is no fault of the secret: a role is missing.

    Args:
        http: trusts the endpoints.
        access: where they are.
        client_id: the application.
        secret: its candidate.
        subscription: its id.
        span: the time there is for both requests.

    Raises:
        CallFailed: nothing was proved: the login or the subscription could not be asked, or refuses for another reason.
    """
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": secret.get_secret_value(),
        "scope": f"{access.management_audience}/.default",
    }
    answer = send(
        http,
        "POST",
        access.token_url,
        what=_LOGIN,
        headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        content=urlencode(form).encode("ascii"),
        span=span,
    )
    token = (json_object(answer.body) or {}).get("access_token") if answer.status == HTTPStatus.OK else None
    if not isinstance(token, str) or not token:
        return _without_token(answer)
    _show(http, f"{access.management}/subscriptions/{subscription}?api-version={_ARM_VERSION}", token, span)
    return Proof.ALIVE


def _without_token(answer: Answer) -> Proof:
    error = OAuthError.found_in(answer)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS or (error is not None and error.is_passing):
        raise CallFailed(
            f"{_LOGIN}: the login asks to try later (HTTP {answer.status})",
            verdict=Verdict.NOT_APPLIED,
            code=str(answer.status),
            retry_after=answer.retry_after,
        )
    if error is None:
        raise MICROSOFT.unclear(_LOGIN, answer)
    if error.code in PROOFS:
        return PROOFS[error.code]
    raise CallFailed(
        f"{_LOGIN}: {error.description}",
        verdict=Verdict.REFUSED,
        code=error.code,
        permanent=True,
        remedy=_REMEDIES.get(error.code, "Look up the code at https://login.microsoftonline.com/error."),
    )


def _show(http: httpx.Client, url: str, token: str, span: Span) -> None:
    answer = send(http, "GET", url, what=_SUBSCRIPTION, headers={"Authorization": f"Bearer {token}"}, span=span)
    said = json_object(answer.body) or {}
    if answer.status == HTTPStatus.OK and MICROSOFT.request_id(answer) and "subscriptionId" in said:
        return
    error = ODataError.found_in(answer)
    if error is not None and answer.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
        return
    if answer.status == HTTPStatus.OK:
        raise MICROSOFT.unclear(_SUBSCRIPTION, answer)
    failure = refusal(_SUBSCRIPTION, answer)
    if failure.verdict is Verdict.REFUSED:
        failure.permanent = True
        failure.remedy = "Check `management_url`, and that `subscription_id` is a subscription of the tenant."
    raise failure
