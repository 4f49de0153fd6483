"""The Kubernetes stand-in, judged by lightkube unchanged, and by plain requests where that can't say it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from lightkube import ApiError, Client, KubeConfig
from lightkube.models.authentication_v1 import BoundObjectReference, TokenRequestSpec
from lightkube.models.authorization_v1 import ResourceAttributes, SelfSubjectAccessReviewSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.authentication_v1 import SelfSubjectReview
from lightkube.resources.authorization_v1 import SelfSubjectAccessReview
from lightkube.resources.core_v1 import Node, Secret, ServiceAccount, ServiceAccountToken
from lightkube.types import PatchType

from rotator.sandbox.byok.scene import ByokScene
from rotator.sandbox.byok.stand_in import KubernetesStandIn
from rotator.sandbox.wire.serving import utc_now

NAMESPACE, ACCOUNT = "byoc", "northflank"
NAME_OF = "kubernetes.io/service-account.name"
ROLE = f"""\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: all, namespace: {NAMESPACE}}}
rules:
  - {{apiGroups: [""], resources: [secrets], verbs: ["*"]}}
  - {{apiGroups: [""], resources: [serviceaccounts], resourceNames: [{ACCOUNT}], verbs: [get]}}
  - {{apiGroups: [""], resources: [serviceaccounts/token], resourceNames: [{ACCOUNT}], verbs: [create]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: all, namespace: {NAMESPACE}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: all}}
