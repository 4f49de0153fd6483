"""What rotator needs of Azure for one application, and whether it has it. Looks, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from rotator.errors import CallFailed
from rotator.http.answers import json_object
from rotator.providers._shared import apart, met, tried, unmet, unseen
from rotator.providers.azure.access import AzureAccess
from rotator.providers.azure.errors import MICROSOFT
from rotator.providers.azure.evidence import PERMISSION
from rotator.providers.azure.graph import Graph
from rotator.providers.azure.identity import OwnToken
from rotator.providers.base import Provider, Right, TellsUse

LEAST = "Application.ReadWrite.OwnedBy"
_ALL = frozenset({"Application.ReadWrite.All", "Directory.ReadWrite.All"})
"""Rights over every application: enough, and too much."""

_GRANT = "`rotator policy` prints how to grant it."
_REPORT = f"{_GRANT} The report needs a Microsoft Entra ID P1 licence as well."


def rights(provider: Provider, access: AzureAccess, graph: Graph, client_id: str) -> Iterator[Right]:
    """The lines of `rotator check`; they end early where Azure doesn't know us."""
    yield met(f"login at {access.authority}")
    yield met(f"Microsoft Graph at {access.graph}")
    yield met(f"Azure Resource Manager at {access.management}")
    known = "Azure knows rotator's own identity"
    try:
        token = graph.token()
    except CallFailed as failure:
        yield unmet(known, failure)
        return
    yield met(f"{known}: {token.application or 'its application is not known'}")
    own = graph.is_own(token)
    yield apart(own=own, remedy="Give rotator an identity of its own: it would revoke its own secret with this one's.")
    if own:
        return
    yield _permission(token)
    yield from _ownership(graph, token, client_id)
    yield tried("the application's secrets can be listed", provider.list_keys)
    tells_use = provider.abilities.tells_use
    if tells_use is not None:
        yield _evidence(tells_use)


def _evidence(tells_use: TellsUse) -> Right:
    try:
        tells_use.last_used("none")
    except CallFailed as failure:
        return unseen(PERMISSION, failure, _REPORT) if failure.untold else unmet(PERMISSION, failure)
    return met(PERMISSION)


def _permission(token: OwnToken) -> Right:
    if token.roles is None:
        return Right(LEAST, None, f"rotator can't read its own token. {_GRANT}")
    too_much = token.roles & _ALL
    if too_much:
        more = f"{', '.join(sorted(too_much))} is more than rotator needs: {LEAST} and ownership are enough. {_GRANT}"
        return Right(LEAST, holds=True, remedy=more)
    return Right(LEAST, holds=LEAST in token.roles, remedy="" if LEAST in token.roles else _GRANT)


def _ownership(graph: Graph, token: OwnToken, client_id: str) -> Iterator[Right]:
    if token.roles is not None and token.roles & _ALL:
        return
    name = "rotator is an owner of the application"
    try:
        owns = _owns(graph, token, client_id)
    except CallFailed as failure:
        yield unmet(name, failure)
    else:
        yield Right(name, owns, "" if owns else _GRANT)


def _owns(graph: Graph, token: OwnToken, client_id: str) -> bool | None:
    what = "GET owners"
    answer = graph.read(what, f"/v1.0/applications(appId='{client_id}')/owners?$select=id")
    rows = (json_object(answer.body) or {}).get("value")
    if not isinstance(rows, list):
        raise MICROSOFT.unclear(what, answer)
    owners = {str(row.get("id")).lower() for row in rows if isinstance(row, dict)}
    return None if token.principal is None else token.principal in owners
