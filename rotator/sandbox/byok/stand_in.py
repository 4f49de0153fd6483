"""The Kubernetes stand-in: an API server with bearer tokens, RBAC, Secrets, TokenRequests and the self-reviews.

What it answers is what kube-apiserver answers, Status objects and `Audit-Id` included; unknown fields are refused, as
`fieldValidation=Strict` has it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import uuid4
from wsgiref.types import StartResponse, WSGIEnvironment

import yaml
from werkzeug.wrappers import Request, Response

from rotator.model import Key
from rotator.providers.byok.kubeconfig import FIELD, ClusterAddress
from rotator.sandbox.byok.cluster import KubernetesCluster, ServiceAccount, stamp
from rotator.sandbox.byok.rbac import Attempt, Rbac
from rotator.sandbox.byok.secret import ACCOUNT, Json
from rotator.sandbox.byok.status import StatusRefusal, bad_request, forbidden, unauthorized
from rotator.sandbox.wire.faults import Faults
from rotator.sandbox.wire.serving import Served, Server
from rotator.sandbox.wire.tls import LoopbackTls

_AUTHENTICATION, _AUTHORIZATION = "authentication.k8s.io", "authorization.k8s.io"
_PATH = re.compile(
    r"/api/v1(/namespaces/(?P<namespace>[^/]+))?/(?P<resource>nodes|secrets|serviceaccounts)"
    r"(/(?P<name>[^/]+)(/(?P<sub>token))?)?"
    rf"|/apis/(?P<group>{_AUTHENTICATION}|{_AUTHORIZATION})/v1/(?P<review>selfsubjectreviews|selfsubjectaccessreviews)"
)
_BEARER = re.compile(r"Bearer ([!-~]+)")
_BODY_TYPES = {
    "POST": {"application/json"},
    "PATCH": {"application/merge-patch+json", "application/strategic-merge-patch+json"},
}
_ANONYMOUS = "system:anonymous"
_BASIC_USER = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "system:basic-user"}
rules:
  - {apiGroups: [authentication.k8s.io], resources: [selfsubjectreviews], verbs: [create]}
  - {apiGroups: [authorization.k8s.io], resources: [selfsubjectaccessreviews], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "system:basic-user"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:basic-user"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: "system:authenticated"}]
"""


@dataclass(frozen=True, slots=True)
class _ApiRequest:
    """A request that was authenticated and allowed."""

    user: ServiceAccount
    verb: str
    resource: str
    namespace: str
    name: str
    query: Mapping[str, str]
    body: Json


