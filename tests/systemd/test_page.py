"""docs/install/systemd.md, block by block as it stands there, on a Debian that has never seen rotator."""

from __future__ import annotations

import json

import pytest

from rotator.northflank.stamp import parse
from rotator.sandbox.aws.scene import USER
from rotator.sandbox.stage import CREDENTIAL, INTEGRATION
from tests.chaos.trial import QUICK, Trial
from tests.systemd.machine import Done, Machine
from tests.systemd.page import Page
from tests.systemd.site import ONCE, SERVICE, TIMER, TOKEN, UNITS, own_aws_key
from tests.systemd.trees import SUITES
from tests.systemd.wheels import CHECKOUT

pytestmark = [pytest.mark.machine, pytest.mark.timeout(400)]

PAGE = CHECKOUT / "docs/install/systemd.md"


class Reader:
    """A person who does what the page says, and types what it asks for."""

    def __init__(self, machine: Machine, accounts: Trial) -> None:
        self._machine = machine
        self._page = Page(PAGE)
        self._typed = {
            TOKEN: accounts.stage.token_file.read_text() + "\n",
            "/etc/rotator/aws-credentials": own_aws_key(accounts),
            "rotator adopt": accounts.stage.first_key + "\n",
        }

    def follow(self, heading: str) -> list[Done]:
        """Run each block of this part, in a shell of its own."""
        return [self._run(block) for block in self._page.take(heading)]

    def _run(self, block: str) -> Done:
        typed = next((typed for asked, typed in self._typed.items() if f"/dev/stdin {asked}" in block), "")
        typed = typed or (self._typed["rotator adopt"] if "rotator adopt" in block else "")
        return self._machine.run("/bin/bash", "-eu", "-o", "pipefail", "-c", block, typed=typed, timeout=200)

    @property
    def left(self) -> list[str]:
        return self._page.left


def lead_to_the_stand_ins(machine: Machine, accounts: Trial) -> None:
    """What the page's config and the AWS SDK would reach over the internet is here; and the waits are short."""
    settings = {
        "ROTATOR_NORTHFLANK__DEFAULT__API_URL": accounts.stage.server.url,
        "ROTATOR_NORTHFLANK__DEFAULT__TIMEOUT": "1s",
        "ROTATOR_NORTHFLANK__DEFAULT__SETTLE": "2s",
        "AWS_ENDPOINT_URL": accounts.stage.aws.server.url,
        **{f"ROTATOR_POLICY__{name.upper()}": str(value) for name, value in QUICK.items() if isinstance(value, str)},
    }
    lines = [f"Environment={name}={value}" for name, value in settings.items()]
    machine.write(f"{UNITS}/{SERVICE}.d/stand-ins.conf", "\n".join(["[Service]", *lines, ""]))


def held_key(accounts: Trial) -> str:
    return str(accounts.stage.account.held(INTEGRATION)["accessKey"])


def test_every_command_of_the_page(suite: str, clean_machine: Machine, accounts: Trial) -> None:
    machine, reader = clean_machine, Reader(clean_machine, accounts)
    lead_to_the_stand_ins(machine, accounts)
    machine.shell("cp /srv/rotator/northflank_rotator-*.whl ~/")
    first = accounts.stage.first_key

    reader.follow("From nothing to the first rotation")
    second = held_key(accounts)
    assert second != first
    assert [key.key_id for key in accounts.stage.aws.keys(USER)] == [second], "the old key is gone"
    stamp = parse(accounts.stage.account.integration(INTEGRATION).description)
    assert stamp is not None
    assert stamp.generation == 1
    assert machine.show(SERVICE, "UnitFileState") == "enabled"

    status, *_ = reader.follow("Commands for operators")
    assert CREDENTIAL in status.stdout
    logs, health = reader.follow("Logs and status")
    assert '"event":"rotation.done"' in logs.stdout
    assert health.stdout.startswith("ok")

    process = machine.show(SERVICE, "MainPID")
    reader.follow("A new token")
    assert machine.show(SERVICE, "MainPID") != process
    assert not (machine.root / TOKEN.lstrip("/")).exists(), "it is there encrypted only"
    machine.run("rotator", "check")
    process = machine.show(SERVICE, "MainPID")
    reader.follow("A new config")
    assert machine.show(SERVICE, "MainPID") == process
    assert machine.show(SERVICE, "Type") == ("notify-reload" if SUITES[suite] >= 254 else "notify")

    reader.follow("One pass every hour, in place of a daemon")
    assert machine.show(SERVICE, "ActiveState") == "inactive"
    assert machine.show(TIMER, "ActiveState") == "active"
    assert machine.show(ONCE, "Result") == "success"
    assert held_key(accounts) not in {first, second}

    reader.follow("Upgrade")
    assert machine.show(SERVICE, "ActiveState") == "active"
    assert machine.show(TIMER, "ActiveState") == "inactive"
    (row,) = json.loads(machine.run("rotator", "status", "--json").stdout)["credentials"]
    assert row["held"] is None

    reader.follow("Removal")
    assert not [*machine.root.glob("etc/systemd/system/**/rotator*"), *machine.root.glob("var/lib/**/rotator*")]
    assert not (machine.root / "opt/rotator").exists()
    assert reader.left == []
    assert not accounts.consumer.tally.failed, accounts.consumer.tally
