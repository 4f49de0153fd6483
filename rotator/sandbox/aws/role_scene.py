"""AWS by role in the sandbox: a role that Northflank assumes from its own account, with an external id."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlencode

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from pydantic import SecretStr

from rotator.material import Material
from rotator.model import Key
from rotator.providers.aws.trust import key_id_of
from rotator.sandbox.aws.roles import external_ids
from rotator.sandbox.aws.stand_in import AwsStandIn
from rotator.sandbox.scene import OpenScene
from rotator.sandbox.wire.serving import Served

ROLE = "northflank"
REGION = "eu-west-1"

_HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}
_CREDENTIALS = string.Template(
    "[$profile]\naws_access_key_id = $accessKey\naws_secret_access_key = $secretKey\n",
)


class AwsRoleScene(Served):
    """One account with one role, and Northflank's account. Implements `scene.Scene`.

    Args:
        directory: for rotator's own key, as a profile: the environment's is another scene's.
        clock: what time it is there (aware UTC).
        propagation: how long a changed trust policy is not gone by.

    Attributes:
        aws: the stand-in.
        role_arn: the role.
    """

    name = "aws-by-role"
    provider = "aws"

    def __init__(self, directory: Path, *, clock: Callable[[], datetime], propagation: timedelta) -> None:
        self.aws = AwsStandIn()
        self.aws.server.clock = clock
        self.aws.propagation = propagation
        account, self._northflank = self.aws.add_outsider("northflank")
        external_id = token_hex(16)
        own = f"arn:aws:iam::{self.aws.account}:user/rotator"
        self.role_arn = self.aws.add_role(
            ROLE,
            trust=trust_policy(f"arn:aws:iam::{account}:root", own, external_id=external_id),
            policy={"Version": "2012-10-17", "Statement": []},
        )
        self.aws.grant("iam:GetRole", "iam:UpdateAssumeRolePolicy", "sts:AssumeRole", on=self.role_arn)
        self.held = Material(public={"roleArn": self.role_arn}, secret={"externalId": SecretStr(external_id)})
        self._profile = directory / "aws-by-role-credentials"
        self._profile.touch(mode=0o600)
        self._profile.write_text(_CREDENTIALS.substitute(self.aws.admin.reveal(), profile=self.name))
        self._http = httpx.Client(timeout=10)
        self.serving = (self.aws, closing(self._http))

    @property
    def settings(self) -> Mapping[str, object]:
        """The role, the external id that is held, and where the stand-in is."""
        return {
            "provider": "aws",
            "mode": "crossAccountRole",
            "role_arn": self.role_arn,
            "current_key": key_id_of(self.held.secret["externalId"].get_secret_value()),
            "aws": {"probe": True, "profile": self.name, "region": REGION, **self.aws.endpoints},
        }

    @property
    def environment(self) -> Mapping[str, str]:
        """Where the profile is."""
        return {"AWS_SHARED_CREDENTIALS_FILE": str(self._profile), "AWS_EC2_METADATA_DISABLED": "true"}

    @property
    def addresses(self) -> Mapping[str, str]:
        """IAM and STS are one server."""
        return {"AWS, by role": self.aws.server.url}

    def keys(self) -> tuple[Key, ...]:
        """The external ids of the role's trust policy."""
        return keys_of(self.aws, self.role_arn)

    def use(self, held: Mapping[str, str]) -> str:
        """AssumeRole, from Northflank's account."""
        answer = self._http.send(assume_role(self.aws.server.url, self._northflank, held))
        return "" if answer.is_success else f"{key_id_of(held['externalId'])}: {answer.status_code}"


def trust_policy(*principals: str, external_id: str) -> dict[str, Any]:
    """A trust policy as Northflank's set-up makes it, with these principals."""
    condition = {"StringEquals": {"sts:ExternalId": external_id}}
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": list(principals)},
        "Action": "sts:AssumeRole",
        "Condition": condition,
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def keys_of(aws: AwsStandIn, role_arn: str) -> tuple[Key, ...]:
    """The external ids of a role's trust policy, under the ids that rotator gives them."""
    created_at = aws.role_created(role_arn)
    ids = [key_id_of(external_id) for external_id in external_ids(aws.trust(role_arn))]
    return tuple(Key(key_id, created_at, mark=key_id) for key_id in ids)


def assume_role(url: str, principal: Material, held: Mapping[str, str]) -> httpx.Request:
    """The request by which this principal, whose access key this is, uses what Northflank holds."""
    said = {"RoleArn": held["roleArn"], "ExternalId": held["externalId"], "RoleSessionName": "northflank"}
    form = {"Action": "AssumeRole", "Version": "2011-06-15", "DurationSeconds": "900", **said}
    request = AWSRequest("POST", url, headers=_HEADERS, data=urlencode(form).encode())
    key = principal.reveal()
    SigV4Auth(Credentials(key["accessKey"], key["secretKey"]), "sts", REGION).add_auth(request)
    return httpx.Request("POST", url, headers=dict(request.headers), content=request.data)


open_scene: OpenScene = AwsRoleScene
