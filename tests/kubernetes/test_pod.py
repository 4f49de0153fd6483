"""The pods run for real, by podman, with a volume as a kubelet hands it over; pod.py says what podman can't take."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.chaos.trial import Trial
from tests.kubernetes.manifests import rotator
from tests.kubernetes.pod import Pod
from tests.kubernetes.podman import Podman
from tests.support.patience import patience

pytestmark = [pytest.mark.machine, pytest.mark.timeout(900)]

CONFINED = """
import json, os
from pathlib import Path
status = dict(line.split(":\\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
files = {str(p): [oct(p.lstat().st_mode & 0o7777), p.lstat().st_uid, p.lstat().st_gid]
         for p in [Path("/var/lib/rotator"), *Path("/var/lib/rotator/data").rglob("*"), Path("/var/lib/rotator/data")]}
writable = [d for d in ("/", "/etc/rotator", "/run/secrets/rotator", "/tmp", "/opt/rotator") if os.access(d, os.W_OK)]
peak = int(Path("/proc/1/task/1/children").read_text().split()[0])
peak = Path(f"/proc/{peak}/status").read_text().partition("VmHWM:")[2].split()[0]
names = ("Uid", "Gid", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp")
status = {n: status[n].split() for n in names}
print(json.dumps({"status": status, "files": files, "writable": writable, "peak": int(peak)}))
"""


def test_the_pod_of_the_deployment_rotates(pod: Pod, made: Trial) -> None:
    with pod.running() as service:
        service.wait_for("key.adopted")
        pod.wait_until_ready()
        assert [pod.probe(kind) for kind in ("startup", "liveness", "readiness")] == [200, 200, 200]
        pod.rotator("health", "--ready")
        pod.rotator("rotate", "prod-aws", "--now", "--wait")
        confined = pod.python(CONFINED)
        pod.rotator("status")
        began = time.monotonic()
        pod.stop_and_remove()
        assert time.monotonic() - began < patience(15)
        service.wait_for("daemon.stopped")
    made.check()
    none = ["0" * 16]
    assert confined["status"] == {
        "Uid": ["10001"] * 4,
        "Gid": ["10001"] * 4,
        "CapEff": none,
        "CapBnd": none,
        "NoNewPrivs": ["1"],
        "Seccomp": ["2"],
    }
    assert confined["writable"] == []
    asked = rotator(pod.manifest)["resources"]["requests"]["memory"]
    assert confined["peak"] / 1024 < int(asked.removesuffix("Mi"))
    files = confined["files"]
    assert files.pop("/var/lib/rotator") == ["0o2775", 0, 10001]
    assert files.pop("/var/lib/rotator/data")[1:] == [10001, 10001]
    assert "/var/lib/rotator/data/rotator.db" in files
    assert {tuple(each) for each in files.values()} == {("0o600", 10001, 10001)}


def test_the_next_pod_goes_on_where_the_last_was_killed(pod: Pod, made: Trial) -> None:
    with pod.running() as service:
        service.wait_for("key.adopted")
        pod.rotator("rotate", "prod-aws", "--now")
        service.wait_for("integration.push")
        pod.podman("kill", f"--signal={signal.SIGKILL.value}", pod.container)
        pod.again()
        with pod.listened() as after:
            after.wait_for("rotation.done")
            pod.rotator("audit", "verify")
            pod.stop_and_remove()
    assert not made.consumer.tally.failed
    assert made.leaks() == []


def test_a_second_pod_on_the_volume_ends_with_3(pod: Pod, podman: Podman, made: Trial, tmp_path: Path) -> None:
    """Two of them, as when somebody scales the Deployment on one node. The first goes on."""
    with pod.running() as service:
        service.wait_for("key.adopted")
        second = Pod(podman, made, tmp_path / "second")
        second.manifest["spec"]["volumes"] = pod.manifest["spec"]["volumes"]
        try:
            second.play()
            assert second.ended() == 3
        finally:
            second.remove()
        pod.wait_until_ready()
        assert pod.probe("readiness") == 200


def test_the_root_of_the_volume_is_refused_for_the_store(pod: Pod) -> None:
    """Why the config has a directory below it."""
    pod.config["store"]["url"] = "sqlite:////var/lib/rotator/rotator.db"
    with pod.running() as service:
        assert pod.ended() == 1
        service.wait_to_say("name a new directory below it in `store.url`")


def test_files_that_fs_group_opened_are_refused(pod: Pod, made: Trial) -> None:
    """Why the manifests say fsGroupChangePolicy: OnRootMismatch. This is what Always does at each mount."""
    with pod.running() as service:
        service.wait_for("key.adopted")
        pod.stop_and_remove()
        for file in made.stage.store_file.parent.iterdir():
            file.chmod(0o660)
        pod.play()
        with pod.listened() as after:
            assert pod.ended() == 1
            after.wait_to_say("chmod 600 /var/lib/rotator/data/rotator.db")
        as_on_the_page = {"command": ["chmod", "-R", "go=", "/var/lib/rotator/data"], "args": []}
        rotator(pod.manifest).update(as_on_the_page)
        pod.again()
        assert pod.ended() == 0
        del rotator(pod.manifest)["command"]
        rotator(pod.manifest)["args"] = ["run"]
        pod.again()
        pod.wait_until_ready()


def test_the_token_is_a_file_and_not_in_the_environment(pod: Pod, made: Trial) -> None:
    """It is read at each use, so that a Secret may change under the running pod."""
    with pod.running() as service:
        service.wait_for("key.adopted")
        assert pod.python("import json, os; print(json.dumps(os.access('/run/secrets/rotator/northflank-token', 4)))")
        assert made.stage.token_file.read_text() not in str(pod.podman.inspect(pod.container)["Config"]["Env"])


def test_the_pods_of_the_cron_job_carry_a_rotation_through(podman: Podman, made: Trial, tmp_path: Path) -> None:
    """One after the other on one volume, as the schedule makes them."""
    pod = Pod(podman, made, tmp_path / "mine", "cronjob")
    with pod.running():
        codes = [pod.ended()]
        made.ask(now=True)
        while "rotation.done" not in [record["event"] for record in made.audited()]:
            assert len(codes) < 30, made.audited()[-3:]
            pod.again()
            codes.append(pod.ended())
    assert set(codes) == {0}
    assert not made.consumer.tally.failed
    assert made.leaks() == []


def test_the_job_has_failed_when_a_person_must_act(podman: Podman, made: Trial, tmp_path: Path) -> None:
    pod = Pod(podman, made, tmp_path / "mine", "cronjob")
    pod.config["credentials"][0]["current_key"] = "AKIANOBODYKNOWSTHIS0"
    with pod.running() as service:
        assert pod.ended() == 4
        assert service.wait_for("rotation.held")["reason"]


def test_beside_an_application_only_rotator_has_the_journal(podman: Podman, made: Trial, tmp_path: Path) -> None:
    pod = Pod(podman, made, tmp_path / "mine", "sidecar")
    (app,) = (each for each in pod.manifest["spec"]["containers"] if each["name"] == "app")
    app |= {"image": "registry.example.com/rotator:0.1.0", "command": ["tini", "sleep", "infinity"]}
    with pod.running() as service:
        service.wait_for("key.adopted")
        pod.rotator("rotate", "prod-aws", "--now", "--wait")
        seen = pod.python(
            "import json, os; print(json.dumps([os.getuid(), *map(os.path.exists, "
            "('/var/lib/rotator/data', '/run/secrets/rotator', '/etc/rotator/rotator.yaml'))]))",
            container="app",
        )
        assert seen == [10002, False, False, False]
        assert pod.probe("liveness") == 200
        pod.stop_and_remove()
    made.check()
