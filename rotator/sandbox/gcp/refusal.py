"""What Google Cloud says when it refuses: a status, and the details that its APIs put beside it (AIP-193)."""

from __future__ import annotations

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo, PreconditionFailure
from google.rpc.status_pb2 import Status
from grpc import StatusCode

CUSTOM = "custom."
"""How the names of an organisation's own constraints begin."""


class GcpRefusal(Exception):
    """A refusal.

    Args:
        code: the name of a gRPC status.
        message: in Google's words.
        details: as `google.rpc` has them.
    """

    def __init__(self, code: str, message: str, *details: Message) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self._details = details

    @property
    def number(self) -> int:
        """The gRPC status."""
        number: int = StatusCode[self.code].value[0]
        return number

    def status(self) -> bytes:
        """What goes into `grpc-status-details-bin`; nothing without details."""
        if not self._details:
            return b""
        packed = []
        for detail in self._details:
            each = Any()
            each.Pack(detail)
            packed.append(each)
        status = Status(code=self.number, message=self.message, details=packed)
        return bytes(status.SerializeToString())


def not_found(message: str) -> GcpRefusal:
    """There is no such thing."""
    return GcpRefusal("NOT_FOUND", message)


def denied(permission: str, resource: str) -> GcpRefusal:
    """A permission is missing, or, without a project in the name, the resource."""
    return GcpRefusal(
        "PERMISSION_DENIED",
        f"Permission '{permission}' denied on resource (or it may not exist).",
        ErrorInfo(
            reason="IAM_PERMISSION_DENIED",
            domain="iam.googleapis.com",
            metadata={"permission": permission, "resource": resource},
        ),
    )


def unauthenticated() -> GcpRefusal:
    """The access token isn't one, or has expired."""
    return GcpRefusal(
        "UNAUTHENTICATED",
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential.",
        ErrorInfo(reason="ACCESS_TOKEN_EXPIRED", domain="googleapis.com", metadata={"service": "iam.googleapis.com"}),
    )


def org_policy(constraint: str, subject: str, description: str) -> GcpRefusal:
    """The organisation forbids it. Custom and managed constraints say so in other words than the older ones."""
    if constraint.startswith(CUSTOM):
        named = f"customConstraints/{constraint}"
        return GcpRefusal(
            "FAILED_PRECONDITION",
            f'Operation denied by custom org policies: ["{named}": "{description}"].',
            ErrorInfo(
                reason="CUSTOM_ORG_POLICY_VIOLATION", domain="googleapis.com", metadata={"customConstraints": named}
            ),
        )
    named = f"constraints/{constraint}"
    if constraint.startswith("iam.managed."):
        return GcpRefusal(
            "FAILED_PRECONDITION",
            f'Operation denied by org policy on resource \'{subject}\': ["{named}": "This constraint, when enforced, '
            'blocks it."].',
            ErrorInfo(reason="CUSTOM_ORG_POLICY_VIOLATION", domain="googleapis.com"),
        )
    violation = PreconditionFailure.Violation(type=named, subject=subject, description=description)
    return GcpRefusal("FAILED_PRECONDITION", description, PreconditionFailure(violations=[violation]))
