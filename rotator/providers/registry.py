"""Every provider of rotator's own, one line for each mode; and the plugins that others wrote.

What follows from a provider's name: the folders `rotator/providers/NAME/` and `rotator/sandbox/NAME/`, the page
`docs/providers/NAME.md`, and the extra NAME.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from rotator.errors import UsageError
from rotator.providers.aws.settings import AwsRoleSettings, AwsUserSettings
from rotator.providers.azure.settings import AzureSettings
from rotator.providers.base import OpenProvider, Plugin, Provider, Rights, Tools
from rotator.providers.byok.settings import ByokSettings
from rotator.providers.civo.settings import CivoSettings
from rotator.providers.gcp.settings import GcpKeylessSettings, GcpSettings
from rotator.providers.oci.settings import OciSettings
from rotator.settings.section import ProviderSettings

KEYED = "accessKey"
"""Northflank's word for an integration that holds a key. A credential that names no mode means this one."""

GROUP = "rotator.providers"
"""The entry-point group in which plugins are found."""


@dataclass(frozen=True, slots=True)
class Registered:
    """One provider in one mode.

    Args:
        provider: its name: in the config, in Northflank, and of its folders, page and extra.
        settings: what a credential says for it.
        cloud: the cloud's common name.
        held: what Northflank holds, as README says it.
        mode: Northflank's word, where it has several for the cloud.
        part: names the modules of a mode that is not the provider's first: `role` has its provider in `role.py`, its
            rights in `role_rights.py` and its scene in `role_scene.py`.
    """

    provider: str
    settings: type[ProviderSettings]
    cloud: str
    held: str
    mode: str | None = None
    part: str = ""

    @property
    def tag(self) -> str:
        """What makes a line differ from every other."""
        return self.provider if self.mode in {None, KEYED} else f"{self.provider} {self.mode}"

    @property
    def module(self) -> str:
        """Where its `open_provider` is."""
        return f"rotator.providers.{self.provider}.{self.part or 'provider'}"

    @property
    def scene(self) -> str | None:
        """The sandbox's module for it; None where there is nothing to rotate."""
        return None if self.settings.keyless else f"rotator.sandbox.{self.provider}.{self._named('scene')}"

    def open(self, settings: ProviderSettings, tools: Tools) -> Provider:
        """Open the provider of one credential. Its SDK is loaded now, and not before.

        Raises:
            ImportError: what it needs isn't installed.
            RotatorError: it can't be opened as configured.
        """
        opened: OpenProvider[Any] = import_module(self.module).open_provider
        return opened(settings, tools)

    def rights(self, settings: ProviderSettings) -> str:
        """The least rights that rotator needs for one credential. Loads no SDK."""
        rights: Rights[Any] = import_module(f"rotator.providers.{self.provider}.{self._named('rights')}").rights
        return rights(settings)

    def _named(self, what: str) -> str:
        return f"{self.part}_{what}" if self.part else what


REGISTERED = (
    Registered("aws", AwsUserSettings, "AWS", "an IAM user's access key", KEYED),
    Registered("aws", AwsRoleSettings, "AWS", "a role and its external id", "crossAccountRole", part="role"),
    Registered(
        "gcp", GcpSettings, "Google Cloud", "a service account's key, whose private half never reaches Google", KEYED
    ),
    Registered("gcp", GcpKeylessSettings, "Google Cloud", "a right to impersonate", "crossAccountRole"),
    Registered("azure", AzureSettings, "Azure", "an app registration's client secret"),
    Registered("oci", OciSettings, "Oracle Cloud", "a user's API signing key"),
    Registered("civo", CivoSettings, "Civo", "the account's API key: you regenerate, rotator does the rest"),
    Registered("byok", ByokSettings, "your own Kubernetes", "a service account's token in a kubeconfig"),
)

BUILT_IN = tuple(sorted({line.provider for line in REGISTERED}))
"""The names that no plugin can have."""


def plugin(name: str) -> Plugin[Any] | None:
    """The plugin of this name; None where none is installed, or something that it needs is not.

    Raises:
        UsageError: the entry point names something else than a plugin.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415  # costs 10 ms, and most configs name no plugin

    for found in entry_points(group=GROUP, name=name):
        try:
            loaded = found.load()
        except ImportError:
            return None
        if isinstance(loaded, Plugin):
            return loaded
        raise UsageError(
            f"the plugin {name} can't be used: {found.value} is no rotator.providers.base.Plugin.",
            remedy="update the package that has it; docs/plugins.md says what an entry point names.",
        )
    return None
