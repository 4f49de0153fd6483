"""What others than root and rotator can write, and rotator goes by: it doesn't start on that."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from rotator.config.models import Config
from rotator.errors import UsageError
from rotator.rotation.managed import Managed
from rotator.settings.exposure import Exposure, directory_exposure, exposures


def exposed(config: Config, fleet: Iterable[Managed], beside: Collection[str]) -> Iterator[Exposure]:
    """The files that others can write, and the audit file's directory where every user can take files away.

    Args:
        config: names the audit file.
        fleet: its credentials.
        beside: other files: the config's own.
    """
    yield from exposures({*beside, *(file for managed in fleet for file in managed.files())})
    directory = audit_directory(config)
    if directory is not None and directory.open_to_all:
        yield directory


def audit_directory(config: Config) -> Exposure | None:
    """How others can take the audit file away, or put another in its place."""
    return None if config.audit.file is None else directory_exposure(Path(config.audit.file).parent)


def refuse_exposed(config: Config, fleet: Iterable[Managed], beside: Collection[str]) -> None:
    """Let nothing begin while others could have rotator do anything.

    Raises:
        UsageError: they could. Every such file is named.
    """
    found = list(exposed(config, fleet, beside))
    if found:
        raise UsageError(
            f"{'; '.join(each.text for each in found)}. rotator began nothing.",
            remedy=f"{'; '.join(each.command for each in found)} (or mount a file read-only)",
        )
