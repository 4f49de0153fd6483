"""A strict stand-in for Northflank's API, as far as rotator goes: integrations, what depends on them, and the token.

It follows Northflank's API reference and what the official clients send; tests/contract runs those against it. Where
neither says what Northflank does, it does what is hardest on a client, or lets `Behaviour` choose.
"""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule, Submount
from werkzeug.wrappers import Request, Response

from rotator.sandbox.northflank.account import (
    Allowance,
    ApiToken,
    Echo,
    Grant,
    HeldIntegration,
    NorthflankAccount,
    NoSuchIntegration,
)
from rotator.sandbox.northflank.body import Details, InvalidBody, read_update

_PAGE = 50
_LARGEST_PAGE = 100
_LAST_PAGE = 10_000
_HELD = "held"

_Object = Mapping[str, object]


class Northflank:
    """The API of one account, as a WSGI application. All state is in the account.

    Beside the API it answers `GET /_sandbox/integrations/{id}/held`, without a token: the credentials that the
    integration holds, for consumers in other processes.
    """

    def __init__(self, account: NorthflankAccount) -> None:
        self._account = account

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        return self._answer(Request(environ, populate_request=False))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        try:
            routes = _routes(self._account.behaviour.update).bind_to_environ(request.environ)
            endpoint, arguments = routes.match()
            if endpoint == _HELD:
                return _json(self._account.held(**arguments))
        except MethodNotAllowed as refused:  # the router's own answer: before authentication, and not JSON
            allow = ", ".join(sorted(refused.valid_methods or ()))
            return Response("Method Not Allowed", refused.code, {"Allow": allow}, mimetype="text/plain")
        except (NotFound, NoSuchIntegration):
            return _error(HTTPStatus.NOT_FOUND, "Not found")
        token = self._account.token(_bearer(request))
        if token is None:
            return _error(HTTPStatus.UNAUTHORIZED, "Unauthorized")
        allowance = self._account.spend()
        response = self._counted(_Asked(self._account, request, token, **arguments), endpoint, allowance)
        response.headers["x-ratelimit-limit"] = str(allowance.limit)
        response.headers["x-ratelimit-remaining"] = str(allowance.remaining)
        response.headers["x-ratelimit-reset"] = str(allowance.reset)
        return response

    def _counted(self, asked: _Asked, endpoint: _Endpoint, allowance: Allowance) -> Response:
        if allowance.exceeded:
            response = _error(HTTPStatus.TOO_MANY_REQUESTS, "Too many requests")
            if self._account.behaviour.retry_after:
                response.headers["Retry-After"] = str(allowance.reset)
            return response
        if asked.team not in {None, self._account.team}:
            return _error(HTTPStatus.NOT_FOUND, "Not found")
        if endpoint.right not in {None, *asked.token.rights}:
            return _error(HTTPStatus.FORBIDDEN, "Forbidden")
        try:
            return _json(endpoint.handle(asked))
        except NoSuchIntegration:
            return _error(HTTPStatus.NOT_FOUND, "Not found")
        except _Refused as refused:
            return refused.response


@dataclass(frozen=True, slots=True)
class _Asked:
    account: NorthflankAccount
    request: Request
    token: ApiToken
    integration: str = ""
    team: str | None = None


@dataclass(frozen=True, slots=True)
class _Endpoint:
    handle: Callable[[_Asked], _Object]
    right: Grant | None


class _Refused(Exception):
    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def _introspect(asked: _Asked) -> _Object:
    return {
        "data": {
            "tokenKind": "api",
            "id": asked.token.name,
            "name": asked.token.name,
            "entityId": asked.account.team,
            "entityUid": "5f0000000000000000000001",
            "entityType": "team",
            "permissions": {"orgScope": [], "teamScope": sorted(asked.token.rights), "projectScope": []},
            "createdAt": _time(asked.account.created_at),
            "expiresAt": None if asked.token.expires_at is None else _time(asked.token.expires_at),
        }
    }


def _list_integrations(asked: _Asked) -> _Object:
    return _page(asked, "integrations", [_listed(asked.account, each) for each in asked.account.integrations()])


def _get_integration(asked: _Asked) -> _Object:
    return {"data": _shown(asked.account, asked.account.integration(asked.integration))}


def _update_integration(asked: _Asked) -> _Object:
    provider = asked.account.integration(asked.integration).provider
    try:
        update = read_update(asked.request.method, provider, asked.request.mimetype, asked.request.get_data())
    except InvalidBody as invalid:
        raise _Refused(_invalid(invalid.details)) from None
    return {"data": _shown(asked.account, asked.account.update(asked.integration, update))}


def _workload_identity(asked: _Asked) -> _Object:
    return {"data": {"status": asked.account.integration(asked.integration).workload_identity}}


def _list_clusters(asked: _Asked) -> _Object:
    created_at = _time(asked.account.created_at)
    return _page(
        asked,
        "clusters",
        [
            {
                "id": cluster.id,
                "name": cluster.id,
                "provider": cluster.provider,
                "integrationId": cluster.integration,
                "nodePools": [],
                "status": {"state": {"state": cluster.state} | ({"reason": cluster.reason} if cluster.reason else {})},
                "deletionRequested": False,
                "createdAt": created_at,
                "updatedAt": created_at,
            }
            for cluster in asked.account.clusters()
        ],
    )


def _list_registries(asked: _Asked) -> _Object:
    return _page(
        asked,
        "credentials",
        [
            {
                "id": registry.id,
                "name": registry.id,
                "provider": registry.provider,
                "integrationId": registry.integration,
                "registryCredentialRefresh": {
                    "status": registry.refresh,
                    "failureCount": 0 if registry.refresh == "healthy" else 1,
                    "retryDelay": 0 if registry.refresh == "healthy" else 60_000,
                },
            }
            for registry in asked.account.registries()
        ],
    )


