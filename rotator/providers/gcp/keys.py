"""A service account key that is made here: key pair, the certificate that Google gets, the file that it is put in."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from urllib.parse import quote

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)
from google.cloud.iam_admin_v1 import ServiceAccount

_BITS = 2048  # what Google's own keys have
_EXPONENT = 65537
_BACKDATED = timedelta(minutes=2)  # the clocks of the machines that check it differ
_SUBJECT = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "unused")])  # certificates are public


def key_pair() -> RSAPrivateKey:
    """A fresh one."""
    return generate_private_key(_EXPONENT, _BITS)


def mark(public: PublicKeyTypes) -> str:
    """What identifies a public key, and so the key made of it: the SHA-256 of its SubjectPublicKeyInfo."""
    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def mark_of(pem: bytes) -> str:
    """The same, of a public key in PEM.

    Raises:
        ValueError: it isn't one.
    """
    try:
        return mark(load_pem_public_key(pem))
    except UnsupportedAlgorithm:
        raise ValueError("a public key of an unknown kind") from None


def certificate(pair: RSAPrivateKey, now: datetime, lifetime: timedelta) -> bytes:
    """Self-signed X.509 v3, in PEM: what UploadServiceAccountKey takes. Its end is the key's."""
    made = (
        x509.CertificateBuilder()
        .subject_name(_SUBJECT)
        .issuer_name(_SUBJECT)
        .public_key(pair.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + lifetime)
        .sign(pair, SHA256())
    )
    return made.public_bytes(Encoding.PEM)


def key_file(pair: RSAPrivateKey, key_id: str, account: ServiceAccount, universe_domain: str) -> str:
    """The key file, field for field as Google writes one for a key of its own making.

    Where a fresh key is proved (`token_uri` in the config) has no place in it: that address may be for rotator alone.
    """
    pem = pair.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    accounts = "accounts.google.com" if universe_domain == "googleapis.com" else f"accounts.{universe_domain}"
    fields = {
        "type": "service_account",
        "project_id": account.project_id,
        "private_key_id": key_id,
        "private_key": pem,
        "client_email": account.email,
        "client_id": account.unique_id,
        "auth_uri": f"https://{accounts}/o/oauth2/auth",
        "token_uri": token_endpoint(universe_domain),
        "auth_provider_x509_cert_url": f"https://www.{universe_domain}/oauth2/v1/certs",
        "client_x509_cert_url": f"https://www.{universe_domain}/robot/v1/metadata/x509/{quote(account.email, safe='')}",
        "universe_domain": universe_domain,
    }
    return json.dumps(fields, indent=2) + "\n"


def token_endpoint(universe_domain: str) -> str:
    """Where assertions are exchanged for access tokens."""
    return f"https://oauth2.{universe_domain}/token"
