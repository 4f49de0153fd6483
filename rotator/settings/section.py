"""What every section of the config has in common: it never changes, and it has no keys that rotator does not read."""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic_core import CoreSchema, core_schema

from rotator.model import UNMANAGED


class Section(BaseModel):
    """The base of all sections."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class Form:
    """How a text is written: the pattern is for the schema, the words with their example are for an operator."""

    pattern: str
    words: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The text, checked; pydantic's own check of a pattern would show the pattern."""
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """With the pattern, as editors check it."""
        return handler(schema) | {"pattern": self.pattern}

    def _checked(self, text: str) -> str:
        if re.fullmatch(self.pattern, text) is None:
            raise ValueError(f"allowed is {self.words}")
        return text


class ProviderSettings(Section):
    """What a credential says for its provider alone. A provider of rotator's own has a subclass for each mode."""

    slots: ClassVar[int | None]
    """How many keys the cloud allows at a time, disabled ones included; None without a limit."""

    draft: ClassVar[str]
    """What `rotator init` writes for it: YAML, indented by four, with TODO at each value that Northflank doesn't show.

    `{name}`, `{number}` and `{service_account}` are filled in: a word and a number that no two entries share, and the
    address that Northflank shows, or one that is marked.
    """

    keyless: ClassVar[bool] = False
    """Northflank holds no secret for it: it is shown, and there is nothing to rotate."""

    supplied: ClassVar[bool] = False
    """An operator makes its keys."""

    @property
    def shows_use(self) -> bool:
        """The cloud records when a key was last used, and rotator may ask for it."""
        return False

    @property
    @abstractmethod
    def principal(self) -> tuple[str | None, ...]:
        """What makes one identity in this cloud differ from another, as far as the config knows."""


def or_unmanaged(form: Form) -> Form:
    """The form of a key's id, in the field `current_key`."""
    return Form(f"^({UNMANAGED}|{form.pattern.removeprefix('^').removesuffix('$')})$", f"{form.words}, or {UNMANAGED}")


def key_in_use(what: str) -> Any:  # as pydantic's own Field
    """The field `current_key` of a provider, whose form is `or_unmanaged`.

    Args:
        what: the key's id, as a sentence of the config's schema begins.
    """
    return Field(
        None, description=f"{what}; {UNMANAGED}: Northflank holds none of the listed keys. Read at first contact only."
    )


def _no_number(value: object) -> object:
    if value is not True and value is not False and isinstance(value, int):
        raise ValueError("allowed are auto, true and false")  # pydantic reports ValueErrors
    return value


Evidence = Annotated[Literal["auto", True, False], BeforeValidator(_no_number)]
"""Whether the cloud is asked when a key was last used: where rotator has the right; it must have the right; never."""


def _endpoint(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or not url.isprintable() or " " in url:
        raise ValueError("an endpoint is written like https://api.example.com")
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise ValueError("an endpoint has no user, password, query or fragment")
    if not is_https_or_loopback(url):
        raise ValueError("an endpoint is https, or http where the host is loopback")
    return url.rstrip("/")


def is_https_or_loopback(url: str) -> bool:
    """No third party on the way can read what is sent there: it is encrypted, or never leaves this machine.

    Raises:
        ValueError: it is no URL.
    """
    parts = urlsplit(url)
    if parts.scheme != "http":
        return parts.scheme == "https"
    try:
        return ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"


Endpoint = Annotated[str, AfterValidator(_endpoint)]


def _absolute(path: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise ValueError("a path begins with / here: a service has no directory of its own")
    return path


AbsolutePath = Annotated[str, AfterValidator(_absolute)]
