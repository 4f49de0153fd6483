"""How OCI knows who sent a request: its signature, verified to the letter.

Sources: "Request Signatures" and "API Errors" in OCI's API documentation; what it says of a clock that is off as it
stands in issue 474 of oracle/terraform-provider-oci.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from werkzeug.wrappers import Request

_SKEW = timedelta(minutes=5)
_SCHEME = "Signature "
_FIELD = re.compile(r'([a-zA-Z]+)="([^"]*)"')
_ALWAYS = frozenset({"(request-target)", "host"})
_DATES = ("date", "x-date")  # a browser can't set the first
_WITH_BODY = frozenset({"content-length", "content-type", "x-content-sha256"})


class OciRefusal(Exception):
    """An answer of OCI's that says no: its code and its message, as they stand in the body."""

    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Claim:
    """Who a request says that it is from, and what has to be signed by that key."""

    tenancy: str
    user: str
    fingerprint: str
    signable: bytes
    signature: bytes

    def verify(self, key: RSAPublicKey) -> None:
        """See that this key signed it.

        Raises:
            Refused: it didn't.
        """
        try:
            key.verify(self.signature, self.signable, PKCS1v15(), SHA256())
        except InvalidSignature:
            raise unauthenticated("Failed to verify the HTTP(S) Signature") from None


def unauthenticated(
    message: str = "The required information to complete authentication was not provided or was incorrect.",
) -> OciRefusal:
    """A 401, whatever the reason."""
    return OciRefusal(HTTPStatus.UNAUTHORIZED, "NotAuthenticated", message)


def claim(request: Request, body: bytes, now: datetime) -> Claim:
    """What a request claims.

    Raises:
        Refused: it isn't signed, not all is signed that must be, the date is off, or the body isn't the one signed.
    """
    header = request.headers.get("Authorization", "")
    fields = dict(_FIELD.findall(header))
    names = fields.get("headers", "").split()
    whose = fields.get("keyId", "").split("/")
    if (
        not header.startswith(_SCHEME)
        or fields.get("algorithm") != "rsa-sha256"
        or fields.get("version", "1") != "1"
        or len(whose) != 3  # noqa: PLR2004  # tenancy, user, fingerprint
    ):
        raise unauthenticated()
    _see_that_all_is_signed(request, names)
    _see_the_date(request, names, now)
    _see_the_body(request, body)
    try:
        signature = base64.b64decode(fields.get("signature", ""), validate=True)
    except binascii.Error:
        raise unauthenticated() from None
    return Claim(whose[0], whose[1], whose[2], _signable(request, names), signature)


def _see_that_all_is_signed(request: Request, names: list[str]) -> None:
    needed = _ALWAYS | (_WITH_BODY if request.method in {"POST", "PUT", "PATCH"} else frozenset())
    missing = sorted(needed - set(names))
    if missing or not set(names).intersection(_DATES):
        raise unauthenticated(f"Missing required headers in the signature: {', '.join(missing or _DATES[:1])}")


def _see_the_date(request: Request, names: list[str], now: datetime) -> None:
    said = request.headers.get(next(name for name in _DATES if name in names), "")
    try:
        at = parsedate_to_datetime(said).astimezone(UTC)
    except ValueError:
        raise unauthenticated("The date is missing or malformed") from None
    if abs(at - now) > _SKEW:
        valid = f"['{_shown(now - _SKEW)}', '{_shown(now + _SKEW)}']"
        raise unauthenticated(
            f"Date '{_shown(at)}' is not within allowed clock skew. Current '{_shown(now)}', "
            f"valid datetime range: {valid}"
        )


def _see_the_body(request: Request, body: bytes) -> None:
    if request.method not in {"POST", "PUT", "PATCH"}:
        return
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode("ascii")
    if request.headers.get("x-content-sha256") != digest or request.headers.get("content-length") != str(len(body)):
        raise unauthenticated("The body is not the one that was signed")


def _signable(request: Request, names: list[str]) -> bytes:
    # The target as it came, percent-encoded as it was signed.
    target = f"{request.method.lower()} {request.environ['RAW_URI']}"
    values = (target if name == "(request-target)" else request.headers.get(name, "") for name in names)
    return "\n".join(f"{name}: {value}" for name, value in zip(names, values, strict=True)).encode("latin-1")


def _shown(at: datetime) -> str:
    return at.strftime("%a, %d %b %Y %H:%M:%S UTC")
