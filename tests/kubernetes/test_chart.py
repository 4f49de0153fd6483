"""The Helm chart: the same pods as the plain manifests, and a plain no to what would lose the journal."""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator import __version__
from rotator.providers.byok.rights import rights
from rotator.providers.byok.settings import ByokSection, ByokSettings
from tests.kubernetes.manifests import Manifest, chart, containers, judged, only, overlay, parsed, pods, rotator
from tests.kubernetes.tools import CHART, KUBERNETES, ran, said

pytestmark = pytest.mark.machine

PLAIN_CONFIG: dict[str, Any] = yaml.safe_load((KUBERNETES / "base" / "rotator.yaml").read_text())
LEAST: Mapping[str, Any] = {"config": {"credentials": PLAIN_CONFIG["credentials"]}}
PROVIDER = "projects/123456789012/locations/global/workloadIdentityPools/POOL/providers/PROVIDER"
CLOUDS: Mapping[str, Mapping[str, str]] = {
    "aws": {"roleArn": "arn:aws:iam::123456789012:role/rotator"},
    "gcp": {"provider": PROVIDER, "serviceAccount": "rotator@my-project.iam.gserviceaccount.com"},
    "azure": {
        "clientId": "55555555-5555-5555-5555-555555555555",
        "tenantId": "11111111-1111-1111-1111-111111111111",
    },
}
ALL: Mapping[str, object] = {
    **LEAST,
    "image": {"digest": f"sha256:{'0' * 64}", "pullSecrets": ["registry"], "pullPolicy": "Always"},
    "identity": {**CLOUDS, "byok": {"enabled": True, "token": "secret"}},
    "environment": {"ROTATOR_LOG__LEVEL": "debug"},
    "persistence": {"storageClass": "fast", "accessMode": "ReadWriteOncePod", "keep": False},
    "serviceAccount": {"annotations": {"a": "b"}},
    "podLabels": {"team": "platform"},
    "podAnnotations": {"note": "one"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}}},
    "priorityClassName": "high",
}  # fmt: skip
VALUES: Mapping[str, Mapping[str, object]] = {
    "least": LEAST,
    "cronjob": {**LEAST, "mode": "cronjob"},
    "sidecar": {**LEAST, "mode": "sidecar"},
    "all": ALL,
    "all-cronjob": {**ALL, "mode": "cronjob"},
    "own-claim": {**LEAST, "persistence": {"existingClaim": "mine"}, "networkPolicy": {"enabled": False}},
}


def bare(pod: Manifest) -> Manifest:
    """A pod's spec without what only one of the two can have: checksums in names, and a pull policy."""
    spec: Manifest = copy.deepcopy(pod["spec"])
    for container in containers({"spec": spec}):
        container.pop("imagePullPolicy", None)
    return dict(json.loads(re.sub(r'"(rotator-(?:config|environment))-[0-9a-z]{10}"', r'"\1"', json.dumps(spec))))


def test_every_field_is_known_to_kubernetes(tmp_path: Path) -> None:
    assert judged({name: chart(values, tmp_path) for name, values in VALUES.items()}, tmp_path) == ""


@pytest.mark.parametrize("name", ["least", "cronjob", "all"])
def test_helm_has_nothing_against_it(name: str, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(VALUES[name]))
    said("helm", "lint", "--strict", CHART, "--values", values)


@pytest.mark.parametrize("mode", ["deployment", "cronjob"])
@pytest.mark.parametrize("clouds", [[], list(CLOUDS)], ids=["alone", "clouds"])
def test_the_pods_are_those_of_the_plain_manifests(mode: str, clouds: list[str], tmp_path: Path) -> None:
    values = {**LEAST, "mode": mode, "identity": {cloud: CLOUDS[cloud] for cloud in clouds}}
    ours = parsed(chart(values, tmp_path))
    plain = parsed(overlay(tmp_path / "mine", mode, identities=clouds))
    (pod,), (of_plain,) = pods(ours), pods(plain)
    assert bare(pod) == bare(of_plain)
    assert of_plain["metadata"]["labels"].items() <= pod["metadata"]["labels"].items()
    for name in ("rotator-config", "rotator-environment"):
        data, of_plains = only(ours, "ConfigMap", name)["data"], only(plain, "ConfigMap", name)["data"]
        assert {key: yaml.safe_load(text) for key, text in data.items()} == {
            key: yaml.safe_load(text) for key, text in of_plains.items()
        }
    for kind in ("PersistentVolumeClaim", "Deployment", "CronJob"):
        for each in (each for each in plain if each["kind"] == kind):
            its = {key: value for key, value in each["spec"].items() if "emplate" not in key and key != "selector"}
            assert its.items() <= only(ours, kind)["spec"].items()
    if mode == "deployment":
        assert only(ours, "NetworkPolicy")["spec"] == only(plain, "NetworkPolicy")["spec"]
    else:
        job, of_plains = (only(each, "CronJob")["spec"]["jobTemplate"]["spec"] for each in (ours, plain))
        assert {**job, "template": None} == {**of_plains, "template": None}


