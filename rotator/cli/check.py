"""`rotator check`: config, store, endpoints, tokens and rights. A line each, with the remedy."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from urllib.request import getproxies

from rotator.cli.options import ConfigPath, JsonOption
from rotator.cli.render import Styled, moment, progress, show_json, show_table
from rotator.cli.session import CLOCK, Session, begin, read_store
from rotator.cli.wiring import fleet_of
from rotator.config.credential import CredentialSection
from rotator.config.models import Config, ConnectionSection
from rotator.config.satisfiable import warnings
from rotator.errors import CallFailed, ConfigError, ExitCode, RotatorError, unforeseen
from rotator.model import UNMANAGED, Phase, State
from rotator.northflank.answers import Item
from rotator.northflank.client import Connection
from rotator.providers.base import Listing
from rotator.rotation.managed import Managed
from rotator.service.exposure import audit_directory, exposed
from rotator.service.fleet import Fleet
from rotator.store.sqlite import owner_alive

_AT_ONCE = 8
_PLACEHOLDER = re.compile(r"\.\.todo\d*$|^0{8}-0{4}-0{4}-0{4}-\d{12}$")  # an OCID, a UUID
_REPORT = "report it; the other credentials are not concerned."
_RENEW_WITHIN = timedelta(days=14)
_HEADINGS = ("RESULT", "ABOUT", "CHECK")
_KEYLESS = "crossAccountRole"  # Northflank's word, for all clouds in which it needs no secret at all
_USUAL_API = ConnectionSection.model_fields["api_url"].default


class Finds(StrEnum):
    """Good; worth a look; or in the way of every rotation concerned."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


_STYLES = {Finds.OK: "green", Finds.WARN: "yellow", Finds.FAIL: "bold red"}


@dataclass(frozen=True, slots=True)
class Line:
    """One check. The names of the fields are those of `--json`."""

    result: Finds
    about: str
    check: str
    remedy: str = ""


def check(path: ConfigPath = None, as_json: JsonOption = False) -> ExitCode:
    """Look at everything that a rotation needs, changing nothing. ERROR if something fails."""
    try:
        session = begin(path)
    except ConfigError as error:
        lines = [Line(Finds.FAIL, "config", problem) for problem in error.problems]
    else:
        lines = list(_lines(session))
    failed = any(line.result is Finds.FAIL for line in lines)
    if as_json:
        show_json({"ok": not failed, "checks": [asdict(line) for line in lines]})
    else:
        _print(lines)
    return ExitCode.ERROR if failed else ExitCode.FINE


def _print(lines: list[Line]) -> None:
    rows: list[tuple[Styled, str, str]] = []
    said = ""
    for line in lines:
        remedy = "as above" if line.remedy == said else line.remedy
        check = f"{line.check}\n-> {remedy}" if line.remedy else line.check
        rows.append((Styled(line.result.value, _STYLES[line.result]), line.about, check))
        said = line.remedy
    show_table(_HEADINGS, rows)


def _lines(session: Session) -> Iterator[Line]:
    config = session.config
    yield Line(Finds.OK, "config", "the config is valid, and its policy can be kept")
    for warning in warnings(config):
        yield Line(Finds.WARN, "config", warning)
    yield from _unfilled(config)
    yield from _store(config)
    yield from _audit_file(config)
    for scheme, address in sorted(getproxies().items()):
        if scheme != "no":
            found = f"{scheme} goes through {_without_password(address)}"
            yield Line(
                Finds.WARN,
                "proxy",
                found,
                "the environment sets this proxy; unset the variable if rotator should not use the proxy.",
            )
    fleet, closed = _open(config)
    yield from closed
    yield from _exposed(config, fleet, str(session.path))
    for name, section in config.northflank.items():
        yield from _connection(fleet, name, section)
    progress(f"asking the clouds and Northflank about {len(fleet.managed)} credentials ...")
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        states = _states(config)
        for lines in pool.map(lambda one: _checked(one, states.get(one.name, State())), fleet.managed.values()):
            yield from lines
    for credential in config.credentials:
        if credential.keyless:
            yield from _keyless(fleet, credential)


def _states(config: Config) -> Mapping[str, State]:
    """The journal's rows; none before the first start, or where a line above says what is wrong with the store."""
    try:
        with read_store(config) as reader:
            return {row.name: row.state for row in reader.credentials()}
    except RotatorError:
        return {}


def _unfilled(config: Config) -> Iterator[Line]:
    """What `rotator init` left to be filled in."""
    for section in config.credentials:
        for field, value in _texts(section.model_dump(mode="json"), ()):
            if f"todo-{section.name}" in value or _PLACEHOLDER.search(value):
                found = f"`{'.'.join(field)}` is {value}, which `rotator init` left to be filled in"
                yield Line(
                    Finds.FAIL, section.name, found, "put the real value there; docs/providers says where it is."
                )


def _texts(value: object, field: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, str):
        yield field, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, (*field, str(name)))


