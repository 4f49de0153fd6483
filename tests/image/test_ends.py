"""How the container ends: exit codes, and SIGTERM at any time."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.chaos.trial import Trial
from tests.image.engine import Engine
from tests.image.place import Place, own, until
from tests.support.patience import patience

pytestmark = [pytest.mark.machine, pytest.mark.timeout(900)]


def running(engine: Engine, place: Place) -> bool:  # noqa: ARG001  # as the others
    return True


def locked(engine: Engine, place: Place) -> bool:  # noqa: ARG001  # as the others
    return (place.data / "rotator.db.lock").exists()


def started(engine: Engine, place: Place) -> bool:
    return "daemon.started" in engine("logs", place.name).stdout


def says(done: subprocess.CompletedProcess[str], *words: str) -> bool:
    return all(word in done.stderr for word in words)


@pytest.mark.parametrize("moment", [running, locked, started], ids=lambda moment: moment.__name__)
def test_sigterm_at_any_time(
    engine: Engine, place: Place, image: str, made: Trial, moment: Callable[[Engine, Place], bool]
) -> None:
    with place.detached(image):
        until(lambda: moment(engine, place))
        asked = time.monotonic()
        engine("kill", "--signal", "TERM", place.name, check=False)  # it may have ended
        code = int(engine("wait", place.name).stdout)
        assert time.monotonic() - asked < patience(10)
    # 143: Python had not come to set its handlers, so there was nothing to finish.
    assert code == 0 if moment is started else code in {0, 143}
    assert place.run(image, "run", "--once").returncode == 0
    assert place.run(image, "audit", "verify").returncode == 0
    assert made.leaks() == []


def test_a_config_that_cannot_be_used(place: Place, image: str) -> None:
    place.configure(policy={"every": "soon"})
    done = place.run(image)
    assert done.returncode == 2
    assert says(done, "/etc/rotator/rotator.yaml", "policy.every")
    place.configure()
    place.config_file.chmod(0o600)
    done = place.run(image)
    assert done.returncode == 2
    assert says(done, "/etc/rotator/rotator.yaml", "not readable")


def test_a_volume_of_somebody_else(place: Place, image: str) -> None:
    shutil.chown(place.data, 0, 0)
    done = place.run(image)
    assert done.returncode == 1
    assert says(done, "/var/lib/rotator", "must belong to uid 10001")
    own(place.data)
    place.data.chmod(0o777)
    done = place.run(image)
    assert done.returncode == 2
    assert says(done, "chmod o-w /var/lib/rotator")


def test_a_second_container_on_the_volume(place: Place, image: str) -> None:
    with place.service(image) as service:
        service.wait_for("daemon.started")
        done = place.run(image)
        assert done.returncode == 3
        assert says(done, "another rotator owns this store")
        assert service.stop() == 0


def test_one_pass(place: Place, image: str, made: Trial) -> None:
    assert place.run(image, "run", "--once").returncode == 0
    assert place.run(image, "rotate", "prod-aws", "--standalone").returncode == 0
    assert place.run(image, "status").returncode == 0
    assert not made.consumer.tally.failed


def test_one_pass_that_needs_a_person(place: Place, image: str) -> None:
    [credential] = place.config()["credentials"]
    del credential["current_key"]
    place.configure(credentials=[credential])
    done = place.run(image, "run", "--once")
    assert done.returncode == 4
    assert place.run(image, "status").returncode == 4


def test_a_cloud_that_the_image_was_built_without(place: Place, image: str) -> None:
    [credential] = place.config()["credentials"]
    google = {"name": "prod-gcp", "provider": "gcp", "service_account": "a@b-project.iam.gserviceaccount.com"}
    place.configure(credentials=[{**google, "integrations": credential["integrations"]}])
    done = place.run(image)
    assert done.returncode == 2
    assert says(done, "--build-arg EXTRAS=aws,gcp")


def test_the_volume_of_an_older_user_is_refused_until_it_is_given_over(place: Place, image: str) -> None:
    assert place.run(image, "run", "--once").returncode == 0
    for file in place.data.iterdir():
        shutil.chown(file, 0, 0)
    assert place.run(image, "run", "--once").returncode == 1
    for file in place.data.iterdir():
        own(file)
    assert place.run(image, "run", "--once").returncode == 0
