"""https on loopback, for clients that insist on it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_LOOPBACK = "127.0.0.1"
_SINCE, _UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2045, 1, 1, tzinfo=UTC)  # wherever a test moves the clock


@dataclass(frozen=True, slots=True)
class LoopbackTls:
    """A certificate for 127.0.0.1 that vouches for itself.

    Args:
        server: what a server needs.
        ca_file: what its clients must trust.
    """

    server: ssl.SSLContext
    ca_file: Path

    @classmethod
    def made_in(cls, directory: Path) -> LoopbackTls:
        """Make the certificate and its key, as files in this directory."""
        key = generate_private_key(SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _LOOPBACK)])
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), _SINCE, _UNTIL)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(_LOOPBACK))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, SHA256())
        )
        ca_file, key_file = directory / "loopback-ca.pem", directory / "loopback-key.pem"
        ca_file.write_bytes(certificate.public_bytes(Encoding.PEM))
        key_file.touch(mode=0o600)
        key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(ca_file, key_file)
        return cls(server, ca_file)
