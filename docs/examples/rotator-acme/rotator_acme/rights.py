"""What `rotator policy NAME` prints. A module of its own, so that it needs nothing that the provider needs."""

from __future__ import annotations

from rotator_acme.settings import AcmeSettings


def rights(settings: AcmeSettings) -> str:
    """The least rights that rotator needs for this robot, as they are pasted into Acme's console."""
    return f"allow rotator to list, create, update, delete keys of robot {settings.robot}\n"
