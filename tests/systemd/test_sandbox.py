"""What the service can't do, and what it still can, tried from inside its sandbox."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.systemd.probe import ALLOWED, REFUSED
from tests.systemd.site import ONCE, SERVICE, STORE, Site

pytestmark = [pytest.mark.machine, pytest.mark.timeout(300)]

PROBE = Path(__file__).with_name("probe.py").read_text()


def furnish(site: Site) -> None:
    """Something to be found."""
    site.machine.write("/etc/rotator/probe.py", PROBE)
    for place in ("home/somebody", "var/lib/private/another/file"):
        (site.machine.root / place).mkdir(parents=True, exist_ok=True)


@pytest.mark.parametrize("unit", [SERVICE, ONCE])
def test_it_reaches_what_it_needs_and_nothing_else(site: Site, unit: str) -> None:
    furnish(site)
    command = "ExecStart=/opt/rotator/bin/python /etc/rotator/probe.py /var/lib/rotator/tried"
    site.override(unit, "ExecStart=", command, Type="oneshot", Restart="no")
    site.machine.systemctl("start", unit)
    tried = json.loads((site.machine.root / STORE / "tried").read_text())
    assert {what: tried[what] for what in REFUSED if tried[what] == "worked"} == {}
    assert {what: tried[what] for what in ALLOWED if tried[what] != "worked"} == {}


def test_what_is_refused_is_possible_without_the_sandbox(site: Site) -> None:
    """Else the probe would prove nothing. As root, outside: nearly all of it works."""
    furnish(site)
    site.machine.run("/opt/rotator/bin/python", "/etc/rotator/probe.py", "/tmp/tried")
    tried = json.loads(site.machine.run("cat", "/tmp/tried").stdout)
    # A container has no kernel log, no disks, and no clock or tunables of its own to set.
    not_here = {"read the kernel's log", "read the disk", "the clock", "write kernel tunables"}
    assert {what: tried[what] for what in REFUSED.keys() - not_here if tried[what] != "worked"} == {}
