"""rotator's own AWS credentials, as the SDK finds them on this machine: what can be wrong with them, and what to do.

Nothing here is an answer of AWS: whatever the SDK raises before it sends a request is a fault of this machine's.
Sources: botocore 1.44 (`credentials`, `tokens`, `configloader`).
"""

from __future__ import annotations

import configparser
import json
import os
import subprocess
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore import exceptions
from botocore.session import Session

from rotator.http.outside_text import outside_text
from rotator.providers._ini import misread
from rotator.settings.textfile import Unreadable, read_bytes, read_text

_CHECK = "Check the credential's `aws` section, and the AWS variables in rotator's environment."
_ROLE = "a role of the instance, the pod or the task"
_LOGIN = (
    "`aws sso login`, as the user that rotator runs as, helps for hours. Give rotator credentials that need no login: "
    f"{_ROLE}, or an IAM user's key."
)

_LOCAL = (
    exceptions.ConfigNotFound,
    exceptions.ConfigParseError,
    exceptions.CredentialRetrievalError,
    exceptions.InvalidConfigError,
    exceptions.LoginError,
    exceptions.MissingDependencyException,
    exceptions.NoCredentialsError,
    exceptions.NoRegionError,
    exceptions.PartialCredentialsError,
    exceptions.ProfileNotFound,
    exceptions.RefreshWithMFAUnsupportedError,
    exceptions.SSOError,
    exceptions.TokenRetrievalError,
    exceptions.UnknownCredentialError,
)
"""What the SDK raises before it sends a request. Not all that isn't an answer is: an endless list is none of these."""

_PROCESS_SECONDS = 20
"""How long a `credential_process` may take."""


class CodeWanted(exceptions.InvalidConfigError):
    """The profile is for people: it has `mfa_serial`."""

    fmt = "a profile with mfa_serial needs a code from a device, and a service can't type one"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong on this machine, in a sentence without a full stop, and what the operator can do."""

    text: str
    remedy: str


def fault_of(error: Exception, environ: Mapping[str, str] = os.environ) -> Fault | None:
    """What is wrong on this machine; None where the error is no local fault.

    Args:
        error: of the SDK.
        environ: names the variables that lead to a file.
    """
    if isinstance(error, OSError) and error.filename is not None:  # a network's has none
        return _unread_file(error, environ)
    if not isinstance(error, _LOCAL):
        return None
    if isinstance(error, exceptions.ConfigParseError):
        path = str(error.kwargs["path"])
        return Fault(f"{outside_text(path)} is no AWS config: {_line_of(path)}", "Correct that line.")
    return Fault(outside_text(error), _remedy(error))


def ask_nothing(session: Session) -> None:
    """Have the session's credentials come without a question to the terminal that a service may have."""
    own = session.get_component("credential_provider")
    own.get_provider("assume-role")._prompter = _no_code  # noqa: SLF001  # no argument of a session leads there
    own.get_provider("custom-process")._popen = _Ran  # noqa: SLF001  # likewise


def _no_code(_prompt: str) -> str:
    raise CodeWanted


class _Ran:
    """A `credential_process` that has ended: without a terminal and an input, and bounded in time.

    Raises:
        CredentialRetrievalError: it can't be run, or gives no JSON object.
    """

    def __init__(self, command: Sequence[str], **_: object) -> None:
        try:
            done = subprocess.run(  # noqa: S603  # the operator's own command, from the AWS profile
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                start_new_session=True,
                timeout=_PROCESS_SECONDS,
            )
        except OSError as error:
            problem = f"{command[0]} can't be run: {error.strerror}"
        except subprocess.TimeoutExpired:
            problem = f"{command[0]} has not ended after {_PROCESS_SECONDS} s"
        else:
            self.returncode, self._output = done.returncode, (done.stdout, done.stderr)
            if done.returncode or _is_object(done.stdout):
                return
            problem = f"{command[0]} printed no JSON object"
        raise exceptions.CredentialRetrievalError(provider="custom-process", error_msg=problem)

    def communicate(self) -> tuple[bytes, bytes]:
        """What it wrote."""
        return self._output


def _is_object(text: bytes) -> bool:
    try:
        said: Any = json.loads(text)
    except ValueError:
        return False
    return isinstance(said, dict)


def _unread_file(error: OSError, environ: Mapping[str, str]) -> Fault:
    path = str(error.filename)
    variable = next((f" ({name})" for name, value in sorted(environ.items()) if value == path), "")
    return Fault(
        f"{outside_text(path)}{variable} can't be read: {error.strerror}",
        "Check that the file exists, and that the user that rotator runs as may read it.",
    )


def _line_of(path: str) -> str:
    """What the SDK couldn't read, by its line: not the line itself, which may hold a key."""
    file = Path(path).expanduser()
    try:
        if read_bytes(file).startswith(BOM_UTF8):
            return "it begins with a byte order mark; save it as UTF-8 without one"
        configparser.RawConfigParser(default_section="").read_string(read_text(file))
    except Unreadable as reason:
        return str(reason)
    except configparser.Error as error:
        return misread(error)
    return "the SDK can't read it"


def _remedy(error: exceptions.BotoCoreError) -> str:
    if isinstance(error, exceptions.CredentialRetrievalError) and error.kwargs.get("provider") == "custom-process":
        return (
            "Run the profile's `credential_process` as the user that rotator runs as; it must end without a question."
        )
    return next((remedy for kind, remedy in _REMEDIES.items() if isinstance(error, kind)), _CHECK)


_REMEDIES: Mapping[type[exceptions.BotoCoreError], str] = {
    **dict.fromkeys(
        # The second is what the SDK says from the second time on.
        (CodeWanted, exceptions.RefreshWithMFAUnsupportedError),
        f"Name a profile without mfa_serial: {_ROLE}, or an IAM user's key.",
    ),
    **dict.fromkeys((exceptions.SSOError, exceptions.LoginError, exceptions.TokenRetrievalError), _LOGIN),
    exceptions.NoCredentialsError: (
        f"Name a profile in `aws.profile`, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use {_ROLE}."
    ),
    exceptions.PartialCredentialsError: "Put both halves of the key there.",
    exceptions.ProfileNotFound: (
        "Check `aws.profile` and AWS_PROFILE; profiles stand in ~/.aws of the user that rotator runs as."
    ),
}
