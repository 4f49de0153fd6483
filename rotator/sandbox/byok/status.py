"""What a Kubernetes API server says when it refuses: a Status object with a reason.

Wording and codes as in apimachinery's `api/errors` and the API server's own filters.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any


class StatusRefusal(Exception):
    """Raised instead of answering; becomes a Status object."""

    def __init__(
        self, code: HTTPStatus, reason: str, message: str, *, details: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def status(self) -> dict[str, Any]:
        """The object."""
        said: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": int(self.code),
        }
        return said if self.details is None else {**said, "details": dict(self.details)}


def unauthorized() -> StatusRefusal:
    """A token of no user."""
    return StatusRefusal(HTTPStatus.UNAUTHORIZED, "Unauthorized", "Unauthorized")


def forbidden(
    user: str, verb: str, resource: str, *, group: str, namespace: str | None, name: str | None
) -> StatusRefusal:
    """RBAC has no rule for it. `resource` may have a subresource, after a slash."""
    kind = resource.partition("/")[0]
    what = f'{kind} "{name}"' if name else kind
    where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
    message = f'{what} is forbidden: User "{user}" cannot {verb} resource "{resource}" in API group "{group}"{where}'
    details = {"kind": kind, **({"name": name} if name else {}), **({"group": group} if group else {})}
    return StatusRefusal(HTTPStatus.FORBIDDEN, "Forbidden", message, details=details)


def not_found(resource: str, name: str) -> StatusRefusal:
    """There is no such object."""
    return StatusRefusal(
        HTTPStatus.NOT_FOUND,
        "NotFound",
        f'{resource} "{name}" not found',
        details={"name": name, "kind": resource},
    )


def already_exists(resource: str, name: str) -> StatusRefusal:
    """Another object has the name."""
    return StatusRefusal(
        HTTPStatus.CONFLICT,
        "AlreadyExists",
        f'{resource} "{name}" already exists',
        details={"name": name, "kind": resource},
    )


def conflict(resource: str, name: str, why: str) -> StatusRefusal:
    """The object isn't as the caller thought."""
    message = f'Operation cannot be fulfilled on {resource} "{name}": {why}'
    return StatusRefusal(HTTPStatus.CONFLICT, "Conflict", message, details={"name": name, "kind": resource})


def invalid(kind: str, name: str, field: str, why: str) -> StatusRefusal:
    """The object breaks a rule of its kind."""
    message = f'{kind} "{name}" is invalid: {field}: {why}'
    return StatusRefusal(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", message, details={"name": name, "kind": kind})


def bad_request(why: str) -> StatusRefusal:
    """It can't be understood."""
    return StatusRefusal(HTTPStatus.BAD_REQUEST, "BadRequest", why)
