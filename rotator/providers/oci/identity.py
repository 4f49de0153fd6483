"""Who rotator is in OCI: a profile of the SDK's config file.

Source: "SDK and CLI Configuration File" in OCI's documentation, and config.py of Oracle's Python SDK.
"""

from __future__ import annotations

import configparser
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import SecretStr

from rotator.errors import RotatorError
from rotator.http.outside_text import outside_text
from rotator.providers._ini import misread
from rotator.providers.oci.keys import load
from rotator.providers.oci.settings import OciAdmin
from rotator.providers.oci.signing import Signer
from rotator.settings.textfile import Unreadable, read_text

_NEEDED = ("tenancy", "user", "fingerprint", "key_file")
_WHERE = (
    "Run `oci setup config` to write the SDK's config file. A session token's profile ends in an hour: use an API key."
)


class OwnProfile:
    """Reads the profile at each use, so that a key that was replaced needs no restart. Thread-safe.

    Args:
        admin: the SDK's config file, where `~` is the home of the user that rotator runs as; and the profile in it.
    """

    def __init__(self, admin: OciAdmin) -> None:
        self._config_file = admin.config_file
        self._profile = admin.profile
        self._lock = threading.Lock()
        self._last: tuple[Mapping[str, str], str, Signer] | None = None

    def signer(self) -> Signer:
        """What signs in its name.

        Raises:
            RotatorError: a file can't be read, or lacks something.
        """
        said = self._read_profile()
        pem = _text(said["key_file"], "the private key")
        with self._lock:
            if self._last is None or self._last[:2] != (said, pem):
                self._last = said, pem, self._load(said, pem)  # loading checks the key, which takes 50 ms
            return self._last[2]

    def secrets(self) -> Iterator[SecretStr]:
        """The private key that was read last, and its passphrase."""
        if self._last is not None:
            said, pem, _ = self._last
            yield SecretStr(pem)
            if said.get("pass_phrase"):
                yield SecretStr(said["pass_phrase"])

    def _read_profile(self) -> Mapping[str, str]:
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_string(_text(self._config_file, "OCI's config file"))
        except configparser.Error as error:
            wrong = misread(error)  # its own message quotes lines
        else:
            wrong = ""
        if wrong:
            raise self._unusable(wrong, "Correct that line.")
        if self._profile not in parser:
            raise self._unusable(f"it has no profile {self._profile}")
        profile = dict(parser[self._profile])
        missing = [name for name in _NEEDED if not profile.get(name)]
        if missing:
            raise self._unusable(f"its profile {self._profile} lacks {', '.join(missing)}")
        return profile

    def _load(self, said: Mapping[str, str], pem: str) -> Signer:
        passphrase = said.get("pass_phrase")
        try:
            key = load(SecretStr(pem), SecretStr(passphrase) if passphrase else None)
        except ValueError as unusable:
            problem = str(unusable)
        else:
            return Signer(said["tenancy"], said["user"], said["fingerprint"], key)
        raise RotatorError(
            f"rotator's own key, {outside_text(said['key_file'])}, can't be used: {problem}.",
            remedy=f"Correct `key_file` or `pass_phrase` in the profile {self._profile} of {self._config_file}.",
        )

    def _unusable(self, why: str, remedy: str = _WHERE) -> RotatorError:
        return RotatorError(f"OCI's config file {self._config_file} can't be used: {why}.", remedy=remedy)


def _text(path: str, what: str) -> str:
    try:
        return read_text(Path(path).expanduser())
    except (Unreadable, RuntimeError) as error:  # RuntimeError: there is no home
        reason = str(error)
    raise RotatorError(
        f"{what}, {outside_text(path)}, can't be read: {reason}.",
        remedy="Check that the file exists, and that the user that rotator runs as may read it.",
    )
