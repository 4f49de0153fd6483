"""rotator installed in a machine, and the stand-ins that it talks to: they run on this side, at the same loopback."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rotator.sandbox.stage import CREDENTIAL
from tests.chaos.trial import Trial
from tests.systemd.machine import Machine

SERVICE, ONCE, TIMER = "rotator.service", "rotator-once.service", "rotator-once.timer"
SHARE = "/opt/rotator/share/rotator/systemd"
UNITS = "/etc/systemd/system"
CONFIG = "/etc/rotator/rotator.yaml"
TOKEN = "/etc/rotator/northflank-token"
STORE = "var/lib/private/rotator"

INSTALL = f"""
python3 -m venv /opt/rotator
/opt/rotator/bin/pip install --quiet 'northflank-rotator[all]' rotator-stuck
cd {SHARE}
install -m 0644 {SERVICE} {ONCE} {TIMER} {UNITS}
install -m 0755 rotator /usr/local/bin/rotator
"""

Record = dict[str, Any]


class Site:
    """One trial's accounts, and the service that looks after them.

    Args:
        machine: where it is installed.
        trial: the stand-ins, and what must be true at the end.
    """

    def __init__(self, machine: Machine, trial: Trial) -> None:
        self.machine = machine
        self.trial = trial
        self.configure()
        machine.write(TOKEN, trial.stage.token_file.read_text(), mode=0o600)
        machine.write("/etc/rotator/aws-credentials", own_aws_key(trial), mode=0o600)
        for unit in (SERVICE, ONCE):
            self.add_drop_in("aws", unit=unit)
        self.override(SERVICE, RestartSec="1")
        self._began = time.time()

    def configure(self, *, northflank: Mapping[str, object] = {}, **sections: object) -> None:
        """Write the config: the trial's, with the secrets where systemd puts them, and these over it."""
        config = yaml.safe_load(self.trial.configure(northflank=northflank))
        config["northflank"]["default"]["token"] = {"credential": "northflank-token"}
        config["store"] = {"url": "sqlite:////var/lib/rotator/rotator.db"}
        config["audit"] = {"file": "/var/lib/rotator/audit.jsonl"}
        self.machine.write(CONFIG, yaml.safe_dump(config | sections))

    def credentials(self) -> list[Record]:
        """That section of the config as it is."""
        config = yaml.safe_load((self.machine.root / CONFIG.lstrip("/")).read_text())
        return list(config["credentials"])

    def add_drop_in(self, name: str, *, unit: str = SERVICE) -> None:
        """Install one of those that come with the package."""
        shipped = f"{SHARE}/rotator.service.d/{name}.conf"
        self.machine.run("install", "-m", "0644", "-D", "-t", f"{UNITS}/{unit}.d", shipped)
        self.machine.systemctl("daemon-reload")

    def override(self, unit: str, *lines: str, **settings: str) -> None:
        """As by `systemctl edit`: these settings of [Service], after all others."""
        given = [*lines, *(f"{name}={value}" for name, value in settings.items())]
        self.machine.write(f"{UNITS}/{unit}.d/zz-test.conf", "\n".join(["[Service]", *given, ""]))
        self.machine.systemctl("daemon-reload")

    def start(self) -> None:
        self.machine.systemctl("start", SERVICE)

    def rotator(self, *arguments: str, check: bool = True) -> Any:
        """A person's command."""
        return self.machine.run("rotator", *arguments, check=check)

    def told(self, event: str, **fields: str) -> list[Record]:
        """The journal's entries of an audit event since this site was made, oldest first."""
        wanted = [f"ROTATOR_{name.upper()}={value}" for name, value in ({"event": event} | fields).items()]
        return self.machine.journal(*wanted, since=self._began)

    def wait_to_be_told(self, event: str, *, timeout: float = 60.0, **fields: str) -> Record:
        """The first of these entries."""
        self.machine.wait_until(lambda: self.told(event, **fields), f"{event} {fields}", timeout=timeout)
        return self.told(event, **fields)[0]

    def systemd_said(self, text: str) -> bool:
        """Whether systemd told this of the service."""
        entries = self.machine.journal("_PID=1", f"UNIT={SERVICE}", since=self._began)
        return any(text in entry["MESSAGE"] for entry in entries)

    def adopted(self) -> None:
        """Wait until the first contact is over."""
        self.wait_to_be_told("key.adopted", credential=CREDENTIAL)

    def check(self) -> None:
        """The rotation is done, once, and all promises were kept. The service is stopped for that."""
        self.machine.systemctl("stop", SERVICE, TIMER, ONCE)
        entries = self.machine.run("journalctl", "--output=json", "--all", f"--since=@{self._began:.6f}").stdout
        (self.trial.output / "journal").write_text(entries)  # it is searched for secrets as well
        data = self.trial.stage.store_file.parent
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(self.machine.root / STORE, data)
        self.trial.check()

    def clear(self) -> None:
        """Leave the machine as it was before."""
        units = (SERVICE, ONCE, TIMER)
        self.machine.systemctl("disable", "--now", "--quiet", *units, check=False)
        self.machine.systemctl("reset-failed", *units, check=False)
        for place in (STORE, "etc/rotator", *(f"{UNITS[1:]}/{unit}.d" for unit in units)):
            shutil.rmtree(self.machine.root / place, ignore_errors=True)
        self.machine.systemctl("daemon-reload")


def own_aws_key(trial: Trial) -> str:
    """rotator's own key, as a shared credentials file."""
    own = trial.stage.environment
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    return "\n".join(["[default]", *(f"{name.lower()} = {own[name]}" for name in names), ""])


def wheels_in(machine: Machine, *places: str) -> None:
    """Let pip in the machine find its packages there, and nowhere else."""
    found = " ".join(Path(place).as_posix() for place in places)
    machine.write("/etc/pip.conf", f"[global]\nno-index = true\nfind-links = {found}\n")
