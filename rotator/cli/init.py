"""`rotator init`: a first config, written from what Northflank shows. Secrets stay where they are.

What Northflank shows is filled in. What it doesn't show is a placeholder of the right form, marked TODO.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
import yaml
from pydantic import ValidationError

from rotator.cli.options import Team
from rotator.cli.render import progress_if_slow, say
from rotator.cli.wiring import connections_of, from_environment
from rotator.config.credential import IntegrationSection
from rotator.config.kinds import PLUGIN, tag_of
from rotator.config.models import ConnectionSection
from rotator.errors import CallFailed, ExitCode, UsageError
from rotator.northflank.answers import Item
from rotator.northflank.client import Connection
from rotator.providers.gcp.settings import GcpSettings
from rotator.providers.registry import REGISTERED

_KEYLESS = "  # keyless, which is the better way: there is nothing to rotate"
_LONGEST_NAME = 50  # characters; with any prefix of a placeholder it is still a name in every cloud

_HEAD = """\
# yaml-language-server: $schema=./rotator.schema.json
#
# The config of rotator, begun by `rotator init` from what Northflank shows. To finish it:
#   1. Replace each value marked TODO: Northflank doesn't show it.
#   2. `rotator policy NAME` prints the rights that rotator needs for a credential: grant them.
#   3. `rotator check` says what is still wrong, and changes nothing.
#   4. Name the key that Northflank holds now: `current_key: ID` in a credential, or later `rotator adopt NAME`.
#
# Every key and its default is in config/rotator.example.yaml. This file holds no secret, but the place of each one:
# {{file: /run/secrets/name}}, {{env: NAME}} or {{credential: name}} (systemd's).

northflank:
  default:
    api_url: {api_url}
    token: {token}  # for a service prefer a file: rotator reads it at each use
    team: {team}

store:
  url: sqlite:////var/lib/rotator/rotator.db  # the journal: back it up

audit:
  file: /var/lib/rotator/audit.jsonl

policy:
  every: 30d  # replace a key when it is this old
  max_age: 90d  # what your auditors ask for
  window: null  # or "Mon-Fri 08:00-16:00 Europe/London": mint, disable and delete only then

