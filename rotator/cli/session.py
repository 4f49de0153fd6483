"""What all commands share: the config, the user that they run as, and the store to look at."""

from __future__ import annotations

import os
import pwd
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR

from rotator.clock import SystemClock
from rotator.config.load import load
from rotator.config.models import Config
from rotator.errors import UsageError
from rotator.host import logs
from rotator.store.journal import Journal
from rotator.store.reader import JournalReader

CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class Session:
    """One run of a command.

    Args:
        config: what the operator decided.
        path: where that was read.
        uid: who started the command, whatever user it runs as by now.
    """

    config: Config
    path: Path
    uid: int


def begin(path: Path | None, *, level: str | None = "warning") -> Session:
    """Read the config, set the logs up, and as root become the user that the store belongs to.

    Args:
        path: the config file.
        level: of the logs; None for the config's. Commands for people are quiet.

    Raises:
        UsageError: no config was named, or the store's user can't get at it from outside of its service.
        ConfigError: it can't be used.
    """
    if path is None:
        raise UsageError("no config was named.", remedy="add --config FILE, or set ROTATOR_CONFIG.")
    config = load(path, os.environ)
    logs.set_up(level or config.log.level, spooled=level is None)
    uid = os.getuid()
    _become_the_owner_of(config.store.path.parent)
    return Session(config, path, uid)


def _become_the_owner_of(directory: Path) -> None:
    """Give root's rights up: a file that root made would lock the daemon out, and root's AWS profile isn't its."""
    if os.geteuid() != 0:
        return
    try:
        status = directory.stat()
    except OSError:  # there is none yet; or opening the store says what is wrong with it
        return
    if status.st_uid == 0 or not S_ISDIR(status.st_mode):
        return
    os.setgroups([])
    with suppress(KeyError):  # a user without an entry, as in a container, has no name, groups or home
        user = pwd.getpwuid(status.st_uid)
        os.initgroups(user.pw_name, status.st_gid)
        os.environ |= {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name}
    os.setgid(status.st_gid)
    os.setuid(status.st_uid)
    if not os.access(directory, os.X_OK):  # systemd's DynamicUser=: only root gets into /var/lib/private
        raise UsageError(
            f"only root and its service can enter {directory} (systemd's DynamicUser=).",
            remedy="use the `rotator` that comes with the unit: docs/install/systemd.md#commands-for-operators",
        )


def refuse_keyless(config: Config, names: Collection[str]) -> None:
    """Say so where one of these credentials has no key.

    Raises:
        UsageError: it is keyless.
    """
    keyless = [section.name for section in config.credentials if section.keyless and section.name in names]
    if keyless:
        raise UsageError(
            f"{', '.join(keyless)} is keyless: there is nothing to rotate.",
            remedy="`rotator check` verifies that Northflank holds no key for it.",
        )


def read_store(config: Config) -> JournalReader:
    """The store, to look at beside its owner. Raises StoreError if there is none."""
    return Journal.open_read_only(config.store.url)
