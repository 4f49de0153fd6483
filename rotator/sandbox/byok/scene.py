"""An own cluster in the sandbox: a service account whose kubeconfig an integration holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import httpx
from pydantic import SecretStr

from rotator.material import Material
from rotator.model import Key
from rotator.providers.byok.kubeconfig import FIELD, ClusterAddress, token_of
from rotator.providers.byok.rights import rights
from rotator.providers.byok.settings import ByokSettings
from rotator.sandbox.byok.stand_in import KubernetesStandIn
from rotator.sandbox.scene import OpenScene
from rotator.sandbox.wire.serving import Served

NAMESPACE = SERVICE_ACCOUNT = "northflank"
FIRST = "northflank-by-hand"
SERVER = "https://own-cluster.example.com:6443"
"""As Northflank reaches the cluster. Here the name leads nowhere: a workload comes by the stand-in's own address."""

_READS_NODES = f"""\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: northflank}}
rules: [{{apiGroups: [""], resources: [nodes], verbs: [list]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: northflank}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: northflank}}
subjects: [{{kind: ServiceAccount, name: {SERVICE_ACCOUNT}, namespace: {NAMESPACE}}}]
"""

_SECTION = {"namespace": NAMESPACE, "service_account": SERVICE_ACCOUNT, "token": "bound", "server": SERVER}
_SETTINGS = ByokSettings.model_validate({"byok": _SECTION})


class ByokScene(Served):
    """One cluster, one service account with a token Secret that an operator made. Implements `scene.Scene`.

    Args:
        directory: for rotator's own kubeconfig.
        clock: what time it is there (aware UTC).
        propagation: how long a fresh token is unknown.

    Attributes:
        kubernetes: the stand-in.
    """

    name = "own-cluster"
    provider = "byok"

    def __init__(self, directory: Path, *, clock: Callable[[], datetime], propagation: timedelta) -> None:
        self.kubernetes = KubernetesStandIn()
        self.kubernetes.server.clock = clock
        self.kubernetes.cluster.propagation = propagation
        self.kubernetes.cluster.add_account(NAMESPACE, SERVICE_ACCOUNT)
        self.kubernetes.apply(_READS_NODES)
        self.kubernetes.apply(rights(_SETTINGS))
        target = ClusterAddress(SERVER, None, NAMESPACE, SERVICE_ACCOUNT)
        self.held = target.material(self.kubernetes.add_token(NAMESPACE, SERVICE_ACCOUNT, FIRST))
        self._first = self.kubernetes.uid_of(NAMESPACE, FIRST)
        self._own = directory / "own-cluster-kubeconfig"
        self._http = httpx.Client(timeout=10)
        self.serving = (self.kubernetes, closing(self._http))

    def __enter__(self) -> Self:
        super().__enter__()
        self._own.touch(mode=0o600)
        self._own.write_text(self.kubernetes.kubeconfig(self.kubernetes.admin))
        return self

    @property
    def settings(self) -> Mapping[str, object]:
        """The service account, the key that is held, and where rotator's own kubeconfig is."""
        return {
            "provider": "byok",
            "current_key": self._first,
            "byok": {"kubeconfig": str(self._own), **_SECTION},
        }

    @property
    def environment(self) -> Mapping[str, str]:
        """Nothing: rotator's own rights are in its kubeconfig."""
        return {}

    @property
    def addresses(self) -> Mapping[str, str]:
        """The API server."""
        return {"Kubernetes": self.kubernetes.server.url}

    def keys(self) -> tuple[Key, ...]:
        """The Secrets of the service account."""
        return self.kubernetes.keys(NAMESPACE, SERVICE_ACCOUNT)

    def use(self, held: Mapping[str, str]) -> str:
        """List the cluster's nodes, as Northflank does."""
        token = token_of(Material(secret={FIELD: SecretStr(held[FIELD])})).get_secret_value()
        answer = self._http.get(
            f"{self.kubernetes.server.url}/api/v1/nodes", headers={"Authorization": f"Bearer {token}"}
        )
        return "" if answer.is_success else f"{NAMESPACE}/{SERVICE_ACCOUNT}: {answer.status_code}"


open_scene: OpenScene = ByokScene
