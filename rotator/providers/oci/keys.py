"""API signing keys: RSA key pairs, how they are written, and what they are called.

Source: "Required Keys and OCIDs" in OCI's API documentation: RSA of at least 2048 bits, PEM; the fingerprint is the MD5
of the public key's DER form.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from pydantic import SecretStr

Pem = Literal["traditional", "pkcs8"]

_BITS = 2048
_EXPONENT = 65537
_FORMATS = {"traditional": PrivateFormat.TraditionalOpenSSL, "pkcs8": PrivateFormat.PKCS8}


def generate() -> RSAPrivateKey:
    """A fresh key pair."""
    return generate_private_key(_EXPONENT, _BITS)


def fingerprint(key: RSAPublicKey) -> str:
    """What OCI calls this key: 16 bytes in hexadecimal, with colons."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.md5(der, usedforsecurity=False).digest().hex(":")  # a name, which OCI has fixed


def public_pem(key: RSAPublicKey) -> str:
    """As OCI takes it."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def private_pem(key: RSAPrivateKey, form: Pem, passphrase: SecretStr | None) -> SecretStr:
    """As its holder takes it.

    Args:
        key: the pair.
        form: `traditional` is PKCS#1; encrypted it has the headers Proc-Type and DEK-Info.
        passphrase: encrypts it; None leaves it as it is.
    """
    encryption: KeySerializationEncryption = NoEncryption()
    if passphrase is not None:
        encryption = BestAvailableEncryption(passphrase.get_secret_value().encode("ascii"))
    return SecretStr(key.private_bytes(Encoding.PEM, _FORMATS[form], encryption).decode("ascii"))


def load(pem: SecretStr, passphrase: SecretStr | None, *, made_here: bool = False) -> RSAPrivateKey:
    """The pair in a PEM of either form.

    Args:
        pem: the private key.
        passphrase: one that isn't needed does no harm, as in Oracle's SDK.
        made_here: it was written by `private_pem`, so its numbers aren't checked, which would take 50 ms.

    Raises:
        ValueError: why it can't be used, without a word of its content.
    """
    data = pem.get_secret_value().encode()
    secret = passphrase.get_secret_value().encode() if passphrase is not None else None
    try:
        key = load_pem_private_key(
            data, secret if b"ENCRYPTED" in data else None, unsafe_skip_rsa_key_validation=made_here
        )
    except TypeError:
        problem = "the key is encrypted, and no passphrase is given"
    except (ValueError, UnsupportedAlgorithm):
        problem = "the file has no private key in PEM, or the passphrase is wrong"
    else:
        if isinstance(key, RSAPrivateKey):
            return key
        problem = "the key is not an RSA key"
    raise ValueError(problem)  # outside of the handler: the original may quote the key
