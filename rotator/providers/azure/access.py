"""How to get into Azure: which cloud, which tenant, which addresses, and who rotator is there."""

from __future__ import annotations

import os
from dataclasses import dataclass

from rotator.errors import RotatorError
from rotator.http.outside_text import outside_text
from rotator.providers.azure.settings import AzureSection
from rotator.settings.secret import SecretRef

_PUBLIC_AUTHORITY = "https://login.microsoftonline.com"


@dataclass(frozen=True, slots=True)
class Cloud:
    """One of Microsoft's clouds: what its Graph and its Resource Manager are called, in addresses and in tokens."""

    graph: str
    management: str


_PUBLIC = Cloud("https://graph.microsoft.com", "https://management.azure.com")
_CHINA = Cloud("https://microsoftgraph.chinacloudapi.cn", "https://management.chinacloudapi.cn")

# https://learn.microsoft.com/en-us/graph/deployments, and the constants of azure-identity and azure-core.
_CLOUDS = {
    _PUBLIC_AUTHORITY: _PUBLIC,
    "https://login.microsoftonline.us": Cloud("https://graph.microsoft.us", "https://management.usgovcloudapi.net"),
    "https://login.chinacloudapi.cn": _CHINA,
    "https://login.partner.microsoftonline.cn": _CHINA,
}
_DOD_GRAPH = "https://dod-graph.microsoft.us"
"""Shares its authority with the rest of the US government's cloud, and yet tokens must name it."""


@dataclass(frozen=True, slots=True)
class AzureAccess:
    """How to get into one tenant.

    Args:
        tenant: its id.
        authority: where tokens come from, without a slash at its end.
        graph: where Microsoft Graph is.
        graph_audience: what a token for it must name; not its address where that is a proxy's.
        management: where Azure Resource Manager is.
        management_audience: as above.
        client_id: rotator's own application; None for what the environment says.
        secret: where its client secret is.
        certificate: the file with its certificate and private key.
        ca_file: the CA of these addresses; None for what the machine trusts.
    """

    tenant: str
    authority: str
    graph: str
    graph_audience: str
    management: str
    management_audience: str
    client_id: str | None = None
    secret: SecretRef | None = None
    certificate: str | None = None
    ca_file: str | None = None

    @classmethod
    def of(cls, section: AzureSection) -> AzureAccess:
        """Taken from a credential's section of the config, and from the SDK's own environment where that is silent.

        Raises:
            RotatorError: the authority isn't https: a candidate would go there in clear.
        """
        authority = _https(section.authority or os.environ.get("AZURE_AUTHORITY_HOST") or _PUBLIC_AUTHORITY)
        cloud = _CLOUDS.get(authority, _PUBLIC)
        graph = section.graph_url or cloud.graph
        return cls(
            tenant=section.tenant_id.lower(),
            authority=authority,
            graph=graph,
            graph_audience=_DOD_GRAPH if graph == _DOD_GRAPH else cloud.graph,
            management=section.management_url or cloud.management,
            management_audience=cloud.management,
            client_id=section.admin.client_id,
            secret=section.admin.secret,
            certificate=section.admin.certificate,
            ca_file=section.ca_file,
        )

    @property
    def is_microsofts(self) -> bool:
        """The authority is one that Microsoft's library knows. Any other is taken at its word."""
        return self.authority in _CLOUDS

    @property
    def files(self) -> tuple[str, ...]:
        """The files that are read once. A secret, a certificate and a workload's token are read at each use."""
        own = os.environ.get("AZURE_CLIENT_CERTIFICATE_PATH") if self.client_id is None else None
        return tuple(file for file in (own, self.ca_file) if file)

    @property
    def token_url(self) -> str:
        """Where the tenant's tokens come from."""
        return f"{self.authority}/{self.tenant}/oauth2/v2.0/token"


def _https(authority: str) -> str:
    # As azure-identity reads AZURE_AUTHORITY_HOST.
    whole = authority if "://" in authority else f"https://{authority}"
    if not whole.startswith("https://"):
        raise RotatorError(
            f"Azure can't be used: the authority {outside_text(whole)} is not https.",
            remedy="Check `authority`, and AZURE_AUTHORITY_HOST in rotator's environment.",
        )
    return whole.rstrip("/ ")
