"""The kubeconfig that Northflank holds: one cluster, one user with a token, one context."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import yaml
from pydantic import SecretStr

from rotator.material import Material

FIELD = "kubeconfig"
"""What Northflank calls it."""

_CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class ClusterAddress:
    """Where and as whom the holder of a kubeconfig comes.

    Args:
        server: the API server's address, as Northflank reaches it.
        ca: the PEM certificates of the CA that signed the server's; None where every machine trusts it.
        namespace, account: the service account.
    """

    server: str
    ca: bytes | None
    namespace: str
    account: str

    @property
    def username(self) -> str:
        """As the API server calls the service account."""
        return f"system:serviceaccount:{self.namespace}:{self.account}"

    def material(self, token: str) -> Material:
        """The complete credential set with this token in it."""
        trust = {} if self.ca is None else {"certificate-authority-data": base64.b64encode(self.ca).decode()}
        written = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": _CLUSTER, "cluster": {"server": self.server, **trust}}],
            "users": [{"name": self.account, "user": {"token": token}}],
            "contexts": [
                {
                    "name": _CLUSTER,
                    "context": {"cluster": _CLUSTER, "user": self.account, "namespace": self.namespace},
                }
            ],
            "current-context": _CLUSTER,
        }
        whole = SecretStr(yaml.safe_dump(written, sort_keys=False))
        return Material(secret={FIELD: whole}, parts=(SecretStr(token),))


def token_of(material: Material) -> SecretStr:
    """The token in a kubeconfig that was made here."""
    return SecretStr(yaml.safe_load(material.secret[FIELD].get_secret_value())["users"][0]["user"]["token"])
