"""The stand-ins for clouds and Northflank wired to one another, as a team's accounts are, and a config that fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_urlsafe
from types import TracebackType
from typing import Self

import yaml

from rotator.sandbox.aws.scene import AwsScene
from rotator.sandbox.northflank.account import ApiToken, Behaviour, HeldIntegration, NorthflankAccount
from rotator.sandbox.northflank.stand_in import Northflank
from rotator.sandbox.scene import OpenScene, Scene
from rotator.sandbox.wire.faults import Faults
from rotator.sandbox.wire.serving import Server, utc_now

INTEGRATION = CREDENTIAL = AwsScene.name
TEXT = "Production, owned by the platform team."

TRIAL_POLICY: Mapping[str, object] = {
    "every": "1h",
    "max_age": "1d",
    "jitter": "0s",
    "window": None,
    "grace": "4s",
    "quiet_for": "1s",
    "max_grace": "60s",
    "quarantine": "3s",
    "watch": "1s",
    "backoff": {"first": "1s", "max": "5s"},
    "proving": {"successes": 3, "every": "500ms", "timeout": "30s"},
}
"""Production's waits cut to seconds; every relation that the config proves at load still holds."""


class Stage:
    """Clouds, Northflank with one integration for each that holds a key of it, and a config between them.

    AWS with one IAM user is always there; `scenes` come beside it.

    Args:
        directory: where the config, the token, the store and the audit file go. Private to the caller.
        policy: keys over those of `TRIAL_POLICY`.
        scenes: the other clouds.
        propagation: how long a fresh key is unknown to its cloud.
        rate_limit: Northflank's, in requests an hour.
        aws_port, northflank_port: fixed ports, or 0 for free ones.
        clock: what time it is in all of them (aware UTC).

    Attributes:
        scenes: the clouds.
        aws: the AWS account.
        account: the Northflank account.
        faults: what goes wrong in Northflank, and what was asked of it. AWS has `aws.faults`.
        server: where Northflank listens.
    """

    def __init__(
        self,
        directory: Path,
        *,
        policy: Mapping[str, object] | None = None,
        scenes: Sequence[OpenScene] = (),
        propagation: timedelta = timedelta(seconds=1),
        rate_limit: int = 1000,
        aws_port: int = 0,
        northflank_port: int = 0,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.directory = directory
        first = AwsScene(directory, clock=clock, propagation=propagation, port=aws_port)
        others = (open_scene(directory, clock=clock, propagation=propagation) for open_scene in scenes)
        self.scenes: tuple[Scene, ...] = (first, *others)
        self.aws = first.aws
        self.account = NorthflankAccount(clock=clock, behaviour=Behaviour(rate_limit=rate_limit))
        self.faults = Faults(Northflank(self.account))
        self.server = Server(self.faults, port=northflank_port, clock=clock)
        self._policy = {**TRIAL_POLICY, **(policy or {})}
        self._stack = ExitStack()
        self.first_key = first.held.public["accessKey"]
        for scene in self.scenes:
            held = scene.held.reveal()
            self.account.put(
                HeldIntegration(scene.name, scene.name, scene.provider, description=TEXT, credentials=held)
            )
        token = token_urlsafe(24)
        self.account.put_token(token, ApiToken())
        self.token_file = self._write("northflank-token", token)

    def __enter__(self) -> Self:
        for scene in self.scenes:
            self._stack.enter_context(scene)
        self._stack.enter_context(self.server)
        self.config_file = self._write("rotator.yaml", self.config())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process needs in its environment to run the config: rotator's own rights in clouds, and the config."""
        rights = {name: value for scene in self.scenes for name, value in scene.environment.items()}
        return {**rights, "ROTATOR_CONFIG": str(self.config_file)}

    def config(self) -> str:
        """The config, as YAML."""
        settings = {
            "northflank": {
                "default": {
                    "api_url": self.server.url,
                    "token": {"file": str(self.token_file)},
                    "timeout": "5s",
                    "settle": "10s",
                }
            },
            "store": {"url": f"sqlite:///{self.store_file}"},
            "audit": {"file": str(self.audit_file)},
            "policy": self._policy,
            "credentials": [
                {"name": scene.name, **scene.settings, "integrations": [scene.name]} for scene in self.scenes
            ],
        }
        return yaml.safe_dump(settings, sort_keys=False)

    @property
    def store_file(self) -> Path:
        """The journal. Its directory is made by rotator."""
        return self.directory / "data" / "rotator.db"

    @property
    def audit_file(self) -> Path:
        """The audit log."""
        return self.directory / "data" / "audit.jsonl"

    def _write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(text)
        return path