class KubernetesStandIn(Served):
    """One API server on loopback, served between entering and leaving its `with` block.

    It starts with the service account `rotator` in the namespace `rotator`, which may do nothing that not everybody
    may. The methods below go around the fault plan, and aren't counted in it.

    Args:
        port: a fixed port, or 0 for a free one.
        tls: with which it serves https; None for http.

    Attributes:
        cluster: what there is; hold its `lock` to look at it.
        rbac: who may do what.
        denied: what is refused whatever RBAC says, as `create secrets` or `create serviceaccounts/token`.
        admin: a token of rotator's own account.
        ca: who vouches for it (PEM); None for http.
        faults: what goes wrong, and what was asked.
        server: where it listens, and what time it is there.
    """

    def __init__(self, *, port: int = 0, tls: LoopbackTls | None = None) -> None:
        self.denied: set[str] = set()
        self.rbac = Rbac()
        self.faults = Faults(self._respond)
        self.server = Server(self.faults, port=port, tls=tls.server if tls else None)
        self.serving = (self.server,)
        self.ca = tls.ca_file.read_bytes() if tls else None
        self.cluster = KubernetesCluster(self._now)
        self.apply(_BASIC_USER)
        own = self.cluster.add_account("rotator", "rotator")
        self.admin = self.cluster.issue(own, secret=None, ends_at=None, at_once=True)

    @property
    def secrets(self) -> set[str]:
        """Every token that it ever gave out, to be searched for where none may be."""
        return self.cluster.secrets

    def apply(self, manifests: str) -> None:
        """What `kubectl apply` does with service accounts, roles and bindings."""
        with self.cluster.lock:
            for manifest in yaml.safe_load_all(manifests):
                if manifest["kind"] == "ServiceAccount":
                    self.cluster.add_account(manifest["metadata"]["namespace"], manifest["metadata"]["name"])
                else:
                    self.rbac.apply(manifest)

    def kubeconfig(self, token: str) -> str:
        """For `kubectl` and the like, with this token in it. Known once it serves."""
        return ClusterAddress(self.server.url, self.ca, "rotator", "rotator").material(token).reveal()[FIELD]

    def add_token(self, namespace: str, account: str, name: str) -> str:
        """Create a token Secret of this name as an operator would. Returns its token, which works at once."""
        with self.cluster.lock:
            return self.cluster.add_token(self.cluster.account(namespace, account), name)

    def uid_of(self, namespace: str, name: str) -> str:
        """The uid of a Secret. Raises Refused if there is none of this name."""
        with self.cluster.lock:
            return str(self.cluster.secret(namespace, name)["metadata"]["uid"])

    def keys(self, namespace: str, account: str) -> tuple[Key, ...]:
        """The Secrets that tokens of this account live with, as their annotations say."""
        with self.cluster.lock:
            listed = tuple(self.cluster.listed(namespace))
        return tuple(_key(each) for each in listed if each["metadata"].get("annotations", {}).get(ACCOUNT) == account)

    def works(self, token: str) -> bool:
        """The token is some account's, and alive."""
        with self.cluster.lock:
            return self.cluster.holder(token) is not None

    def _now(self) -> datetime:
        return self.server.clock()

    def _respond(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ, populate_request=False)
        with self.cluster.lock:
            try:
                code, said = self._answer(request)
            except StatusRefusal as refusal:
                code, said = refusal.code, refusal.status()
        response = Response(json.dumps(said), code, mimetype="application/json")
        response.headers["Audit-Id"] = str(uuid4())
        return response(environ, start_response)

    def _answer(self, request: Request) -> tuple[HTTPStatus, Json]:
        user = self._authenticated(request)
        username = _ANONYMOUS if user is None else user.username
        attempt = _attempt(request, username)
        if user is None or not self._allows(user, attempt):
            raise forbidden(
                username,
                attempt.verb,
                attempt.resource,
                group=attempt.group,
                namespace=attempt.namespace,
                name=attempt.name,
            )
        asked = _ApiRequest(
            user,
            attempt.verb,
            attempt.resource,
            attempt.namespace or "",
            attempt.name or "",
            request.args,
            _body(request),
        )
        return self._carry_out(asked)

    def _authenticated(self, request: Request) -> ServiceAccount | None:
        header = request.headers.get("Authorization")
        if header is None:
            return None
        bearer = _BEARER.fullmatch(header)
        user = self.cluster.holder(bearer[1]) if bearer else None
        if user is None:
            raise unauthorized()
        return user

    def _allows(self, user: ServiceAccount, attempt: Attempt) -> bool:
        return f"{attempt.verb} {attempt.resource}" not in self.denied and self.rbac.allows(user.username, attempt)

    def _carry_out(self, asked: _ApiRequest) -> tuple[HTTPStatus, Json]:
        cluster = self.cluster
        routes: Mapping[tuple[str, str], Callable[[], Json]] = {
            ("create", "secrets"): lambda: cluster.create(asked.namespace, asked.body),
            ("get", "secrets"): lambda: cluster.secret(asked.namespace, asked.name),
            ("list", "secrets"): lambda: _page(self._selected(asked), asked.query),
            ("patch", "secrets"): lambda: cluster.patch(asked.namespace, asked.name, asked.body),
            ("delete", "secrets"): lambda: self._deleted(asked),
            ("get", "serviceaccounts"): lambda: _shown(cluster.account(asked.namespace, asked.name)),
            ("create", "serviceaccounts/token"): lambda: self._token(asked),
            ("create", "selfsubjectreviews"): lambda: self._who(asked),
            ("create", "selfsubjectaccessreviews"): lambda: self._may(asked),
            ("list", "nodes"): lambda: _list("NodeList", [{"metadata": {"name": "node-1"}}]),
        }
        carry_out = routes.get((asked.verb, asked.resource))
        if carry_out is None:
            message = "the server does not allow this method on the requested resource"
            raise StatusRefusal(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
        return HTTPStatus.CREATED if asked.verb == "create" else HTTPStatus.OK, carry_out()

    def _selected(self, asked: _ApiRequest) -> list[Json]:
        labels = _selector(asked.query.get("labelSelector", ""))
        fields = _selector(asked.query.get("fieldSelector", ""))
        if unknown := sorted(fields.keys() - {"type", "metadata.name"}):
            raise bad_request(f'field label not supported: "{unknown[0]}"')
        return [
            found
            for found in self.cluster.listed(asked.namespace)
            if labels.items() <= found["metadata"].get("labels", {}).items()
            and fields.get("type", found["type"]) == found["type"]
            and fields.get("metadata.name", found["metadata"]["name"]) == found["metadata"]["name"]
        ]

    def _deleted(self, asked: _ApiRequest) -> Json:
        gone = self.cluster.delete(asked.namespace, asked.name, asked.body.get("preconditions", {}))
        details = {"name": asked.name, "kind": "secrets", "uid": gone["metadata"]["uid"]}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}

    def _token(self, asked: _ApiRequest) -> Json:
        spec = _reviewed(asked.body, _AUTHENTICATION, "TokenRequest")
        seconds, token, ends_at = self.cluster.request_token(asked.namespace, asked.name, spec)
        status = {"token": token, "expirationTimestamp": stamp(ends_at)}
        granted = {**spec, "audiences": ["https://kubernetes.default.svc"], "expirationSeconds": seconds}
        created = {"name": asked.name, "namespace": asked.namespace, "creationTimestamp": stamp(self.cluster.now())}
        return _review(_AUTHENTICATION, "TokenRequest", metadata=created, spec=granted, status=status)

    def _who(self, asked: _ApiRequest) -> Json:
        _reviewed(asked.body, _AUTHENTICATION, "SelfSubjectReview")
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{asked.user.namespace}", "system:authenticated"]
        user = {"username": asked.user.username, "uid": asked.user.uid, "groups": groups}
        created = {"creationTimestamp": stamp(self.cluster.now())}
        return _review(_AUTHENTICATION, "SelfSubjectReview", metadata=created, status={"userInfo": user})

    def _may(self, asked: _ApiRequest) -> Json:
        spec = _reviewed(asked.body, _AUTHORIZATION, "SelfSubjectAccessReview")
        wanted = spec.get("resourceAttributes")
        if not isinstance(wanted, dict) or "verb" not in wanted or "resource" not in wanted:
            raise bad_request("spec.resourceAttributes: the stand-in judges nothing else")
        resource = "/".join(filter(None, (wanted["resource"], wanted.get("subresource"))))
        attempt = Attempt(
            wanted["verb"],
            wanted.get("group", ""),
            resource,
            wanted.get("namespace") or None,
            wanted.get("name") or None,
        )
        status = {"allowed": self._allows(asked.user, attempt)}
        return _review(_AUTHORIZATION, "SelfSubjectAccessReview", metadata={}, spec=spec, status=status)


