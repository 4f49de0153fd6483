"""What an answer of a Kubernetes API server, or the want of one, says about a request.

Sources: the Status object in apimachinery's `meta/v1/types.go` and the reasons there; the API server's own filters, of
which priority and fairness answers 429 in plain text with Retry-After, and an unknown path 404 in plain text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from rotator.errors import CallFailed, Verdict
from rotator.http.answers import Answer, is_refusal, json_object
from rotator.http.calls import Vendor
from rotator.http.outside_text import outside_text

UNAUTHORIZED, FORBIDDEN, NOT_FOUND = "Unauthorized", "Forbidden", "NotFound"
ALREADY_EXISTS, CONFLICT = "AlreadyExists", "Conflict"

CLUSTER = Vendor(
    "the cluster",
    ids=("audit-id",),  # under which the cluster's audit log has the request
    remedy="If this repeats, check what stands between rotator and the cluster. Use Kubernetes 1.28 or newer.",
)

_REMEDIES = {
    UNAUTHORIZED: "Renew rotator's own token or certificate: the cluster doesn't know it.",
    FORBIDDEN: "`rotator policy NAME` prints the Role that rotator's own account needs.",
    NOT_FOUND: "Check `namespace`, `service_account` and `context`.",
    "BadRequest": "Check the credential's `byok` section.",
    "Invalid": "Check the credential's `byok` section; a bound token must live ten minutes or more.",
}
"""The refusals that only an operator can clear, and how."""

DENIED_BY_ADMISSION, QUOTA = "AdmissionDenied", "QuotaExceeded"
"""Our own words: a webhook may give any reason, or none, and a quota's is that of a missing right."""

_ADMISSION = re.compile(
    r"admission webhook \"([^\"]{1,253})\" denied|ValidatingAdmissionPolicy '([^']{1,253})'.{0,300} denied request"
)
_OVER_QUOTA = re.compile(r"exceeded quota: ([a-z0-9.-]{1,253})")


def failure_in(what: str, answer: Answer) -> CallFailed | None:
    """Why this answer doesn't say, in Kubernetes's own words, that the request was carried out; None if it does.

    Args:
        what: names the request in the error, e.g. `create secrets`.
        answer: a complete one.
    """
    said = json_object(answer.body) or {}
    if answer.status in {HTTPStatus.OK, HTTPStatus.CREATED} and "kind" in said and "apiVersion" in said:
        return None
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return CLUSTER.throttled(what, answer)
    message = str(said.get("message", ""))
    code, remedy = _by_policy(message) or _by_reason(said.get("reason"))
    if not _refuses(answer, said) or not code:
        return CLUSTER.unclear(what, answer)
    return CallFailed(
        f"{what}: {outside_text(code)}: {outside_text(message)}",
        verdict=Verdict.REFUSED,
        code=outside_text(code),
        request_id=CLUSTER.request_id(answer),
        permanent=bool(remedy),
        remedy=remedy,
    )


def _by_policy(message: str) -> tuple[str, str] | None:
    """The code and the remedy of a refusal by the cluster's own rules, which no repetition changes; None for others."""
    if denied := _ADMISSION.search(message):
        policy = outside_text(denied[1] or denied[2])
        return (
            DENIED_BY_ADMISSION,
            f"Let {policy} exempt rotator's Secrets and tokens, or change what {policy} demands.",
        )
    if quota := _OVER_QUOTA.search(message):
        return (
            QUOTA,
            f"Raise the ResourceQuota {quota[1]} of the namespace, or delete what else counts against that quota.",
        )
    return None


def _by_reason(reason: object) -> tuple[str, str]:
    return (reason, _REMEDIES.get(reason, "")) if isinstance(reason, str) else ("", "")


def _refuses(answer: Answer, said: Mapping[str, Any]) -> bool:
    """A whole Status object that says no, about a request that can't be under way any more."""
    whole = (said.get("kind"), said.get("status"), said.get("code")) == ("Status", "Failure", answer.status)
    return whole and is_refusal(answer.status)
