"""One role's trust policy in IAM: read, and changed carefully.

Facts from the IAM API reference: the policy is read and written whole, and there is no etag. So a change that another
client makes between our read and our write is lost, and can't be detected; the read is the last thing before the write.
One that is made after our write is seen when it is read back. IAM's reads may be some seconds late.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rotator.errors import CallFailed, Verdict
from rotator.http.calls import beforehand
from rotator.http.outside_text import outside_text
from rotator.providers.aws.clients import Arn, AwsClients
from rotator.providers.aws.errors import AwsAnswer, ask, date_of, request_id, utc
from rotator.providers.aws.trust import CHARACTERS, Trust


@dataclass(frozen=True, slots=True)
class PolicyRead:
    """The trust policy, when its role was made, and what time it was at AWS, if it said so (aware UTC)."""

    trust: Trust
    created_at: datetime
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of the trust policy that AWS took, or that wasn't needed.

    Args:
        before: as it was right before.
        wanted: as it was written.
        after: as it was read back.
        request_id: of the write; None if there was nothing to write.
    """

    before: PolicyRead
    wanted: Trust
    after: Trust
    request_id: str | None

    @property
    def stands(self) -> bool:
        """What was read back is what was written."""
        return self.after.same_as(self.wanted)

    @property
    def unseen(self) -> bool:
        """What was read back is what was there before: AWS is late, or another client wrote it back."""
        return self.after.same_as(self.before.trust)

    @property
    def difference(self) -> str:
        """What another client changed since, in general terms."""
        return self.wanted.difference(self.after)


@dataclass(frozen=True, slots=True)
class _Role:
    arn: str
    document: object = field(repr=False)
    created_at: datetime
    at: datetime | None


class RolePolicy:
    """The trust policy of the role with this ARN."""

    def __init__(self, role: Arn, arn: str, clients: AwsClients) -> None:
        self._arn = arn
        self._name = role.path.rpartition("/")[2]
        self._aws = clients

    def look(self) -> PolicyRead:
        """GetRole.

        Raises:
            CallFailed: also if the role of this name is another one, or its policy isn't one that rotator can change.
        """
        role = ask("GetRole", lambda: self._aws.iam.get_role(RoleName=self._name), _role)
        if role.arn != self._arn:
            raise CallFailed(
                f"the role {self._name} that rotator sees is {outside_text(role.arn)}, not {self._arn}",
                verdict=Verdict.REFUSED,
                code="WrongRole",
                permanent=True,
                remedy="Check `role_arn`, letter by letter, and that rotator's own AWS identity is in that account. "
                "rotator changed nothing.",
            )
        return PolicyRead(Trust.of(role.document), role.created_at, role.at)

    def change(self, make: Callable[[Trust], Trust]) -> Edit:
        """Read it, write what `make` makes of it (one attempt on the wire), and read it back.

        Raises:
            CallFailed: of the first read or of `make`, never UNKNOWN; of the write; UNKNOWN, if it was written and
                can't be read back.
        """
        self._aws.renew()
        before = beforehand(self.look)
        wanted = make(before.trust)
        if wanted is before.trust:
            return Edit(before, wanted, wanted, None)
        written = self._write(wanted.text)
        return Edit(before, wanted, self._read_back(), written)

    def _write(self, text: str) -> str | None:
        try:
            return ask(
                "UpdateAssumeRolePolicy",
                lambda: self._aws.iam_once.update_assume_role_policy(RoleName=self._name, PolicyDocument=text),
                request_id,
            )
        except CallFailed as failure:
            if failure.slots_full:
                failure.remedy = (
                    f"Shorten the trust policy, or have AWS raise the quota: {CHARACTERS} characters without white "
                    "space."
                )
            raise

    def _read_back(self) -> Trust:
        try:
            return self.look().trust
        except CallFailed as failure:
            problem = failure
        raise CallFailed(
            f"AWS accepted the trust policy, but rotator can't read the policy back: {problem.message}",
            verdict=Verdict.UNKNOWN,
            code=problem.code,
            request_id=problem.request_id,
            remedy=problem.remedy,
        )


def _role(answer: AwsAnswer) -> _Role:
    role: Mapping[str, object] = answer["Role"]
    created_at = role["CreateDate"]
    if not isinstance(created_at, datetime):
        raise TypeError("the answer has no CreateDate")
    # botocore has decoded the document, which is JSON within a URL's quoting, where it could.
    return _Role(str(role["Arn"]), role["AssumeRolePolicyDocument"], utc(created_at), date_of(answer))
