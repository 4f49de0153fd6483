"""The IAM API of the Google Cloud stand-in: `google.iam.admin.v1.IAM` over gRPC, with the SDK's own message types."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIEnvironment

from cryptography.hazmat.primitives import serialization
from google.cloud import iam_admin_v1 as iam
from google.iam.v1.iam_policy_pb2 import TestIamPermissionsRequest, TestIamPermissionsResponse
from werkzeug.wrappers import Request, Response

from rotator.sandbox.gcp.project import Project, ProjectAccount, StoredKey
from rotator.sandbox.gcp.refusal import GcpRefusal, denied, not_found, unauthenticated

SERVICE = "/google.iam.admin.v1.IAM/"
_PREFIX = 5  # bytes before a message: whether it is compressed, and its length
_NAME = re.compile(r"projects/([^/]+)/serviceAccounts/([^/]+)(?:/keys/([^/]+))?")


class IamService:
    """The API, as a WSGI application whose answers carry the gRPC status in headers (see `http2`).

    Args:
        project: what it shows and changes.
        caller: who sends this request, by its access token.
        denied: permissions that are refused whatever was granted.
        strays: what a list shows beside an account's keys.
    """

    def __init__(
        self,
        project: Project,
        caller: Callable[[Request], ProjectAccount | None],
        denied: set[str],
        strays: Sequence[iam.ServiceAccountKey] = (),
    ) -> None:
        self._project = project
        self._caller = caller
        self._denied = denied
        self._strays = strays
        self._methods: Mapping[str, Callable[[ProjectAccount, bytes], bytes]] = {
            "GetServiceAccount": self._get_account,
            "TestIamPermissions": self._test_permissions,
            "ListServiceAccountKeys": self._list,
            "GetServiceAccountKey": self._get,
            "CreateServiceAccountKey": self._create,
            "UploadServiceAccountKey": self._upload,
            "DisableServiceAccountKey": self._disable,
            "EnableServiceAccountKey": self._enable,
            "DeleteServiceAccountKey": self._delete,
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one call."""
        request = Request(environ)
        try:
            answer = self._answer(request)
        except GcpRefusal as refusal:
            return _refusal(refusal)(environ, start_response)
        body = b"\0" + len(answer).to_bytes(4, "big") + answer
        headers = {"grpc-status": "0"}
        return Response(body, 200, headers, content_type="application/grpc")(environ, start_response)

    def _answer(self, request: Request) -> bytes:
        caller = self._caller(request)
        if caller is None:
            raise unauthenticated()
        method = self._methods.get(request.path.removeprefix(SERVICE))
        if method is None:
            raise GcpRefusal("UNIMPLEMENTED", "The stand-in doesn't know this method.")
        return method(caller, request.get_data()[_PREFIX:])

    def _allowed(self, caller: ProjectAccount, name: str, permission: str) -> tuple[ProjectAccount, str]:
        """The account and the key that a name means, if the caller has this permission over them."""
        parts = _NAME.fullmatch(name)
        if parts is None:
            raise GcpRefusal("INVALID_ARGUMENT", "Invalid form of a service account's or a key's resource name.")
        account = self._project.account(parts[2]) if parts[1] in {"-", self._project.project} else None
        if account is None:
            raise denied(permission, name) if parts[1] == "-" else not_found("Unknown service account")
        if not self._may(caller, permission, account):
            raise denied(permission, account.name)
        return account, parts[3] or ""

    def _may(self, caller: ProjectAccount, permission: str, account: ProjectAccount) -> bool:
        return permission not in self._denied and (permission, account.email) in caller.may

    def _get_account(self, caller: ProjectAccount, message: bytes) -> bytes:
        asked = iam.GetServiceAccountRequest.deserialize(message)
        account, _ = self._allowed(caller, asked.name, "iam.serviceAccounts.get")
        return _bytes(
            iam.ServiceAccount(
                name=account.name,
                project_id=account.project,
                unique_id=account.unique_id,
                email=account.email,
                oauth2_client_id=account.unique_id,
            )
        )

    def _test_permissions(self, caller: ProjectAccount, message: bytes) -> bytes:
        asked = TestIamPermissionsRequest.FromString(message)
        parts = _NAME.fullmatch(asked.resource)
        account = self._project.account(parts[2]) if parts else None
        if account is None:
            raise not_found("Unknown service account")
        granted = [each for each in asked.permissions if self._may(caller, each, account)]
        return bytes(TestIamPermissionsResponse(permissions=granted).SerializeToString())

    def _list(self, caller: ProjectAccount, message: bytes) -> bytes:
        asked = iam.ListServiceAccountKeysRequest.deserialize(message)
        account, _ = self._allowed(caller, asked.name, "iam.serviceAccountKeys.list")
        kinds = iam.ListServiceAccountKeysRequest.KeyType
        listed = []
        if not asked.key_types or kinds.USER_MANAGED in asked.key_types:
            listed += [*self._strays, *(_shown(account, key) for key in self._project.keys(account))]
        if not asked.key_types or kinds.SYSTEM_MANAGED in asked.key_types:
            listed.append(
                iam.ServiceAccountKey(
                    name=f"{account.name}/keys/{'0' * 40}",
                    key_type=kinds.SYSTEM_MANAGED,
                    key_origin=iam.ServiceAccountKeyOrigin.GOOGLE_PROVIDED,
                )
            )
        return _bytes(iam.ListServiceAccountKeysResponse(keys=listed))

    def _get(self, caller: ProjectAccount, message: bytes) -> bytes:
        asked = iam.GetServiceAccountKeyRequest.deserialize(message)
        account, key_id = self._allowed(caller, asked.name, "iam.serviceAccountKeys.get")
        key = self._project.key(account, key_id)
        shown = _shown(account, key)
        if asked.public_key_type is iam.ServiceAccountPublicKeyType.TYPE_RAW_PUBLIC_KEY:
            shown.public_key_data = key.public.public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        return _bytes(shown)

    def _create(self, caller: ProjectAccount, message: bytes) -> bytes:
        asked = iam.CreateServiceAccountKeyRequest.deserialize(message)
        account, _ = self._allowed(caller, asked.name, "iam.serviceAccountKeys.create")
        key, key_file = self._project.create_key(account, propagation=self._project.propagation)
        made = _shown(account, key)
        made.private_key_data = key_file.encode()
        return _bytes(made)

    def _upload(self, caller: ProjectAccount, message: bytes) -> bytes:
        asked = iam.UploadServiceAccountKeyRequest.deserialize(message)
        account, _ = self._allowed(caller, asked.name, "iam.serviceAccountKeys.create")
        key = self._project.upload_key(account, asked.public_key_data, propagation=self._project.propagation)
        return _bytes(_shown(account, key))

    def _disable(self, caller: ProjectAccount, message: bytes) -> bytes:
        asked = iam.DisableServiceAccountKeyRequest.deserialize(message)
        account, key_id = self._allowed(caller, asked.name, "iam.serviceAccountKeys.disable")
        self._project.key(account, key_id).disabled = True
        return b""

    def _enable(self, caller: ProjectAccount, message: bytes) -> bytes:
        asked = iam.EnableServiceAccountKeyRequest.deserialize(message)
        account, key_id = self._allowed(caller, asked.name, "iam.serviceAccountKeys.enable")
        self._project.key(account, key_id).disabled = False
        return b""

    def _delete(self, caller: ProjectAccount, message: bytes) -> bytes:
        asked = iam.DeleteServiceAccountKeyRequest.deserialize(message)
        account, key_id = self._allowed(caller, asked.name, "iam.serviceAccountKeys.delete")
        self._project.delete_key(account, key_id)
        return b""


