"""AWS in the sandbox: an IAM user whose access key an integration holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from rotator.model import Key
from rotator.sandbox.aws.stand_in import AwsStandIn
from rotator.sandbox.scene import OpenScene
from rotator.sandbox.wire.serving import Served

USER = "northflank-byoc"
REGION = "eu-west-1"

_HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}
_BODY = b"Action=GetCallerIdentity&Version=2011-06-15"


class AwsScene(Served):
    """One account, one user. Implements `scene.Scene`.

    Args:
        directory: not used.
        clock: what time it is there (aware UTC).
        propagation: how long a fresh key is unknown.
        port: a fixed one, or 0 for a free one.

    Attributes:
        aws: the stand-in.
    """

    name = "prod-aws"
    provider = "aws"

    def __init__(
        self,
        directory: Path,  # noqa: ARG002  # every scene is made alike
        *,
        clock: Callable[[], datetime],
        propagation: timedelta,
        port: int = 0,
    ) -> None:
        self.aws = AwsStandIn(port=port)
        self.aws.server.clock = clock
        self.aws.propagation = propagation
        self.aws.add_user(USER)
        self.held = self.aws.create_key(USER)
        self._http = httpx.Client(timeout=10)
        self.serving = (self.aws, closing(self._http))

    @property
    def settings(self) -> Mapping[str, object]:
        """The user, the key that is held, and where the stand-in is."""
        return {
            "provider": "aws",
            "user": USER,
            "current_key": self.held.public["accessKey"],
            "aws": {"region": REGION, **self.aws.endpoints},
        }

    @property
    def environment(self) -> Mapping[str, str]:
        """Rotator's own key."""
        return self.aws.environment

    @property
    def addresses(self) -> Mapping[str, str]:
        """IAM and STS are one server."""
        return {"AWS": self.aws.server.url}

    def keys(self) -> tuple[Key, ...]:
        """The user's access keys."""
        return self.aws.keys(USER)

    def use(self, held: Mapping[str, str]) -> str:
        """GetCallerIdentity."""
        request = AWSRequest("POST", self.aws.server.url, headers=_HEADERS, data=_BODY)
        SigV4Auth(Credentials(held["accessKey"], held["secretKey"]), "sts", REGION).add_auth(request)
        answer = self._http.post(self.aws.server.url, headers=dict(request.headers), content=_BODY)
        return "" if answer.is_success else f"{held['accessKey']}: {answer.status_code}"


open_scene: OpenScene = AwsScene