credentials:
"""


def init(
    output: Annotated[Path, typer.Option("--output", help="The file to write.")] = Path("rotator.yaml"),
    team: Team = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> ExitCode:
    """Write the config.

    Raises:
        UsageError: there is no token, nothing to rotate, or the file exists or can't be written.
        CallFailed: Northflank can't be asked.
    """
    if output.exists() and not force:
        raise _exists(output)
    section = from_environment(team, os.environ)
    connection = connections_of({"default": section})["default"]
    with progress_if_slow("asking Northflank for its integrations ..."):
        items = [_in_full(connection, item) for item in connection.list_integrations()]
    made = draft(section, items)
    if not made.credentials:
        raise UsageError(
            f"rotator can rotate none of the {len(items)} integrations; nothing was written.",
            remedy="`rotator discover` lists the integrations. Check that --team is the right team.",
        )
    try:
        with output.open("w" if force else "x", encoding="utf-8") as file:
            file.write(made.text)
    except FileExistsError:
        raise _exists(output) from None
    except OSError as error:
        raise UsageError(
            f"{output} can't be written: {error.strerror}.", remedy="name another file with --output."
        ) from None
    say(f"Wrote {output}. Credentials: {made.credentials}; integrations left alone: {len(made.left)}.")
    say(f"Replace each value marked TODO, then run: rotator check --config {output}")
    return ExitCode.FINE


def _exists(output: Path) -> UsageError:
    return UsageError(
        f"{output} exists; nothing was written.",
        remedy="name another file with --output, or replace this one with --force.",
    )


def _in_full(connection: Connection, item: Item) -> Item:
    """With the service account, which Northflank shows of one integration and not in its list."""
    if item.project is None or item.service_account is not None:
        return item
    try:
        return connection.integration(item.id, urgent=False)
    except CallFailed:
        return item


@dataclass(frozen=True, slots=True)
class ConfigDraft:
    """The text of a config, how many credentials it has, and the integrations that it leaves alone."""

    text: str
    credentials: int
    left: tuple[Item, ...]


def draft(connection: ConnectionSection, items: Sequence[Item]) -> ConfigDraft:
    """Write a config with an entry for each integration that rotator can rotate, and the others in comments.

    Integrations that are known to share one identity share an entry.

    Args:
        connection: the way to Northflank; becomes `default`.
        items: its integrations.
    """
    entries: dict[object, list[Item]] = {}
    left: list[Item] = []
    for item in items:
        if _tag(item) == PLUGIN or not _may_be_named(item.id):
            left.append(item)
        else:
            known = _is_account(item.service_account)
            entries.setdefault((_tag(item), item.service_account) if known else item.id, []).append(item)
    names = _names([fed[0].id for fed in entries.values()])
    head = _HEAD.format(
        api_url=_plain(connection.api_url),
        token=yaml.safe_dump(connection.token.model_dump(exclude_none=True), default_flow_style=True).strip(),
        team=_plain(connection.team),
    )
    parts = [
        _entry(name, number, fed) for number, (name, fed) in enumerate(zip(names, entries.values(), strict=True), 1)
    ]
    return ConfigDraft("\n".join([head.rstrip("\n"), *parts, *_left_alone(left)]), len(parts), tuple(left))


def _entry(name: str, number: int, fed: Sequence[Item]) -> str:
    item = fed[0]
    lines = [f"  # {each.name or each.id}" for each in fed]
    lines += [f"  - name: {_plain(name)}", f"    provider: {item.provider}"]
    lines += [f"    integrations: [{', '.join(_plain(each.id) for each in fed)}]"]
    line = next(line for line in REGISTERED if line.tag == _tag(item))
    if line.mode is not None:
        if item.mode is None:
            lines += ["    # TODO: Northflank shows no mode, so a key is assumed; else it is crossAccountRole"]
        lines += [f"    mode: {line.mode}{_KEYLESS if line.settings.keyless else ''}"]
    filled = line.settings.draft.format(name=name, number=number, service_account=_service_account(name, item))
    return "\n".join([*lines, filled])


def _left_alone(left: Sequence[Item]) -> Iterator[str]:
    if left:
        yield "# Unmanaged: Northflank has these as well, and rotator leaves them alone."
        yield from (f"#   {item.id} ({item.name or item.id}): {item.provider}" for item in left)
        yield ""


def _tag(item: Item) -> str:
    return tag_of({"provider": item.provider, "mode": item.mode}) or PLUGIN


def _service_account(name: str, item: Item) -> str:
    if _is_account(item.service_account):
        return _plain(item.service_account)
    project = f"todo-{name}@{item.project}.iam.gserviceaccount.com"
    guess = project if _is_account(project) else f"todo-{name}@todo.iam.gserviceaccount.com"
    return f"{_plain(guess)}  # TODO: the service account's e-mail address"


def _is_account(address: str | None) -> bool:
    return _valid(GcpSettings, {"service_account": address})


def _may_be_named(integration: str) -> bool:
    return _valid(IntegrationSection, {"id": integration})


def _valid(section: type[GcpSettings | IntegrationSection], values: Mapping[str, object]) -> bool:
    try:
        section.model_validate(values)
    except ValidationError:
        return False
    return True


def _names(integrations: Sequence[str]) -> list[str]:
    """A name for the credential of each integration, like its id, and no two alike."""
    names: list[str] = []
    for integration in integrations:
        name = wanted = re.sub("[^a-z0-9-]", "-", integration.lower()).strip("-")[:_LONGEST_NAME] or "integration"
        number = 1
        while name in names:
            number += 1
            name = f"{wanted[: _LONGEST_NAME - 5]}-{number}"
        names.append(name)
    return names


def _plain(text: str | None) -> str:
    """A scalar, in quotes where a reader of YAML, old or new, would take it for something else than text."""
    if text is not None and not text[:1].isalpha():
        return json.dumps(text)
    return yaml.safe_dump(text, width=float("inf")).removesuffix("...\n").strip()
