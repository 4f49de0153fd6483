"""The stand-in's login: the tenant's token endpoint, and the endpoint of a machine's managed identity."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from werkzeug.wrappers import Request, Response

from rotator.sandbox.azure.directory import GRAPH, MANAGEMENT, App, Directory, Secret

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_DEFAULT = "/.default"


class LoginRefused(Exception):
    """The login says no."""

    def __init__(self, error: str, code: int, message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(message)
        self.error, self.code, self.message, self.status = error, code, message, status


class Login:
    """Answers what is asked of `login.microsoftonline.com`, and of a machine's own `169.254.169.254`.

    Args:
        directory: the tenant.

    Attributes:
        machine: the application that is the machine's managed identity; None without one.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.machine: App | None = None

    def answer(self, request: Request) -> Response:
        """One request to the login."""
        tenant, _, path = request.path.lstrip("/").partition("/")
        try:
            return self._answer(request, tenant, path)
        except LoginRefused as refusal:
            return self._refused(refusal)

    def managed(self, request: Request) -> Response:
        """One request to the machine's own endpoint."""
        wanted = request.args.get("client_id")
        audience = request.args.get("resource", "").rstrip("/")
        if request.headers.get("Metadata") != "true" or request.args.get("api-version") != "2018-02-01":
            return _json(
                {"error": "invalid_request", "error_description": "Required metadata header not specified"}, 400
            )
        if self.machine is None or wanted not in {None, self.machine.app_id}:
            return _json({"error": "invalid_request", "error_description": "Identity not found"}, 400)
        token, seconds = self._directory.issue(self.machine, audience)
        message = {"access_token": token, "expires_in": str(seconds), "resource": audience, "token_type": "Bearer"}
        return _json(message)

    def _answer(self, request: Request, tenant: str, path: str) -> Response:
        if tenant != self._directory.tenant:
            raise LoginRefused("invalid_request", 90002, f"Tenant '{tenant}' not found.")
        if (request.method, path) == ("GET", "v2.0/.well-known/openid-configuration"):
            return _json(self._metadata(request))
        if (request.method, path) == ("POST", "oauth2/v2.0/token"):
            with self._directory.lock:
                return self._token(request)
        return Response("Not Found", HTTPStatus.NOT_FOUND, mimetype="text/plain")

    def _metadata(self, request: Request) -> dict[str, object]:
        base = f"{request.host_url}{self._directory.tenant}"
        return {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "issuer": f"{base}/v2.0",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
        }

    def _token(self, request: Request) -> Response:
        form = request.form
        if "grant_type" not in form:
            raise LoginRefused("invalid_request", 900144, "The request body must contain the parameter 'grant_type'.")
        if form["grant_type"] != "client_credentials":
            raise LoginRefused("unsupported_grant_type", 70003, f"The grant '{form['grant_type']}' is not supported.")
        client_id = form.get("client_id", "").lower()
        app = self._directory.apps.get(client_id)
        if app is None:
            message = (
                f"Application with identifier '{client_id}' was not found in the directory '{self._directory.tenant}'."
            )
            raise LoginRefused("unauthorized_client", 700016, message)
        used = self._authenticated(request, app)
        if not app.enabled:
            raise LoginRefused("unauthorized_client", 7000112, f"Application '{client_id}'({app.name}) is disabled.")
        scope = form.get("scope", "")
        if not scope.endswith(_DEFAULT):
            raise LoginRefused("invalid_scope", 1002012, f"The provided value for scope {scope} is not valid.")
        audience = scope.removesuffix(_DEFAULT)
        if audience not in {GRAPH, MANAGEMENT}:
            raise LoginRefused("invalid_resource", 500011, f"The resource principal named {audience} was not found.")
        if used is not None:
            app.uses[used.key_id].note(self._directory.clock())
        token, seconds = self._directory.issue(app, audience)
        return _json({"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token})

    def _authenticated(self, request: Request, app: App) -> Secret | None:
        form = request.form
        if form.get("client_assertion_type") == _ASSERTION_TYPE:
            if not self._signed(form.get("client_assertion", ""), app, request.base_url):
                raise _not_the_client(
                    700027, "The certificate with identifier used to sign the assertion is not known."
                )
            return None
        if "client_secret" not in form:
            raise _not_the_client(7000218, "The request body must contain 'client_assertion' or 'client_secret'.")
        now = self._directory.clock()
        found = next((each for each in app.secrets if each.value == form["client_secret"]), None)
        if found is None or now < max(found.known_from, found.start - timedelta(minutes=5)):
            message = (
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
                f"value, not the client secret ID, for a secret added to app '{app.app_id}'."
            )
            raise _not_the_client(7000215, message)
        if now >= found.end:
            raise _not_the_client(7000222, f"The provided client secret keys for app '{app.app_id}' are expired.")
        return found

    def _signed(self, assertion: str, app: App, audience: str) -> bool:
        if assertion in app.federated:
            return True
        for public_key in app.certificates:
            try:
                claims = jwt.decode(
                    assertion,
                    load_pem_public_key(public_key),  # type: ignore[arg-type]  # PyJWT takes RSA's and EC's
                    algorithms=["RS256", "PS256"],
                    audience=audience,
                )
            except jwt.InvalidTokenError:
                continue
            if claims.get("iss") == claims.get("sub") == app.app_id:
                return True
        return False

    def _refused(self, refusal: LoginRefused) -> Response:
        trace, at = str(uuid4()), self._directory.now().strftime("%Y-%m-%d %H:%M:%SZ")
        description = (
            f"AADSTS{refusal.code}: {refusal.message} Trace ID: {trace} Correlation ID: {trace} Timestamp: {at}"
        )
        message = {
            "error": refusal.error,
            "error_description": description,
            "error_codes": [refusal.code],
            "timestamp": at,
            "trace_id": trace,
            "correlation_id": trace,
            "error_uri": f"https://login.microsoftonline.com/error?code={refusal.code}",
        }
        return _json(message, refusal.status)


def _not_the_client(code: int, message: str) -> LoginRefused:
    return LoginRefused("invalid_client", code, message, HTTPStatus.UNAUTHORIZED)


def _json(said: Mapping[str, object], status: int = HTTPStatus.OK) -> Response:
    return Response(json.dumps(said), status, mimetype="application/json")
