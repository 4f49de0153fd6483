"""OCI's request signatures, version 1: HTTP Signatures of draft-cavage-08, with RSA-SHA256.

Source: "Request Signatures" in OCI's API documentation. That Oracle's own SDK signs in the same way is proved by
tests/contract/test_oci_sdk.py.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime

import httpx
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

_ALWAYS = ("date", "(request-target)", "host")
_WITH_BODY = ("content-length", "content-type", "x-content-sha256")


@dataclass(frozen=True, slots=True)
class Signer:
    """An API signing key as its holder has it.

    Args:
        tenancy: its OCID.
        user: the OCID of the key's user.
        fingerprint: of the public key, with colons.
        private_key: never shown.
    """

    tenancy: str
    user: str
    fingerprint: str
    private_key: RSAPrivateKey = field(repr=False)

    def sign(self, method: str, url: httpx.URL, content: bytes | None, at: datetime) -> Mapping[str, str]:
        """The headers to send with a request: those that are signed, and the signature.

        Args:
            method: GET, DELETE or POST.
            url: the path is signed as httpx sends it, percent-encoded.
            content: the body, JSON; None without one.
            at: now (aware UTC). OCI refuses what is more than five minutes off its own clock.
        """
        headers = {"date": format_datetime(at, usegmt=True), "host": url.netloc.decode("ascii")}
        if content is not None:
            headers["content-length"] = str(len(content))
            headers["content-type"] = "application/json"
            headers["x-content-sha256"] = base64.b64encode(hashlib.sha256(content).digest()).decode("ascii")
        target = {"(request-target)": f"{method.lower()} {url.raw_path.decode('ascii')}"}
        names = _ALWAYS if content is None else _ALWAYS + _WITH_BODY
        signable = "\n".join(f"{name}: {(headers | target)[name]}" for name in names)
        signature = self.private_key.sign(signable.encode("ascii"), PKCS1v15(), SHA256())
        key_id = f"{self.tenancy}/{self.user}/{self.fingerprint}"
        headers["authorization"] = (
            f'Signature algorithm="rsa-sha256",headers="{" ".join(names)}",keyId="{key_id}",'
            f'signature="{base64.b64encode(signature).decode("ascii")}",version="1"'
        )
        return headers
