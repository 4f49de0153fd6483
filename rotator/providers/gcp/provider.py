"""Google Cloud, mode accessKey: the user-managed keys of one service account.

Facts from the IAM API reference: ten user-managed keys an account; a list doesn't show public keys, a key by itself
does; the id of an uploaded key is Google's choice. The eleventh key is a bare FAILED_PRECONDITION. Answers of Google's
front ends carry a date, those of gRPC as well (googleapis/googleapis.github.io#27 shows one).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from google.api_core.gapic_v1.routing_header import to_grpc_metadata
from google.cloud import iam_admin_v1 as iam
from google.iam.v1.iam_policy_pb2 import TestIamPermissionsRequest
from pydantic import SecretStr

from rotator.errors import CallFailed, Verdict
from rotator.http.answers import http_date
from rotator.http.calls import beforehand, patiently
from rotator.http.exchange import Span
from rotator.material import Material
from rotator.model import ByHand, Key, LastUse, Proof, Reply
from rotator.providers._shared import gone, own_identity
from rotator.providers.base import Abilities, Draft, Listing, Minted, Right, Tools
from rotator.providers.gcp import check as gcp_check
from rotator.providers.gcp import evidence as gcp_evidence
from rotator.providers.gcp import keys as gcp_keys
from rotator.providers.gcp import proof as gcp_proof
from rotator.providers.gcp.access import GcpAccess
from rotator.providers.gcp.clients import GcpClients, clients_for
from rotator.providers.gcp.errors import BARE_PRECONDITION, NOT_FOUND, PERMISSION_DENIED, attempt
from rotator.providers.gcp.listed import key_id_of, listed_key
from rotator.providers.gcp.marks import Marks
from rotator.providers.gcp.settings import GcpSettings, project_of

Value = TypeVar("Value")

_SLOTS = 10
_FIELD = "keyfileJson"
_ANALYZER = "https://policyanalyzer.googleapis.com"
_KINDS = iam.ListServiceAccountKeysRequest.KeyType
_ORIGINS = iam.ServiceAccountKeyOrigin


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload(Draft):
    """A mint whose key pair is made here. It is no material yet: for that, the id that Google will give is missing."""

    pair: RSAPrivateKey = field(repr=False)
    certificate: bytes = field(repr=False)


def open_provider(settings: GcpSettings, tools: Tools) -> GcpAccount:
    """The provider for one service account. No call is made, but that the SDK may look for an instance's own identity.

    Args:
        settings: whose keys, and how Google Cloud is reached.
        tools: what to work with.

    Raises:
        RotatorError: there are no credentials, or an address or a file can't be used.
    """
    return GcpAccount(settings, tools, clients_for(GcpAccess.of(settings.gcp, tools.deadline), tools.http))


class GcpAccount:
    """The keys of one service account. Implements `base.Provider`."""

    def __init__(self, settings: GcpSettings, tools: Tools, clients: GcpClients) -> None:
        section = settings.gcp
        self._email = settings.service_account
        self._uploads = section.key_origin == "upload"
        self._universe = section.universe_domain
        self._endpoint = section.endpoint
        self._token_uri = section.token_uri
        self._analyzer = section.analyzer_url or _ANALYZER
        self._evidence = section.evidence
        self._shows_use = settings.shows_use
        project = project_of(self._email)
        self._name = f"projects/{project or '-'}/serviceAccounts/{self._email}"
        # By the wildcard for a project, Google calls forbidden what is absent (reference of projects.serviceAccounts).
        self._unknown = {NOT_FOUND} if project else {NOT_FOUND, PERMISSION_DENIED}
        self._tools = tools
        self._http = tools.http.trusting(section.ca_file)
        self._gcp = clients
        self._marks = Marks()

    @property
    def abilities(self) -> Abilities:
        """Ten slots. A key that was uploaded is recognised by its public key; one that Google made, by nothing."""
        return Abilities(
            slots=_SLOTS,
            exact=self._uploads,
            proves=self,
            disables=self,
            tells_use=self if self._shows_use else None,
            by_hand=ByHand(
                delete=f"gcloud iam service-accounts keys delete {{key}} --iam-account={self._email}",
                disable=f"gcloud iam service-accounts keys disable {{key}} --iam-account={self._email}",
            ),
            own_secrets=self._gcp.secrets,
            files=lambda: self._gcp.files,
        )

    @property
    def identity(self) -> str:
        """`gcp:serviceAccount/ADDRESS`, and the universe where it isn't Google's own."""
        universe = "" if self._universe == "googleapis.com" else f"@{self._universe}"
        return f"gcp{universe}:serviceAccount/{self._email}"

    def list_keys(self) -> Listing:
        """ListServiceAccountKeys, without the keys that Google manages for itself; it has no pages.

        Raises:
            CallFailed: also if rotator's own identity is this account: it would revoke its own key.
        """
        return self._listing(self._span())

    @property
    def use_resolution(self) -> timedelta:
        """The policy analyzer tells the day of a use, not its time."""
        return timedelta(days=1)

    @property
    def use_lag(self) -> timedelta:
        """The policy analyzer tells of a use a day or more late."""
        return timedelta(days=2)

    @property
    def use_is_certain(self) -> bool:
        """Google may count as a use that it listed the account's keys while it checked another one."""
        return False

    def last_used(self, key_id: str) -> LastUse | None:
        """By the policy analyzer: the beginning of the day, in Pacific Standard Time.

        Raises:
            CallFailed: `untold` where rotator lacks the right to ask and `evidence` is auto.
        """
        span = self._span()
        project = self._account(span).project_id
        name = f"projects/{project}/serviceAccounts/{self._email}/keys/{key_id}"
        token = self._gcp.token(self._http, span)
        try:
            return gcp_evidence.last_use(self._http, self._analyzer, token, name, span)
        except CallFailed as failure:
            failure.untold = failure.untold and self._evidence == "auto"
            raise

    def draft(self, store_id: str, generation: int) -> Draft:  # noqa: ARG002  # a public key says all that a name would
        """The key pair and its certificate, where they are made here."""
        if not self._uploads:
            return Draft()
        pair = gcp_keys.key_pair()
        return Upload(
            mark=gcp_keys.mark(pair.public_key()),
            pair=pair,
            certificate=gcp_keys.certificate(pair, self._tools.clock.now(), self._tools.lifetime),
        )

    def mint(self, draft: Draft) -> Minted:
        """UploadServiceAccountKey or CreateServiceAccountKey: one attempt on the wire.

        Raises:
            CallFailed: `slots_full` where Google's bare refusal is explained by ten listed keys.
        """
        span = self._span()
        try:
            return self._upload(draft, span) if isinstance(draft, Upload) else self._create(span)
        except CallFailed as failure:
            if failure.code == BARE_PRECONDITION:
                failure.slots_full = self._is_full(span)
            self._back_off(failure)
            raise

    def prove(self, material: Material) -> Proof:
        """Exchange an assertion, signed with the candidate, for an access token; not repeated."""
        key_file = material.secret[_FIELD].get_secret_value()
        return gcp_proof.prove(self._http, self._token_uri, key_file, self._tools.clock, self._span())

    def disable(self, key_id: str) -> Reply:
        """DisableServiceAccountKey. Access tokens that were given out for the key live on, for an hour at most."""
        request = iam.DisableServiceAccountKeyRequest(name=self._key_name(key_id))
        return self._change("DisableServiceAccountKey", self._gcp.iam.disable_service_account_key, request)

    def enable(self, key_id: str) -> Reply:
        """EnableServiceAccountKey."""
        request = iam.EnableServiceAccountKeyRequest(name=self._key_name(key_id))
        return self._change("EnableServiceAccountKey", self._gcp.iam.enable_service_account_key, request)

    def delete(self, key_id: str) -> Reply:
        """DeleteServiceAccountKey. That the key is gone already is success; that its account is gone is not."""
        request = iam.DeleteServiceAccountKeyRequest(name=self._key_name(key_id))
        try:
            return self._change("DeleteServiceAccountKey", self._gcp.iam.delete_service_account_key, request)
        except CallFailed as failure:
            if failure.code != NOT_FOUND:
                raise
            refused = failure
        # One code for both. The list shows which: without the account it is refused in the same way, and raises.
        try:
            return gone(refused, key_id, self.list_keys())
        except CallFailed as failure:
            self._back_off(failure)
            raise

    def check(self) -> Sequence[Right]:
        """Asks IAM which of the rights it has (TestIamPermissions)."""
        origin = "endpoint" if self._endpoint else "universe_domain"
        where = f"IAM at {self._gcp.target}, from {origin}"
        return tuple(gcp_check.rights(self, where, self._own_email, self._granted))

    def _upload(self, draft: Upload, span: Span) -> Minted:
        account = beforehand(partial(self._account, span))
        request = iam.UploadServiceAccountKeyRequest(name=self._name, public_key_data=draft.certificate)

        def read(answer: iam.ServiceAccountKey) -> Minted:
            key = replace(listed_key(answer), mark=draft.mark)
            return _minted(key, gcp_keys.key_file(draft.pair, key.key_id, account, self._universe))

        return self._ask("UploadServiceAccountKey", self._gcp.iam.upload_service_account_key, request, read, span)

    def _create(self, span: Span) -> Minted:
        request = iam.CreateServiceAccountKeyRequest(
            name=self._name,
            private_key_type=iam.ServiceAccountPrivateKeyType.TYPE_GOOGLE_CREDENTIALS_FILE,
            key_algorithm=iam.ServiceAccountKeyAlgorithm.KEY_ALG_RSA_2048,
        )

        def read(answer: iam.ServiceAccountKey) -> Minted:
            key, key_file = listed_key(answer), answer.private_key_data.decode()
            fields = json.loads(key_file)
            if fields["private_key_id"] != key.key_id or not fields["private_key"]:
                raise ValueError("the answer has no key file of its key")
            return _minted(key, key_file)

        return self._ask("CreateServiceAccountKey", self._gcp.iam.create_service_account_key, request, read, span)

    def _is_full(self, span: Span) -> bool:
        try:
            return len(self._listing(span).keys) >= _SLOTS
        except CallFailed:
            return False

    def _listing(self, span: Span) -> Listing:
        request = iam.ListServiceAccountKeysRequest(name=self._name, key_types=[_KINDS.USER_MANAGED])
        listed, date = self._read(
            "ListServiceAccountKeys",
            lambda metadata, timeout: _with_date(
                self._gcp.list_keys(
                    request,
                    retry=None,
                    timeout=timeout,
                    metadata=(*metadata, to_grpc_metadata((("name", self._name),))),
                )
            ),
            span,
        )
        self._refuse_own()
        shown = {key_id_of(each.name): each for each in listed if key_id_of(each.name)}
        # Only keys that may be ours have a mark.
        ours = [each for each in shown if self._uploads and _origin(shown[each]) != _ORIGINS.GOOGLE_PROVIDED]
        marks = self._marks.of(ours, partial(self._public_key, span))
        return Listing(tuple(_marked(listed_key(each), marks, ours) for each in shown.values()), date)

    def _public_key(self, span: Span, key_id: str) -> bytes:
        request = iam.GetServiceAccountKeyRequest(
            name=self._key_name(key_id), public_key_type=iam.ServiceAccountPublicKeyType.TYPE_RAW_PUBLIC_KEY
        )
        return self._read(
            "GetServiceAccountKey",
            lambda metadata, timeout: bytes(
                self._gcp.iam.get_service_account_key(
                    request, retry=None, timeout=timeout, metadata=metadata
                ).public_key_data
            ),
            span,
        )

    def _account(self, span: Span) -> iam.ServiceAccount:
        request = iam.GetServiceAccountRequest(name=self._name)
        return self._read(
            "GetServiceAccount",
            lambda metadata, timeout: _whole(
                self._gcp.iam.get_service_account(request, retry=None, timeout=timeout, metadata=metadata)
            ),
            span,
        )

    def _granted(self) -> Sequence[str]:
        request = TestIamPermissionsRequest(resource=self._name, permissions=gcp_check.PERMISSIONS)
        return self._read(
            "TestIamPermissions",
            lambda metadata, timeout: list(
                self._gcp.iam.test_iam_permissions(request, retry=None, timeout=timeout, metadata=metadata).permissions
            ),
            self._span(),
        )

    def _own_email(self) -> str | None:
        self._gcp.token(self._http, self._span())
        return self._gcp.own_email

    def _refuse_own(self) -> None:
        if self._gcp.own_email == self._email:
            raise own_identity(
                f"service account {self._email}",
                "Give rotator a service account of its own, with rights over this one's keys.",
            )

    def _change(self, what: str, call: Callable[..., Any], request: object) -> Reply:
        return self._ask(what, call, request, lambda _: Reply(), self._span())

    def _ask(
        self, what: str, call: Callable[..., Any], request: object, read: Callable[[Any], Value], span: Span
    ) -> Value:
        """One attempt on the wire."""
        metadata, left = self._gcp.metadata(self._http, span), _left(span)
        try:
            return attempt(what, lambda: read(call(request, retry=None, timeout=left, metadata=metadata)))
        except CallFailed as failure:
            self._back_off(failure)
            raise

    def _back_off(self, refused: CallFailed) -> None:
        """Of a change: a replica that lags knows neither an account nor a key that was made just now; a list does."""
        refused.permanent = refused.permanent and refused.code not in self._unknown

    def _read(self, what: str, make: Callable[[tuple[tuple[str, str], ...], float], Value], span: Span) -> Value:
        """What only reads is tried again, once, within the same time."""

        def read(part: Span) -> Value:
            return attempt(what, partial(make, self._gcp.metadata(self._http, part), _left(part)))

        return patiently(read, clock=self._tools.clock, deadline=timedelta(seconds=_left(span)))

    def _span(self) -> Span:
        return Span(self._tools.clock, self._tools.deadline)

    def _key_name(self, key_id: str) -> str:
        return f"{self._name}/keys/{key_id}"