def _exposed(config: Config, fleet: Fleet, own_file: str) -> Iterator[Line]:
    """What others can write, and rotator goes by."""
    found = list(exposed(config, fleet.managed.values(), [own_file]))
    for each in found:
        yield Line(Finds.FAIL, "files", f"{each.text}; `rotator run` refuses to start on it", f"{each.command}.")
    directory = audit_directory(config)
    if directory is not None and directory not in found:
        yield Line(Finds.WARN, "files", directory.text, f"{directory.command}: the audit file is in there.")


def _open(config: Config) -> tuple[Fleet, list[Line]]:
    """The credentials that can be opened, and a line for each that can't: the service itself needs all of them."""
    try:
        return fleet_of(config), []
    except RotatorError as error:
        together = Line(Finds.FAIL, "providers", error.message, error.remedy)
    except Exception as bug:  # noqa: BLE001  # a plugin may raise anything
        together = Line(Finds.FAIL, "providers", unforeseen(bug), _REPORT)
    closed, opened = [], []
    for section in config.credentials:
        try:
            fleet_of(config.model_copy(update={"credentials": (section,)}))
        except RotatorError as error:
            found = error.message.removeprefix(f"{section.name}: ")
            closed.append(Line(Finds.FAIL, section.name, found, error.remedy))
        except Exception as bug:  # noqa: BLE001  # a plugin may raise anything
            closed.append(Line(Finds.FAIL, section.name, unforeseen(bug), _REPORT))
        else:
            opened.append(section)
    # Where each can be opened by itself, the trouble is between them: two are one cloud identity.
    rest = tuple(opened) if closed else ()
    return fleet_of(config.model_copy(update={"credentials": rest})), closed or [together]


def _store(config: Config) -> Iterator[Line]:
    path = config.store.path
    try:
        there = path.exists()
    except OSError as error:
        found = f"this user can't access {path}: {error.strerror}"
        yield Line(Finds.FAIL, "store", found, "check `store.url`, and the owner and permissions of its directory.")
        return
    if not there:
        made = f"the service creates {path} at its first start"
        if _may_make(path):
            yield Line(Finds.OK, "store", made)
        else:
            yield Line(
                Finds.FAIL,
                "store",
                f"{made}, but this user can't",
                f"create {path.parent}, owned by the service's user.",
            )
        return
    try:
        with read_store(config) as reader:
            owner = reader.owner()
        alive = owner_alive(config.store.url)
    except RotatorError as error:
        yield Line(Finds.FAIL, "store", error.message, error.remedy)
        return
    yield Line(Finds.OK, "store", f"{path} can be read (store {owner.store_id})")
    if not alive:
        yield Line(
            Finds.WARN,
            "store",
            "no rotator runs on this store, so nothing is rotated",
            "start `rotator run` as a service.",
        )
    if owner.frozen_at is not None:
        found = f"every change is frozen since {moment(owner.frozen_at)}, by {owner.frozen_by}"
        yield Line(Finds.WARN, "store", found, "`rotator unfreeze` ends the freeze.")


def _audit_file(config: Config) -> Iterator[Line]:
    if config.audit.file is None:
        return
    path = Path(config.audit.file)
    if os.access(path, os.W_OK) or (not os.access(path, os.F_OK) and _may_make(path)):
        yield Line(Finds.OK, "audit", f"{path} can be written")
    else:
        result = Finds.FAIL if "file" in config.audit.require else Finds.WARN
        yield Line(
            result,
            "audit",
            f"{path} can't be written by this user",
            "make the service's user the owner of the file, or of its directory.",
        )


def _may_make(path: Path) -> bool:
    nearest = next(parent for parent in path.parents if os.access(parent, os.F_OK))
    return os.access(nearest, os.W_OK | os.X_OK)


def _connection(fleet: Fleet, name: str, section: ConnectionSection) -> Iterator[Line]:
    about = f"northflank {name}"
    if section.api_url != _USUAL_API:
        yield Line(
            Finds.WARN,
            about,
            f"the API is at {section.api_url}",
            "remove api_url from the config if this address is not meant.",
        )
    if section.token.credential is not None:
        found = f"the token is systemd's credential {section.token.credential}, copied when the service starts"
        yield Line(Finds.WARN, about, found, "restart the service after you replace the token.")
    progress(f"asking Northflank about the token of {name} ...")
    try:
        token = fleet.connections[name].introspect()
    except CallFailed as failure:
        yield Line(Finds.FAIL, about, failure.message, failure.remedy or "put a valid token where the config says.")
        return
    if token.expires_at is None:
        yield Line(Finds.OK, about, "the token is valid and has no expiry date")
        return
    result = Finds.WARN if token.expires_at - CLOCK.now() < _RENEW_WITHIN else Finds.OK
    remedy = "create a new token, and put it in the place of this one." if result is Finds.WARN else ""
    yield Line(result, about, f"the token is valid until {moment(token.expires_at)}", remedy)


