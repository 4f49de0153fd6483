"""Azure: the client secrets of one application in Microsoft Entra ID.

Facts from Microsoft Graph's reference: a secret has a display name, chosen by who makes it, and an end; its value is
shown once, by addPassword; it can't be disabled; nothing but an object's size limits how many there are. A fresh one is
unknown to some of the login's replicas for seconds, at times for minutes.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from pydantic import SecretStr

from rotator.errors import CallFailed, Verdict
from rotator.http.answers import Answer, date_of, json_object
from rotator.http.exchange import Span
from rotator.material import Material
from rotator.model import Key, LastUse, Proof, Reply
from rotator.providers._shared import gone
from rotator.providers.azure import evidence as azure_evidence
from rotator.providers.azure import proof as azure_proof
from rotator.providers.azure.access import AzureAccess
from rotator.providers.azure.check import rights
from rotator.providers.azure.errors import BAD_REQUEST, MICROSOFT, NOT_FOUND
from rotator.providers.azure.graph import Graph
from rotator.providers.azure.identity import OwnLogin, login_for
from rotator.providers.azure.settings import AzureSection, AzureSettings
from rotator.providers.base import AGES_AGO, Abilities, Draft, Listing, Minted, Right, Tools


def open_provider(settings: AzureSettings, tools: Tools) -> AzureApp:
    """The provider for one application. No call is made.

    Args:
        settings: whose secrets, and how Azure is reached.
        tools: all of them are used.

    Raises:
        RotatorError: the CA file can't be used, or the authority isn't https.
    """
    section = settings.azure
    access = AzureAccess.of(section)
    http = tools.http.trusting(section.ca_file)
    application = section.client_id.lower()
    login = login_for(access, tools.http)
    graph = Graph(access, http, login, application, tools)
    return AzureApp(section, access, graph, login, tools)


class AzureApp:
    """The client secrets of one application. Implements `base.Provider`."""

    def __init__(self, section: AzureSection, access: AzureAccess, graph: Graph, login: OwnLogin, tools: Tools) -> None:
        self._fixed = {
            "tenantId": section.tenant_id,
            "clientId": section.client_id,
            "objectId": section.object_id,
            "subscriptionId": section.subscription_id,
        }
        self._client_id = self._fixed["clientId"].lower()
        self._path = f"/v1.0/applications(appId='{self._client_id}')"
        self._evidence = section.evidence
        self._access = access
        self._graph = graph
        self._login = login
        self._http = tools.http.trusting(section.ca_file)
        self._tools = tools

    @property
    def abilities(self) -> Abilities:
        """A secret is recognised by its display name. It can't be disabled."""
        return Abilities(
            slots=None,
            exact=True,
            proves=self,
            tells_use=self if self._evidence is not False else None,
            own_secrets=self._login.secrets,
            files=lambda: self._access.files,
        )

    @property
    def identity(self) -> str:
        """`azure:TENANT/APPLICATION`."""
        return f"azure:{self._access.tenant}/{self._client_id}"

    def list_keys(self) -> Listing:
        """The application's client secrets. Its certificates aren't rotator's business.

        Raises:
            CallFailed: also if rotator's own identity is this application.
        """
        what = "GET application"
        answer = self._graph.read(what, f"{self._path}?$select=id,appId,displayName,passwordCredentials")
        said, date = json_object(answer.body) or {}, date_of(answer)
        keys: list[Key] | None
        try:
            keys = [key for each in said["passwordCredentials"] if (key := _key(each)) is not None]
        except (KeyError, TypeError):
            keys = None
        if keys is None or str(said.get("appId")).lower() != self._client_id:
            raise MICROSOFT.unclear(what, answer)
        return Listing(tuple(keys), date)

    @property
    def use_resolution(self) -> timedelta:
        """Graph's report tells the time of a sign-in, but is only made once a day."""
        return timedelta(days=1)

    @property
    def use_lag(self) -> timedelta:
        """Graph's report is a day late."""
        return timedelta(days=2)

    @property
    def use_is_certain(self) -> bool:
        """It is shown key by key."""
        return True

    def last_used(self, key_id: str) -> LastUse | None:
        """The report on credentials, which Microsoft brings up to date about a day late.

        Raises:
            CallFailed: `untold` where Graph refuses the report and `evidence` is auto: for want of the permission or
                of the licence, or because this cloud has no such report.
        """
        try:
            return azure_evidence.last_use(self._graph, self._client_id, key_id)
        except CallFailed as failure:
            failure.untold = failure.permanent and self._evidence == "auto"
            raise

    def draft(self, store_id: str, generation: int) -> Draft:
        """Choose the secret's display name. A part of it is random: a journal put back from a backup counts again."""
        return Draft(mark=f"rotator {store_id} g{generation} {secrets.token_hex(4)}")

    def mint(self, draft: Draft) -> Minted:
        """AddPassword: one attempt on the wire."""
        ends = (self._tools.clock.now() + self._tools.lifetime).astimezone(UTC)
        wanted = {"displayName": draft.mark, "endDateTime": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}
        what = "addPassword"
        answer = self._graph.change(what, f"{self._path}/addPassword", {"passwordCredential": wanted}, HTTPStatus.OK)
        minted = self._minted(answer, draft)
        if minted is None:
            raise MICROSOFT.unclear(what, answer)
        return minted

    def prove(self, material: Material) -> Proof:
        """An access token with the candidate, shown to the subscription; not repeated."""
        return azure_proof.prove(
            self._http,
            self._access,
            client_id=self._client_id,
            secret=material.secret["secret"],
            subscription=self._fixed["subscriptionId"],
            span=Span(self._tools.clock, self._tools.deadline),
        )

    def delete(self, key_id: str) -> Reply:
        """RemovePassword. That the secret is gone already is success; that its application is gone is not.

        It is asked for first and looked at afterwards: the list may come from a replica that lags.
        """
        what = "removePassword"
        try:
            answer = self._graph.change(what, f"{self._path}/{what}", {"keyId": key_id}, HTTPStatus.NO_CONTENT)
        except CallFailed as failure:
            if failure.verdict is not Verdict.REFUSED or failure.code not in {BAD_REQUEST, NOT_FOUND}:
                raise
            refused = failure
        else:
            if MICROSOFT.request_id(answer) is None:
                raise MICROSOFT.unclear(what, answer)
            return Reply(MICROSOFT.request_id(answer))
        # Without the application the list is refused in the same way, and raises.
        return gone(refused, key_id, self.list_keys())

    def check(self) -> Sequence[Right]:
        """Tries what only reads; what changes something is judged by rotator's own token, and by who owns the app."""
        return tuple(rights(self, self._access, self._graph, self._client_id))

    def _minted(self, answer: Answer, draft: Draft) -> Minted | None:
        said = json_object(answer.body) or {}
        secret, key = said.get("secretText"), _key(said)
        if (
            key is None
            or not isinstance(secret, str)
            or not secret
            or key.mark != draft.mark
            or MICROSOFT.request_id(answer) is None
        ):
            return None
        material = Material(public=self._fixed, secret={"secret": SecretStr(secret)})
        return Minted(key, material, f"{key.key_id[:8]}..{key.key_id[-4:]}", MICROSOFT.request_id(answer))


def _key(said: object) -> Key | None:
    """A secret as Graph shows it, to the second, as the Date header is; None if it has no id."""
    key_id = said.get("keyId") if isinstance(said, dict) else None
    if not isinstance(said, dict) or not isinstance(key_id, str) or not key_id:
        return None
    mark, begins, ends = said.get("displayName"), _time(said.get("startDateTime")), _time(said.get("endDateTime"))
    unread = [
        *([] if begins is not None else ["the time of creation"]),
        *([] if ends is not None or said.get("endDateTime") is None else ["the end"]),
        *([] if mark is None or isinstance(mark, str) else ["the name"]),
    ]
    return Key(
        key_id,
        begins or AGES_AGO,
        expires_at=ends,
        mark=mark if isinstance(mark, str) else None,
        odd=" and ".join(unread) or None,
    )


def _time(text: object) -> datetime | None:
    """None if it is none with a zone."""
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
        return at.astimezone(UTC).replace(microsecond=0) if at is not None and at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
