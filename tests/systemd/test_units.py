"""The units and drop-ins as systemd itself judges them, alone and together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.systemd.machine import Machine
from tests.systemd.site import ONCE, SERVICE, SHARE, STORE, TIMER, UNITS, Site
from tests.systemd.trees import SUITES

SHIPPED = Path(__file__).parents[2] / "systemd"
SINCE = {"notify-reload": 253, "restart-steps": 254}
DROP_INS = sorted(path.stem for path in (SHIPPED / "rotator.service.d").iterdir())
OF_CLOUDS = [name for name in DROP_INS if name not in SINCE]
EXPOSURE = "12"
"""Ten times the most that `systemd-analyze security` may say."""

FILES = {
    "aws": {"aws-credentials": "$AWS_SHARED_CREDENTIALS_FILE"},
    "gcp": {"gcp.json": "$GOOGLE_APPLICATION_CREDENTIALS"},
    "azure": {"azure-admin": "$CREDENTIALS_DIRECTORY/azure-admin"},
    "oci": {"oci-config": "~/oci-config", "oci-key.pem": "~/oci-key.pem"},
    "civo": {"civo-key": "$CREDENTIALS_DIRECTORY/civo-key"},
    "byok": {"kubeconfig": "$KUBECONFIG"},
}
"""What each drop-in wants in /etc/rotator, and where the service finds it."""


def settings(unit: str) -> list[str]:
    return [line for line in (SHIPPED / unit).read_text().splitlines() if line and not line.startswith("#")]


@pytest.fixture
def with_drop_ins(machine: Machine) -> Iterator[Machine]:
    yield machine
    machine.shell(f"rm -rf {UNITS}/{SERVICE}.d {UNITS}/{ONCE}.d; systemctl daemon-reload")


def combinations(suite: str) -> list[tuple[str, tuple[str, ...]]]:
    """Each unit alone, with each of its drop-ins, and with all of them."""
    known = [name for name in DROP_INS if SINCE.get(name, 0) <= SUITES[suite]]
    of_service = [(), *((name,) for name in known), tuple(known)]
    of_once = [(), *((name,) for name in OF_CLOUDS), tuple(OF_CLOUDS)]
    return [(SERVICE, names) for names in of_service] + [(ONCE, names) for names in of_once]


def test_the_pass_has_the_sandbox_user_and_secrets_of_the_service() -> None:
    own = {"Type", "ExecStart", "ExecReload", "NotifyAccess", "WatchdogSec", "TimeoutStartSec", "TimeoutStopSec"}
    own |= {"Restart", "RestartSec", "RestartPreventExitStatus", "Description", "WantedBy", "[Install]"}
    service, once = ([each for each in settings(unit) if each.partition("=")[0] not in own] for unit in (SERVICE, ONCE))
    once.remove("Environment=ROTATOR_POLICY__ALARM_AFTER=3h")  # between two passes no rotator looks at anything
    assert service == once
    assert len(service) > 30


def test_every_drop_in_is_known_here() -> None:
    assert set(FILES) == set(OF_CLOUDS)


@pytest.mark.machine
def test_systemd_finds_nothing_to_say_and_little_exposed(suite: str, with_drop_ins: Machine) -> None:
    with_drop_ins.run("systemd-analyze", "verify", f"{UNITS}/{TIMER}")
    for unit, names in combinations(suite):
        shipped = " ".join(f"{SHARE}/rotator.service.d/{name}.conf" for name in names)
        with_drop_ins.shell(
            f"rm -rf {UNITS}/{unit}.d && install -m 0644 -D -t {UNITS}/{unit}.d {shipped or '/dev/null'}"
        )
        said = with_drop_ins.run("systemd-analyze", "verify", f"{UNITS}/{unit}")
        assert (said.stdout, said.stderr) == ("", ""), (unit, names)
        judge = ("systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={EXPOSURE}")
        with_drop_ins.run(*judge, f"{UNITS}/{unit}")


@pytest.mark.machine
@pytest.mark.parametrize("name", OF_CLOUDS)
def test_a_drop_in_brings_its_files_to_the_service(site: Site, name: str) -> None:
    site.add_drop_in(name)
    look = f"cat {' '.join(FILES[name].values())} > /var/lib/rotator/found"
    site.machine.write("/etc/rotator/look", look)
    site.override(SERVICE, "ExecStart=", "ExecStart=/bin/sh -e /etc/rotator/look", Type="oneshot", Restart="no")
    site.machine.run("rm", "-f", *(f"/etc/rotator/{file}" for file in FILES[name]))
    assert site.machine.systemctl("start", SERVICE, check=False).code, "it doesn't start without them"
    for file in FILES[name]:
        site.machine.write(f"/etc/rotator/{file}", f"content of {file}\n", mode=0o600)
    site.start()
    found = (site.machine.root / STORE / "found").read_text()
    assert found.splitlines() == [f"content of {file}" for file in FILES[name]]
