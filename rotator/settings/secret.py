"""Secrets by reference: the config says where one is, never what it is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, SecretStr, model_validator

from rotator.errors import RotatorError
from rotator.settings.section import AbsolutePath, Form, Section
from rotator.settings.textfile import Unreadable, read_text

_LARGEST = 64 * 1024
_VARIABLE = Form(
    r"^[A-Za-z_][A-Za-z0-9_]*$", "a variable's name: letters, digits and underscores, like NORTHFLANK_API_TOKEN"
)
_CREDENTIAL = Form(
    r"^[A-Za-z0-9_-][A-Za-z0-9._@-]*$",
    "the name of a systemd credential: letters, digits and . _ @ -, like northflank-token",
)


class SecretRef(Section):
    """Where a secret is. Exactly one of the three is set."""

    file: AbsolutePath | None = Field(
        None, description="A file. It is read at each use, so a new secret needs no reload."
    )
    env: Annotated[str, _VARIABLE] | None = Field(None, description="An environment variable of the daemon.")
    credential: Annotated[str, _CREDENTIAL] | None = Field(
        None, description="A credential that systemd passes (LoadCredential=, LoadCredentialEncrypted=)."
    )

    @model_validator(mode="before")
    @classmethod
    def _not_itself(cls, value: object) -> object:
        if not isinstance(value, dict):
            raise ValueError(  # noqa: TRY004  # pydantic reports ValueErrors
                "a secret is never written here, only where it is: {file: /path}, {env: VARIABLE} or {credential: NAME}"
            )
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(place is not None for place in (self.file, self.env, self.credential)) != 1:
            raise ValueError("exactly one of file, env and credential says where the secret is")
        return self

    def read(self, environ: Mapping[str, str] = os.environ) -> SecretStr:
        """The secret as it is now, without white space around it.

        Files are followed through symbolic links, as Kubernetes mounts them, and read anew each time: an operator who
        replaces the file has replaced the secret.

        Args:
            environ: holds the variable, or systemd's `CREDENTIALS_DIRECTORY`.

        Raises:
            RotatorError: there is none, it can't be read, or it isn't one line of printable ASCII.
        """
        if self.env is not None:
            place, value = f"the environment variable {self.env}", environ.get(self.env, "")
        else:
            path = self._path(environ)
            place, value = str(path), _content(path)
        value = value.strip()
        if not value:
            raise RotatorError(f"{place} holds no secret: it is empty or not set.", remedy="Put the secret there.")
        if not (value.isascii() and value.isprintable()):
            raise RotatorError(
                f"{place} holds no usable secret: it is not one line of printable ASCII.",
                remedy="Put the secret there, and nothing else.",
            )
        return SecretStr(value)

    def files(self, environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
        """The file that is read, if it is one."""
        if self.env is not None or (self.file is None and not environ.get("CREDENTIALS_DIRECTORY")):
            return ()
        return (str(self._path(environ)),)

    @property
    def place(self) -> str:
        """The file, the variable or systemd's credential, by its name."""
        return str(self.file or self.env or self.credential)

    def _path(self, environ: Mapping[str, str]) -> Path:
        if self.file is not None:
            return Path(self.file)
        directory = environ.get("CREDENTIALS_DIRECTORY")
        if not directory:
            raise RotatorError(
                f"systemd passed no credentials, so {self.credential} can't be read: CREDENTIALS_DIRECTORY is not set.",
                remedy=f"Add LoadCredential={self.credential}:/path to the unit, or use file or env in the config.",
            )
        return Path(directory, str(self.credential))


def references(section: object) -> Iterator[SecretRef]:
    """Every secret that this section of a config refers to, however deep."""
    if isinstance(section, SecretRef):
        yield section
    elif isinstance(section, BaseModel):
        yield from references(list(section.__dict__.values()))
    elif isinstance(section, list | tuple):
        for item in section:
            yield from references(item)


def _content(path: Path) -> str:
    try:
        return read_text(path, _LARGEST)
    except Unreadable as reason:
        raise RotatorError(
            f"The secret in {path} can't be read: {reason}.",
            remedy="Check that the file exists and that the user that rotator runs as may read it.",
        ) from None
