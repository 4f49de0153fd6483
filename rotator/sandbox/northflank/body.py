"""What Northflank takes as the body of an update, by its API reference: all else is a 400 that names the field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

# The fields that make up one credential set of a provider. Of several sets exactly one is given.
_CREDENTIALS: Mapping[str, tuple[frozenset[str], ...]] = {
    "aws": (frozenset({"accessKey", "secretKey"}), frozenset({"roleArn", "externalId"})),
    "gcp": (frozenset({"keyfileJson"}),),
    "azure": (frozenset({"tenantId", "clientId", "objectId", "secret", "subscriptionId"}),),
    "civo": (frozenset({"apiKey"}),),
    "oci": (frozenset({"region", "tenancyId", "userId", "fingerprint", "privateKey", "compartmentId"}),),
    "byok": (frozenset({"kubeconfig"}),),
}
_OPTIONAL: Mapping[str, frozenset[str]] = {"oci": frozenset({"passphrase"})}

Details = Mapping[str, list[str]]
"""The `details` of an error: field and what is wrong with it. Never what was sent."""

# The pattern is that of the API reference, with one more backslash: pydantic wants `[` escaped.
_Description = Annotated[str, Field(max_length=200, pattern=r"""^[a-zA-Z0-9.,?\s\\/'"()\[\];`%^&*\-_:!]+$""")]


class InvalidBody(Exception):
    """The body is not what Northflank takes."""

    def __init__(self, details: Details) -> None:
        super().__init__("the request body is invalid")
        self.details = details


@dataclass(frozen=True, slots=True)
class Update:
    """A valid update. None is a field that was not given and stays as it is."""

    description: str | None = None
    credentials: Mapping[str, str] | None = field(default=None, repr=False)
    features: tuple[str, ...] | None = None


class _Post(BaseModel, extra="forbid", strict=True):
    """Of js-client 0.7.25: `credentials` is required, no other key but `description` is allowed."""

    description: _Description = ""
    credentials: dict[str, str]


class _Patch(BaseModel, extra="forbid", strict=True):
    """Of js-client 0.9.5: all is optional. Its `restrictions` and `aws` are beyond this stand-in, and refused."""

    description: _Description = ""
    credentials: dict[str, str] = {}
    features: list[str] = []


def read_update(method: str, provider: str, content_type: str, body: bytes) -> Update:
    """The update that a request asks for.

    Args:
        method: POST, whose credentials must be complete, or PATCH.
        provider: the integration's; for one that rotator doesn't know, any credential fields are taken.
        content_type: the request's, without parameters.
        body: the request's.

    Raises:
        InvalidBody: Northflank would refuse it.
    """
    if content_type != "application/json":
        raise InvalidBody({"body": ["Content-Type must be application/json"]})
    try:
        fields = (_Post if method == "POST" else _Patch).model_validate_json(body).model_dump(exclude_unset=True)
    except ValidationError as invalid:
        raise InvalidBody(_details(invalid)) from None
    if "credentials" in fields:
        _check_credentials(provider, frozenset(fields["credentials"]), complete=method == "POST")
    return Update(**fields)


def _check_credentials(provider: str, given: frozenset[str], *, complete: bool) -> None:
    sets = _CREDENTIALS.get(provider)
    if sets is None:
        return
    optional = _OPTIONAL.get(provider, frozenset())
    allowed = frozenset().union(optional, *sets)
    if unknown := given - allowed:
        raise InvalidBody({f"credentials.{name}": [f"not allowed for provider {provider}"] for name in sorted(unknown)})
    if complete and given - optional not in sets:
        choices = " or ".join("+".join(sorted(each)) for each in sets)
        raise InvalidBody({"credentials": [f"provider {provider} requires {choices}"]})


def _details(invalid: ValidationError) -> Details:
    details: dict[str, list[str]] = {}
    for problem in invalid.errors(include_url=False, include_context=False, include_input=False):
        details.setdefault(".".join(map(str, problem["loc"])) or "body", []).append(problem["msg"])
    return details
