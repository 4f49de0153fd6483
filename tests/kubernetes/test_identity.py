"""Who rotator is in the clouds: each SDK finds what a component of identity/ gives the pod."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from azure.identity import WorkloadIdentityCredential
from botocore.session import Session
from google.auth import identity_pool

from rotator.providers.byok.rights import rights
from rotator.providers.byok.settings import ByokSection, ByokSettings
from tests.kubernetes.manifests import IDENTITIES, SHAPES, Manifest, only, overlay, parsed, pods, rotator
from tests.kubernetes.tools import KUBERNETES

pytestmark = pytest.mark.machine

TOKENS = "/run/secrets/identity"


def given(manifests: list[Manifest]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The environment of the pod's container, and the audience of each token by its path."""
    (pod,) = pods(manifests)
    environment: dict[str, str] = {}
    for source in rotator(pod)["envFrom"]:
        environment |= only(manifests, "ConfigMap", source["configMapRef"]["name"])["data"]
    (mount,) = (each for each in rotator(pod)["volumeMounts"] if each["mountPath"] == TOKENS)
    (volume,) = (each for each in pod["spec"]["volumes"] if each["name"] == mount["name"])
    tokens = [source["serviceAccountToken"] for source in volume["projected"]["sources"]]
    return environment, {f"{TOKENS}/{each['path']}": each["audience"] for each in tokens}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gets_the_same(shape: str, tmp_path: Path) -> None:
    clouds = [each for each in IDENTITIES if each != "byok"]
    manifests = parsed(overlay(tmp_path / "mine", shape, identities=clouds))
    environment, tokens = given(manifests)
    assert environment["AWS_WEB_IDENTITY_TOKEN_FILE"] in tokens
    assert environment["AZURE_FEDERATED_TOKEN_FILE"] in tokens
    assert tokens[environment["AWS_WEB_IDENTITY_TOKEN_FILE"]] == "sts.amazonaws.com"
    assert tokens[environment["AZURE_FEDERATED_TOKEN_FILE"]] == "api://AzureADTokenExchange"
    assert len(tokens) == len(clouds)


def test_the_aws_sdk_takes_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment, _ = given(parsed(overlay(tmp_path / "mine", "deployment", identities=["aws"])))
    token = tmp_path / "token"
    token.write_text("a token of the cluster")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in environment.items():
        monkeypatch.setenv(name, str(token) if name == "AWS_WEB_IDENTITY_TOKEN_FILE" else value)
    credentials = Session().get_credentials()
    assert credentials is not None
    assert credentials.method == "assume-role-with-web-identity"


def test_the_google_sdk_takes_the_token(tmp_path: Path) -> None:
    manifests = parsed(overlay(tmp_path / "mine", "deployment", identities=["gcp"]))
    environment, tokens = given(manifests)
    directory, _, name = environment["GOOGLE_APPLICATION_CREDENTIALS"].rpartition("/")
    (pod,) = pods(manifests)
    mounted = {each["mountPath"]: each["name"] for each in rotator(pod)["volumeMounts"]}
    (volume,) = (each for each in pod["spec"]["volumes"] if each["name"] == mounted[directory])
    text = only(manifests, "ConfigMap", volume["configMap"]["name"])["data"][name]
    file = tmp_path / "credentials.json"
    file.write_text(text)
    credentials = identity_pool.Credentials.from_file(str(file))
    assert credentials.service_account_email == "rotator@my-project.iam.gserviceaccount.com"
    said = json.loads(text)
    assert f"https:{said['audience']}" == tokens[said["credential_source"]["file"]]


def test_the_azure_sdk_takes_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment, _ = given(parsed(overlay(tmp_path / "mine", "deployment", identities=["azure"])))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    # It says so if a variable that it needs isn't there; the token itself is read at each use.
    with WorkloadIdentityCredential():
        pass
    monkeypatch.delenv("AZURE_TENANT_ID")
    with pytest.raises(ValueError, match="tenant_id"):
        WorkloadIdentityCredential()


def test_in_the_cluster_rotator_has_the_rights_that_it_asks_for(tmp_path: Path) -> None:
    manifests = parsed(overlay(tmp_path / "mine", "deployment", identities=["byok"]))
    (pod,) = pods(manifests)
    assert pod["spec"]["automountServiceAccountToken"] is True
    section = ByokSection(namespace="northflank", service_account="northflank")
    settings = ByokSettings(byok=section)
    assert parsed((KUBERNETES / "identity" / "byok" / "role.yaml").read_text()) == parsed(rights(settings))
    (subject,) = only(manifests, "RoleBinding")["subjects"]
    account = only(manifests, "ServiceAccount")["metadata"]
    assert (subject["namespace"], subject["name"]) == (account["namespace"], account["name"])
    assert account["name"] == pod["spec"]["serviceAccountName"]
    assert account["namespace"] == only(manifests, "Deployment")["metadata"]["namespace"]


def test_kustomizations_name_all_components() -> None:
    for shape in SHAPES:
        text = (KUBERNETES / shape / "kustomization.yaml").read_text()
        assert yaml.safe_load(text)["components"] == ["../image"]
        assert all(f"# - ../identity/{identity}\n" in text for identity in IDENTITIES)
