"""A credential in AWS: an IAM user whose access key Northflank holds, or a role and its external id."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from rotator.providers.aws.partitions import COMMERCIAL, EUSC, mismatch, of_arn, of_region
from rotator.settings.section import Endpoint, Form, ProviderSettings, Section, key_in_use, or_unmanaged

_OWN_ROLE = Form(
    r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\x21-\x7e]{1,1024}$",
    "the ARN of a role, like arn:aws:iam::123456789012:role/rotator",
)
_ROTATED_ROLE = Form(
    r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/([\x21-\x7e]{1,510}/)?[A-Za-z0-9_+=,.@-]{1,64}$",
    "the ARN of a role, like arn:aws:iam::123456789012:role/northflank",
)
_REGION = Form(r"^[a-z]{2,}(-[a-z0-9]+)+$", "a region by its code, like eu-west-1")
_USER = Form(
    r"^[A-Za-z0-9_+=,.@-]{1,64}$",
    "a user's name without path or ARN: of arn:aws:iam::123456789012:user/team/northflank-byoc it is northflank-byoc",
)
_KEY = Form(r"^[A-Z0-9]{16,128}$", "an access key id, in capitals and digits, like AKIA012345678EXAMPLE")
_EXTERNAL_ID = Form(r"^xid-[0-9a-f]{16}$", "what `rotator adopt` shows, like xid-0123456789abcdef")


class AwsSection(Section):
    """How rotator itself reaches AWS. Its own rights come from the SDK's default chain, or as said here."""

    profile: str | None = Field(None, min_length=1, description="A profile of the SDK's shared config files.")
    assume_role: Annotated[str, _OWN_ROLE] | None = Field(
        None,
        description="The ARN of a role that rotator assumes first.",
    )
    region: Annotated[str, _REGION] | None = Field(
        None,
        description="Where a fresh key is proved, by its STS; null: the region of the environment or the profile.",
    )
    iam_endpoint: Endpoint | None = Field(None, description="An IAM endpoint other than the SDK's.")
    sts_endpoint: Endpoint | None = Field(None, description="An STS endpoint other than the SDK's.")

    @model_validator(mode="after")
    def _of_one_partition(self) -> Self:
        _must_agree({"assume_role": self.assume_role}, self.region)
        return self

    def partition(self, arn: str | None = None) -> str:
        """The partition that this section, or an ARN beside it, names; the commercial one where neither does."""
        return of_arn(arn or self.assume_role) or (of_region(self.region) if self.region else COMMERCIAL)


class AwsUserSettings(ProviderSettings):
    """An IAM user whose access key Northflank holds."""

    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: two access keys a user.
    slots: ClassVar[int | None] = 2
    draft: ClassVar[str] = """\
    user: todo-{name}  # TODO: the IAM user whose access key Northflank holds; its name, not its ARN
"""

    user: Annotated[str, _USER] = Field(description="The IAM user's name, without path or ARN.")
    current_key: Annotated[str, or_unmanaged(_KEY)] | None = key_in_use(
        "The id of the key that Northflank holds now (AKIA...)"
    )
    aws: AwsSection = Field(default_factory=AwsSection, description="How rotator itself reaches AWS.")

    @property
    def northflank_provider(self) -> str:
        """Northflank has two for AWS."""
        return _northflanks(self.aws.partition())

    @property
    def shows_use(self) -> bool:
        """GetAccessKeyLastUsed."""
        return True

    @property
    def principal(self) -> tuple[str | None, ...]:
        """The user in its account, or in that of the profile where no role names the account.

        IAM user names that differ in case alone are equal.
        """
        account = self.aws.assume_role.split(":")[4] if self.aws.assume_role else self.aws.profile
        return self.user.lower(), account


class AwsRoleSection(AwsSection):
    """How rotator itself reaches AWS, and whether it may try the role."""

    probe: bool = Field(
        default=False,
        strict=True,
        description="rotator may assume the role itself: a new external id is proved before it is pushed.",
    )


class AwsRoleSettings(ProviderSettings):
    """An IAM role that Northflank assumes with an external id."""

    # An external id takes room in the role's trust policy, which is limited in characters, not in ids.
    slots: ClassVar[int | None] = None
    draft: ClassVar[str] = """\
    role_arn: arn:aws:iam::000000000000:role/todo-{name}  # TODO: the ARN of the role that Northflank assumes
"""

    role_arn: Annotated[str, _ROTATED_ROLE] = Field(
        description="The role's ARN.",
    )
    current_key: Annotated[str, or_unmanaged(_EXTERNAL_ID)] | None = key_in_use(
        "What `rotator adopt` shows for the external id in use"
    )
    aws: AwsRoleSection = Field(default_factory=AwsRoleSection, description="How rotator itself reaches AWS.")

    @model_validator(mode="after")
    def _in_the_partition_of_the_role(self) -> Self:
        _must_agree({"role_arn": self.role_arn}, self.aws.region)
        own = of_arn(self.aws.assume_role)
        if own is not None and own != of_arn(self.role_arn):
            raise ValueError(f"role_arn is in the partition {of_arn(self.role_arn)}, and aws.assume_role in {own}")
        return self

    @property
    def northflank_provider(self) -> str:
        """Northflank has two for AWS."""
        return _northflanks(self.aws.partition(self.role_arn))

    @property
    def principal(self) -> tuple[str | None, ...]:
        """The role: its ARN names the account."""
        return (self.role_arn,)


def _must_agree(arns: dict[str, str | None], region: str | None) -> None:
    """Raises ValueError where an ARN is of another partition than the region, as far as the config says that."""
    problem = mismatch(arns, region) if region else None
    if problem is not None:
        raise ValueError(f"{problem[0]}. {problem[1]}")


def _northflanks(partition: str) -> str:
    return EUSC if partition == EUSC else COMMERCIAL
