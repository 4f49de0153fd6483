"""The plain manifests: sound in old and new Kubernetes, restricted, and never a way to lose the journal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator.config.load import load
from tests.kubernetes.manifests import (
    IDENTITIES,
    SHAPES,
    VERSIONS,
    Manifest,
    containers,
    judged,
    only,
    overlay,
    parsed,
    pods,
    rotator,
)
from tests.kubernetes.tools import KUBERNETES

pytestmark = pytest.mark.machine

DATA = "/var/lib/rotator"


@pytest.fixture(scope="module", params=SHAPES)
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def manifests(shape: str, tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    return parsed(overlay(tmp_path_factory.mktemp(shape) / "mine", shape))


def test_every_field_is_known_to_kubernetes(tmp_path: Path) -> None:
    texts = {
        f"{shape}-{identity}": overlay(
            tmp_path / f"{shape}-{identity}", shape, identities=[identity] if identity else []
        )
        for shape in SHAPES
        for identity in (None, *IDENTITIES)
    }
    assert judged(texts, tmp_path) == ""


def test_the_judge_refuses_what_kubernetes_does_not_know(tmp_path: Path) -> None:
    text = overlay(tmp_path / "mine", "deployment").replace("fsGroupChangePolicy", "fsGroupChangePolice")
    against = judged({"wrong": text}, tmp_path)
    assert against.count("fsGroupChangePolice") == len(VERSIONS)


def test_pods_are_restricted(manifests: list[Manifest]) -> None:
    """What Pod Security Admission asks for in a namespace of `restricted`, and a read-only root besides."""
    (pod,) = pods(manifests)
    assert only(manifests, "Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    spec = pod["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"} & set(spec)
    allowed = {"configMap", "persistentVolumeClaim", "projected", "secret"}
    assert {kind for volume in spec["volumes"] for kind in volume if kind != "name"} <= allowed
    for container in containers(pod):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["readOnlyRootFilesystem"] is True
        assert context["runAsUser"] > 0
        assert "hostPort" not in str(container)
        assert container["resources"]["limits"]["memory"]


def test_there_is_one_rotator_and_the_old_one_is_gone_before_the_new_one_comes(manifests: list[Manifest]) -> None:
    (workload,) = (each for each in manifests if each["kind"] in {"Deployment", "CronJob"})
    spec = workload["spec"]
    if workload["kind"] == "Deployment":
        assert spec["replicas"] == 1
        assert spec["strategy"] == {"type": "Recreate"}
        return
    assert spec["concurrencyPolicy"] == "Forbid"
    job = spec["jobTemplate"]["spec"]
    assert job["backoffLimit"] == 0
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    assert rotator(job["template"])["args"] == ["run", "--once"]


def test_the_journal_and_the_audit_log_are_on_the_persistent_volume(manifests: list[Manifest], tmp_path: Path) -> None:
    (pod,) = pods(manifests)
    (mount,) = (each for each in rotator(pod)["volumeMounts"] if each["mountPath"] == DATA)
    (volume,) = (each for each in pod["spec"]["volumes"] if each["name"] == mount["name"])
    claim = only(manifests, "PersistentVolumeClaim")
    assert volume == {"name": mount["name"], "persistentVolumeClaim": {"claimName": claim["metadata"]["name"]}}
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    file = tmp_path / "rotator.yaml"
    file.write_text(only(manifests, "ConfigMap", "rotator-config")["data"]["rotator.yaml"])
    config = load(file, {})
    assert config.store.path.is_relative_to(f"{DATA}/data")
    assert config.audit.file is not None
    assert Path(config.audit.file).is_relative_to(f"{DATA}/data")
    assert "emptyDir" not in str(manifests)


def test_probes_ask_the_port_that_the_config_listens_at(shape: str, manifests: list[Manifest]) -> None:
    (pod,) = pods(manifests)
    config = yaml.safe_load(only(manifests, "ConfigMap", "rotator-config")["data"]["rotator.yaml"])
    container = rotator(pod)
    probes = {name: probe for name, probe in container.items() if name.endswith("Probe")}
    if shape == "cronjob":
        assert probes == {}
        return
    address, _, port = config["health"]["listen"].rpartition(":")
    assert address == "0.0.0.0"  # noqa: S104  # the kubelet doesn't reach the loopback of a pod
    assert container["ports"] == [{"name": "health", "containerPort": int(port)}]
    paths = {name: probe["httpGet"] for name, probe in probes.items()}
    asked = {"livenessProbe": "/healthz"}
    if shape == "deployment":
        asked |= {"startupProbe": "/healthz", "readinessProbe": "/readyz"}
    assert paths == {name: {"path": path, "port": "health"} for name, path in asked.items()}


def test_the_kubelet_leaves_the_files_of_the_journal_alone(manifests: list[Manifest]) -> None:
    """test_pod.py shows what becomes of a journal whose files were opened to the group."""
    (pod,) = pods(manifests)
    context = pod["spec"]["securityContext"]
    assert context["fsGroupChangePolicy"] == "OnRootMismatch"
    assert context["fsGroup"] == rotator(pod)["securityContext"]["runAsGroup"]


def test_there_is_time_to_drain(manifests: list[Manifest]) -> None:
    (pod,) = pods(manifests)
    assert pod["spec"]["terminationGracePeriodSeconds"] >= 15


def test_secrets_are_files_for_rotator_alone(manifests: list[Manifest]) -> None:
    (pod,) = pods(manifests)
    assert "secretKeyRef" not in str(pod)
    assert "secretRef" not in str(pod)
    (volume,) = (each for each in pod["spec"]["volumes"] if "secret" in each)
    assert volume["secret"]["defaultMode"] == 0o440
    mounting = [each["name"] for each in containers(pod) if volume["name"] in str(each.get("volumeMounts"))]
    assert mounting == ["rotator"]


def test_no_token_of_kubernetes_is_mounted(manifests: list[Manifest]) -> None:
    (pod,) = pods(manifests)
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert only(manifests, "ServiceAccount")["automountServiceAccountToken"] is False
    assert "serviceAccountToken" not in str(pod)


def test_the_network_is_names_and_https_and_nothing_of_the_node(manifests: list[Manifest]) -> None:
    (pod,) = pods(manifests)
    policy = only(manifests, "NetworkPolicy")["spec"]
    assert set(policy["podSelector"]["matchLabels"].items()) <= set(pod["metadata"]["labels"].items())
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    (ingress,) = policy["ingress"]
    assert ingress["ports"] == [{"protocol": "TCP", "port": 8086}]
    assert ingress["from"]
    ports = {(each["protocol"], each["port"]) for rule in policy["egress"] for each in rule["ports"]}
    assert ports == {("UDP", 53), ("TCP", 53), ("TCP", 443)}
    assert all(rule["to"] for rule in policy["egress"])
    (web,) = (rule for rule in policy["egress"] if rule["ports"] == [{"protocol": "TCP", "port": 443}])
    blocks = {each["ipBlock"]["cidr"]: each["ipBlock"]["except"] for each in web["to"]}
    assert "169.254.0.0/16" in blocks["0.0.0.0/0"]


def test_a_native_sidecar_is_the_plain_one_in_another_place(tmp_path: Path) -> None:
    """So what a run of the plain one proves holds for it, too."""
    (plain,) = pods(parsed(overlay(tmp_path / "plain", "sidecar")))
    (native,) = pods(parsed(overlay(tmp_path / "native", "native-sidecar")))
    container = rotator(native)
    assert container.pop("restartPolicy") == "Always"
    assert native["spec"].pop("initContainers") == [container] == [rotator(plain)]
    plain["spec"]["containers"].remove(container)
    assert native == plain


def test_all_shapes_run_the_same_container(shape: str, manifests: list[Manifest], tmp_path: Path) -> None:
    (pod,) = pods(manifests)
    (usual,) = pods(parsed(overlay(tmp_path / "usual", "deployment")))

    def bare(container: Manifest) -> dict[str, Any]:
        # The environment's name has the hash of its content: a CronJob's has an alarm of its own.
        its_own = {"args", "envFrom", "ports", "startupProbe", "livenessProbe", "readinessProbe", "restartPolicy"}
        return {key: value for key, value in container.items() if key not in its_own}

    assert bare(rotator(pod)) == bare(rotator(usual)), shape
    assert pod["spec"]["volumes"] == usual["spec"]["volumes"]
    assert pod["spec"]["securityContext"] == usual["spec"]["securityContext"]


def test_the_image_has_one_place(shape: str, manifests: list[Manifest]) -> None:
    (pod,) = pods(manifests)
    (ours,) = yaml.safe_load((KUBERNETES / "image" / "kustomization.yaml").read_text())["images"]
    assert rotator(pod)["image"] == f"{ours['newName']}:{ours['newTag']}", shape
