"""Which class a credential of the config is, by its `provider` and `mode`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, GetPydanticSchema, Tag, create_model

from rotator.config.credential import CredentialSection
from rotator.config.plugin import PluginCredential
from rotator.providers.base import Provider, Tools
from rotator.providers.registry import BUILT_IN, KEYED, REGISTERED, Registered

PLUGIN = "plugin"


class BuiltInCredential(CredentialSection):
    """A credential of one of rotator's own providers. Made below for each of them, of its settings and of this."""

    line: ClassVar[Registered]

    def open(self, tools: Tools) -> Provider:
        """As the registry says."""
        return self.line.open(self, tools)

    def rights(self) -> str | None:
        """As the registry says."""
        return self.line.rights(self)


def _credential(line: Registered) -> type[BuiltInCredential]:
    fields: dict[str, Any] = {"provider": (Literal[line.provider], Field(description="The cloud."))}
    if line.mode is not None:
        default = KEYED if line.mode == KEYED else ...
        fields["mode"] = (Literal[line.mode], Field(default, description=f"What Northflank holds: {line.held}."))
    name = f"{line.settings.__name__.removesuffix('Settings')}Credential"
    # In two steps, for the order of the keys: what all credentials have, and then what this one has.
    common = create_model(name, __base__=BuiltInCredential, __module__=__name__, **fields)
    bases = (line.settings, common)
    return _of(line, create_model(name, __base__=bases, __module__=__name__, __doc__=line.settings.__doc__))


def _of(line: Registered, made: Any) -> type[BuiltInCredential]:  # a type checker can't know its bases
    credential: type[BuiltInCredential] = made
    credential.line = line
    return credential


CLASSES: Mapping[str, type[CredentialSection]] = {
    **{line.tag: _credential(line) for line in REGISTERED},
    PLUGIN: PluginCredential,
}
"""By tag. pydantic writes the tag into the place of an error; an operator doesn't see it there."""


def tag_of(credential: object) -> str | None:
    """The tag of a credential as it stands in the config; None where it names no provider."""
    if isinstance(credential, CredentialSection):
        return next(tag for tag, of_tag in CLASSES.items() if type(credential) is of_tag)
    if not isinstance(credential, dict) or not isinstance(credential.get("provider"), str):
        return None
    provider = credential["provider"]
    if provider not in BUILT_IN:
        return PLUGIN
    with_mode = f"{provider} {credential.get('mode')}"
    return with_mode if with_mode in CLASSES else provider


_ANY: Any = Annotated[
    reduce(or_, (Annotated[of_tag, Tag(tag)] for tag, of_tag in CLASSES.items())), Discriminator(tag_of)
]
AnyCredential = Annotated[CredentialSection, GetPydanticSchema(lambda _, handler: handler.generate_schema(_ANY))]
"""A credential as one of these classes: a type checker sees what they have in common."""
