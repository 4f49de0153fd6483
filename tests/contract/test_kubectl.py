"""The kubeconfig that Northflank gets, used by kubectl over TLS. Not in the default run: it needs kubectl."""

from __future__ import annotations

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from rotator.providers.byok.provider import open_provider
from rotator.providers.byok.rights import rights
from rotator.providers.byok.settings import ByokSettings
from rotator.sandbox.byok.stand_in import KubernetesStandIn
from rotator.sandbox.wire.tls import LoopbackTls
from tests.support.given import tools
from tests.support.patience import patience

KUBECTL = shutil.which("kubectl")
pytestmark = [pytest.mark.contract_js, pytest.mark.skipif(KUBECTL is None, reason="there is no kubectl on the PATH")]

SECTION = {"namespace": "byoc", "service_account": "northflank"}
NODES = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: nodes}
rules: [{apiGroups: [""], resources: [nodes], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: nodes}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: nodes}
subjects: [{kind: ServiceAccount, name: northflank, namespace: byoc}]
"""


def test_kubectl_takes_what_was_minted_until_it_is_deleted(tmp_path: Path) -> None:
    held = tmp_path / "held"

    def nodes() -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603  # the kubectl of this machine
            [str(KUBECTL), "--kubeconfig", str(held), "get", "--raw", "/api/v1/nodes"],
            env={"HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=patience(),
            check=False,
        )

    with KubernetesStandIn(tls=LoopbackTls.made_in(tmp_path)) as kubernetes:
        kubernetes.cluster.add_account("byoc", "northflank")
        kubernetes.apply(rights(ByokSettings.model_validate({"byok": SECTION})))
        kubernetes.apply(NODES)
        own = tmp_path / "own"
        own.write_text(kubernetes.kubeconfig(kubernetes.admin))
        provider = open_provider(
            ByokSettings.model_validate({"byok": {**SECTION, "kubeconfig": str(own)}}),
            tools(timedelta(seconds=20), http=httpx.Client()),
        )
        minted = provider.mint(provider.draft("7f3a", 1))
        held.write_text(minted.material.reveal()["kubeconfig"])
        assert "node-1" in nodes().stdout
        provider.delete(minted.key.key_id)
        assert "Unauthorized" in nodes().stderr