@functools.cache
def _routes(update: frozenset[str]) -> Map:
    read = _Endpoint(_get_integration, Grant.READ)
    change = _Endpoint(_update_integration, Grant.UPDATE)
    workload_identity = _Endpoint(_workload_identity, Grant.READ_WORKLOAD_IDENTITIES)
    integrations = "/cloud-providers/integrations"
    api = [
        Rule(integrations, methods=["GET"], endpoint=_Endpoint(_list_integrations, Grant.READ)),
        Rule(f"{integrations}/<integration>", methods=["GET"], endpoint=read),
        Rule(f"{integrations}/<integration>", methods=update, endpoint=change),
        Rule(f"{integrations}/<integration>/workload-identity-provider", methods=["GET"], endpoint=workload_identity),
        Rule(
            "/cloud-providers/clusters",
            methods=["GET"],
            endpoint=_Endpoint(_list_clusters, Grant.READ_CLUSTERS),
        ),
        Rule(
            "/integrations/registries",
            methods=["GET"],
            endpoint=_Endpoint(_list_registries, Grant.READ_REGISTRIES),
        ),
    ]
    return Map(
        [
            Rule("/v1/auth", methods=["GET"], endpoint=_Endpoint(_introspect, None)),
            Submount("/v1", api),
            Submount("/v1/teams/<team>", api),
            Rule("/_sandbox/integrations/<integration>/held", methods=["GET"], endpoint=_HELD),
        ],
        merge_slashes=False,
    )


def _listed(account: NorthflankAccount, integration: HeldIntegration) -> _Object:
    shown: dict[str, object] = {
        "id": integration.id,
        "name": integration.name,
        "provider": integration.provider,
        "features": list(integration.features),
        "registryCredentialRefresh": {
            "status": integration.registries,
            "affectedCredentialCount": 0 if integration.registries == "healthy" else 1,
        },
        "createdAt": _time(account.created_at),
    }
    if integration.provider in {"aws", "aws-eusc"}:
        shown["aws"] = {
            "authenticationMode": "crossAccountRole" if "roleArn" in integration.credentials else "accessKey"
        }
    if integration.provider == "gcp":
        shown["gcp"] = {name: value for name, value in _gcp(integration).items() if name != "serviceAccountEmail"}
    if integration.description is not None and account.behaviour.listed_descriptions:
        shown["description"] = integration.description
    return shown


def _gcp(integration: HeldIntegration) -> _Object:
    """What the API reference has of Google Cloud. Its lists leave the service account out."""
    if integration.service_account is not None:
        address = integration.service_account
        project = address.partition("@")[2].removesuffix(".iam.gserviceaccount.com")
        return {"authenticationMode": "crossAccountRole", "projectId": project, "serviceAccountEmail": address}
    try:
        keyfile = json.loads(integration.credentials.get("keyfileJson", "{}"))
        known = {"projectId": keyfile["project_id"], "serviceAccountEmail": keyfile["client_email"]}
    except (ValueError, TypeError, KeyError):
        known = {"projectId": ""}
    return {"authenticationMode": "accessKey", **known}


def _shown(account: NorthflankAccount, integration: HeldIntegration) -> _Object:
    shown = dict(_listed(account, integration))
    if integration.provider == "gcp":
        shown["gcp"] = _gcp(integration)
    if integration.description is not None:
        shown["description"] = integration.description
    match account.behaviour.echo:
        case Echo.RAW:
            shown["credentials"] = dict(integration.credentials)
        case Echo.MASKED:
            shown["credentials"] = dict.fromkeys(integration.credentials, "********")
        case Echo.NOTHING:
            pass
    return shown


def _page(asked: _Asked, name: str, items: Sequence[_Object]) -> _Object:
    """One page of a list. The last one has no cursor: js-client asks until there is none."""
    size = _number(asked.request, "per_page", _PAGE, _LARGEST_PAGE)
    start = size * (_number(asked.request, "page", 1, _LAST_PAGE) - 1)
    if (cursor := asked.request.args.get("cursor")) is not None:
        start = _from_cursor(cursor)
    end = start + size
    pagination: dict[str, object] = {"hasNextPage": end < len(items), "count": len(items[start:end])}
    if end < len(items):
        pagination["cursor"] = base64.urlsafe_b64encode(f"from {end}".encode()).decode()
    return {"data": {name: items[start:end]}, "pagination": pagination}


def _number(request: Request, name: str, default: int, largest: int) -> int:
    text = request.args.get(name, str(default))
    if not re.fullmatch("[1-9][0-9]{0,8}", text) or int(text) > largest:
        raise _Refused(_invalid({name: [f"must be an integer from 1 to {largest}"]}))
    return int(text)


def _from_cursor(cursor: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(cursor).decode().removeprefix("from "))
    except ValueError:
        raise _Refused(_invalid({"cursor": ["is not one that was given out"]})) from None


def _bearer(request: Request) -> str | None:
    authorization = request.authorization
    return authorization.token if authorization is not None and authorization.type == "bearer" else None


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _invalid(details: Details) -> Response:
    message = "Request failed payload validation - see details"
    return _error(HTTPStatus.BAD_REQUEST, message, id="nf-invalid-request-body", details=details)


def _error(status: HTTPStatus, message: str, **more: object) -> Response:
    return _json({"error": {"status": status, "message": message, **more}}, status)


def _json(body: _Object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(json.dumps(body), status, content_type="application/json; charset=utf-8")