@pytest.mark.parametrize("shape", ["sidecar", "native-sidecar"])
def test_another_chart_takes_the_container_into_its_pod(shape: str, tmp_path: Path) -> None:
    parent = tmp_path / "parent"
    shutil.copytree(Path(__file__).with_name("parent"), parent)
    shutil.copytree(CHART, parent / "charts" / "rotator")
    values = {"native": shape == "native-sidecar", "rotator": {**LEAST, "mode": "sidecar"}}
    text = chart(values, tmp_path, source=parent)
    assert judged({shape: text}, tmp_path) == ""
    (pod,) = pods(parsed(text))
    (plain,) = pods(parsed(overlay(tmp_path / "mine", shape)))
    assert bare(pod) == bare(plain)


@pytest.mark.parametrize("name", VALUES)
def test_pods_are_restricted_whatever_the_values(name: str, tmp_path: Path) -> None:
    for pod in pods(parsed(chart(VALUES[name], tmp_path))):
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        context = rotator(pod)["securityContext"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert (context["readOnlyRootFilesystem"], context["allowPrivilegeEscalation"]) == (True, False)


def test_all_values_are_used(tmp_path: Path) -> None:
    manifests = parsed(chart(ALL, tmp_path))
    (pod,) = pods(manifests)
    assert rotator(pod)["image"].endswith(f"@sha256:{'0' * 64}")
    assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["metadata"]["labels"]["team"] == "platform"
    assert pod["metadata"]["annotations"]["note"] == "one"
    assert {"nodeSelector", "tolerations", "affinity", "priorityClassName"} <= pod["spec"].keys()
    assert pod["spec"]["automountServiceAccountToken"] is True
    assert only(manifests, "ConfigMap", "rotator-environment")["data"]["ROTATOR_LOG__LEVEL"] == "debug"
    claim = only(manifests, "PersistentVolumeClaim")
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert "annotations" not in claim["metadata"]
    section = ByokSection(namespace="northflank", service_account="northflank", token="secret")
    settings = ByokSettings(byok=section)
    for kind in ("Role", "RoleBinding"):
        assert only(manifests, kind) == only(parsed(rights(settings)), kind)


def test_a_claim_of_ones_own_is_taken(tmp_path: Path) -> None:
    manifests = parsed(chart(VALUES["own-claim"], tmp_path))
    (pod,) = pods(manifests)
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "mine"}} in pod["spec"]["volumes"]
    assert not [each for each in manifests if each["kind"] == "PersistentVolumeClaim"]


def test_a_new_config_makes_a_new_pod(tmp_path: Path) -> None:
    (pod,) = pods(parsed(chart(LEAST, tmp_path)))
    (changed,) = pods(parsed(chart({"config": {**LEAST["config"], "log": {"level": "debug"}}}, tmp_path)))
    assert pod["metadata"]["annotations"] != changed["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"persistence": {"enabled": False}}, "without a persistent volume a restart loses it"),
        ({"replicas": 2}, "additional properties 'replicas' not allowed"),
        ({"config": {"credentials": []}}, "config.credentials is empty"),
        ({"config": {**LEAST["config"], "store": {"url": "sqlite:////tmp/rotator.db"}}}, "must be below"),
        ({"config": {**LEAST["config"], "store": {"url": "sqlite:////var/lib/rotator/r.db"}}}, "not in its root"),
        ({"config": {**LEAST["config"], "audit": {"file": "/tmp/audit"}}}, "config.audit.file is /tmp/audit"),
        ({"config": {**LEAST["config"], "health": {"listen": "127.0.0.1:8086"}}}, "the kubelet's probes reach"),
        ({"config": {**LEAST["config"], "polcy": {}}}, "additional properties 'polcy' not allowed"),
        ({"persistence": {"accessMode": "ReadWriteMany"}}, "must be one of"),
        ({"identity": {"gcp": {"provider": PROVIDER}}}, "identity.gcp.serviceAccount goes with"),
        ({"mode": "daemonset"}, "must be one of"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_would_lose_the_journal_or_be_ignored_is_refused(
    values: dict[str, object], words: str, tmp_path: Path
) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump({**LEAST, **values}))
    done = ran("helm", "template", "rotator", CHART, "--values", file)
    assert done.returncode != 0
    assert words in done.stderr


def test_it_is_of_this_version() -> None:
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (about["version"], about["appVersion"]) == (__version__, __version__)


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("deployment", "exec deploy/rotator -- rotator check"),
        ("cronjob", "Exit code 4"),
        ("sidecar", "This chart makes no pod"),
    ],
)
def test_the_notes_say_what_comes_next(mode: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump({**LEAST, "mode": mode}))
    notes = said("helm", "install", "rotator", CHART, "--namespace", "rotator", "--dry-run=client", "--values", file)
    assert words in notes.partition("NOTES:")[2]
    assert "kubectl -n rotator create secret generic rotator-secrets" in notes
