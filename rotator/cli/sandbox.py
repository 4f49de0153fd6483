"""`rotator demo` and `rotator sandbox`: they need the extra `sandbox`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from rotator.cli.render import console
from rotator.errors import ExitCode, UsageError
from rotator.host.distribution import how_to_add

_MISSING = "the stand-ins are not installed."
_EXTRA = "sandbox"


def demo() -> ExitCode:
    """A rotation of each kind on the stand-ins."""
    try:
        from rotator.sandbox.demo import run  # noqa: PLC0415  # an extra's
    except ModuleNotFoundError:
        raise UsageError(_MISSING, remedy=how_to_add(_EXTRA)) from None
    return run(console())


def sandbox(
    directory: Annotated[
        Path, typer.Option("--dir", help="The directory for the config, the token and the store.")
    ] = Path("rotator-sandbox"),
    every_cloud: Annotated[bool, typer.Option("--all", help="Serve every cloud, not only AWS access keys.")] = False,
    rate_limit: Annotated[
        int,
        typer.Option(
            "--rate-limit",
            min=1,
            help="Requests an hour that the stand-in of Northflank allows. Northflank allows 1000; "
            "the sandbox's config looks once a second, and needs more.",
        ),
    ] = 20_000,
    propagation: Annotated[
        float, typer.Option("--propagation", min=0, help="Seconds until a cloud accepts a new key.")
    ] = 2.0,
    aws_port: Annotated[
        int, typer.Option("--aws-port", min=0, max=65535, help="The port of AWS; 0 takes a free one.")
    ] = 0,
    northflank_port: Annotated[
        int, typer.Option("--northflank-port", min=0, max=65535, help="The port of Northflank; 0 takes a free one.")
    ] = 0,
) -> ExitCode:
    """The stand-ins, until a signal ends them."""
    try:
        from rotator.sandbox.command import serve  # noqa: PLC0415  # an extra's
    except ModuleNotFoundError:
        raise UsageError(_MISSING, remedy=how_to_add(_EXTRA)) from None
    serve(
        console(),
        directory=directory.resolve(),
        every_cloud=every_cloud,
        rate_limit=rate_limit,
        propagation=timedelta(seconds=propagation),
        aws_port=aws_port,
        northflank_port=northflank_port,
    )
    return ExitCode.FINE