def _checked(managed: Managed, state: State) -> list[Line]:
    lines: list[Line] = []
    try:
        lines.extend(_credential(managed, state))
    except Exception as bug:  # noqa: BLE001  # one credential's trouble must not cost the others their lines
        lines.append(Line(Finds.FAIL, managed.name, unforeseen(bug), _REPORT))
    return lines


def _credential(managed: Managed, state: State) -> Iterator[Line]:
    for target in managed.targets:
        try:
            target.read(fresh=False)  # by the shared list: a call for each would cost a large fleet the hour's limit
        except CallFailed as failure:
            yield Line(Finds.FAIL, managed.name, failure.message, failure.remedy)
        else:
            yield Line(Finds.OK, managed.name, f"integration {target.id} can be read")
    told = False
    try:
        for right in managed.provider.check():
            told = told or right.holds is False
            result = {True: Finds.OK, False: Finds.FAIL, None: Finds.WARN}[right.holds]
            unknown = "" if right.holds is not None or right.remedy else "rotator can't verify this from here."
            yield Line(result, managed.name, right.name, right.remedy or unknown)
    except CallFailed as failure:
        yield Line(Finds.FAIL, managed.name, failure.message, failure.remedy)
    try:
        listing = managed.provider.list_keys()
    except CallFailed as failure:
        if not told:  # a line above has it, and its remedy
            found = f"the keys can't be listed, so what depends on them was not looked at: {failure.message}"
            yield Line(Finds.FAIL, managed.name, found, failure.remedy)
        return
    yield from _named(managed, listing, state)
    yield from _clock(managed, listing)


def _named(managed: Managed, listing: Listing, state: State) -> Iterator[Line]:
    """Whether the key in use that the config names can be it: that counts until the first contact."""
    named, there = managed.named_key, {key.key_id: key for key in listing.keys}
    if named is None or state.phase is not Phase.NEW or (named in there and there[named].enabled):
        return
    keys = ", ".join(sorted(there)) or "none"
    if named == UNMANAGED:
        found = f"`current_key` is unmanaged: rotator pushes a fresh key, and leaves the listed keys alone: {keys}"
        yield Line(Finds.WARN, managed.name, found, "make sure that this is the identity that Northflank is to use.")
        return
    wrong = "the cloud lists that key as disabled" if named in there else "the cloud lists no such key"
    yield Line(
        Finds.FAIL,
        managed.name,
        f"`current_key` is {named}, and {wrong}; it lists {keys}",
        "name the key that Northflank holds. If Northflank holds none of those listed, or a dead one, and this is the "
        f"identity that Northflank is to use: `current_key: {UNMANAGED}`.",
    )


def _clock(managed: Managed, listing: Listing) -> Iterator[Line]:
    """Whose clock dates the waits that protect a consumer, where it isn't the cloud's and this machine's together."""
    try:
        if listing.cloud_time is not None:
            return
        stands_in = managed.targets[0].read(fresh=True).at is not None
    except CallFailed:
        return  # the lines above say so
    if stands_in:
        found = "the cloud's answers have no date that rotator can read; Northflank's date stands in"
        yield Line(Finds.WARN, managed.name, found, "check what stands between rotator and the cloud.")
        return
    found = (
        "neither the cloud's answers nor Northflank's have a date that rotator can read: this machine's clock decides"
    )
    yield Line(Finds.WARN, managed.name, found, "keep this clock right (NTP): all waits depend on it.")


def _keyless(fleet: Fleet, section: CredentialSection) -> Iterator[Line]:
    """Whether Northflank still needs no key: nothing else stands between a keyless credential and an old key."""
    for integration in section.integrations:
        try:
            item = _item(fleet.connections[integration.connection], integration.id)
        except CallFailed as failure:
            yield Line(Finds.FAIL, section.name, failure.message, failure.remedy)
            continue
        shown = f"integration {item.id} has provider {item.provider} and {_mode(item.mode)}"
        if item.provider != section.northflank_provider:
            yield Line(Finds.FAIL, section.name, shown, "check the integration's id, or the credential's provider.")
        elif item.mode == _KEYLESS:
            yield Line(Finds.OK, section.name, f"{shown}: keyless, nothing to rotate")
        elif item.mode is None:
            yield Line(
                Finds.WARN, section.name, shown, f"check in Northflank that the integration's mode is {_KEYLESS}."
            )
        else:
            remedy = (
                f"change its mode to {_KEYLESS} in Northflank, or remove `mode` here: rotator then rotates its key."
            )
            yield Line(Finds.FAIL, section.name, shown, remedy)


def _item(connection: Connection, integration: str) -> Item:
    """From the shared list, if that shows how Northflank authenticates; else it is read. Raises CallFailed."""
    listed = connection.poll.since(0.0).get(integration)
    return (
        listed if listed is not None and listed.mode is not None else connection.integration(integration, urgent=False)
    )


def _mode(mode: str | None) -> str:
    return f"mode {mode}" if mode is not None else "a mode that Northflank does not show"


def _without_password(address: str) -> str:
    scheme, separator, rest = address.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
