"""How each cloud's refusal looks where every field of it, and every header, repeats some text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from html import escape
from urllib.parse import quote

from google.rpc.error_details_pb2 import ErrorInfo

from rotator.sandbox.gcp.refusal import GcpRefusal
from rotator.sandbox.wire.rules import Canned
from tests.clouds.clouds import Kind, grpc_trailers

Says = Callable[[str], Canned]

_IDS = ("x-request-id", "x-amzn-requestid", "request-id", "client-request-id", "opc-request-id", "x-ms-request-id")


def _everywhere(status: int, body: str, text: str, content_type: str = "application/json") -> Canned:
    line = text.replace("\n", " ")
    headers = {**dict.fromkeys(_IDS, line), "Server": line, "Retry-After": line, "Date": line}
    return Canned(status=status, body=body, content_type=content_type, headers=headers)


def _aws(text: str) -> Canned:
    said = escape(text)
    error = f"<Error><Type>{said}</Type><Code>{said}</Code><Message>{said}</Message></Error>"
    return _everywhere(
        403, f"<ErrorResponse>{error}<RequestId>{said}</RequestId></ErrorResponse>", text, content_type="text/xml"
    )


def _grpc(text: str) -> Canned:
    details = ErrorInfo(reason=text, domain=text, metadata={"permission": text, "resource": text})
    refused = GcpRefusal("PERMISSION_DENIED", text, details)
    trailers = grpc_trailers(refused) | {"grpc-message": quote(text)}
    return Canned(status=200, content_type="application/grpc", headers=trailers)


def _oauth(text: str) -> Canned:
    said = {"error": text, "error_description": f"AADSTS7000112: {text} Trace ID: {text}", "error_codes": [7000112]}
    return _everywhere(401, json.dumps({**said, "trace_id": text, "correlation_id": text, "suberror": text}), text)


def _graph(text: str) -> Canned:
    inner = {"request-id": text, "client-request-id": text, "date": text}
    return _everywhere(403, json.dumps({"error": {"code": text, "message": text, "innerError": inner}}), text)


def _oci(text: str) -> Canned:
    return _everywhere(400, json.dumps({"code": text, "message": text}), text)


def _kubernetes(text: str) -> Canned:
    said = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 422}
    details = {"name": text, "kind": text, "causes": [{"reason": text, "message": text, "field": text}]}
    return _everywhere(422, json.dumps({**said, "reason": text, "message": text, "details": details}), text)


def _civo(text: str) -> Canned:
    return _everywhere(403, json.dumps({"code": "denied", "reason": text, "result": text}), text)


def northflank(text: str) -> Canned:
    """Northflank's."""
    error = {"status": 400, "message": text, "id": text, "details": {text: [text]}}
    return _everywhere(400, json.dumps({"error": error}), text)


def _all(says: Says, **others: Says) -> Mapping[Kind, Says]:
    kinds: tuple[Kind, ...] = ("list", "create", "prove", "disable", "delete")
    return {kind: others.get(kind, says) for kind in kinds}


ECHOES: Mapping[str, Mapping[Kind, Says]] = {
    "aws": _all(_aws),
    "aws-role": _all(_aws),
    "gcp": _all(_grpc, prove=_oauth),
    "gcp-made-there": _all(_grpc, prove=_oauth),
    "azure": _all(_graph, prove=_oauth),
    "oci": _all(_oci),
    "byok": _all(_kubernetes),
    "civo": _all(_civo),
}
"""By the cloud's name in these tests, and by the kind of the request."""
