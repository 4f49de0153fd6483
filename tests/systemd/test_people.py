"""`rotator` for people: any command, as the service would run it, whether that runs or not."""

from __future__ import annotations

import json

import pytest

from rotator.sandbox.stage import CREDENTIAL
from tests.systemd.site import CONFIG, SERVICE, UNITS, Site

pytestmark = [pytest.mark.machine, pytest.mark.timeout(300)]


def test_it_works_beside_the_service_and_without_it(site: Site) -> None:
    without = site.rotator("check")
    assert "fail" not in without.stdout, "token and AWS key are there before the first start"
    site.start()
    site.adopted()
    (row,) = json.loads(site.rotator("status", "--json").stdout)["credentials"]
    assert row["credential"] == CREDENTIAL
    assert site.rotator("audit", "verify").code == 0
    site.machine.systemctl("stop", SERVICE)
    assert "No rotator runs on this store" in site.rotator("status").stdout
    site.start()
    site.rotator("rotate", CREDENTIAL, "--now", "--wait")
    site.check()


def test_what_it_makes_belongs_to_the_service(site: Site) -> None:
    """The first command may come before the first start."""
    site.rotator("adopt", CREDENTIAL, site.trial.stage.first_key, "--yes", "--standalone")
    site.start()
    site.rotator("rotate", CREDENTIAL, "--now", "--wait")
    site.check()


def test_exit_codes_pipes_and_questions_go_through(site: Site) -> None:
    site.start()
    site.adopted()
    assert site.rotator("no-such-command", check=False).code == 2
    assert site.rotator("show", "nobody", check=False).code == 2
    counted = site.machine.shell("rotator audit tail --json | wc -l").stdout
    assert int(counted) >= 3
    asked = site.machine.run("rotator", "forget", CREDENTIAL, typed="something else\n", check=False)
    assert asked.code, "it was asked, and answered wrong"
    site.machine.run("rotator", "pause", CREDENTIAL, "--why", "a word with $signs, 100%d and 'quotes'")
    answered = json.loads(site.wait_to_be_told("request.answered")["MESSAGE"])
    assert "a word with $signs, 100%d and 'quotes'" in answered["reason"]


def test_on_a_terminal_it_is_a_terminal(site: Site) -> None:
    site.start()
    site.adopted()
    shown = site.machine.shell("script --quiet --return --command 'rotator status' /dev/null").stdout
    assert "\x1b[" in shown, "in colour"
    assert CREDENTIAL in shown


def test_the_audit_log_has_the_name_of_who_asked(site: Site) -> None:
    site.start()
    site.adopted()
    site.machine.run("env", "SUDO_USER=alice", "rotator", "pause", CREDENTIAL)
    assert site.wait_to_be_told("request.answered")["ROTATOR_ACTOR"].endswith(" claimed:sudo by alice")


def test_it_is_for_root_and_says_so(site: Site) -> None:
    refused = site.machine.run("setpriv", "--reuid=nobody", "--clear-groups", "rotator", "status", check=False)
    assert refused.code == 1
    assert "sudo rotator status" in refused.stderr


def test_the_program_itself_says_why_it_is_not_enough(site: Site) -> None:
    site.start()
    site.adopted()
    program = ("/opt/rotator/bin/rotator", "status", "--config", CONFIG)
    as_root = site.machine.run(*program, check=False)
    assert as_root.code == 2
    assert "docs/install/systemd.md" in as_root.stderr
    somebody = ("setpriv", "--reuid=nobody", "--clear-groups")
    checked = site.machine.run(*somebody, "/opt/rotator/bin/rotator", "check", "--config", CONFIG, check=False)
    assert checked.code == 1
    assert "fail" in checked.stdout
    assert "This is a bug" not in checked.stderr


def test_without_the_unit_it_says_what_is_missing(site: Site) -> None:
    unit = site.machine.root / UNITS[1:] / SERVICE
    try:
        unit.rename(unit.with_suffix(".aside"))
        site.machine.systemctl("daemon-reload")
        refused = site.rotator("status", check=False)
    finally:
        unit.with_suffix(".aside").rename(unit)
    assert refused.code == 1
    assert "docs/install/systemd.md" in refused.stderr
