"""How to get into a cluster: from a kubeconfig, or as the service account of the pod that rotator runs in."""

from __future__ import annotations

import base64
import os
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from lightkube.config.client_adapter import verify_cluster
from lightkube.config.kubeconfig import DEFAULT_KUBECONFIG, SERVICE_ACCOUNT, KubeConfig, SingleConfig
from lightkube.config.models import Cluster, User
from lightkube.core.exceptions import ConfigError
from pydantic import SecretStr

from rotator.errors import CallFailed, RotatorError, Verdict
from rotator.http.outside_text import outside_text
from rotator.providers.byok.own_kubeconfig import chosen, named_file
from rotator.providers.byok.settings import ByokSection
from rotator.settings.section import is_https_or_loopback
from rotator.settings.textfile import Unreadable, must_be_sane, read_bytes, read_text

_CHECK = (
    "Check `kubeconfig`, `context` and KUBECONFIG; `kubectl --kubeconfig FILE config view` shows the content of a file."
)


@dataclass(frozen=True, slots=True)
class Access:
    """One way into one cluster, with rotator's own rights.

    Args:
        server: the API server's address.
        origin: where that comes from, for the operator.
        in_cluster: rotator runs in the cluster: the address means nothing outside of it.
        ca: the CA's certificates (PEM); None: those that the machine trusts.
        tls: trusts these, and holds rotator's client certificate, if it has one.
        bearer: reads rotator's own token; None where the certificate is enough.
        key: the private key of rotator's client certificate (PEM), if it has one.
        files: what all this was read from. A token in a file of its own is read at each use.
    """

    server: str
    origin: str
    in_cluster: bool
    ca: bytes | None
    tls: ssl.SSLContext
    bearer: Callable[[], str] | None
    key: SecretStr | None
    files: tuple[str, ...]

    def secrets(self) -> Iterator[SecretStr]:
        """The private key, which is never sent. A token is, with each request."""
        if self.key is not None:
            yield self.key

    @classmethod
    def of(cls, section: ByokSection, *, pod: str = SERVICE_ACCOUNT) -> Access:
        """Taken from a credential's section of the config, the environment, and the files that these name.

        Args:
            section: `kubeconfig` and `context` of it.
            pod: where a pod finds its service account.

        Raises:
            RotatorError: there is no usable way in.
        """
        try:
            return _access(section, pod)
        except (ConfigError, Unreadable) as error:
            problem = outside_text(error)
        except RotatorError:
            raise
        except Exception as error:  # noqa: BLE001  # a file may hold anything; a parser's message quotes it, token and all
            problem = f"{type(error).__name__} while it was read"
        raise RotatorError(f"rotator can't enter the cluster: {problem}.", remedy=_CHECK)


def _access(section: ByokSection, pod: str) -> Access:
    config, origin, in_cluster, origin_file = _config(section, pod)
    cluster, user = config.cluster, config.user or User()
    server = cluster.server.rstrip("/")
    if not is_https_or_loopback(server):
        raise ConfigError(f"{server}, from {origin}, is not https")
    if cluster.insecure:
        raise ConfigError(
            f"{origin} has insecure-skip-tls-verify, which would expose rotator's token; name the CA instead"
        )
    if (user.client_key or user.client_key_data) and not (user.client_cert or user.client_cert_data):
        raise ConfigError(f"{origin} has a client-key without a client-certificate")
    for beside in _files(config):
        must_be_sane(beside)
    try:
        return _entered(section, config, origin, origin_file, in_cluster=in_cluster)
    except (OSError, ValueError) as error:  # so are SSLError and what base64 raises
        problem = type(error).__name__
    raise ConfigError(f"{origin}: {_certificates(cluster, user)} can't be used: {problem}")


def _entered(
    section: ByokSection, config: SingleConfig, origin: str, origin_file: str | None, *, in_cluster: bool
) -> Access:
    cluster, user = config.cluster, config.user or User()
    server = cluster.server.rstrip("/")
    ca = None
    if cluster.certificate_auth_data is not None:
        ca = base64.b64decode(cluster.certificate_auth_data)
    elif cluster.certificate_auth is not None:
        ca = read_bytes(Path(config.abs_file(cluster.certificate_auth)))
    # Without TLS nothing is verified, and nothing needs to be loaded.
    tls = (
        verify_cluster(cluster, user, config.abs_file)
        if urlsplit(server).scheme == "https"
        else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )
    return Access(
        server,
        origin,
        in_cluster,
        ca,
        tls,
        _bearer(config, user),
        _client_key(config, user),
        _files(config, origin_file, section.ca_file),
    )


def _certificates(cluster: Cluster, user: User) -> str:
    """What may be wrong, by its names in the file."""
    said = {
        "certificate-authority": cluster.certificate_auth,
        "certificate-authority-data": cluster.certificate_auth_data,
        "client-certificate": user.client_cert,
        "client-certificate-data": user.client_cert_data,
        "client-key": user.client_key,
        "client-key-data": user.client_key_data,
    }
    return " or ".join(f"`{name}`" for name, value in said.items() if value is not None) or "the TLS settings"


def _client_key(config: SingleConfig, user: User) -> SecretStr | None:
    if user.client_key_data is not None:
        return SecretStr(base64.b64decode(user.client_key_data).decode("latin-1"))
    if user.client_key is not None:
        return SecretStr(read_bytes(Path(config.abs_file(user.client_key))).decode("latin-1"))
    return None


def _files(config: SingleConfig, *others: str | None) -> tuple[str, ...]:
    user = config.user or User()
    beside = (config.cluster.certificate_auth, user.client_cert, user.client_key)
    named = (str(config.abs_file(file)) for file in beside if file is not None)
    return (*(file for file in others if file is not None), *named)


def _config(section: ByokSection, pod: str) -> tuple[SingleConfig, str, bool, str | None]:
    """The cluster and the user, where they come from, whether we run in that cluster, and the file, if it is one."""
    named, context = section.kubeconfig, section.context
    if named is None and context is None and Path(pod, "token").exists() and "KUBERNETES_SERVICE_HOST" in os.environ:
        of_pod = KubeConfig.from_service_account(pod).get()
        if of_pod is not None:
            return of_pod, "the pod's service account", True, None
    file = named or named_file() or DEFAULT_KUBECONFIG
    try:
        config = chosen(file, context)
    except Unreadable as reason:
        raise ConfigError(f"{file} can't be read: {reason}") from None
    return config, f"{file}, context {config.context_name}", False, file


def _bearer(config: SingleConfig, user: User) -> Callable[[], str] | None:
    if user.token_file is None:
        token = user.token
        return None if token is None else lambda: token
    path = Path(config.abs_file(user.token_file))

    def read() -> str:
        # Anew each time: the kubelet replaces a pod's token while it runs.
        try:
            return read_text(path).strip()
        except Unreadable as reason:
            problem = str(reason)
        raise CallFailed(
            f"nothing was sent: rotator's own token in {path} can't be read: {problem}",
            verdict=Verdict.NOT_APPLIED,
            code="no-token",
            remedy="Check that the file exists and that rotator may read it.",
        )

    return read
