"""The clouds as these tests see them: how each is opened, which requests are which, and how it says no."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, Literal

from google.rpc.error_details_pb2 import ErrorInfo

from rotator.providers.aws.trust import key_id_of
from rotator.sandbox.aws.role_scene import AwsRoleScene
from rotator.sandbox.aws.scene import USER, AwsScene
from rotator.sandbox.azure.scene import AzureScene
from rotator.sandbox.byok.scene import NAMESPACE, SERVICE_ACCOUNT, ByokScene
from rotator.sandbox.civo.scene import CivoScene
from rotator.sandbox.gcp.refusal import GcpRefusal
from rotator.sandbox.gcp.scene import GcpScene
from rotator.sandbox.oci.scene import OciScene
from rotator.sandbox.scene import OpenScene
from rotator.sandbox.wire.faults import Faults
from rotator.sandbox.wire.rules import Canned

Kind = Literal["list", "create", "prove", "disable", "delete"]


@dataclass(frozen=True, slots=True)
class Requests:
    """Some of a cloud's requests.

    Args:
        faults: the fault plan that they pass, of a scene.
        method, path, action: as a rule has them.
    """

    faults: Callable[[Any], Faults]
    method: str | None = None
    path: str = ""
    action: str | None = None

    @property
    def match(self) -> dict[str, Any]:
        """What selects them in the fault plan."""
        return {"method": self.method, "path": self.path, "action": self.action}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """One cloud. What it can do is for its provider to say.

    Args:
        name: in the tests' ids.
        scene: makes it; None is the one that a stage always has.
        requests: by kind; a kind that isn't there isn't made.
        throttled: how it says that there were too many requests.
        forbidden: how it says that a right is missing, by kind of request.
        rights: what a hold must say of the right that is missing, by kind of request.
        secrets: all that it ever gave out.
        make_key: a person makes a key beside rotator's; returns its id. None where that isn't possible.
        bring: a person makes the next key, and brings it. None where rotator makes the keys.
        interrupted: there is no working key to be held: a person has ended it by making the next one.
        settings: what the credential's entry in the config has beside the scene's.
        sees_use: it shows rotator when keys were used.
        prepare: what its scene needs where time is moved.
    """

    name: str
    scene: OpenScene | None
    requests: Mapping[Kind, Requests]
    throttled: Canned
    secrets: Callable[[Any], set[str]]
    forbidden: Mapping[Kind, Canned] = field(default_factory=dict)
    rights: Mapping[Kind, str] = field(default_factory=dict)
    make_key: Callable[[Any], str] | None = None
    bring: Callable[[Any], None] | None = None
    interrupted: Callable[[Any, Mapping[str, str]], bool] = lambda _scene, _held: False
    settings: Mapping[str, object] = field(default_factory=dict)
    sees_use: bool = False
    prepare: Callable[[Any], None] = lambda _scene: None


def _aws_faults(scene: AwsScene | AwsRoleScene) -> Faults:
    return scene.aws.faults


def _aws_says(status: int, code: str, message: str) -> Canned:
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    body = f'<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">{error}<RequestId>r</RequestId></ErrorResponse>'
    return Canned(status=status, body=body, content_type="text/xml")


def _aws_forbids(action: str) -> Canned:
    return _aws_says(403, "AccessDenied", f"User: x is not authorized to perform: {action} on resource: y")


def _sign_by_the_machine(scene: AwsScene | AwsRoleScene) -> None:
    """The SDK signs by the clock of its machine, which no test moves."""
    scene.aws.signing_clock = lambda: datetime.now(UTC)


AWS = Cloud(
    name="aws",
    scene=None,
    requests={
        "list": Requests(_aws_faults, action="ListAccessKeys"),
        "create": Requests(_aws_faults, action="CreateAccessKey"),
        "prove": Requests(_aws_faults, action="GetCallerIdentity"),
        "disable": Requests(_aws_faults, action="UpdateAccessKey"),
        "delete": Requests(_aws_faults, action="DeleteAccessKey"),
    },
    throttled=_aws_says(400, "Throttling", "Rate exceeded"),
    forbidden={"create": _aws_forbids("iam:CreateAccessKey"), "delete": _aws_forbids("iam:DeleteAccessKey")},
    rights={"create": "iam:CreateAccessKey", "delete": "iam:DeleteAccessKey"},
    make_key=lambda scene: scene.aws.create_key(USER).public["accessKey"],
    secrets=lambda scene: scene.aws.secrets,
    sees_use=True,
    prepare=_sign_by_the_machine,
)


_TRUST = Requests(_aws_faults, action="UpdateAssumeRolePolicy")


def _add_external_id(scene: AwsRoleScene) -> str:
    trust, external_id = deepcopy(scene.aws.trust(scene.role_arn)), token_hex(16)
    conditions = trust["Statement"][0]["Condition"]["StringEquals"]
    allowed = conditions["sts:ExternalId"]
    conditions["sts:ExternalId"] = [*([allowed] if isinstance(allowed, str) else allowed), external_id]
    scene.aws.set_trust(scene.role_arn, trust)
    return key_id_of(external_id)


AWS_ROLE = Cloud(
    name="aws-role",
    scene=AwsRoleScene,
    requests={
        "list": Requests(_aws_faults, action="GetRole"),
        "create": _TRUST,
        "prove": Requests(_aws_faults, action="AssumeRole"),
        "delete": _TRUST,
    },
    throttled=AWS.throttled,
    forbidden=dict.fromkeys(("create", "delete"), _aws_forbids("iam:UpdateAssumeRolePolicy")),
    rights=dict.fromkeys(("create", "delete"), "iam:UpdateAssumeRolePolicy"),
    make_key=_add_external_id,
    secrets=lambda scene: scene.aws.secrets,
    prepare=_sign_by_the_machine,
)


def grpc_trailers(refused: GcpRefusal) -> dict[str, str]:
    """The headers of an answer that is nothing but this refusal."""
    return {
        "grpc-status": str(refused.number),
        "grpc-message": refused.message,
        "grpc-status-details-bin": b64encode(refused.status()).decode().rstrip("="),
    }


def _grpc_says(code: str, message: str, reason: str) -> Canned:
    refused = GcpRefusal(code, message, ErrorInfo(reason=reason, domain="iam.googleapis.com"))
    return Canned(status=200, content_type="application/grpc", headers=grpc_trailers(refused))


def _gcp_forbids(right: str) -> Canned:
    return _grpc_says("PERMISSION_DENIED", f"Permission '{right}' denied on resource", "IAM_PERMISSION_DENIED")


def _gcp_iam(method: str) -> Requests:
    return Requests(lambda scene: scene.gcp.faults, path=f"/{method}$")


def _gcp_key(scene: GcpScene) -> str:
    key_file = json.loads(scene.gcp.create_key(scene.account).reveal()["keyfileJson"])
    return str(key_file["private_key_id"])


def _sign_google_by_the_machine(scene: GcpScene) -> None:
    scene.gcp.signing_clock = lambda: datetime.now(UTC)


GCP = Cloud(
    name="gcp",
    scene=GcpScene,
    requests={
        "list": _gcp_iam("ListServiceAccountKeys"),
        "create": _gcp_iam("UploadServiceAccountKey"),
        "prove": Requests(lambda scene: scene.gcp.faults, path="^/token$"),
        "disable": _gcp_iam("DisableServiceAccountKey"),
        "delete": _gcp_iam("DeleteServiceAccountKey"),
    },
    throttled=_grpc_says("RESOURCE_EXHAUSTED", "Quota exceeded", "RATE_LIMIT_EXCEEDED"),
    forbidden={
        "create": _gcp_forbids("iam.serviceAccountKeys.create"),
        "delete": _gcp_forbids("iam.serviceAccountKeys.delete"),
    },
    rights={"create": "iam.serviceAccountKeys.create", "delete": "iam.serviceAccountKeys.delete"},
    make_key=_gcp_key,
    secrets=lambda scene: scene.gcp.secrets,
    prepare=_sign_google_by_the_machine,
)

GCP_MADE_THERE = replace(
    GCP,
    name="gcp-made-there",
    requests={**GCP.requests, "create": _gcp_iam("CreateServiceAccountKey")},
    settings={"gcp": {"key_origin": "google"}},
)
"""Nothing shows which key a lost mint made, and there is room for another one beside it."""


def _oci_says(status: int, code: str, message: str) -> Canned:
    return Canned(status=status, body=json.dumps({"code": code, "message": message}), headers={"opc-request-id": "r"})


OCI_FORBIDS = _oci_says(404, "NotAuthorizedOrNotFound", "Authorization failed or requested resource not found.")


def _oci(method: str, path: str) -> Requests:
    return Requests(lambda scene: scene.oci.faults, method=method, path=path)


OCI = Cloud(
    name="oci",
    scene=OciScene,
    requests={
        "list": _oci("GET", "/apiKeys$"),
        "create": _oci("POST", "/apiKeys$"),
        "prove": _oci("GET", "/users/[^/]+$"),
        "delete": _oci("DELETE", "/apiKeys/"),
    },
    throttled=_oci_says(429, "TooManyRequests", "Too many requests for the user."),
    forbidden={"create": OCI_FORBIDS, "delete": OCI_FORBIDS},
    rights={"create": "UploadApiKey", "delete": "DeleteApiKey"},
    make_key=lambda scene: scene.oci.create_key(scene.user).public["fingerprint"],
    secrets=lambda scene: scene.oci.secrets,
)


def _kubernetes_says(status: int, reason: str, message: str) -> Canned:
    said = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": status}
    return Canned(status=status, body=json.dumps({**said, "reason": reason, "message": message}))


def _kubernetes_forbids(verb: str) -> Canned:
    return _kubernetes_says(403, "Forbidden", f'secrets is forbidden: User "x" cannot {verb} resource "secrets"')


def _kubernetes(method: str, path: str) -> Requests:
    return Requests(lambda scene: scene.kubernetes.faults, method=method, path=path)


def _token_secret(scene: ByokScene) -> str:
    name = f"by-hand-{len(scene.keys())}"
    scene.kubernetes.add_token(NAMESPACE, SERVICE_ACCOUNT, name)
    return scene.kubernetes.uid_of(NAMESPACE, name)


BYOK = Cloud(
    name="byok",
    scene=ByokScene,
    requests={
        "list": _kubernetes("GET", "/secrets$"),
        "create": _kubernetes("POST", "/secrets$"),
        "prove": _kubernetes("POST", "/selfsubjectreviews$"),
        "delete": _kubernetes("DELETE", "/secrets/"),
    },
    throttled=Canned(status=429, body="Too many requests, please try again later.", headers={"Retry-After": "1"}),
    forbidden={"create": _kubernetes_forbids("create"), "delete": _kubernetes_forbids("delete")},
    rights={"create": 'create resource "secrets"', "delete": 'delete resource "secrets"'},
    make_key=_token_secret,
    secrets=lambda scene: scene.kubernetes.secrets,
)


def _graph_says(status: int, code: str, message: str, **headers: str) -> Canned:
    body = json.dumps({"error": {"code": code, "message": message, "innerError": {"request-id": "r"}}})
    return Canned(status=status, body=body, headers={"request-id": "r", **headers})


def _azure(method: str, path: str) -> Requests:
    return Requests(lambda scene: scene.azure.faults, method=method, path=path)


_GRAPH_FORBIDS = _graph_says(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")

AZURE = Cloud(
    name="azure",
    scene=AzureScene,
    requests={
        "list": _azure("GET", "/applications"),
        "create": _azure("POST", "/addPassword$"),
        "prove": _azure("POST", "/oauth2/v2.0/token$"),
        "delete": _azure("POST", "/removePassword$"),
    },
    throttled=_graph_says(429, "TooManyRequests", "Too many requests", **{"Retry-After": "2"}),
    forbidden=dict.fromkeys(("create", "delete"), _GRAPH_FORBIDS),
    rights={"create": "addPassword", "delete": "removePassword"},
    make_key=lambda scene: scene.azure.create_secret(scene.app)[0].key_id,
    secrets=lambda scene: scene.azure.secrets,
)

CIVO = Cloud(
    name="civo",
    scene=CivoScene,
    requests=dict.fromkeys(("list", "prove"), Requests(lambda scene: scene.civo.faults, method="GET")),
    throttled=Canned(status=429, body='{"code": "too_many_requests", "reason": "Too many requests"}'),
    secrets=lambda scene: scene.civo.secrets,
    bring=lambda scene: scene.regenerate(),
    interrupted=lambda scene, held: scene.awaiting(held),
)

EVERY = (AWS, AWS_ROLE, GCP, AZURE, OCI, BYOK)
"""All whose keys rotator makes."""

MINTING = (*EVERY, GCP_MADE_THERE)
"""All the ways in which rotator makes keys."""

SUPPLIED = (CIVO,)
"""All whose keys a person makes."""

TWO = (AWS, AZURE)
"""For what goes wrong at Northflank, where clouds differ by their capabilities alone: one that shows which key a lost
mint made, and one that doesn't."""
