"""One pass for a timer: what it does, what it reports to systemd, and how it and the daemon avoid each other."""

from __future__ import annotations

import pytest

from rotator.sandbox.stage import CREDENTIAL
from tests.systemd.site import ONCE, SERVICE, TIMER, Site

pytestmark = [pytest.mark.machine, pytest.mark.timeout(300)]


def test_passes_by_the_timer_bring_a_rotation_to_its_end(site: Site) -> None:
    site.machine.write(
        "/etc/systemd/system/rotator-once.timer.d/test.conf",
        "[Timer]\nOnCalendar=\nOnCalendar=*:*:*\nRandomizedDelaySec=0\nAccuracySec=100ms\n",
    )
    site.machine.systemctl("daemon-reload")
    site.machine.systemctl("start", ONCE)
    site.rotator("rotate", CREDENTIAL, "--now", "--standalone")
    site.machine.systemctl("start", TIMER)
    done = site.wait_to_be_told("rotation.done", credential=CREDENTIAL)
    assert done["_SYSTEMD_UNIT"] == ONCE
    site.check()


def test_the_timer_and_the_daemon_end_one_another(site: Site) -> None:
    site.start()
    site.machine.systemctl("start", TIMER)
    site.machine.wait_for_state(SERVICE, "inactive")
    site.start()
    site.machine.wait_for_state(TIMER, "inactive")
    assert site.machine.show(SERVICE, "ActiveState") == "active"


def test_a_pass_beside_the_daemon_fails_and_harms_nothing(site: Site) -> None:
    site.start()
    site.adopted()
    assert site.machine.systemctl("start", ONCE, check=False).code
    assert site.machine.show(ONCE, "ExecMainStatus") == "3"
    site.rotator("rotate", CREDENTIAL, "--now", "--wait")
    site.check()


def test_the_daemon_waits_for_the_end_of_another_owner(site: Site) -> None:
    """It is refused with 3, and tried again until it is let in."""
    site.machine.systemctl("start", ONCE)
    holder = (
        "import fcntl, time; f = open('/var/lib/private/rotator/rotator.db.lock', 'r+'); fcntl.flock(f, fcntl.LOCK_EX)"
    )
    site.machine.run(
        "systemd-run", "--quiet", "--unit=holder", "/opt/rotator/bin/python", "-c", f"{holder}; time.sleep(900)"
    )
    try:
        site.machine.wait_until(lambda: site.machine.systemctl("start", SERVICE, check=False).code, "it is refused")
        assert site.machine.show(SERVICE, "ExecMainStatus") == "3"
    finally:
        site.machine.systemctl("stop", "holder")
    site.machine.wait_for_state(SERVICE, "active")


def test_what_is_held_makes_the_pass_fail(site: Site) -> None:
    (aws,) = site.credentials()
    site.configure(credentials=[aws | {"current_key": None}])
    site.machine.systemctl("start", ONCE, check=False)
    assert site.machine.show(ONCE, "ActiveState") == "failed"
    assert site.machine.show(ONCE, "ExecMainStatus") == "4"
    assert site.rotator("status", check=False).code == 4