subjects: [{{kind: ServiceAccount, name: rotator, namespace: rotator}}]
"""


@pytest.fixture
def kubernetes() -> Iterator[KubernetesStandIn]:
    with KubernetesStandIn() as stand_in:
        stand_in.cluster.add_account(NAMESPACE, ACCOUNT)
        stand_in.apply(ROLE)
        yield stand_in


def client(kubernetes: KubernetesStandIn, token: str | None = None) -> Client:
    config = KubeConfig.from_dict(yaml.safe_load(kubernetes.kubeconfig(token or kubernetes.admin)))
    return Client(config, namespace=NAMESPACE, trust_env=False)


@contextmanager
def refused(code: int, reason: str, text: str | None = None) -> Iterator[None]:
    with pytest.raises(ApiError, match=text) as caught:
        yield
    assert (caught.value.status.code, caught.value.status.reason) == (code, reason)
    assert caught.value.response.headers["Audit-Id"]


def secret(name: str = "a", **more: Any) -> Secret:
    return Secret(metadata=ObjectMeta(name=name, **more), type="Opaque")


def token_secret(name: str, account: str = ACCOUNT) -> Secret:
    metadata = ObjectMeta(name=name, annotations={NAME_OF: account})
    return Secret(metadata=metadata, type="kubernetes.io/service-account-token")


def token_request(*, seconds: int = 3600, bound: Secret | None = None, uid: str | None = None) -> ServiceAccountToken:
    reference = None
    if bound is not None:
        assert bound.metadata is not None
        reference = BoundObjectReference(
            apiVersion="v1", kind="Secret", name=bound.metadata.name, uid=uid or bound.metadata.uid
        )
    return ServiceAccountToken(
        metadata=ObjectMeta(),
        spec=TokenRequestSpec(audiences=[], expirationSeconds=seconds, boundObjectRef=reference),
    )


def requested(kubernetes: KubernetesStandIn, *, seconds: int = 3600, bound: Secret | None = None) -> str:
    status = client(kubernetes).create(token_request(seconds=seconds, bound=bound), ACCOUNT).status
    assert status is not None
    assert status.token
    return status.token


def who(kubernetes: KubernetesStandIn, token: str) -> str | None:
    status = client(kubernetes, token).create(SelfSubjectReview()).status
    assert status is not None
    assert status.userInfo is not None
    return status.userInfo.username


class TestWho:
    def test_a_token_tells_whose_it_is(self, kubernetes: KubernetesStandIn) -> None:
        assert who(kubernetes, kubernetes.admin) == "system:serviceaccount:rotator:rotator"
        assert who(kubernetes, requested(kubernetes)) == f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"

    def test_an_unknown_token(self, kubernetes: KubernetesStandIn) -> None:
        with refused(401, "Unauthorized"):
            who(kubernetes, "nobodys")

    def test_nobody_is_anonymous(self, kubernetes: KubernetesStandIn) -> None:
        answer = httpx.get(f"{kubernetes.server.url}/api/v1/nodes")
        assert (answer.status_code, answer.json()["reason"]) == (403, "Forbidden")
        assert 'User "system:anonymous" cannot list resource "nodes"' in answer.json()["message"]

    def test_a_fresh_token_is_unknown_for_a_while_and_a_persons_works_at_once(
        self, kubernetes: KubernetesStandIn
    ) -> None:
        kubernetes.cluster.propagation = timedelta(seconds=30)
        assert who(kubernetes, kubernetes.add_token(NAMESPACE, ACCOUNT, "by-hand"))
        fresh = requested(kubernetes)
        with refused(401, "Unauthorized"):
            who(kubernetes, fresh)
        kubernetes.server.clock = lambda: utc_now() + timedelta(seconds=31)
        assert who(kubernetes, fresh)

    def test_every_token_is_remembered(self, kubernetes: KubernetesStandIn) -> None:
        assert kubernetes.secrets == {kubernetes.admin, requested(kubernetes)}


class TestTokens:
    def test_a_bound_token_dies_with_its_secret(self, kubernetes: KubernetesStandIn) -> None:
        token = requested(kubernetes, bound=client(kubernetes).create(secret()))
        assert kubernetes.works(token)
        client(kubernetes).delete(Secret, "a")
        with refused(401, "Unauthorized"):
            who(kubernetes, token)
        client(kubernetes).create(secret())
        assert not kubernetes.works(token)  # another Secret of the same name

    def test_a_token_ends(self, kubernetes: KubernetesStandIn) -> None:
        token = requested(kubernetes, seconds=600)
        kubernetes.server.clock = lambda: utc_now() + timedelta(seconds=599)
        assert kubernetes.works(token)
        kubernetes.server.clock = lambda: utc_now() + timedelta(seconds=601)
        assert not kubernetes.works(token)

    def test_the_answer_tells_the_cap(self, kubernetes: KubernetesStandIn) -> None:
        now = utc_now().replace(microsecond=0)
        kubernetes.server.clock = lambda: now
        kubernetes.cluster.longest = timedelta(hours=1)
        made = client(kubernetes).create(token_request(seconds=90_000), ACCOUNT)
        assert made.spec is not None
        assert made.status is not None
        assert (made.spec.expirationSeconds, made.status.expirationTimestamp) == (3600, now + timedelta(hours=1))

    def test_what_is_refused(self, kubernetes: KubernetesStandIn) -> None:
        api = client(kubernetes)
        bound = api.create(secret())
        with refused(422, "Invalid", "less than 10 minutes"):
            api.create(token_request(seconds=599), ACCOUNT)
        with refused(422, "Invalid", r"larger than 2\^32"):
            api.create(token_request(seconds=2**32 + 1), ACCOUNT)
        with refused(409, "Conflict", "does not match the UID in record"):
            api.create(token_request(bound=bound, uid="another"), ACCOUNT)
        api.delete(Secret, "a")
        with refused(404, "NotFound", 'secrets "a" not found'):
            api.create(token_request(bound=bound), ACCOUNT)
        kubernetes.cluster.delete_account(NAMESPACE, ACCOUNT)
        with refused(404, "NotFound", f'serviceaccounts "{ACCOUNT}" not found'):
            api.create(token_request(), ACCOUNT)

    def test_the_controller_fills_a_token_secret(self, kubernetes: KubernetesStandIn) -> None:
        api = client(kubernetes)
        kubernetes.cluster.controller_delay = timedelta(seconds=5)
        assert not api.create(token_secret("t")).data
        assert not api.get(Secret, "t").data
        kubernetes.server.clock = lambda: utc_now() + timedelta(seconds=6)
        data = api.get(Secret, "t").data
        assert data is not None
        assert data.keys() == {"token", "namespace"}

    def test_a_token_secret_of_nobody_goes_away(self, kubernetes: KubernetesStandIn) -> None:
        client(kubernetes).create(token_secret("t", "nobody"))
        with refused(404, "NotFound"):
            client(kubernetes).get(Secret, "t")

    def test_with_its_account_a_token_secret_goes_as_well(self, kubernetes: KubernetesStandIn) -> None:
        token = kubernetes.add_token(NAMESPACE, ACCOUNT, "t")
        bound = requested(kubernetes, bound=client(kubernetes).create(secret()))
        kubernetes.cluster.delete_account(NAMESPACE, ACCOUNT)
        assert [kubernetes.works(each) for each in (token, bound)] == [False, False]
        kubernetes.cluster.add_account(NAMESPACE, ACCOUNT)  # another one of the same name
        assert [kubernetes.works(each) for each in (token, bound)] == [False, False]
        assert [each.metadata and each.metadata.name for each in client(kubernetes).list(Secret)] == ["a"]


class TestSecrets:
    def test_names_are_taken_once_and_follow_dns(self, kubernetes: KubernetesStandIn) -> None:
        api = client(kubernetes)
        api.create(secret("a.b-1"))
        with refused(409, "AlreadyExists", 'secrets "a.b-1" already exists'):
            api.create(secret("a.b-1"))
        for name in ("A", "-a", "a_b", "a" * 254):
            with refused(422, "Invalid", "metadata.name"):
                api.create(secret(name))

    def test_what_breaks_a_rule(self, kubernetes: KubernetesStandIn) -> None:
        api = client(kubernetes)
        with refused(422, "Invalid", "metadata.labels"):
            api.create(secret(labels={"a": "not a value"}))
        with refused(422, "Invalid", "metadata.annotations"):
            api.create(secret(annotations={"not a key": "x"}))
        with refused(422, "Invalid", "service-account.name"):
            api.create(Secret(metadata=ObjectMeta(name="t"), type="kubernetes.io/service-account-token"))
        with refused(400, "BadRequest", "base64"):
            api.create(Secret(metadata=ObjectMeta(name="d"), data={"x": "%"}))
        assert list(api.list(Secret)) == []

    def test_a_namespace_that_is_not_there_lists_as_empty_and_takes_nothing(
        self, kubernetes: KubernetesStandIn
    ) -> None:
        kubernetes.apply(ROLE.replace(f"namespace: {NAMESPACE}", "namespace: nowhere"))
        assert list(client(kubernetes).list(Secret, namespace="nowhere")) == []
        with refused(404, "NotFound", 'namespaces "nowhere" not found'):
            client(kubernetes).create(secret(), namespace="nowhere")

    def test_lists_are_selected_and_come_in_pages(self, kubernetes: KubernetesStandIn) -> None:
        api = client(kubernetes)
        for number in range(7):
            api.create(secret(f"s{number}", labels={"odd": str(number % 2)}))
        kubernetes.add_token(NAMESPACE, ACCOUNT, "t")

        def names(**selector: Any) -> list[str | None]:
            found = api.list(Secret, chunk_size=2, **selector)
            return [None if each.metadata is None else each.metadata.name for each in found]

        assert names() == ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "t"]
        assert names(labels={"odd": "1"}) == ["s1", "s3", "s5"]
        assert names(fields={"type": "kubernetes.io/service-account-token"}) == ["t"]
        with refused(400, "BadRequest", "field label not supported"):
            names(fields={"data": "x"})

    @pytest.mark.parametrize("patch_type", [PatchType.STRATEGIC, PatchType.MERGE])
    def test_a_patch_merges_into_what_may_change(self, kubernetes: KubernetesStandIn, patch_type: PatchType) -> None:
        api = client(kubernetes)
        before = api.create(secret(annotations={"a": "1", "b": "2"})).metadata
        patch: dict[str, Any] = {"metadata": {"annotations": {"b": None, "c": "3"}}}
        after = api.patch(Secret, "a", patch, patch_type=patch_type).metadata
        assert after is not None
        assert before is not None
        assert after.annotations == {"a": "1", "c": "3"}
        assert (after.uid, after.resourceVersion != before.resourceVersion) == (before.uid, True)
        with refused(409, "Conflict"):
            api.patch(Secret, "a", {"metadata": {"resourceVersion": before.resourceVersion}}, patch_type=patch_type)
        with refused(422, "Invalid", "immutable"):
            api.patch(Secret, "a", {"type": "other"}, patch_type=patch_type)
        with refused(404, "NotFound"):
            api.patch(Secret, "none", patch, patch_type=patch_type)

    def test_a_delete_can_mean_one_object_alone(self, kubernetes: KubernetesStandIn) -> None:
        made = client(kubernetes).create(secret()).metadata
        assert made is not None

        def delete(uid: str | None) -> httpx.Response:
            return httpx.request(
                "DELETE",
                f"{kubernetes.server.url}/api/v1/namespaces/{NAMESPACE}/secrets/a",
                headers={"Authorization": f"Bearer {kubernetes.admin}"},
                json={"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid}},
            )

        assert (delete("another").status_code, delete("another").json()["reason"]) == (409, "Conflict")
        assert delete(made.uid).json()["status"] == "Success"
        assert delete(made.uid).status_code == 404

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            ({"content": b"{"}, 400),
            ({"content": b"[]"}, 400),
            ({"content": json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {}, "odd": 1}).encode()}, 400),
            ({"content": json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}).encode()}, 400),
            ({"headers": {"Content-Type": "text/plain"}}, 415),
            ({"method": "PUT"}, 405),
            ({"path": "/api/v1/unheard-of"}, 403),
        ],
    )
    def test_what_no_client_sends(self, kubernetes: KubernetesStandIn, change: dict[str, Any], status: int) -> None:
        path = change.pop("path", f"/api/v1/namespaces/{NAMESPACE}/secrets")
        headers = {"Content-Type": "application/json", **change.pop("headers", {})}
        headers["Authorization"] = f"Bearer {kubernetes.admin}"
        answer = httpx.request(
            url=kubernetes.server.url + path, headers=headers, **{"method": "POST", "content": b"{}", **change}
        )
        assert (answer.status_code, answer.json()["code"], answer.json()["kind"]) == (status, status, "Status")


class TestRights:
    @pytest.mark.parametrize(
        "call",
        [
            lambda api: api.get(ServiceAccount, "another"),
            lambda api: api.create(token_request(), "another"),
            lambda api: list(api.list(Node)),
            lambda api: list(api.list(Secret, namespace="rotator")),
        ],
    )
    def test_what_no_role_grants(self, kubernetes: KubernetesStandIn, call: Callable[[Client], object]) -> None:
        with refused(403, "Forbidden", 'User "system:serviceaccount:rotator:rotator" cannot'):
            call(client(kubernetes))

    def test_everybody_may_ask_what_they_may(self, kubernetes: KubernetesStandIn) -> None:
        def allowed(verb: str, resource: str, *, name: str | None = None, sub: str | None = None) -> bool:
            wanted = ResourceAttributes(namespace=NAMESPACE, verb=verb, resource=resource, subresource=sub, name=name)
            spec = SelfSubjectAccessReviewSpec(resourceAttributes=wanted)
            status = client(kubernetes).create(SelfSubjectAccessReview(spec=spec)).status
            assert status is not None
            return status.allowed

        assert allowed("create", "secrets")
        assert allowed("create", "serviceaccounts", name=ACCOUNT, sub="token")
        assert not allowed("create", "serviceaccounts", name="another", sub="token")
        assert not allowed("get", "serviceaccounts")
        kubernetes.denied.add("create secrets")
        assert not allowed("create", "secrets")

    def test_rights_can_be_taken(self, kubernetes: KubernetesStandIn) -> None:
        kubernetes.rbac.clear()
        with refused(403, "Forbidden"):
            list(client(kubernetes).list(Secret))


def test_a_workload_of_the_scene_fails_when_its_key_is_gone(tmp_path: Path) -> None:
    with ByokScene(tmp_path, clock=utc_now, propagation=timedelta(0)) as scene:
        held = scene.held.reveal()
        (key,) = scene.keys()
        assert scene.use(held) == ""
        with scene.kubernetes.cluster.lock:
            scene.kubernetes.cluster.delete("northflank", key.mark or "", {})
        assert "401" in scene.use(held)