def _key(found: Json) -> Key:
    metadata = found["metadata"]
    ends = metadata["annotations"].get("rotator/expires-at")
    return Key(
        metadata["uid"],
        datetime.fromisoformat(metadata["creationTimestamp"]),
        expires_at=None if ends is None else datetime.fromisoformat(ends),
        mark=metadata["name"],
    )


def _attempt(request: Request, username: str) -> Attempt:
    found = _PATH.fullmatch(request.path)
    if found is None:
        message = f'forbidden: User "{username}" cannot {request.method.lower()} path "{request.path}"'
        raise StatusRefusal(HTTPStatus.FORBIDDEN, "Forbidden", message)
    resource = found["review"] or "/".join(filter(None, (found["resource"], found["sub"])))
    verbs = {"POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}
    verb = verbs.get(request.method, "get" if found["name"] else "list")
    return Attempt(verb, found["group"] or "", resource, found["namespace"], found["name"])


def _body(request: Request) -> Json:
    data = request.get_data()
    types = _BODY_TYPES.get(request.method)
    if types is None and not data:
        return {}
    if types is not None and request.mimetype not in types:
        message = (
            "the body of the request was in an unknown format - accepted media types include: "
            f"{', '.join(sorted(types))}"
        )
        raise StatusRefusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    try:
        body = json.loads(data)
    except ValueError:
        raise bad_request("the object provided is unrecognized (must be of type Status)") from None
    if not isinstance(body, dict):
        raise bad_request("the object provided is unrecognized (must be of type Status)")
    return body


def _reviewed(body: Json, group: str, kind: str) -> Mapping[str, Any]:
    if (body.get("apiVersion"), body.get("kind")) != (f"{group}/v1", kind):
        raise bad_request(f"the object provided is no {kind} of {group}/v1")
    if unknown := sorted(body.keys() - {"apiVersion", "kind", "metadata", "spec", "status"}):
        raise bad_request(f'strict decoding error: unknown field "{unknown[0]}"')
    spec = body.get("spec", {})
    return spec if isinstance(spec, dict) else {}


def _review(group: str, kind: str, **parts: object) -> Json:
    return {"kind": kind, "apiVersion": f"{group}/v1", **parts}


def _shown(account: ServiceAccount) -> Json:
    metadata = {
        "name": account.name,
        "namespace": account.namespace,
        "uid": account.uid,
        "creationTimestamp": stamp(account.created_at),
    }
    return {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": metadata}


def _list(kind: str, items: list[Json], **metadata: object) -> Json:
    return {"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": "1000", **metadata}, "items": items}


def _page(found: list[Json], query: Mapping[str, str]) -> Json:
    """A list as far as `limit`, with a token that continues it."""
    try:
        limit = int(query.get("limit") or 0) or len(found)
        after = base64.b64decode(query.get("continue", ""), validate=True).decode()
    except (ValueError, binascii.Error):
        raise bad_request("continue key is not valid") from None
    rest = [each for each in found if each["metadata"]["name"] > after]
    # The members of a list don't repeat their kind.
    items = [{name: value for name, value in each.items() if name not in {"kind", "apiVersion"}} for each in rest]
    if len(items) <= limit:
        return _list("SecretList", items)
    last = items[limit - 1]["metadata"]["name"].encode()
    return _list("SecretList", items[:limit], **{"continue": base64.b64encode(last).decode()})


def _selector(text: str) -> Mapping[str, str]:
    parts = [part.replace("==", "=").partition("=") for part in text.split(",") if part]
    if any(not sign or name.endswith("!") for name, sign, _ in parts):
        raise bad_request(f"unable to parse requirement: the stand-in reads key=value alone, not {text}")
    return {name: value for name, _, value in parts}
