"""The stand-in's Microsoft Graph and Azure Resource Manager: what rotator and its candidates ask of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from werkzeug.wrappers import Request, Response

from rotator.sandbox.azure.directory import GRAPH, MANAGEMENT, OWNED_BY, REPORTS, App, Directory, Secret

_APPLICATION = re.compile(r"/v1\.0/applications\(appId='([^']*)'\)(/\w+)?")
_REPORT = "/beta/reports/appCredentialSignInActivities"
_FILTER = re.compile(r"appId eq '([^']*)'")
_SUBSCRIPTION = re.compile(r"/subscriptions/([^/]+)")
_PAGE = 2  # rows of a report
_TWO_YEARS = timedelta(days=730)


class ApiRefused(Exception):
    """Graph or Resource Manager says no."""

    def __init__(
        self, status: HTTPStatus, code: str, message: str, details: list[dict[str, str]] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.details = status, code, message, details


class GraphApi:
    """Answers what is asked of `graph.microsoft.com`.

    Args:
        directory: the tenant.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def answer(self, request: Request) -> Response:
        """One request."""
        try:
            response = self._answer(request)
        except ApiRefused as refusal:
            request_id = str(uuid4())
            inner = {"date": f"{self._directory.now():%Y-%m-%dT%H:%M:%S}", "request-id": request_id}
            error: dict[str, object] = {"code": refusal.code, "message": refusal.message, "innerError": inner}
            if refusal.details is not None:
                error["details"] = refusal.details
            response = _json({"error": error}, refusal.status)
        response.headers["request-id"] = response.headers["client-request-id"] = str(uuid4())
        return response

    def _answer(self, request: Request) -> Response:
        directory = self._directory
        caller = directory.holder(_bearer(request), GRAPH)
        if caller is None:
            raise ApiRefused(HTTPStatus.UNAUTHORIZED, "InvalidAuthenticationToken", "Access token validation failure.")
        if (request.method, request.path) == ("GET", _REPORT):
            return self._report(request, caller)
        named = _APPLICATION.fullmatch(request.path)
        if named is None:
            raise _bad_request(f"Resource not found for the segment '{request.path}'.")
        with directory.lock:
            app = directory.apps.get(named[1].lower())
            if app is None:
                message = f"Resource '{named[1]}' does not exist or one of its queried objects are not present."
                raise ApiRefused(HTTPStatus.NOT_FOUND, "Request_ResourceNotFound", message)
            if OWNED_BY not in caller.roles or caller.principal_id not in app.owners:
                message = "Insufficient privileges to complete the operation."
                raise ApiRefused(HTTPStatus.FORBIDDEN, "Authorization_RequestDenied", message)
        return self._about(request, app, named[2] or "")

    def _about(self, request: Request, app: App, action: str) -> Response:
        match request.method, action:
            case "GET", "":
                with self._directory.lock:
                    return _json(_selected(_shown(app), request.args.get("$select")))
            case "GET", "/owners":
                rows = [{"@odata.type": "#microsoft.graph.servicePrincipal", "id": each} for each in sorted(app.owners)]
                return _json({"value": rows})
            case "POST", "/addPassword":
                with self._change():
                    return self._add(app, _body(request))
            case "POST", "/removePassword":
                with self._change():
                    return self._remove(app, _body(request))
        raise ApiRefused(HTTPStatus.METHOD_NOT_ALLOWED, "Request_BadRequest", "Specified HTTP method is not allowed.")

    @contextmanager
    def _change(self) -> Iterator[None]:
        if not self._directory.changing.acquire(blocking=False):
            message = "Error due to concurrent requests being made to the tenant. Please wait briefly and retry."
            raise ApiRefused(HTTPStatus.CONFLICT, "Directory_ConcurrencyViolation", message)
        try:
            self._directory.changed.wait(self._directory.change_seconds)
            with self._directory.lock:
                yield
        finally:
            self._directory.changing.release()

    def _add(self, app: App, body: Mapping[str, Any]) -> Response:
        wanted = body.get("passwordCredential", {})
        if set(body) - {"passwordCredential"} or not isinstance(wanted, dict):
            raise _bad_request("Invalid request body: only 'passwordCredential' is known.")
        unknown = set(wanted) - {"displayName", "startDateTime", "endDateTime"}
        if unknown:
            raise _bad_request(f"Invalid property '{min(unknown)}'.")
        name = wanted.get("displayName")
        if name is not None and not isinstance(name, str):
            raise _bad_request("Cannot convert the value of 'displayName' to Edm.String.")
        now = self._directory.now()
        start = _time(wanted, "startDateTime") or now
        end = _time(wanted, "endDateTime") or start + _TWO_YEARS
        if end <= start:
            raise _bad_request("Key credential end date is invalid.")
        self._allowed(end - start)
        made = self._directory.add_secret(
            app, name, start=start, end=end, known_from=self._directory.clock() + self._directory.propagation
        )
        return _json({"@odata.context": f"{GRAPH}/v1.0/$metadata", **_secret(made), "secretText": made.value})

    def _allowed(self, lifetime: timedelta) -> None:
        policy = self._directory.policy
        if policy.forbids_secrets:
            message = f"Credential type not allowed as per assigned policy '{policy.name}'."
            raise ApiRefused(HTTPStatus.BAD_REQUEST, "CredentialTypeNotAllowedAsPerAppPolicy", message)
        if policy.max_lifetime is not None and lifetime > policy.max_lifetime:
            message = f"Credential lifetime exceeds the max value allowed as per assigned policy '{policy.name}'."
            details = [{"code": "InvalidKeyEndDate", "message": message, "target": "EndDate"}]
            raise ApiRefused(HTTPStatus.BAD_REQUEST, "CredentialInvalidLifetimeAsPerAppPolicy", message, details)

    def _remove(self, app: App, body: Mapping[str, Any]) -> Response:
        key_id = body.get("keyId")
        if set(body) != {"keyId"} or not isinstance(key_id, str):
            raise _bad_request("The property 'keyId' is required.")
        if key_id not in {each.key_id for each in app.secrets}:
            raise _bad_request(f"No password credential found with keyId '{key_id}'.")
        app.secrets[:] = [each for each in app.secrets if each.key_id != key_id]
        return Response(status=HTTPStatus.NO_CONTENT)

    def _report(self, request: Request, caller: App) -> Response:
        if REPORTS not in caller.roles:
            message = "The principal does not have required Microsoft Graph permission(s): AuditLog.Read.All"
            raise ApiRefused(HTTPStatus.FORBIDDEN, "Authentication_MSGraphPermissionMissing", message)
        wanted = _FILTER.fullmatch(request.args.get("$filter", ""))
        if wanted is None:
            raise _bad_request("Invalid filter clause.")
        with self._directory.lock:
            app = self._directory.apps.get(wanted[1])
            until = self._directory.reported_until()
            rows = [] if app is None else [_activity(app, each, until) for each in app.secrets]
        start = int(request.args.get("$skiptoken", "0"))
        page: dict[str, object] = {"value": rows[start : start + _PAGE]}
        if start + _PAGE < len(rows):
            # As Graph does, it names its own host, whatever the client called it.
            page["@odata.nextLink"] = f"{GRAPH}{_REPORT}?$filter={quote(wanted[0])}&$skiptoken={start + _PAGE}"
        return _json(page)