def _shown(account: ProjectAccount, key: StoredKey) -> iam.ServiceAccountKey:
    origins = iam.ServiceAccountKeyOrigin
    return iam.ServiceAccountKey(
        name=f"{account.name}/keys/{key.key_id}",
        key_algorithm=iam.ServiceAccountKeyAlgorithm.KEY_ALG_RSA_2048,
        valid_after_time=key.valid_after,
        valid_before_time=key.valid_before,
        key_origin=origins.USER_PROVIDED if key.uploaded else origins.GOOGLE_PROVIDED,
        key_type=iam.ListServiceAccountKeysRequest.KeyType.USER_MANAGED,
        disabled=key.disabled,
    )


def _bytes(message: Any) -> bytes:
    return cast("bytes", type(message).serialize(message))


def _refusal(refusal: GcpRefusal) -> Response:
    # https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md: the message is percent-encoded, `-bin` is base64.
    headers = {"grpc-status": str(refusal.number), "grpc-message": quote(refusal.message, safe=_PLAIN)}
    details = refusal.status()
    if details:
        headers["grpc-status-details-bin"] = base64.b64encode(details).decode().rstrip("=")
    return Response(b"", 200, headers, content_type="application/grpc")


_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
KEY_PERMISSIONS: Sequence[str] = tuple(
    f"iam.serviceAccountKeys.{action}" for action in ("create", "delete", "disable", "enable", "get", "list")
)
"""What the provider needs of the account's keys."""
