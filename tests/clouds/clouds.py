"""The clouds as these tests see them: how each is opened, which requests are which, and how it says no."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from rotator.sandbox.aws_scene import USER, AwsScene
from rotator.sandbox.civo_scene import CivoScene
from rotator.sandbox.faults import Faults
from rotator.sandbox.rules import Answer
from rotator.sandbox.scene import OpenScene

Kind = Literal["list", "create", "prove", "disable", "delete"]


@dataclass(frozen=True, slots=True)
class Requests:
    """Some of a cloud's requests.

    Args:
        faults: the fault plan that they pass, of a scene.
        method, path, action: as a rule has them.
    """

    faults: Callable[[Any], Faults]
    method: str | None = None
    path: str = ""
    action: str | None = None

    @property
    def match(self) -> dict[str, Any]:
        """What selects them in the fault plan."""
        return {"method": self.method, "path": self.path, "action": self.action}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """One cloud. What it can do is for its provider to say.

    Args:
        name: in the tests' ids.
        scene: makes it; None is the one that a stage always has.
        requests: by kind; a kind that isn't there isn't made.
        throttled: how it says that there were too many requests.
        forbidden: how it says that a right is missing, by kind of request.
        rights: what a hold must say of the right that is missing, by kind of request.
        secrets: all that it ever gave out.
        make_key: a person makes a key beside rotator's; returns its id. None where that isn't possible.
        bring: a person makes the next key, and brings it. None where rotator makes the keys.
        interrupted: there is no working key to be held: a person has ended it by making the next one.
        prepare: what its scene needs where time is moved.
    """

    name: str
    scene: OpenScene | None
    requests: Mapping[Kind, Requests]
    throttled: Answer
    secrets: Callable[[Any], set[str]]
    forbidden: Mapping[Kind, Answer] = field(default_factory=dict)
    rights: Mapping[Kind, str] = field(default_factory=dict)
    make_key: Callable[[Any], str] | None = None
    bring: Callable[[Any], None] | None = None
    interrupted: Callable[[Any, Mapping[str, str]], bool] = lambda _scene, _held: False
    prepare: Callable[[Any], None] = lambda _scene: None


def _aws_faults(scene: AwsScene) -> Faults:
    return scene.aws.faults


def _aws_says(status: int, code: str, message: str) -> Answer:
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    body = f'<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">{error}<RequestId>r</RequestId></ErrorResponse>'
    return Answer(status=status, body=body, content_type="text/xml")


def _aws_forbids(action: str) -> Answer:
    return _aws_says(403, "AccessDenied", f"User: x is not authorized to perform: {action} on resource: y")


def _sign_by_the_machine(scene: AwsScene) -> None:
    """The SDK signs by the clock of its machine, which no test moves."""
    scene.aws.signing_clock = lambda: datetime.now(UTC)


AWS = Cloud(
    name="aws",
    scene=None,
    requests={
        "list": Requests(_aws_faults, action="ListAccessKeys"),
        "create": Requests(_aws_faults, action="CreateAccessKey"),
        "prove": Requests(_aws_faults, action="GetCallerIdentity"),
        "disable": Requests(_aws_faults, action="UpdateAccessKey"),
        "delete": Requests(_aws_faults, action="DeleteAccessKey"),
    },
    throttled=_aws_says(400, "Throttling", "Rate exceeded"),
    forbidden={"create": _aws_forbids("iam:CreateAccessKey"), "delete": _aws_forbids("iam:DeleteAccessKey")},
    rights={"create": "iam:CreateAccessKey", "delete": "iam:DeleteAccessKey"},
    make_key=lambda scene: scene.aws.create_key(USER).reveal()["accessKey"],
    secrets=lambda scene: scene.aws.secrets,
    prepare=_sign_by_the_machine,
)

CIVO = Cloud(
    name="civo",
    scene=CivoScene,
    requests=dict.fromkeys(("list", "prove"), Requests(lambda scene: scene.civo.faults, method="GET")),
    throttled=Answer(status=429, body='{"code": "too_many_requests", "reason": "Too many requests"}'),
    secrets=lambda scene: scene.civo.secrets,
    bring=lambda scene: scene.regenerate(),
    interrupted=lambda scene, held: scene.awaiting(held),
)

EVERY = (AWS,)
"""All whose keys rotator makes."""

SUPPLIED = (CIVO,)
"""All whose keys a person makes."""

TWO = (AWS,)
"""For what goes wrong at Northflank, where clouds differ by their capabilities alone: one that shows which key a lost
mint made, and one that doesn't."""
