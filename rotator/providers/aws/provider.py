"""AWS, mode accessKey: the access keys of one IAM user.

Facts from the IAM and STS API references: two keys per user, disabled ones included; a key carries no mark of its
making, and CreateAccessKey takes no idempotency token; a fresh key is unknown to STS for seconds, at times minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, TypeVar

from pydantic import SecretStr

from rotator.errors import CallFailed, Verdict
from rotator.http.outside_text import outside_text
from rotator.material import Material
from rotator.model import ByHand, Key, LastUse, Proof, Reply
from rotator.providers._shared import gone, own_identity
from rotator.providers.aws.access import AwsAccess
from rotator.providers.aws.carrier import one_operation
from rotator.providers.aws.check import rights
from rotator.providers.aws.clients import Arn, AwsClients, clients_for
from rotator.providers.aws.errors import (
    NO_SUCH_ENTITY,
    AwsAnswer,
    about_the_clock,
    ask,
    attempt,
    date_of,
    from_aws,
    request_id,
    utc,
)
from rotator.providers.aws.settings import AwsUserSettings
from rotator.providers.base import AGES_AGO, Abilities, Draft, Listing, Minted, Right, Tools

Value = TypeVar("Value")

PROOFS: Mapping[str, Proof] = {
    "AccessDenied": Proof.ALIVE,
    "AuthFailure": Proof.NOT_YET,
    "InvalidAccessKeyId": Proof.NOT_YET,
    "InvalidClientTokenId": Proof.NOT_YET,
    "SignatureDoesNotMatch": Proof.NOT_YET,
    "UnrecognizedClientException": Proof.NOT_YET,
    "RequestExpired": Proof.CLOCK,
    "RequestTimeTooSkewed": Proof.CLOCK,
}
"""What AWS's answer to a use of the candidate says about it, by its code. The page says why, code by code."""

_STATUSES = frozenset({"Active", "Inactive", "Expired"})
"""All that the IAM API reference knows (AccessKeyMetadata)."""


def open_provider(settings: AwsUserSettings, tools: Tools) -> AwsUser:
    """The provider for one IAM user. No call is made, but that the SDK may look for an instance's own credentials.

    Args:
        settings: whose keys, and how AWS is reached.
        tools: what to work with.

    Raises:
        RotatorError: there is no such profile, there are no credentials, or an endpoint isn't https.
    """
    access = AwsAccess(settings.aws, tools.deadline)
    return AwsUser(settings.user, access, clients_for(access, tools))


