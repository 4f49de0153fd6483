"""AWS, mode crossAccountRole: the external ids with which one role lets Northflank in.

A key is one external id in the role's trust policy: the policy allows the old and the new one, until the old one is
taken out. A changed policy takes some seconds until STS goes by it.

Against the usual rule one thing is remembered, in memory alone and for `probe` alone: the external ids that were taken
out, until STS has been seen to refuse them. An external id can only be proved dead by saying it.
"""

from __future__ import annotations

import secrets
import string
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

from pydantic import SecretStr

from rotator.clock import Clock
from rotator.errors import CallFailed, RotatorError, Verdict
from rotator.material import Material
from rotator.model import Key, Proof, Reply
from rotator.providers._shared import own_identity
from rotator.providers.aws.access import SESSION_NAME, AwsAccess
from rotator.providers.aws.carrier import one_operation
from rotator.providers.aws.clients import Arn, AwsClients, clients_for
from rotator.providers.aws.errors import about_the_clock, ask
from rotator.providers.aws.role_check import rights
from rotator.providers.aws.settings import AwsRoleSettings
from rotator.providers.aws.trust import ID_LENGTH, Trust, key_id_of
from rotator.providers.aws.trust_policy import Edit, PolicyRead, RolePolicy
from rotator.providers.base import AGES_AGO, Abilities, Draft, Listing, Minted, Right, Tools

if TYPE_CHECKING:
    from mypy_boto3_sts.type_defs import AssumeRoleRequestTypeDef

_ALPHABET = string.ascii_letters + string.digits
_LONGEST = 3  # reads and writes of the policy in one change: each gets its share of the deadline
_SHORTEST_SESSION = 900  # seconds; STS makes no shorter ones
_PROPAGATION = timedelta(minutes=10)
_ASK_AGAIN = timedelta(seconds=5)


def open_provider(settings: AwsRoleSettings, tools: Tools) -> AwsRole:
    """The provider for one role. No call is made, but that the SDK may look for an instance's own credentials.

    Args:
        settings: which role, and how AWS is reached.
        tools: what to work with.

    Raises:
        RotatorError: there is no such profile, there are no credentials, or an endpoint isn't https.
    """
    access = AwsAccess(settings.aws, tools.deadline / _LONGEST)
    return AwsRole(settings.role_arn, clients_for(access, tools), probe=settings.aws.probe, clock=tools.clock)


@dataclass(frozen=True, slots=True)
class _TakenOut:
    external_id: SecretStr
    at: float  # by the monotonic clock, in seconds