def _left(span: Span) -> float:
    left = span.left()
    if left <= 0:
        raise CallFailed("the deadline was over", verdict=Verdict.NOT_APPLIED, code="Deadline")
    return left


def _with_date(
    answered: tuple[iam.ListServiceAccountKeysResponse, Any],
) -> tuple[list[iam.ServiceAccountKey], datetime | None]:
    answer, call = answered
    return list(answer.keys), http_date(dict(call.initial_metadata()).get("date"))


def _whole(account: iam.ServiceAccount) -> iam.ServiceAccount:
    if not (account.project_id and account.unique_id and account.email):
        raise ValueError("the answer has no service account")
    return account


def _origin(listed: iam.ServiceAccountKey) -> int:
    return int(iam.ServiceAccountKey.pb(listed).key_origin)  # the SDK's own reading warns of what it doesn't know


def _marked(key: Key, marks: Mapping[str, str], ours: Collection[str]) -> Key:
    unread = [
        *([key.odd] if key.odd else []),
        *(["the public key"] if key.key_id in ours and key.key_id not in marks else []),
    ]
    return replace(key, mark=marks.get(key.key_id), odd=" and ".join(unread) or None)


def _material(key_file: str) -> Material:
    return Material(secret={_FIELD: SecretStr(key_file)}, parts=(SecretStr(json.loads(key_file)["private_key"]),))


def _minted(key: Key, key_file: str) -> Minted:
    hint = f"{key.key_id[:4]}..{key.key_id[-4:]}"
    return Minted(key, _material(key_file), hint)
