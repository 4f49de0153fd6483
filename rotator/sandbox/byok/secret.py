"""The rules of one Secret in the stand-in's cluster, as the API server checks them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

from rotator.sandbox.byok.status import StatusRefusal, bad_request, invalid

Json = dict[str, Any]

TOKEN_SECRET = "kubernetes.io/service-account-token"  # noqa: S105  # a type of Secret
ACCOUNT = "kubernetes.io/service-account.name"

_FIELDS = frozenset({"apiVersion", "kind", "metadata", "type", "data", "stringData", "immutable"})
_LONGEST_NAME = 253
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_QUALIFIED = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def checked(namespace: str, body: Json) -> str:
    """The name of a Secret that breaks no rule.

    Raises:
        Refused: it breaks one.
    """
    for broken in _broken(namespace, body):
        raise broken
    return str(body["metadata"]["name"])


def encoded(values: Mapping[str, str]) -> dict[str, str]:
    """As `data` holds them."""
    return {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}


def merged(target: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7396), applied."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def _broken(namespace: str, body: Json) -> Iterator[StatusRefusal]:
    metadata = body.get("metadata")
    if (body.get("apiVersion"), body.get("kind")) != ("v1", "Secret") or not isinstance(metadata, dict):
        yield bad_request("the object provided is no v1 Secret")
        return
    for unknown in sorted(body.keys() - _FIELDS):
        yield bad_request(f'strict decoding error: unknown field "{unknown}"')
    name = str(metadata.get("name"))
    if len(name) > _LONGEST_NAME or not _SUBDOMAIN.fullmatch(name):
        yield invalid("Secret", name, "metadata.name", f"Invalid value: {name!r}: a lowercase RFC 1123 subdomain")
    if metadata.get("namespace", namespace) != namespace:
        yield bad_request("the namespace of the provided object does not match the namespace sent on the request")
    yield from _broken_words(name, metadata)
    if body.get("type") == TOKEN_SECRET and not metadata.get("annotations", {}).get(ACCOUNT):
        yield invalid("Secret", name, f"metadata.annotations[{ACCOUNT}]", "Required value")
    for value in body.get("data", {}).values():
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, TypeError):
            yield bad_request("Secret in version v1 cannot be handled as a Secret: illegal base64 data")


def _broken_words(name: str, metadata: Json) -> Iterator[StatusRefusal]:
    for key, value in metadata.get("labels", {}).items():
        if not _QUALIFIED.fullmatch(key) or not isinstance(value, str) or not _LABEL_VALUE.fullmatch(value):
            yield invalid("Secret", name, "metadata.labels", f"Invalid value: {value!r}")
    for key, value in metadata.get("annotations", {}).items():
        if not _QUALIFIED.fullmatch(key) or not isinstance(value, str):
            yield invalid("Secret", name, "metadata.annotations", f"Invalid value: {key!r}")