class AwsUser:
    """The access keys of one IAM user. Implements `base.Provider`."""

    def __init__(self, user: str, access: AwsAccess, clients: AwsClients) -> None:
        self._user = user
        self._section = access.section
        self._aws = clients
        self.operation = clients.operation

    @property
    def abilities(self) -> Abilities:
        """Two slots, and no mark by which a lost key could be recognised."""
        return Abilities(
            slots=2,
            exact=False,
            proves=self,
            disables=self,
            tells_use=self,
            by_hand=ByHand(
                delete=f"aws iam delete-access-key --user-name {self._user} --access-key-id {{key}}",
                disable=f"aws iam update-access-key --user-name {self._user} --access-key-id {{key}} --status Inactive",
            ),
            own_secrets=self._aws.secrets,
            files=lambda: self._aws.files,
        )

    @property
    def identity(self) -> str:
        """`aws:user/NAME`, and where the settings say so, whose: the role's account, or the profile.

        Which account it is without a role, only AWS knows, and a config is judged without a call: one user reached
        by two profiles isn't recognised as one. IAM users' names differ by more than case.
        """
        name = f"aws:user/{self._user.casefold()}"
        role = Arn.found_in(self._section.assume_role or "")
        if role is not None:
            return f"{name}@{role.account}"
        return f"{name}@profile:{self._section.profile}" if self._section.profile else name

    @one_operation
    def list_keys(self) -> Listing:
        """All pages of ListAccessKeys.

        Raises:
            CallFailed: also if rotator's own identity is this user: it would revoke its own key.
        """
        if self._aws.is_own(self._user):
            raise own_identity(
                f"user {self._user}", "Give rotator an identity of its own, with rights over this user's keys."
            )
        pages = self._aws.iam.get_paginator("list_access_keys").paginate(UserName=self._user)
        read = attempt("ListAccessKeys", lambda: [(_keys(from_aws(page)), date_of(page)) for page in pages])
        return Listing(tuple(key for keys, _ in read for key in keys), read[-1][1])

    @property
    def use_resolution(self) -> timedelta:
        """AWS shows the time of a use to the minute."""
        return timedelta(minutes=1)

    @property
    def use_lag(self) -> timedelta:
        """AWS brings the last use up to date some hours late; what is at another address shows it at once."""
        return timedelta(hours=4) if self._aws.is_aws else timedelta(0)

    @property
    def use_is_certain(self) -> bool:
        """It is shown key by key."""
        return True

    @one_operation
    def last_used(self, key_id: str) -> LastUse | None:
        """GetAccessKeyLastUsed, which AWS brings up to date some hours late."""
        return ask(
            "GetAccessKeyLastUsed", lambda: self._aws.iam.get_access_key_last_used(AccessKeyId=key_id), _last_use
        )

    def draft(self, store_id: str, generation: int) -> Draft:  # noqa: ARG002  # a key can't be marked as ours
        """Nothing can be prepared."""
        return Draft()

    @one_operation
    def mint(self, draft: Draft) -> Minted:  # noqa: ARG002  # as above
        """CreateAccessKey: one attempt on the wire."""
        return self._change(
            "CreateAccessKey", lambda: self._aws.iam_once.create_access_key(UserName=self._user), _minted
        )

    @one_operation
    def prove(self, material: Material) -> Proof:
        """GetCallerIdentity, signed with the candidate, in the configured region; not repeated.

        Raises:
            CallFailed: also if the key works but is another principal's. It must not be pushed then, and another mint
                would do no better: most likely IAM and STS are reached in two different worlds.
        """
        key_id = material.public["accessKey"]
        try:
            said = self._aws.whoami(key_id, material.secret["secretKey"].get_secret_value())
        except CallFailed as failure:
            proof = _proof(failure)
            if proof is not Proof.ALIVE:
                return proof
            said = failure.message  # AccessDenied names the principal
        principal = Arn.found_in(said)
        if principal is not None and not self._aws.is_user(principal, self._user):
            raise CallFailed(
                f"the candidate {_hint(key_id)} does not belong to user {self._user}: {outside_text(said)}",
                verdict=Verdict.REFUSED,
                code="WrongPrincipal",
                permanent=True,
                remedy="Check `user`, `iam_endpoint` and `sts_endpoint`. The candidate was not pushed.",
            )
        return Proof.ALIVE

    def disable(self, key_id: str) -> Reply:
        """UpdateAccessKey to Inactive."""
        return self._update(key_id, "Inactive")

    def enable(self, key_id: str) -> Reply:
        """UpdateAccessKey to Active."""
        return self._update(key_id, "Active")

    @one_operation
    def delete(self, key_id: str) -> Reply:
        """DeleteAccessKey. That the key is gone already is success; that its user is gone is not."""
        try:
            return self._change(
                "DeleteAccessKey",
                lambda: self._aws.iam_once.delete_access_key(UserName=self._user, AccessKeyId=key_id),
                _reply,
            )
        except CallFailed as failure:
            if failure.code != NO_SUCH_ENTITY:
                raise
            refused = failure
        # One code for both. The list shows which: without the user it is refused in the same way, and raises.
        return gone(refused, key_id, self.list_keys())

    def check(self) -> Sequence[Right]:
        """Tries what only reads; what changes something is judged by IAM's policy simulator, where that is allowed."""
        return tuple(rights(self, self._aws, self._user))

    @one_operation
    def _update(self, key_id: str, status: Literal["Active", "Inactive"]) -> Reply:
        return self._change(
            "UpdateAccessKey",
            lambda: self._aws.iam_once.update_access_key(UserName=self._user, AccessKeyId=key_id, Status=status),
            _reply,
        )

    def _change(self, what: str, call: Callable[[], AwsAnswer], read: Callable[[AwsAnswer], Value]) -> Value:
        self._aws.renew()
        try:
            return ask(what, call, read)
        except CallFailed as failure:
            # A replica that lags says so of a user or a key that was made just now; the list knows them.
            failure.permanent = failure.permanent and failure.code != NO_SUCH_ENTITY
            raise


def _keys(answer: AwsAnswer) -> list[Key]:
    return [_key(listed) for listed in answer["AccessKeyMetadata"] if _has_id(listed)]


def _has_id(listed: AwsAnswer) -> bool:
    key_id = listed.get("AccessKeyId")
    return isinstance(key_id, str) and bool(key_id)


def _key(listed: AwsAnswer) -> Key:
    """A key as AWS lists it. One whose status can't be read counts as enabled: it may be in use."""
    made_at, status = listed.get("CreateDate"), listed.get("Status")
    dated, judged = isinstance(made_at, datetime) and made_at != AGES_AGO, status in _STATUSES
    unread = [*([] if dated else ["the time of creation"]), *([] if judged else ["the status"])]
    return Key(
        listed["AccessKeyId"],
        utc(made_at) if isinstance(made_at, datetime) and dated else AGES_AGO,
        enabled=status == "Active" or not judged,
        odd=" and ".join(unread) or None,
    )


def _last_use(answer: AwsAnswer) -> LastUse | None:
    used = answer["AccessKeyLastUsed"]
    if "LastUsedDate" not in used:
        return None
    if used["LastUsedDate"] == AGES_AGO:
        raise ValueError("the time of the use can't be read")
    service, region = ("" if used[name] == "N/A" else outside_text(used[name]) for name in ("ServiceName", "Region"))
    return LastUse(utc(used["LastUsedDate"]), service, region)


def _minted(answer: AwsAnswer) -> Minted:
    made = answer["AccessKey"]
    key_id, secret = made["AccessKeyId"], made["SecretAccessKey"]
    if not key_id or not secret:
        raise ValueError("the answer has no key")
    return Minted(
        _key(made),
        Material(public={"accessKey": key_id}, secret={"secretKey": SecretStr(secret)}),
        _hint(key_id),
        request_id(answer),
    )


def _reply(answer: AwsAnswer) -> Reply:
    return Reply(request_id(answer))


def _proof(failure: CallFailed) -> Proof:
    if failure.verdict is not Verdict.REFUSED or failure.code not in PROOFS:
        raise failure
    # "Signature expired" comes under the code of a signature that doesn't match.
    return Proof.CLOCK if about_the_clock(failure) else PROOFS[failure.code]


def _hint(key_id: str) -> str:
    return f"{key_id[:4]}..{key_id[-4:]}"
