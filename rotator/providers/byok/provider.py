"""byok: the tokens of one service account in a Kubernetes cluster of the operator's, each in a kubeconfig.

A key is a Secret. Its id is the Secret's uid, since a name may come twice, and its mark the Secret's name. `token:
bound` asks for a token that is bound to an empty Secret of ours; `token: secret` makes a Secret that the cluster's
token controller fills in. Either way the token dies with it.

Facts from the Kubernetes API reference and kube-apiserver's `pkg/registry/core/serviceaccount/storage/token.go`: a
token lives ten minutes at least; what is asked for may be cut short, and the answer says so; a namespace that isn't
there lists as empty.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from secrets import token_hex

from lightkube.core.client import Client
from lightkube.models.authentication_v1 import BoundObjectReference, TokenRequestSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Secret, ServiceAccount, ServiceAccountToken
from pydantic import SecretStr

from rotator.errors import CallFailed, RotatorError, Verdict
from rotator.http.calls import beforehand
from rotator.http.clients import ca_bytes
from rotator.material import Material
from rotator.model import Key, Proof, Reply
from rotator.providers.base import Abilities, Draft, Listing, Minted, Right, Tools
from rotator.providers.byok.access import Access
from rotator.providers.byok.api import Api, Visit
from rotator.providers.byok.check import rights
from rotator.providers.byok.errors import ALREADY_EXISTS, CONFLICT, FORBIDDEN, NOT_FOUND, UNAUTHORIZED
from rotator.providers.byok.kubeconfig import ClusterAddress, token_of
from rotator.providers.byok.own import OwnAccount, username
from rotator.providers.byok.secret import ACCOUNT, ACCOUNT_UID, EXPIRES, account_of, listed_key
from rotator.providers.byok.settings import ByokSettings

_TOKEN_SECRET = "kubernetes.io/service-account-token"  # noqa: S105  # a type of Secret
_OURS = {"app.kubernetes.io/managed-by": "rotator"}
_PAGE = 100  # Secrets in one answer
_SHORTEST = timedelta(minutes=10)

PROOFS: Mapping[str, Proof] = {FORBIDDEN: Proof.ALIVE, UNAUTHORIZED: Proof.NOT_YET}
"""What the API server's refusal of a candidate says about it, by its reason. The page says why, one by one."""


def open_provider(settings: ByokSettings, tools: Tools) -> ByokAccount:
    """The provider for one service account. No call is made.

    Args:
        settings: whose tokens, and how the cluster is reached.
        tools: a kubeconfig brings its own CA and certificate, so the HTTP client is one of its own.

    Raises:
        RotatorError: there is no usable way into the cluster, or Northflank's way is not known.
    """
    section = settings.byok
    access = Access.of(section)
    if section.server is None and access.in_cluster:
        raise RotatorError(
            "rotator reaches the cluster at the address for pods, which Northflank can't reach.",
            remedy="Set `server` to the API server's address as Northflank reaches it.",
        )
    target = ClusterAddress(
        server=section.server or access.server,
        ca=access.ca if section.ca_file is None else ca_bytes(section.ca_file),
        namespace=section.namespace,
        account=section.service_account,
    )
    api = Api(access, tools.http.verifying(access.tls), tools.deadline, tools.clock)
    return ByokAccount(target, access, api, bound=section.token == "bound", lifetime=tools.lifetime)  # noqa: S105  # a mode, no password


