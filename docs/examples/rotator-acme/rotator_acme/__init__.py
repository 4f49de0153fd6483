"""A provider for rotator by a third party: the API keys of Acme's robots. See docs/plugins.md of rotator."""

from __future__ import annotations

from rotator.providers.base import Plugin, Provider, Tools
from rotator_acme.rights import rights
from rotator_acme.settings import AcmeSettings


def open_provider(settings: AcmeSettings, tools: Tools) -> Provider:
    """Called at start, at each reload and by commands: it makes no call.

    What the provider imports is imported here, so that `rotator policy` needs nothing of it.
    """
    from rotator_acme.provider import AcmeRobot  # noqa: PLC0415  # only where the plugin is used

    return AcmeRobot(settings, tools)


plugin = Plugin(settings=AcmeSettings, open=open_provider, rights=rights)
