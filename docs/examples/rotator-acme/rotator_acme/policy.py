"""What `rotator policy NAME` prints. A module of its own, so that it needs nothing that the provider needs."""

from __future__ import annotations

from collections.abc import Mapping


def policy(settings: Mapping[str, object]) -> str:
    """The least rights that rotator needs for this robot, as they are pasted into Acme's console."""
    robot = settings["robot"]
    return f"allow rotator to list, create, update, delete keys of robot {robot}\n"
