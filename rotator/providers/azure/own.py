"""rotator's own identity in Azure, as this machine gives it: in the config, the environment, files, or the machine.

The order is that of azure-identity's `EnvironmentCredential`, `WorkloadIdentityCredential` and
`ManagedIdentityCredential`. What is half there is named here: azure-identity would try the next way, as another
identity. Nothing here is an answer of Microsoft's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azure.core.credentials import TokenCredential
from azure.identity import (
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    EnvironmentCredential,
    ManagedIdentityCredential,
)
from pydantic import SecretStr

from rotator.errors import RotatorError
from rotator.http.outside_text import outside_text
from rotator.providers.azure.access import AzureAccess
from rotator.settings.textfile import Unreadable, read_bytes, read_text

CLIENT, TENANT, SECRET = "AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"
CERTIFICATE, PASSWORD, TOKEN_FILE = "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_PASSWORD", "AZURE_FEDERATED_TOKEN_FILE"

_BESIDE = {
    SECRET: (CLIENT, TENANT),
    CERTIFICATE: (CLIENT, TENANT),
    PASSWORD: (CLIENT, "AZURE_USERNAME"),
    TOKEN_FILE: (CLIENT,),
}
"""The variables that lead to an identity, in azure-identity's order, and what must stand beside each."""

_READABLE = "Check that the file exists, and that the user that rotator runs as may read it."


@dataclass(frozen=True, slots=True)
class Way:
    """By what rotator is to prove who it is. Equal ones share their tokens.

    Args:
        origin: names that, for the operator.
        tenant, client: the application's; no client for the machine's only identity.
        secret: its client secret.
        certificate: its certificate and private key; `passphrase` opens them, where they are sealed.
        token_file: where the cluster's token is.
        by_password: a name and a password of the environment.
    """

    origin: str
    tenant: str
    client: str | None = None
    secret: SecretStr | None = None
    certificate: bytes | None = field(default=None, repr=False)
    passphrase: SecretStr | None = None
    token_file: Path | None = None
    by_password: bool = False

    @classmethod
    def found(cls, access: AzureAccess, environ: Mapping[str, str]) -> Way:
        """What the config says, or else the environment, or else the machine's managed identity.

        Raises:
            RotatorError: what is said is half there, or can't be read.
        """
        tenant, client = access.tenant, access.client_id
        if access.secret is not None:
            return cls("`admin.secret`", tenant, client, secret=access.secret.read())
        if access.certificate is not None:
            return cls("`admin.certificate`", tenant, client, certificate=_content(access.certificate))
        variable = _leading(environ, client)
        if variable is None:
            return cls("managed identity", tenant, client or environ.get(CLIENT) or None)
        if variable == TOKEN_FILE:
            return cls(variable, tenant, client or environ[CLIENT], token_file=Path(environ[TOKEN_FILE]))
        return cls._of_the_environment(variable, environ)

    @classmethod
    def _of_the_environment(cls, variable: str, environ: Mapping[str, str]) -> Way:
        tenant, client = environ.get(TENANT, ""), environ[CLIENT]
        if variable == SECRET:
            return cls(variable, tenant, client, secret=SecretStr(environ[SECRET]))
        if variable == PASSWORD:
            return cls(variable, tenant, client, by_password=True)
        passphrase = environ.get("AZURE_CLIENT_CERTIFICATE_PASSWORD")
        return cls(
            variable,
            tenant,
            client,
            certificate=_content(environ[CERTIFICATE], f" ({CERTIFICATE})"),
            passphrase=SecretStr(passphrase) if passphrase else None,
        )

    @property
    def is_the_machines(self) -> bool:
        """Nothing but the machine itself says who rotator is."""
        return not (self.secret or self.certificate or self.token_file or self.by_password)

    def credential(self, authority: Mapping[str, Any], common: Mapping[str, Any]) -> TokenCredential:
        """What gets tokens that way.

        Args:
            authority: where they come from; a machine's come from the machine.
            common: of every credential of azure-identity.

        Raises:
            RotatorError: azure-identity takes it for none.
        """
        try:
            return self._credential(authority, common)
        except ValueError as error:  # before any request: it has the SDK's own words alone
            problem = outside_text(error)
        raise RotatorError(
            f"{self.origin} is no identity in Azure: {problem}",
            remedy=f"Correct {self.origin}, and what stands beside it.",
        )

    def _credential(self, authority: Mapping[str, Any], common: Mapping[str, Any]) -> TokenCredential:
        if self.client is None or self.is_the_machines:
            return ManagedIdentityCredential(client_id=self.client, **common)
        if self.secret is not None:
            secret = self.secret.get_secret_value()
            return ClientSecretCredential(self.tenant, self.client, secret, **authority, **common)
        if self.certificate is not None:
            passphrase = self.passphrase.get_secret_value() if self.passphrase is not None else None
            return CertificateCredential(
                self.tenant,
                self.client,
                certificate_data=self.certificate,
                password=passphrase,
                **authority,
                **common,
            )
        if self.token_file is not None:
            return ClientAssertionCredential(self.tenant, self.client, self._token, **authority, **common)
        return EnvironmentCredential(**authority, **common)

    def _token(self) -> str:
        """The cluster's token, read at each renewal: the kubelet replaces it."""
        try:
            token = read_text(Path(str(self.token_file))).strip()
            problem = "it is empty"
        except Unreadable as reason:
            token, problem = "", str(reason)
        if token:
            return token
        raise _unread(f"{self.token_file} ({TOKEN_FILE})", problem)


def _leading(environ: Mapping[str, str], client: str | None) -> str | None:
    """The variable that leads to rotator's identity; None where none does.

    Raises:
        RotatorError: what belongs to it is missing.
    """
    usable = (TOKEN_FILE,) if client is not None else tuple(_BESIDE)
    variable = next((name for name in usable if environ.get(name)), None)
    if variable is None:
        return None
    missing = [name for name in _BESIDE[variable] if not environ.get(name) and not (name == CLIENT and client)]
    if missing:
        lacks = " and ".join(missing)
        raise RotatorError(
            f"{variable} is set, but {lacks} {'is' if len(missing) == 1 else 'are'} empty or not set",
            remedy=f"Set {lacks} beside {variable} in rotator's environment, or remove {variable}.",
        )
    return variable


def _content(path: str, variable: str = "") -> bytes:
    try:
        return read_bytes(Path(path))
    except Unreadable as error:
        reason = str(error)
    raise _unread(f"rotator's own certificate, {path}{variable},", reason)


def _unread(what: str, reason: str) -> RotatorError:
    return RotatorError(f"{what} can't be read: {reason}", remedy=_READABLE)
