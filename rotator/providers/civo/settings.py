"""A credential in Civo: an account whose only API key Northflank holds. The operator makes the keys."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from rotator.settings.secret import SecretRef
from rotator.settings.section import AbsolutePath, Endpoint, Form, ProviderSettings, Section, key_in_use, or_unmanaged

_KEY = Form(r"^civo-[0-9a-f]{16}$", "what `rotator adopt` shows, like civo-0123456789abcdef")


class CivoSection(Section):
    """Where the operator puts new keys, and where Civo is."""

    api_key: SecretRef = Field(description="Where the account's API key is: the operator replaces it there.")
    account: str | None = Field(
        None,
        min_length=3,
        max_length=254,
        description="The account's e-mail address or id, as `rotator check` shows them: another one's key is refused.",
    )
    api_url: Endpoint = Field("https://api.civo.com", description="Where the API is.")
    ca_file: AbsolutePath | None = Field(None, description="The CA of the API; null: those of the machine.")


class CivoSettings(ProviderSettings):
    """An account whose only API key Northflank holds."""

    supplied: ClassVar[bool] = True
    slots: ClassVar[int | None] = None
    draft: ClassVar[str] = """\
    civo:
      api_key: {{file: /run/secrets/{name}}}  # TODO: the file into which you put each new key: Civo's API makes none
"""

    current_key: Annotated[str, or_unmanaged(_KEY)] | None = key_in_use(
        "What `rotator adopt` shows for the key that Northflank holds now"
    )
    civo: CivoSection = Field(description="Where the operator puts new keys, and where Civo is.")

    @property
    def principal(self) -> tuple[str | None, ...]:
        """The place that new keys come from, and the account where it is named."""
        key = self.civo.api_key
        return self.civo.account, key.file, key.env, key.credential
