"""The commands of docs/install/kubernetes.md, in their order, with podman in the cluster's place.

`kubectl apply` makes the manifests with the real kubectl and hands them to podman, `kubectl exec` runs the command in
the pod. What only a cluster could do is looked at as far as a client can. An unknown command fails.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator.config.load import load
from tests.chaos.trial import Trial
from tests.kubernetes.manifests import judged, only, parsed, pods, rotator
from tests.kubernetes.pod import IMAGE, Pod
from tests.kubernetes.podman import Podman
from tests.kubernetes.tools import ROOT, program, said

pytestmark = [pytest.mark.machine, pytest.mark.timeout(600)]

PAGE = (ROOT / "docs" / "install" / "kubernetes.md").read_text()


def section(title: str) -> list[str]:
    """The shell blocks of one section of the page."""
    (text,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, flags=re.DOTALL | re.MULTILINE)
    blocks = re.findall(r"^( *)```sh\n(.*?)^ *```$", text, flags=re.DOTALL | re.MULTILINE)
    return ["".join(line.removeprefix(indent) for line in block.splitlines(keepends=True)) for indent, block in blocks]


def commands(block: str) -> Iterator[str]:
    """A block's commands: here documents and continued lines stay whole."""
    lines = iter(block.splitlines())
    for line in lines:
        command = line
        while command.endswith(("\\", "|")):
            command += f"\n{next(lines)}"
        if "<<'END'" in line:
            while not command.endswith("\nEND"):
                command += f"\n{next(lines)}"
        yield command