class ManagementApi:
    """Answers what is asked of `management.azure.com`.

    Args:
        directory: the tenant of the one subscription.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def answer(self, request: Request) -> Response:
        """One request."""
        try:
            response = self._answer(request)
        except ApiRefused as refusal:
            response = _json({"error": {"code": refusal.code, "message": refusal.message}}, refusal.status)
        response.headers["x-ms-request-id"] = str(uuid4())
        return response

    def _answer(self, request: Request) -> Response:
        subscription = self._directory.subscription
        caller = self._directory.holder(_bearer(request), MANAGEMENT)
        if caller is None:
            raise ApiRefused(HTTPStatus.UNAUTHORIZED, "InvalidAuthenticationToken", "The access token is invalid.")
        wanted = _SUBSCRIPTION.fullmatch(request.path)
        if request.method != "GET" or wanted is None:
            raise ApiRefused(HTTPStatus.NOT_FOUND, "InvalidResourceType", "The resource type could not be found.")
        if "api-version" not in request.args:
            message = "The api-version query parameter (?api-version=) is required for all requests."
            raise ApiRefused(HTTPStatus.BAD_REQUEST, "MissingApiVersionParameter", message)
        if wanted[1].lower() != subscription:
            message = f"The subscription '{wanted[1]}' could not be found."
            raise ApiRefused(HTTPStatus.NOT_FOUND, "SubscriptionNotFound", message)
        if not caller.reader:
            message = f"The client '{caller.app_id}' does not have authorization to perform action 'read'."
            raise ApiRefused(HTTPStatus.FORBIDDEN, "AuthorizationFailed", message)
        told_of = {"id": f"/subscriptions/{subscription}", "subscriptionId": subscription, "state": "Enabled"}
        return _json({**told_of, "tenantId": self._directory.tenant, "displayName": "Production"})


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme == "Bearer" else ""


def _body(request: Request) -> Mapping[str, Any]:
    if request.mimetype != "application/json":
        raise _bad_request("A supported MIME type could not be found that matches the content type of the request.")
    try:
        read = json.loads(request.get_data())
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise _bad_request("Unable to read JSON request payload.")
    return read


def _time(wanted: Mapping[str, Any], name: str) -> datetime | None:
    if name not in wanted:
        return None
    try:
        at = datetime.fromisoformat(wanted[name])
    except (TypeError, ValueError):
        at = datetime.min  # noqa: DTZ901  # has no zone, and so is refused
    if at.tzinfo is None:
        raise _bad_request(f"Cannot convert the value of '{name}' to Edm.DateTimeOffset.")
    return at.astimezone(UTC)


def _shown(app: App) -> dict[str, object]:
    return {
        "id": app.object_id,
        "appId": app.app_id,
        "displayName": app.name,
        "signInAudience": "AzureADMyOrg",
        "passwordCredentials": [{**_secret(each), "secretText": None} for each in app.secrets],
    }


def _selected(shown: dict[str, object], select: str | None) -> dict[str, object]:
    names = shown.keys() if select is None else select.split(",")
    unknown = set(names) - shown.keys()
    if unknown:
        raise _bad_request(f"Could not find a property named '{min(unknown)}' on type 'microsoft.graph.application'.")
    return {"@odata.context": f"{GRAPH}/v1.0/$metadata#applications/$entity", **{name: shown[name] for name in names}}


def _secret(made: Secret) -> dict[str, object]:
    return {
        "customKeyIdentifier": None,
        "displayName": made.name,
        "endDateTime": f"{made.end:%Y-%m-%dT%H:%M:%SZ}",
        "hint": made.hint,
        "keyId": made.key_id,
        "startDateTime": f"{made.start:%Y-%m-%dT%H:%M:%S}.1234567Z",
    }


def _activity(app: App, made: Secret, until: datetime) -> dict[str, object]:
    used = app.uses[made.key_id].latest(until)
    at = None if used is None else f"{used:%Y-%m-%dT%H:%M:%SZ}"
    return {
        "id": str(uuid4()),
        "keyId": made.key_id,
        "keyType": "clientSecret",
        "appId": app.app_id,
        "credentialOrigin": "application",
        "signInActivity": {"lastSignInDateTime": at, "lastSignInRequestId": None},
    }


def _bad_request(message: str) -> ApiRefused:
    return ApiRefused(HTTPStatus.BAD_REQUEST, "Request_BadRequest", message)


def _json(said: Mapping[str, object], status: int = HTTPStatus.OK) -> Response:
    return Response(json.dumps(said), status, mimetype="application/json")
