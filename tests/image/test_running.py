"""A whole rotation by a hardened container, and what that container can and can't do meanwhile."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.canary import leaks
from tests.chaos.trial import Trial
from tests.image.engine import Engine
from tests.image.place import UID, Place, until
from tests.support.patience import patience

pytestmark = [pytest.mark.machine, pytest.mark.timeout(900)]

WRITABLE = """
import json, os, stat
found = []
for top, _, names in os.walk("/"):
    if top == "/proc" or top.startswith("/proc/"):
        continue  # a process's view of itself
    try:
        os.close(os.open(top + "/.probe", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except OSError:
        pass
    else:
        os.unlink(top + "/.probe")
        found.append(top)
    for path in (os.path.join(top, name) for name in names):
        if not os.path.islink(path) and not stat.S_ISCHR(os.stat(path).st_mode) and os.access(path, os.W_OK):
            found.append(path)
print(json.dumps(sorted(found)))
"""

PROCESSES = """
import json
from pathlib import Path
names = {}
for status in Path("/proc").glob("[0-9]*/status"):
    fields = dict(line.split(":\\t", 1) for line in status.read_text().splitlines())
    names[fields["Pid"]] = {name: fields[name] for name in ("Name", "PPid", "Uid", "CapEff", "CapBnd", "NoNewPrivs")}
print(json.dumps(names))
"""

SHELLS = """
import json, os
listed = [line.strip() for line in open("/etc/shells") if line.startswith("/")]
print(json.dumps(sorted({os.path.realpath(shell) for shell in ["/bin/sh", *listed]})))
"""

PYTHON = "/opt/rotator/bin/python"


def no_shell(engine: Engine, image: str, nothing: Path) -> list[str]:
    """Options that take every shell of the image away."""
    shells = engine.python(("run", "--rm", f"--entrypoint={PYTHON}", image), SHELLS)
    assert any("dash" in shell for shell in shells)
    nothing.touch(mode=0o644)
    options = [f"--volume={nothing}:{shell}:ro" for shell in shells]
    for shell in ("/bin/sh", *shells):
        tried = engine("run", "--rm", *options, f"--entrypoint={shell}", image, "-c", "true", check=False)
        assert tried.returncode in {126, 127}
    return options


def test_a_whole_rotation_with_no_shell_and_nothing_writable_but_the_volume(
    engine: Engine, image: str, place: Place, made: Trial, tmp_path: Path
) -> None:
    with place.service(image, options=no_shell(engine, image, tmp_path / "nothing")) as service:
        service.wait_for("key.adopted")
        done = place.rotator("rotate", "prod-aws", "--now", "--wait")
        assert "done" in done.stdout + done.stderr
        service.wait_for("rotation.done")
        assert place.rotator("status").returncode == 0
        check = engine.inspect("container", place.name)["Config"]["Healthcheck"]
        assert check["Test"] == ["CMD", "/opt/rotator/bin/rotator", "health"]
        assert engine.healthy(place.name)

        inside = ("exec", place.name, PYTHON)
        writable = engine.python(inside, WRITABLE)
        # A message queue is no file: it is memory of the kernel, and goes with the container.
        assert set(writable) - {"/dev/mqueue"} == {
            "/var/lib/rotator",
            *(f"/var/lib/rotator/{file.name}" for file in place.data.iterdir()),
        }
        processes = engine.python(inside, PROCESSES)
        assert processes["1"]["Name"] == "tini"
        assert "rotator" in {process["Name"] for process in processes.values() if process["PPid"] == "1"}
        for process in processes.values():
            assert process["Uid"].split() == [str(UID)] * 4
            assert (process["CapEff"], process["CapBnd"]) == ("0" * 16, "0" * 16)
            assert process["NoNewPrivs"] == "1"

        words = tmp_path / "words"
        words.write_text(json.dumps(engine.inspect("container", place.name)) + engine("logs", place.name).stdout)
        assert leaks({*made.stage.aws.secrets, made.stage.token_file.read_text()}, [words]) == []
        assert service.stop() == 0
    made.check()


@pytest.fixture
def stopped(engine: Engine, place: Place, image: str) -> Iterator[int]:
    """The pid, here, of a service that has done its first work."""
    with place.service(image) as service:
        service.wait_for("key.adopted")
        first = engine.inspect("container", place.name)["State"]["Pid"]
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        [pid] = map(int, children)
        try:
            yield pid
        finally:
            os.kill(pid, signal.SIGCONT)


def test_a_service_that_hangs_is_unhealthy_and_recovers(engine: Engine, place: Place, stopped: int) -> None:
    assert engine.healthy(place.name)
    os.kill(stopped, signal.SIGSTOP)
    assert not engine.healthy(place.name)
    os.kill(stopped, signal.SIGCONT)
    until(lambda: engine.healthy(place.name))
    assert place.rotator("health", "--ready").returncode == 0


def test_what_a_killed_container_left_goes_on_in_the_next(
    engine: Engine, place: Place, image: str, made: Trial
) -> None:
    with place.service(image) as service:
        service.wait_for("key.adopted")
        place.rotator("rotate", "prod-aws", "--now")
        service.wait_for("key.create")
        engine("kill", "--signal", "KILL", place.name)
        service.process.wait(patience())
    with place.service(image) as service:
        service.wait_for("rotation.done")
        assert service.stop() == 0
    made.check()
