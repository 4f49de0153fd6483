"""Ways into a cluster: kubeconfigs, pods, TLS; and what Northflank's kubeconfig says of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from lightkube import Client, KubeConfig
from lightkube.resources.authentication_v1 import SelfSubjectReview

from rotator.errors import CallFailed, RotatorError, Verdict
from rotator.model import Proof
from rotator.providers.byok.access import Access
from rotator.providers.byok.kubeconfig import ClusterAddress
from rotator.providers.byok.provider import ByokAccount, open_provider
from rotator.providers.byok.rights import rights
from rotator.providers.byok.settings import ByokSection, ByokSettings
from rotator.sandbox.byok.stand_in import KubernetesStandIn
from rotator.sandbox.wire.tls import LoopbackTls
from tests.providers.contract import everything_in
from tests.support.given import tools

NAMESPACE, ACCOUNT = "byoc", "northflank"
WHO = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
SECTION = ByokSection(namespace=NAMESPACE, service_account=ACCOUNT)
UNUSED = httpx.Client()
TOKEN = "canary.token"


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def kubernetes(tmp_path: Path) -> Iterator[KubernetesStandIn]:
    with KubernetesStandIn(tls=LoopbackTls.made_in(tmp_path)) as stand_in:
        stand_in.cluster.add_account(NAMESPACE, ACCOUNT)
        stand_in.apply(rights(ByokSettings(byok=SECTION)))
        yield stand_in


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    def written(text: str) -> str:
        file = tmp_path / "own-kubeconfig"
        file.write_text(text)
        return str(file)

    return written


def opened(**settings: object) -> ByokAccount:
    return open_provider(
        ByokSettings(byok=SECTION.model_copy(update=settings)), tools(timedelta(seconds=20), http=UNUSED)
    )


def own(server: str, ca: bytes | None, token: str) -> str:
    return ClusterAddress(server, ca, "rotator", "rotator").material(token).reveal()["kubeconfig"]


def pushed(provider: ByokAccount) -> str:
    return provider.mint(provider.draft("7f3a", 1)).material.reveal()["kubeconfig"]


def test_over_tls_by_the_ca_in_the_kubeconfig_and_so_does_northflank(
    kubernetes: KubernetesStandIn, write: Callable[[str], str]
) -> None:
    provider = opened(kubeconfig=write(kubernetes.kubeconfig(kubernetes.admin)))
    assert provider.list_keys().keys == ()
    minted = provider.mint(provider.draft("7f3a", 1))
    assert provider.prove(minted.material) is Proof.ALIVE
    held = KubeConfig.from_dict(yaml.safe_load(minted.material.reveal()["kubeconfig"]))
    with Client(held, trust_env=False) as northflank:
        status = northflank.create(SelfSubjectReview()).status
        assert northflank.namespace == NAMESPACE
    assert status is not None
    assert status.userInfo is not None
    assert status.userInfo.username == WHO


def test_a_ca_in_a_file_beside_the_kubeconfig_goes_inline_to_northflank(
    kubernetes: KubernetesStandIn, write: Callable[[str], str], tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_bytes(kubernetes.ca or b"")
    text: Any = yaml.safe_load(own(kubernetes.server.url, None, kubernetes.admin))
    text["clusters"][0]["cluster"]["certificate-authority"] = "ca.pem"
    held = yaml.safe_load(pushed(opened(kubeconfig=write(yaml.safe_dump(text)))))
    assert (
        held["clusters"][0]["cluster"]
        == yaml.safe_load(own(kubernetes.server.url, kubernetes.ca, ""))["clusters"][0]["cluster"]
    )


def test_the_ca_in_the_kubeconfig_comes_before_a_ca_file(
    kubernetes: KubernetesStandIn, write: Callable[[str], str]
) -> None:
    text = changed(kubernetes.kubeconfig(kubernetes.admin), cluster={"certificate-authority": "/nowhere/ca.pem"})
    assert opened(kubeconfig=write(text)).list_keys().keys == ()


def test_a_server_that_nobody_vouches_for_is_sent_nothing(
    kubernetes: KubernetesStandIn, write: Callable[[str], str]
) -> None:
    provider = opened(kubeconfig=write(own(kubernetes.server.url, None, kubernetes.admin)))
    with pytest.raises(CallFailed, match="certificate") as caught:
        pushed(provider)
    assert caught.value.verdict is Verdict.NOT_APPLIED
    assert kubernetes.faults.requests() == []


def test_northflanks_own_way_to_the_cluster(
    kubernetes: KubernetesStandIn, write: Callable[[str], str], tmp_path: Path
) -> None:
    ca = tmp_path / "public.pem"
    ca.write_text("the CA of another address")
    kubeconfig = write(kubernetes.kubeconfig(kubernetes.admin))
    text = pushed(opened(kubeconfig=kubeconfig, server="https://k8s.example.com", ca_file=str(ca)))
    assert yaml.safe_load(text) == yaml.safe_load(
        ClusterAddress("https://k8s.example.com", b"the CA of another address", NAMESPACE, ACCOUNT)
        .material(yaml.safe_load(text)["users"][0]["user"]["token"])
        .reveal()["kubeconfig"]
    )


class TestPod:
    @pytest.fixture
    def pod(self, kubernetes: KubernetesStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        for name, content in (
            ("token", kubernetes.admin.encode()),
            ("ca.crt", kubernetes.ca or b""),
            ("namespace", b"rotator"),
        ):
            (tmp_path / name).write_bytes(content)
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(kubernetes.server.port))
        return tmp_path

    def test_its_service_account_is_found(self, pod: Path, kubernetes: KubernetesStandIn) -> None:
        access = Access.of(SECTION, pod=str(pod))
        assert (access.server, access.in_cluster, access.ca) == (kubernetes.server.url, True, kubernetes.ca)

    def test_its_token_is_read_anew_each_time(self, pod: Path, kubernetes: KubernetesStandIn) -> None:
        access = Access.of(SECTION, pod=str(pod))
        assert access.bearer is not None
        assert access.bearer() == kubernetes.admin
        (pod / "token").write_text("another\n")
        assert access.bearer() == "another"
        (pod / "token").unlink()
        with pytest.raises(CallFailed, match="can't be read") as caught:
            access.bearer()
        assert caught.value.verdict is Verdict.NOT_APPLIED

    def test_a_kubeconfig_of_ones_own_comes_first(self, pod: Path, write: Callable[[str], str]) -> None:
        access = Access.of(
            SECTION.model_copy(update={"kubeconfig": write(own("https://k8s.example.com", None, TOKEN))}), pod=str(pod)
        )
        assert (access.server, access.in_cluster) == ("https://k8s.example.com", False)


def test_the_environment_names_a_kubeconfig(write: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", write(own("https://k8s.example.com", None, TOKEN)))
    assert opened().identity == f"byok:{NAMESPACE}/{ACCOUNT}@https://k8s.example.com"


def test_the_usual_place_of_a_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(own("https://home.example.com", None, TOKEN))
    assert opened().identity.endswith("@https://home.example.com")


def changed(text: str, **user_or_cluster: dict[str, object]) -> str:
    read = yaml.safe_load(text)
    for part, values in user_or_cluster.items():
        read[f"{part}s"][0][part] |= values
    return yaml.safe_dump(read)


def twice(text: str, entries: str) -> str:
    read = yaml.safe_load(text)
    read[entries] *= 2
    return yaml.safe_dump(read)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (own("http://k8s.example.com", None, TOKEN), "is not https"),
        (changed(own("https://a", None, TOKEN), cluster={"insecure-skip-tls-verify": True}), "name the CA"),
        (changed(own("https://a", None, TOKEN), user={"exec": {"apiVersion": "v1", "command": "aws"}}), "plug-in"),
        (changed(own("https://a", None, TOKEN), user={"username": "u", "password": TOKEN}), "password"),
        (own("https://a", None, TOKEN).replace("current-context: cluster", ""), "context"),
        (own("https://a", None, TOKEN).replace("current-context: cluster", "current-context: none"), "none"),
        (f"users: [{TOKEN}, {{", "own-kubeconfig is no YAML: line 1"),
        (json.dumps({"users": [TOKEN]}), "has no current-context"),
        (json.dumps({"current-context": "a", "contexts": [TOKEN]}), "`contexts` is no list of entries"),
        (json.dumps([TOKEN]), "is no mapping with clusters"),
        (
            changed(own("https://a", None, TOKEN), cluster={"proxy-url": "http://p:1"}),
            "cluster cluster has `proxy-url`",
        ),
        (changed(own("https://a", None, TOKEN), cluster={"tls-server-name": "b"}), "has `tls-server-name`"),
        (changed(own("https://a", None, TOKEN), user={"as": "root"}), "user rotator has `as`, which"),
        (
            changed(own("https://a", None, TOKEN), user={"as-groups": ["system:masters"]}),
            "user rotator has `as-groups`",
        ),
        (changed(own("https://a", None, TOKEN), user={"auth-provider": {"name": "oidc"}}), "has `auth-provider`"),
        (
            changed(own("https://a", None, TOKEN), cluster={"novel-field": 1}),
            "has `novel-field`, which rotator doesn't",
        ),
        (
            changed(own("https://a", None, TOKEN), context={"cluster": "b"}),
            "names the cluster b, and the file has none",
        ),
        (changed(own("https://a", None, TOKEN), context={"user": "b"}), "names the user b.* it has rotator"),
        (
            changed(own("https://a", None, TOKEN), user={"token": 1234}),
            r"context cluster: Expected `str.*got `int` - at `\$.token`",
        ),
        (
            changed(own("https://a", None, TOKEN), cluster={"certificate-authority-data": "no base64"}),
            "context cluster: `certificate-authority-data`",
        ),
        (changed(own("https://a", None, TOKEN), user={"client-key-data": "MQ=="}), "client-key without a client-cert"),
        (changed(own("https://a", None, TOKEN), cluster={"server": None}), "cluster cluster has no `server`"),
        (changed(own("https://a", None, TOKEN), cluster={"server": ""}), "cluster cluster has no `server`"),
        (changed(own("https://a", None, TOKEN), context={"user": None}), "context cluster names no user"),
        (changed(own("https://a", None, TOKEN), context={"userr": "b"}), "context cluster has `userr`"),
        (changed(own("https://a", None, TOKEN), user={"token": None}), "user rotator has no `token`, no `tokenFile`"),
        (changed(own("https://a", None, TOKEN), user={"token": ""}), "user rotator has no `token`, no `tokenFile`"),
        (twice(own("https://a", None, TOKEN), "users"), "has 2 entries in `users` with the name rotator"),
        (twice(own("https://a", None, TOKEN), "clusters"), "has 2 entries in `clusters` with the name cluster"),
        (
            changed(own("https://a", None, TOKEN), user={"client-key-data": "MQ==", "client-certificate-data": "MQ=="}),
            "context cluster: `client-certificate-data` or `client-key-data` can't be used",
        ),
    ],
)
def test_what_is_no_way_in_is_said_without_its_secrets(write: Callable[[str], str], text: str, said: str) -> None:
    with pytest.raises(RotatorError, match=said) as caught:
        opened(kubeconfig=write(text))
    assert caught.value.remedy
    assert TOKEN not in everything_in(caught.value)


def test_what_changes_nothing_may_be_there(write: Callable[[str], str]) -> None:
    text = own("https://a.example.com", None, TOKEN)
    more = {"extensions": [{"name": "minikube"}], "disable-compression": True, "proxy-url": ""}
    text = changed(text, cluster=more, context={"namespace": "x"})
    assert opened(kubeconfig=write(f"\ufeff{text}")).identity.endswith("@https://a.example.com")


def test_several_files_are_refused_by_name(write: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(own("https://k8s.example.com", None, TOKEN))
    monkeypatch.setenv("KUBECONFIG", f"{file}:")
    assert opened().identity.endswith("@https://k8s.example.com")
    monkeypatch.setenv("KUBECONFIG", f"{file}:/elsewhere/config")
    with pytest.raises(RotatorError, match="KUBECONFIG names 2 files, and rotator reads one"):
        opened()


def test_what_is_broken_elsewhere_in_the_file_is_no_matter(write: Callable[[str], str]) -> None:
    read = yaml.safe_load(own("https://one.example.com", None, TOKEN))
    read["contexts"].append({"name": "broken", "context": {"cluster": "nowhere", "user": "rotator"}})
    read["users"].append({"name": "odd", "user": {"exec": 1}})
    file = write(yaml.safe_dump(read))
    assert opened(kubeconfig=file).identity.endswith("@https://one.example.com")
    with pytest.raises(RotatorError, match="context broken names the cluster nowhere"):
        opened(kubeconfig=file, context="broken")


def test_another_context_of_the_same_file(write: Callable[[str], str]) -> None:
    read = yaml.safe_load(own("https://one.example.com", None, TOKEN))
    read["clusters"].append({"name": "two", "cluster": {"server": "https://two.example.com"}})
    read["contexts"].append({"name": "second", "context": {"cluster": "two", "user": "rotator"}})
    file = write(yaml.safe_dump(read))
    assert opened(kubeconfig=file, context="second").identity.endswith("@https://two.example.com")
    with pytest.raises(RotatorError, match="third"):
        opened(kubeconfig=file, context="third")


def test_a_ca_file_that_is_not_there(write: Callable[[str], str], tmp_path: Path) -> None:
    with pytest.raises(RotatorError, match="CA file"):
        opened(kubeconfig=write(own("https://a", None, TOKEN)), ca_file=str(tmp_path / "none.pem"))
