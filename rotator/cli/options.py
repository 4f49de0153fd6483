"""The options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigPath = Annotated[
    Path | None, typer.Option("--config", envvar="ROTATOR_CONFIG", help="The config file.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document in place of text.")]
Name = Annotated[str, typer.Argument(help="The credential, as the config names it.", show_default=False)]
Why = Annotated[str | None, typer.Option("--why", help="The reason, for the audit log.")]
Claimed = Annotated[str | None, typer.Option("--as", help="Who asks, for the audit log; marked as claimed.")]
Standalone = Annotated[bool, typer.Option("--standalone", help="With no rotator running, do it here and now.")]
Wait = Annotated[bool, typer.Option("--wait", help="Follow the rotation until it is done or held.")]
Team = Annotated[
    str | None, typer.Option("--team", help="Without a config: the team's id, for an organisation's token.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask.")]
