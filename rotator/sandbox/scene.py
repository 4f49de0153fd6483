"""One cloud of the sandbox: its stand-in, an identity in it whose key an integration holds, and how a workload uses it.

A class for each cloud implements `Scene`; it is made as `OpenScene` says, by the name `open_scene` of its module, and
serves between entering and leaving its `with` block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from rotator.material import Material
from rotator.model import Key
from rotator.providers.registry import REGISTERED


class Scene(Protocol):
    """What the stage, the demo and the tests know of a cloud."""

    @property
    def name(self) -> str:
        """Of the credential and of its integration, e.g. `prod-gcp`."""

    @property
    def provider(self) -> str:
        """What Northflank calls the integration's provider."""

    @property
    def held(self) -> Material:
        """The complete credential set that Northflank holds at the beginning."""

    @property
    def settings(self) -> Mapping[str, object]:
        """The credential's entry in the config, without `name` and `integrations`. Known once it serves."""

    @property
    def environment(self) -> Mapping[str, str]:
        """What rotator's process needs in its environment for its own rights in this cloud. Known once it serves."""

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where the stand-in listens: a word for the operator, and the URL. Known once it serves."""

    def keys(self) -> tuple[Key, ...]:
        """The credential's keys, as the cloud lists them; around the fault plan."""

    def use(self, held: Mapping[str, str]) -> str:
        """Do once, over the wire, what a workload does with what Northflank holds.

        Called from a thread of its own, several times a second; counted by no fault plan's rules but its own.

        Returns:
            Nothing where it worked, else what went wrong, without a secret.
        """

    def __enter__(self) -> Self:
        """Serve."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving."""


@runtime_checkable
class Regenerated(Protocol):
    """A scene whose keys an operator makes, in the cloud's dashboard. Each new one ends the one before at once."""

    @property
    def by_hand(self) -> str:
        """What an operator does for that, beside the sandbox: a sentence, and the command."""

    def regenerate(self) -> None:
        """Make a new key and put it where rotator reads it."""

    def awaiting(self, held: Mapping[str, str]) -> bool:
        """True if this key was ended so, and rotator can't have been in time with the next one: it has to fail."""


class OpenScene(Protocol):
    """How a scene is made."""

    def __call__(self, directory: Path, *, clock: Callable[[], datetime], propagation: timedelta) -> Scene:
        """Make it; it serves nothing yet.

        Args:
            directory: for files (a CA, a kubeconfig, an admin's key). Private to the caller.
            clock: what time it is in this cloud (aware UTC).
            propagation: how long a fresh key is unknown there.
        """


def beside_aws() -> tuple[OpenScene, ...]:
    """Every scene of the registry but the first, which is on every stage: AWS with an IAM user. Loads the stand-ins."""
    _, *others = (line.scene for line in REGISTERED if line.scene is not None)
    return tuple(import_module(scene).open_scene for scene in others)
