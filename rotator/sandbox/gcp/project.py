"""A Google Cloud project's service accounts, their keys and the tokens given out for them: state, without a wire."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from secrets import randbelow, token_hex, token_urlsafe
from urllib.parse import quote

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key

from rotator.sandbox.gcp.refusal import CUSTOM, GcpRefusal, not_found, org_policy
from rotator.sandbox.uses import Uses

SLOTS = 10
TOKEN_LIFETIME = timedelta(hours=1)
_FOREVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # Google's word for a key without an end
_CREATION = ("iam.disableServiceAccountKeyCreation", "iam.managed.disableServiceAccountKeyCreation")
_UPLOAD = ("iam.disableServiceAccountKeyUpload", "iam.managed.disableServiceAccountKeyUpload")
_EXPIRY = "iam.serviceAccountKeyExpiryHours"


@dataclass(slots=True)
class StoredKey:
    """A user-managed key, made here or uploaded. `known_from` is when the token endpoint begins to know it."""

    key_id: str
    public: RSAPublicKey
    valid_after: datetime
    valid_before: datetime
    known_from: datetime
    uploaded: bool
    disabled: bool = False
    uses: Uses = field(default_factory=Uses)


@dataclass(slots=True)
class ProjectAccount:
    """A service account. `may` holds what it may do, by permission and by the account it may do it to."""

    email: str
    project: str
    unique_id: str
    keys: dict[str, StoredKey] = field(default_factory=dict)
    may: set[tuple[str, str]] = field(default_factory=set)

    @property
    def name(self) -> str:
        """Its full resource name."""
        return f"projects/{self.project}/serviceAccounts/{self.email}"


class Project:
    """One project. Thread-safe.

    Args:
        project: its id.
        clock: what time it is there (aware UTC).

    Attributes:
        propagation: how long a key that was made over the wire is unknown to the token endpoint.
        constraints: the organisation's constraints that are enforced, e.g. `iam.disableServiceAccountKeyUpload`; one of
            its own, e.g. `custom.noKeys`, forbids every new key.
        longest: with `iam.serviceAccountKeyExpiryHours` enforced, how long a key may live.
        secrets: every secret that was ever seen or given out here.
    """

    def __init__(self, project: str, clock: Callable[[], datetime]) -> None:
        self.project = project
        self.clock = clock
        self.propagation = timedelta(0)
        self.constraints: set[str] = set()
        self.longest = timedelta(days=90)
        self.secrets: set[str] = set()
        self._lock = threading.RLock()
        self._accounts: dict[str, ProjectAccount] = {}
        self._tokens: dict[str, tuple[str, datetime]] = {}
        self._token_of: dict[str, str] = {}

    def now(self) -> datetime:
        """In whole seconds, as Google's answers have it."""
        return self.clock().replace(microsecond=0)

    def add_account(self, name: str) -> ProjectAccount:
        """Create a service account."""
        email = f"{name}@{self.project}.iam.gserviceaccount.com"
        unique_id = "1" + "".join(str(randbelow(10)) for _ in range(20))
        with self._lock:
            account = self._accounts[email] = ProjectAccount(email, self.project, unique_id)
        return account

    def delete_account(self, email: str) -> None:
        """Delete a service account and its keys."""
        with self._lock:
            del self._accounts[email]

    def account(self, email: str) -> ProjectAccount | None:
        """The account of this address or unique id."""
        with self._lock:
            return next((each for each in self._accounts.values() if email in {each.email, each.unique_id}), None)

    def keys(self, account: ProjectAccount) -> list[StoredKey]:
        """Its keys, the oldest first."""
        with self._lock:
            return list(account.keys.values())

    def key(self, account: ProjectAccount, key_id: str) -> StoredKey:
        """One of its keys.

        Raises:
            Refused: there is none of this id.
        """
        with self._lock:
            if key_id not in account.keys:
                raise not_found(f"Service account key {key_id} does not exist.")
            return account.keys[key_id]

    def create_key(self, account: ProjectAccount, *, propagation: timedelta) -> tuple[StoredKey, str]:
        """CreateServiceAccountKey. Returns the key and its key file.

        Raises:
            Refused: no slot is free, or the organisation forbids it.
        """
        self._allow(account, _CREATION)
        private = generate_private_key(65537, 2048)
        now = self.now()
        until = now + self.longest if _EXPIRY in self.constraints else _FOREVER
        key = StoredKey(token_hex(20), private.public_key(), now, until, self.clock() + propagation, uploaded=False)
        self._keep(account, key)
        return key, self.key_file(account, key.key_id, private)

    def upload_key(self, account: ProjectAccount, certificate_pem: bytes, *, propagation: timedelta) -> StoredKey:
        """UploadServiceAccountKey: a self-signed X.509 v3 certificate of an RSA key, valid for some time yet.

        Raises:
            Refused: it isn't that, no slot is free, or the organisation forbids it.
        """
        self._allow(account, _UPLOAD)
        certificate, public = _certificate(certificate_pem)
        now = self.now()
        if certificate.not_valid_after_utc <= now:
            raise GcpRefusal("INVALID_ARGUMENT", "The certificate has expired.")
        if _EXPIRY in self.constraints and certificate.not_valid_after_utc > now + self.longest:
            raise org_policy(_EXPIRY, account.name, "The key's validity period is longer than allowed.")
        key = StoredKey(
            token_hex(20),
            public,
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
            self.clock() + propagation,
            uploaded=True,
        )
        self._keep(account, key)
        return key

    def delete_key(self, account: ProjectAccount, key_id: str) -> None:
        """DeleteServiceAccountKey.

        Raises:
            Refused: there is none of this id.
        """
        with self._lock:
            self.key(account, key_id)
            del account.keys[key_id]

    def key_file(self, account: ProjectAccount, key_id: str, private: RSAPrivateKey) -> str:
        """As Google writes it. It is remembered as a secret, and so is the private key in it."""
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        fields = {
            "type": "service_account",
            "project_id": account.project,
            "private_key_id": key_id,
            "private_key": pem,
            "client_email": account.email,
            "client_id": account.unique_id,
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": "https://oauth2.googleapis.com/token",
            "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
            "client_x509_cert_url": "https://www.googleapis.com/robot/v1/metadata/x509/"
            + quote(account.email, safe=""),
            "universe_domain": "googleapis.com",
        }
        text = json.dumps(fields, indent=2) + "\n"
        self.secrets |= {pem, text, *secret_lines(pem)}
        return text

    def give_token(self, email: str, key: StoredKey, now: datetime) -> str:
        """An access token for the account; the same one for as long as it lives."""
        with self._lock:
            key.uses.note(now)
            token = self._token_of.get(key.key_id)
            if token is None or self._tokens[token][1] <= now:
                if token is not None:
                    del self._tokens[token]
                token = self._token_of[key.key_id] = f"ya29.{token_urlsafe(90)}"
                self._tokens[token] = email, now + TOKEN_LIFETIME
                self.secrets.add(token)
            return token

    def bearer(self, token: str, now: datetime) -> ProjectAccount | None:
        """The account of this token; None if no account has it, or it is too old."""
        with self._lock:
            email, until = self._tokens.get(token, ("", now))
            return self._accounts.get(email) if now < until else None

    def _allow(self, account: ProjectAccount, constraints: Iterable[str]) -> None:
        custom = (one for one in sorted(self.constraints) if one.startswith(CUSTOM))
        for constraint in (*constraints, *custom):
            if constraint in self.constraints:
                raise org_policy(constraint, account.name, "Key creation is not allowed on this service account.")

    def _keep(self, account: ProjectAccount, key: StoredKey) -> None:
        with self._lock:
            if len(account.keys) >= SLOTS:
                raise GcpRefusal("FAILED_PRECONDITION", "Precondition check failed.")
            account.keys[key.key_id] = key


def secret_lines(pem: str) -> set[str]:
    """The lines of a private key's PEM, as they would show in a log of its parts."""
    return {line for line in pem.splitlines() if len(line) > 40 and not line.startswith("-")}  # noqa: PLR2004  # a whole line


def private_key(key_file: Mapping[str, str]) -> RSAPrivateKey:
    """The private key in a key file."""
    key = serialization.load_pem_private_key(key_file["private_key"].encode(), None)
    if not isinstance(key, RSAPrivateKey):
        raise TypeError("not an RSA key")
    return key


def _certificate(pem: bytes) -> tuple[x509.Certificate, RSAPublicKey]:
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature):
        raise GcpRefusal(
            "INVALID_ARGUMENT", "Invalid certificate: a self-signed X.509 certificate is needed."
        ) from None
    public = certificate.public_key()
    if not isinstance(public, RSAPublicKey) or public.key_size < 2048:  # noqa: PLR2004  # bits, as Google wants them
        raise GcpRefusal("INVALID_ARGUMENT", "Invalid certificate: an RSA key of at least 2048 bits is needed.")
    if certificate.version is not x509.Version.v3:
        raise GcpRefusal("INVALID_ARGUMENT", "Invalid certificate: version 3 is needed.")
    return certificate, public