class ByokAccount:
    """The tokens of one service account. Implements `base.Provider`."""

    def __init__(self, target: ClusterAddress, access: Access, api: Api, *, bound: bool, lifetime: timedelta) -> None:
        self._target = target
        self._access = access
        self._api = api
        self._bound = bound
        self._lifetime = lifetime
        self._own = OwnAccount(api)

    @property
    def abilities(self) -> Abilities:
        """Any number of tokens, each with a name that we gave it; none can be disabled, and no use is recorded."""
        return Abilities(
            slots=None, exact=True, proves=self, own_secrets=self._access.secrets, files=lambda: self._access.files
        )

    @property
    def identity(self) -> str:
        """`byok:NAMESPACE/ACCOUNT@SERVER`, with the cluster's address as rotator reaches it.

        One cluster that is reached by two addresses isn't recognised as one.
        """
        return f"byok:{self._target.namespace}/{self._target.account}@{self._access.server}"

    def list_keys(self) -> Listing:
        """The Secrets of this account: all token Secrets, of any maker, and ours that bound tokens live with.

        Bound tokens that others asked for live with no Secret, and aren't listed by Kubernetes.

        Raises:
            CallFailed: also if there is no such account, or if it is rotator's own: it would revoke its own token.
        """
        self._own.differs_from(self._target.username)
        return self._api.patiently(self._listing)

    def draft(self, store_id: str, generation: int) -> Draft:
        """The name of the Secret. It has something random, so that no journal, however old, gives a name twice."""
        return Draft(mark=f"rotator-{store_id}-g{generation}-{token_hex(4)}")

    def mint(self, draft: Draft) -> Minted:
        """A Secret, and its token: for a bound one three requests, each made once.

        A request that fails after the Secret was made leaves it there, to be found by its name: that is UNKNOWN. Only
        where the API server refused, the Secret is taken back, and if that was answered, nothing was made.
        """
        if draft.mark is None:
            raise ValueError("a draft of another provider")
        visit = self._api.visit()
        try:
            made = self._create(visit, draft.mark)
        except CallFailed as failed:
            raise _backing_off(failed) from None
        try:
            return self._bound_token(visit, made) if self._bound else self._filled(visit, made)
        except CallFailed as failed:
            failure = _backing_off(failed)
        raise self._taken_back(visit, made, failure).with_traceback(None)

    def prove(self, material: Material) -> Proof:
        """Ask the API server, with the candidate, who it is: once, and not repeated.

        Raises:
            CallFailed: also if the token works but is another account's. It must not be pushed then.
        """
        try:
            found = username(self._api.visit(token_of(material)))
        except CallFailed as failure:
            if failure.verdict is not Verdict.REFUSED or failure.code not in PROOFS:
                raise
            # Who isn't allowed to ask is named in the refusal, and so is known.
            if failure.code == FORBIDDEN and f'User "{self._target.username}"' not in failure.message:
                raise
            return PROOFS[failure.code]
        if found == self._target.username:
            return Proof.ALIVE
        raise CallFailed(
            f"the candidate belongs to {found}, not to {self._target.username}",
            verdict=Verdict.REFUSED,
            code="WrongPrincipal",
            permanent=True,
            remedy="Check `namespace` and `service_account`. The candidate was not pushed.",
        )

    def delete(self, key_id: str) -> Reply:
        """Delete the Secret with this uid. That it is gone already is success; that its account is gone is not."""
        visit = self._api.visit()
        key = next((key for key in self._listing(visit).keys if key.key_id == key_id), None)
        if key is None or key.mark is None:
            return Reply(visit.request_id)
        try:
            self._delete(visit, key.mark, key_id)
        except CallFailed as failure:
            if failure.code not in {NOT_FOUND, CONFLICT}:
                raise
            return Reply(failure.request_id)
        return Reply(visit.request_id)

    def check(self) -> Sequence[Right]:
        """Who we are, and what the cluster says that we may do."""
        return tuple(rights(self._api, self._access, self._target, self._own, bound=self._bound))

    def _stands(self, visit: Visit) -> str:
        """The account's uid, if it is there. Else another namespace or cluster would look like one without keys."""

        def uid(client: Client) -> str:
            found = client.get(ServiceAccount, self._target.account, namespace=self._target.namespace).metadata
            if found is None or not found.uid:
                raise ValueError("an account without a uid")
            return found.uid

        return visit.ask("get serviceaccounts", uid)

    def _listing(self, visit: Visit) -> Listing:
        account = self._stands(visit)
        labels = ",".join(f"{name}={value}" for name, value in _OURS.items())
        ours = self._listed(visit, {"labelSelector": labels}, account)
        tokens = self._listed(visit, {"fieldSelector": f"type={_TOKEN_SECRET}"}, account)
        return Listing(tuple((tokens | ours).values()), visit.date)  # a token Secret that we made is in both

    def _listed(self, visit: Visit, chosen: Mapping[str, str], account: str) -> dict[str, Key]:
        found = visit.items("list secrets", f"{self._secrets}", {"limit": str(_PAGE), **chosen})
        keys = (listed_key(item, account) for item in found if account_of(item) == self._target.account)
        return {key.key_id: key for key in keys if key is not None}

    @property
    def _secrets(self) -> str:
        return f"/api/v1/namespaces/{self._target.namespace}/secrets"

    def _create(self, visit: Visit, name: str) -> Secret:
        account = beforehand(partial(self._stands, visit))
        annotations = {ACCOUNT: self._target.account, ACCOUNT_UID: account}
        wanted = Secret(
            metadata=ObjectMeta(name=name, labels=_OURS, annotations=annotations),
            type="Opaque" if self._bound else _TOKEN_SECRET,
        )

        def create(client: Client) -> Secret:
            made = client.create(wanted, namespace=self._target.namespace)
            if _key(made).mark != name:
                raise ValueError("another Secret")
            return made

        try:
            return visit.ask("create secrets", create)
        except CallFailed as failed:
            failure = failed
        if failure.code == ALREADY_EXISTS:
            # The name was never used before: something between us and the cluster has sent the request twice.
            failure.verdict = Verdict.UNKNOWN
        raise failure

    def _bound_token(self, visit: Visit, made: Secret) -> Minted:
        key, name = _key(made), _name(made)
        reference = BoundObjectReference(apiVersion="v1", kind="Secret", name=name, uid=key.key_id)
        request = ServiceAccountToken(
            metadata=ObjectMeta(),
            spec=TokenRequestSpec(
                audiences=[],
                boundObjectRef=reference,
                expirationSeconds=round(max(self._lifetime, _SHORTEST).total_seconds()),
            ),
        )

        def ask(client: Client) -> tuple[SecretStr, datetime]:
            answer = client.create(request, self._target.account, namespace=self._target.namespace).status
            if answer is None or not answer.token or answer.expirationTimestamp is None:
                raise ValueError("the answer has no token")
            return SecretStr(answer.token), _utc(answer.expirationTimestamp)

        token, expires_at = visit.ask("create serviceaccounts/token", ask)
        request_id = visit.request_id
        # No listing shows when a bound token ends; so the Secret has to say it, as the cluster granted it.
        patch = {"metadata": {"annotations": {EXPIRES: expires_at.isoformat()}}}
        noted = visit.ask(
            "patch secrets",
            lambda client: _key(client.patch(Secret, name, patch, namespace=self._target.namespace)),
        )
        return Minted(noted, self._target.material(token.get_secret_value()), _hint(name), request_id)

    def _filled(self, visit: Visit, made: Secret) -> Minted:
        key, name, request_id = _key(made), _name(made), visit.request_id

        def look(client: Client) -> SecretStr | None:
            data = client.get(Secret, name, namespace=self._target.namespace).data or {}
            return (
                SecretStr(base64.b64decode(data["token"], validate=True).decode("ascii")) if "token" in data else None
            )

        token = visit.until("get secrets", look)
        if token is None:
            raise CallFailed(
                f"the cluster has put no token into the Secret {name}",
                verdict=Verdict.UNKNOWN,
                code="no-token",
                remedy="Check that the token controller of kube-controller-manager runs.",
            )
        return Minted(key, self._target.material(token.get_secret_value()), _hint(name), request_id)

    def _taken_back(self, visit: Visit, made: Secret, failure: CallFailed) -> CallFailed:
        """The failure of a mint whose Secret was made, with the verdict that is true once this is over."""
        if failure.verdict is not Verdict.UNKNOWN:
            try:
                self._delete(visit, _name(made), _key(made).key_id)
            except CallFailed as kept:
                if kept.code not in {NOT_FOUND, CONFLICT}:
                    failure.verdict, failure.permanent = Verdict.UNKNOWN, False
        return failure

    def _delete(self, visit: Visit, name: str, uid: str) -> None:
        visit.delete("delete secrets", f"{self._secrets}/{name}", uid)


def _key(secret: Secret) -> Key:
    """The key of a Secret that was made or changed just now. Raises ValueError if the answer isn't whole."""
    key = listed_key(secret.to_dict(), None)
    if key is None or key.odd is not None:
        raise ValueError("no whole Secret")
    return key


def _backing_off(refused: CallFailed) -> CallFailed:
    """Of a mint: an API server may not know yet what was made just now, and the list knew the account."""
    refused.permanent = refused.permanent and refused.code != NOT_FOUND
    return refused


def _name(made: Secret) -> str:
    if made.metadata is None or not made.metadata.name:
        raise ValueError("a Secret without a name")
    return made.metadata.name


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    return at.astimezone(UTC)


def _hint(name: str) -> str:
    """The generation is in the stamp already; the end of the name distinguishes the Secrets."""
    return f"..{name[-8:]}"
