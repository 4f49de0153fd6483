"""Machines to install rotator in. `make test-systemd` runs these tests; they need root."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos.trial import Trial, trial
from tests.systemd.machine import Machine, boot
from tests.systemd.site import INSTALL, Site, wheels_in
from tests.systemd.trees import SUITES
from tests.systemd.wheels import CHECKOUT, build, dependencies

STUCK = Path(__file__).parent / "stuck"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the wheels of this checkout."""
    directory = tmp_path_factory.mktemp("built")
    for source in (CHECKOUT, STUCK):
        build(source, directory)
    return directory


@pytest.fixture(scope="session", params=SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    """Debian's name."""
    return str(request.param)


@contextmanager
def booted(suite: str, built: Path) -> Iterator[Machine]:
    with boot(suite, binds={dependencies(suite): "/srv/wheels", built: "/srv/rotator"}) as machine:
        wheels_in(machine, "/srv/wheels", "/srv/rotator")
        yield machine


@pytest.fixture
def clean_machine(suite: str, built: Path) -> Iterator[Machine]:
    """A Debian on which nothing is installed yet."""
    with booted(suite, built) as machine:
        yield machine


@pytest.fixture(scope="session")
def machine(suite: str, built: Path) -> Iterator[Machine]:
    """A Debian with rotator in it, its units, and every cloud's SDK."""
    with booted(suite, built) as machine:
        machine.shell(INSTALL, timeout=300)
        machine.systemctl("daemon-reload")
        yield machine


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Trial]:
    """The stand-ins, with a consumer of the held key."""
    with trial(tmp_path) as made:
        yield made


@pytest.fixture
def site(machine: Machine, accounts: Trial) -> Iterator[Site]:
    """The service, configured and not started."""
    made = Site(machine, accounts)
    try:
        yield made
    finally:
        made.clear()
