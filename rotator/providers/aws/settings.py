"""A credential in AWS: an IAM user whose access key Northflank holds, or a role and its external id."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from rotator.settings.section import Endpoint, ProviderSettings, Section, key_in_use


class AwsSection(Section):
    """How rotator itself reaches AWS. Its own rights come from the SDK's default chain, or as said here."""

    profile: str | None = Field(None, min_length=1, description="A profile of the SDK's shared config files.")
    assume_role: str | None = Field(
        None,
        pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\x21-\x7e]{1,1024}$",
        description="The ARN of a role that rotator assumes first.",
    )
    region: str | None = Field(
        None,
        pattern=r"^[a-z]{2,}(-[a-z0-9]+)+$",
        description="Where a fresh key is proved, by its STS; null: the region of the environment or the profile.",
    )
    iam_endpoint: Endpoint | None = Field(None, description="An IAM endpoint other than the SDK's.")
    sts_endpoint: Endpoint | None = Field(None, description="An STS endpoint other than the SDK's.")


class AwsUserSettings(ProviderSettings):
    """An IAM user whose access key Northflank holds."""

    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: two access keys a user.
    slots: ClassVar[int | None] = 2
    draft: ClassVar[str] = """\
    user: todo-{name}  # TODO: the IAM user whose access key Northflank holds; its name, not its ARN
"""

    user: str = Field(pattern=r"^[A-Za-z0-9_+=,.@-]{1,64}$", description="The IAM user's name, without path or ARN.")
    current_key: str | None = key_in_use(r"[A-Z0-9]{16,128}", "The id of the key that Northflank holds now (AKIA...)")
    aws: AwsSection = Field(default_factory=AwsSection, description="How rotator itself reaches AWS.")

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

    role_arn: str = Field(
        pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/([\x21-\x7e]{1,510}/)?[A-Za-z0-9_+=,.@-]{1,64}$",
        description="The role's ARN.",
    )
    current_key: str | None = key_in_use(r"xid-[0-9a-f]{16}", "What `rotator adopt` shows for the external id in use")
    aws: AwsRoleSection = Field(default_factory=AwsRoleSection, description="How rotator itself reaches AWS.")

    @property
    def principal(self) -> tuple[str | None, ...]:
        """The role: its ARN names the account."""
        return (self.role_arn,)