class AwsRole:
    """The external ids of one role. Implements `base.Provider`.

    Args:
        arn: the role's.
        clients: how AWS is asked.
        probe: rotator may assume the role itself, by the statement that lets Northflank in.
        clock: for how long ago an external id was taken out.
    """

    def __init__(self, arn: str, clients: AwsClients, *, probe: bool, clock: Clock) -> None:
        role = Arn.found_in(arn)
        if role is None:
            raise RotatorError(f"{arn} is not the ARN of a role.", remedy="Check `role_arn`.")
        clients.must_reach({"role_arn": arn})
        self._arn = arn
        self._role = role
        self._aws = clients
        self.operation = clients.operation
        self._policy = RolePolicy(role, arn, clients)
        self._probe = probe
        self._clock = clock
        self._lock = threading.Lock()
        self._taken_out: dict[str, _TakenOut] = {}

    @property
    def abilities(self) -> Abilities:
        """No slots, but the policy's length; each external id is its own mark. Proved only where `probe` allows it."""
        return Abilities(
            slots=None,
            exact=True,
            proves=self if self._probe else None,
            own_secrets=self._aws.secrets,
            files=lambda: self._aws.files,
        )

    @property
    def identity(self) -> str:
        """`aws:role/NAME@ACCOUNT`: IAM roles' names differ by more than case and path."""
        return f"aws:role/{self._role.path.rpartition('/')[2].casefold()}@{self._role.account}"

    @one_operation
    def list_keys(self) -> Listing:
        """The external ids that the trust policy allows. IAM doesn't say since when: they are as old as the role.

        Raises:
            CallFailed: also if the role is rotator's own, or its policy isn't one that rotator can change.
        """
        if self._aws.is_own_role(self._role):
            raise own_identity(
                f"role {self._arn}",
                "Give rotator an identity of its own, with rights over this role's trust policy.",
                danger="it would change who may be rotator",
            )
        seen = self._policy.look()
        return Listing(tuple(_key(key_id, seen) for key_id in seen.trust.keys), seen.at)

    def draft(self, store_id: str, generation: int) -> Draft:  # noqa: ARG002  # the external id itself is the mark
        """A random external id. It is complete: should the mint's reply be lost, it is found by its mark."""
        external_id = "".join(secrets.choice(_ALPHABET) for _ in range(ID_LENGTH))
        material = Material(public={"roleArn": self._arn}, secret={"externalId": SecretStr(external_id)})
        return Draft(key_id_of(external_id), material)

    @one_operation
    def mint(self, draft: Draft) -> Minted:
        """Allow the draft's external id beside the others.

        Raises:
            CallFailed: also if another client changed the policy meanwhile: UNKNOWN if the external id may stand in it,
                so that it is found by its mark; REFUSED if it doesn't.
        """
        material = draft.material
        if material is None:
            raise ValueError("the draft has no external id")
        external_id = material.secret["externalId"].get_secret_value()
        change = self._policy.change(lambda trust: trust.with_id(external_id))
        key_id = key_id_of(external_id)
        if not change.stands:
            _changed_meanwhile(change, key_id, landed=key_id in change.after.keys)
        return Minted(_key(key_id, change.before), material, hint=None, request_id=change.request_id)

    @one_operation
    def prove(self, material: Material) -> Proof:
        """Assume the role once with the candidate. The session is thrown away.

        Raises:
            CallFailed: STS could not be asked, or refused for another reason than the external id.
        """
        try:
            taken = self._is_taken(material.secret["externalId"])
        except CallFailed as failure:
            if about_the_clock(failure):
                return Proof.CLOCK
            raise
        return Proof.ALIVE if taken else Proof.NOT_YET

    @one_operation
    def delete(self, key_id: str) -> Reply:
        """Take this external id out of the policy. With `probe`, prove that STS refuses it, and an absent one.

        Of one that this process didn't take out, only its hash is known: then the absent one alone is tried.

        Raises:
            CallFailed: also if it is the only one; if another client changed the policy meanwhile; and once it is out,
                as long as STS takes it: NOT_APPLIED, so that it is asked again, and REFUSED after ten minutes.
        """
        change = self._policy.change(lambda trust: self._without(trust, key_id))
        if not change.stands:
            _changed_meanwhile(change, key_id, landed=False)
        if self._probe:
            self._prove_dead(key_id)
        return Reply(change.request_id)

    def check(self) -> Sequence[Right]:
        """Reads the policy, and with `probe` assumes the role; the write is judged by IAM's policy simulator."""
        uses = self._is_taken if self._probe else None
        return tuple(rights(self._policy, self._aws, self._role, self._arn, uses))

    def _without(self, trust: Trust, key_id: str) -> Trust:
        rest = trust.without(key_id)
        if self._probe and key_id in trust.keys:
            # Before the write: its reply may be lost.
            with self._lock:
                self._taken_out[key_id] = _TakenOut(SecretStr(trust.keys[key_id]), self._clock.monotonic())
        return rest

    def _prove_dead(self, key_id: str) -> None:
        with self._lock:
            out = self._taken_out.get(key_id)
        try:
            open_to_all = self._is_taken(None)
            taken = out is not None and self._is_taken(out.external_id)
        except CallFailed as failure:
            problem = failure
        else:
            self._must_be_refused(key_id, out, taken=taken, open_to_all=open_to_all)
            return
        raise CallFailed(
            f"{key_id} is out of the trust policy, but rotator could not ask STS whether STS refuses {key_id}: "
            f"{problem.message}",
            verdict=Verdict.UNKNOWN,
            code=problem.code,
            request_id=problem.request_id,
            retry_after=problem.retry_after,
            remedy=problem.remedy,
        )

    def _must_be_refused(self, key_id: str, out: _TakenOut | None, *, taken: bool, open_to_all: bool) -> None:
        if open_to_all:
            raise CallFailed(
                f"THE EXTERNAL ID PROTECTS NOTHING: rotator assumed {self._arn} without an external id. "
                f"{key_id} is out of the trust policy",
                verdict=Verdict.REFUSED,
                code="ConditionNotEnforced",
                permanent=True,
                remedy="Remove the other statement of the trust policy that lets rotator in, and resume. If that "
                "statement lets Northflank in too, any other customer of Northflank can assume the role.",
            )
        if not taken:
            with self._lock:
                self._taken_out.pop(key_id, None)
            return
        # The policy is right, so STS can only be late; the operator must know if that lasts.
        late = out is not None and self._clock.monotonic() - out.at > _PROPAGATION.total_seconds()
        raise CallFailed(
            f"{key_id} is out of the trust policy, but STS still accepts {key_id}",
            verdict=Verdict.REFUSED if late else Verdict.NOT_APPLIED,
            code="StillTaken",
            permanent=late,
            retry_after=None if late else _ASK_AGAIN,
            remedy="Resume to ask STS again. Until STS refuses the old external id, the old external id works."
            if late
            else "",
        )

    def _is_taken(self, external_id: SecretStr | None) -> bool:
        """Assume the role with this external id, or with none, and say whether STS lets us."""
        said: AssumeRoleRequestTypeDef = {
            "RoleArn": self._arn,
            "RoleSessionName": SESSION_NAME,
            "DurationSeconds": _SHORTEST_SESSION,
        }
        if external_id is not None:
            said["ExternalId"] = external_id.get_secret_value()
        try:
            return ask(
                "AssumeRole",
                lambda: self._aws.sts_once.assume_role(**said),
                lambda answer: bool(answer["AssumedRoleUser"]["Arn"]),
            )
        except CallFailed as failure:
            if failure.verdict is not Verdict.REFUSED or failure.code != "AccessDenied":
                raise
        return False


def _key(key_id: str, seen: PolicyRead) -> Key:
    odd = "the time of creation" if seen.created_at == AGES_AGO else None
    return Key(key_id, seen.created_at, mark=key_id, odd=odd)


def _changed_meanwhile(change: Edit, key_id: str, *, landed: bool) -> NoReturn:
    """Say what is true when another policy was read back than the one that was written.

    Args:
        change: what was read back is not what it wanted.
        key_id: the external id that was to be added or taken out.
        landed: it was to be added, and is there.
    """
    if change.unseen:
        said = (
            "AWS accepted the new trust policy but shows the former one: AWS is late, or another client wrote the "
            "former one back"
        )
    else:
        there = "is" if key_id in change.after.keys else "is not"
        said = (
            f"another client changed the trust policy right after rotator: {change.difference} differ; {key_id} "
            f"{there} in the policy"
        )
    unknown = change.unseen or landed
    raise CallFailed(
        said,
        verdict=Verdict.UNKNOWN if unknown else Verdict.REFUSED,
        code="TrustPolicyChanged",
        request_id=change.request_id,
        permanent=not unknown,
        remedy="Find in CloudTrail which other client calls UpdateAssumeRolePolicy, and keep that client from changing "
        "sts:ExternalId.",
    )