class Reader:
    """Somebody who follows the page, in a copy of the checkout's manifests.

    Attributes:
        applied: the manifests, once `kubectl apply` has made them.
    """

    def __init__(self, podman: Podman, made: Trial, directory: Path) -> None:
        self.directory = directory
        self.pod: Pod | None = None
        self._podman = podman
        self._made = made
        shutil.copytree(ROOT / "config", directory / "config")
        shutil.copy(made.stage.token_file, directory / "northflank-token")
        self.environment = {
            **os.environ,
            "PATH": os.pathsep.join([*(str(Path(program(p)).parent) for p in ("kubectl", "helm")), os.environ["PATH"]]),
            "KUBECONFIG": "/dev/null",
        }

    def shell(self, command: str) -> str:
        """Run it as it stands."""
        done = subprocess.run(  # noqa: S603  # our own page
            ["/bin/bash", "-euo", "pipefail", "-c", command],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def does(self, command: str) -> None:
        """What the page says."""
        match shlex.split(command.partition("<<")[0]):
            case ["docker", "build", *_, "--tag", tag, "."] | ["docker", "push", tag]:
                assert tag == IMAGE  # that the fixture has built; container.md and its test are about this
            case ["mkdir" | "cat", *_]:
                self.shell(command)
            case ["kubectl", "apply", "-k", name]:
                self._applies(self.directory / name)
            case ["kubectl", "-n", "rotator", "create", "secret", *_]:
                (secret,) = parsed(self.shell(f"{command} --dry-run=client -o yaml"))
                assert list(secret["data"]) == ["northflank-token"]  # pod.py makes the same from the same file
            case ["kubectl", "-n", "rotator", "rollout", "status", "deployment/rotator"]:
                assert self.pod is not None
                self.pod.wait_until_ready()
            case ["kubectl", "-n", "rotator", "exec", *options, "deploy/rotator", "--", "rotator", "adopt", name]:
                assert options == ["-it"]
                assert self.pod is not None
                key = self._made.stage.first_key
                self.pod.rotator("adopt", name, key, "--yes")  # what a person would type
            case ["kubectl", "-n", "rotator", "exec", "deploy/rotator", "--", "rotator", *arguments]:
                assert self.pod is not None
                self.pod.rotator(*arguments)
            case _:
                pytest.fail(f"nobody tries this command: {command}")

    def _applies(self, mine: Path) -> None:
        written = parsed(said("kubectl", "kustomize", mine))
        assert judged({mine.name: yaml.safe_dump_all(written)}, self.directory) == ""
        config = only(written, "ConfigMap", "rotator-config")["data"]["rotator.yaml"]
        assert config == (mine / "rotator.yaml").read_text()
        load(mine / "rotator.yaml", {})
        assert only(written, "ConfigMap", "rotator-environment")["data"]["AWS_ROLE_ARN"]
        (pod,) = pods(written)
        assert rotator(pod)["image"] == IMAGE
        config_of_the_page = yaml.safe_load(config)
        self.pod = Pod(self._podman, self._made, mine)
        self.pod.config = led_to_the_stand_ins(config_of_the_page, self.pod.config)
        self._podman.volume(self.pod.volume, self._made.stage.directory, IMAGE)
        self.pod.play()


def led_to_the_stand_ins(config: dict[str, Any], trial: Mapping[str, Any]) -> dict[str, Any]:
    """The page's config, with other addresses, shorter waits, and a port that is free."""
    there = trial["northflank"]["default"]
    config["northflank"]["default"] |= {key: there[key] for key in ("api_url", "timeout", "settle")}
    (credential,), (in_aws,) = config["credentials"], trial["credentials"]
    credential["aws"] |= in_aws["aws"]
    return {**config, "policy": trial["policy"], "health": trial["health"], "log": trial["log"]}


def test_from_nothing_to_the_first_rotation(podman: Podman, made: Trial, tmp_path: Path) -> None:
    reader = Reader(podman, made, tmp_path)
    try:
        for block in section("From nothing to the first rotation"):
            for command in commands(block):
                reader.does(command)
        assert reader.pod is not None
        events = [record["event"] for record in made.audited()]
        assert "rotation.done" in events
        reader.pod.stop_and_remove()
        made.check()
    finally:
        if reader.pod is not None:
            reader.pod.remove()


def test_with_helm_it_is_the_same(podman: Podman, made: Trial, tmp_path: Path) -> None:
    reader = Reader(podman, made, tmp_path)
    (block,) = section("With Helm")
    values, namespace, lint, install = commands(block)
    reader.shell(values)
    assert namespace == "kubectl apply -f config/kubernetes/base/namespace.yaml"
    assert judged({"namespace": (tmp_path / "config/kubernetes/base/namespace.yaml").read_text()}, tmp_path) == ""
    reader.shell(lint)
    shown = reader.shell(f"{install} --dry-run=client")
    manifests = parsed(shown.partition("MANIFEST:\n")[2].partition("NOTES:")[0])
    (pod,) = pods(manifests)
    assert rotator(pod)["image"] == IMAGE
    assert only(manifests, "ConfigMap", "rotator-environment")["data"]["AWS_ROLE_ARN"]


def test_a_command_in_a_pod_of_the_cron_job(podman: Podman, made: Trial, tmp_path: Path) -> None:
    """`create job --from` asks the API server, so the job is made here; what is done to it is the page's own."""
    reader = Reader(podman, made, tmp_path)
    (block,) = section("As a CronJob")
    now, status, logs = commands(block)
    assert now == "kubectl -n rotator create job rotator-now --from=cronjob/rotator"
    assert logs == "kubectl -n rotator logs job/rotator-status"
    create, patch, send = status.split("|\n")
    assert create.split() == [*now.replace("-now", "-status").split(), "--dry-run=client", "-o", "json"]
    assert send.split() == ["kubectl", "create", "-f", "-"]
    pod = Pod(podman, made, tmp_path / "mine", "cronjob")
    template = only(pod.overlay(), "CronJob")["spec"]["jobTemplate"]
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "rotator-status"}, **template}
    (tmp_path / "job.json").write_text(json.dumps(job))
    patched = json.loads(reader.shell(f"cat job.json | {patch}"))
    assert rotator(patched["spec"]["template"])["args"] == ["status"]
    with pod.running():
        assert pod.ended() == 0
        rotator(pod.manifest)["args"] = ["status"]
        pod.again()
        assert pod.ended() == 0
        assert "prod-aws" in pod.podman("logs", pod.container).stdout


def test_a_new_token(podman: Podman, made: Trial, tmp_path: Path) -> None:
    reader = Reader(podman, made, tmp_path)
    (block,) = section("Day two")
    create, apply = block.split("|")
    assert apply.split() == ["kubectl", "apply", "-f", "-"]
    (secret,) = parsed(reader.shell(create))
    assert judged({"secret": yaml.safe_dump(secret)}, tmp_path) == ""


def test_the_pods_that_are_mended_are_copies_of_the_pod() -> None:
    """test_pod.py runs the command that the page has here in such a pod; `kubectl debug` needs a cluster."""
    (block,) = section("When it doesn't start")
    assert block.endswith("--container=rotator -- chmod -R go= /var/lib/rotator/data\n")
    assert "--copy-to=" in block
