"""`rotator demo` and `rotator sandbox`: they need the extra `sandbox`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from rotator.cli.render import console
from rotator.errors import ExitCode, UsageError
from rotator.host.distribution import how_to_add

_MISSING = "the stand-ins are not installed."
_EXTRA = "sandbox"


def demo() -> ExitCode:
    """A rotation of each kind on the stand-ins."""
    try:
        from rotator.sandbox.demo import run  # noqa: PLC0415
    except ModuleNotFoundError:
        raise UsageError(_MISSING, remedy=how_to_add(_EXTRA)) from None
    return run(console())


def sandbox(
    directory: Path,
    *,
    every_cloud: bool,
    rate_limit: int,
    propagation: timedelta,
    aws_port: int,
    northflank_port: int,
) -> None:
    """The stand-ins, until a signal ends them."""
    try:
        from rotator.sandbox.command import serve  # noqa: PLC0415
    except ModuleNotFoundError:
        raise UsageError(_MISSING, remedy=how_to_add(_EXTRA)) from None
    serve(
        console(),
        directory=directory.resolve(),
        every_cloud=every_cloud,
        rate_limit=rate_limit,
        propagation=propagation,
        aws_port=aws_port,
        northflank_port=northflank_port,
    )
