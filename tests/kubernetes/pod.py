"""A pod of our manifests, run for real: what is handed to podman, and what isn't.

Podman 4.3 has no projected volumes, no sidecars among the init containers and no CronJobs; it takes no `fsGroup`,
doesn't decode a Secret, and probes by other means. So the (empty) volume of tokens is left out, the volume and the
Secret's files are prepared as a kubelet does it, and the tests are the prober. Everything else of the pod is run as it
stands in the manifest; only the network is the host's, where the stand-ins listen, so the health port is a free one.
"""

from __future__ import annotations

import base64
import copy
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.chaos.process import Service
from tests.chaos.trial import Trial
from tests.image.place import free_port
from tests.kubernetes.manifests import Manifest, overlay, parsed, pods, rotator
from tests.kubernetes.podman import Podman
from tests.kubernetes.tools import said
from tests.support.patience import patience

IMAGE = "registry.example.com/rotator:0.1.0"
"""As the manifests name it."""


class Pod:
    """The pod of one shape, against the stand-ins of one trial.

    Args:
        podman: the kubelet.
        made: the stand-ins; their directory is the pod's volume, so that their checks find the journal.
        directory: that takes the shape from ours, as on the install page; made if there is none.
        shape: of config/kubernetes.

    Attributes:
        config: rotator's; change it before a start.
        manifest: the pod's; change it before a start.
    """

    def __init__(self, podman: Podman, made: Trial, directory: Path, shape: str = "deployment") -> None:
        self.podman = podman
        self.made = made
        self.port = free_port()
        self.config = self._config()
        self.name = f"rotator-{shape}-{os.getpid()}-{self.port}"
        self._directory = directory
        directory.mkdir(exist_ok=True)
        self._prepare(shape)
        self._maps: set[str] = set()  # podman makes volumes of them
        (template,) = pods(self.overlay())
        self.manifest = copy.deepcopy(template)
        # Podman's names have no namespaces.
        self.volume = self._volume("data")["persistentVolumeClaim"]["claimName"] = f"{self.name}-data"
        for port in rotator(self.manifest).get("ports", []):
            port["containerPort"] = self.port

    @property
    def container(self) -> str:
        return f"{self.name}-rotator"

    def overlay(self) -> list[Manifest]:
        """What the directory makes, with the config as it is now."""
        (self._directory / "rotator.yaml").write_text(yaml.safe_dump(self.config))
        return parsed(said("kubectl", "kustomize", self._directory))

    def _prepare(self, shape: str) -> None:
        """Have the directory as the install page has it, and the stand-in's key in the environment."""
        file = self._directory / "kustomization.yaml"
        if not file.exists():
            (self._directory / "rotator.yaml").touch()
            overlay(self._directory, shape, configMapGenerator=[merged("rotator-config", files=["rotator.yaml"])])
        of_its_own = [f"{k}={v}" for k, v in self.made.stage.environment.items() if k != "ROTATOR_CONFIG"]
        kustomization = yaml.safe_load(file.read_text())
        maps = {each["name"]: each for each in kustomization["configMapGenerator"]}
        environment = maps.setdefault("rotator-environment", merged("rotator-environment", literals=[]))
        environment["literals"] += of_its_own
        kustomization["configMapGenerator"] = list(maps.values())
        file.write_text(yaml.safe_dump(kustomization))

    def remove(self) -> None:
        """End it, and take away all that it had."""
        self.podman.remove(self.name, self.volume, *self._maps)

    @contextmanager
    def running(self) -> Iterator[Service]:
        """The pod, listened to at rotator's output. It is gone at the end, with all that it had."""
        try:
            self.podman.volume(self.volume, self.made.stage.directory, IMAGE)
            self.play()
            with self.listened() as service:
                yield service
        finally:
            self.remove()

    @contextmanager
    def listened(self) -> Iterator[Service]:
        command = (*self.podman.command, "logs", "--follow", self.container)
        with Service(command, self.podman.environment, self.made.output) as service:
            yield service

    def play(self) -> None:
        """Start it as it is now."""
        manifests = self.overlay()
        file = self._directory / "played.yaml"
        maps = [each for each in manifests if each["kind"] == "ConfigMap"]
        self._maps |= {each["metadata"]["name"] for each in maps}
        (template,) = pods(manifests)
        for volume, fresh in zip(self.manifest["spec"]["volumes"], template["spec"]["volumes"], strict=True):
            if "configMap" in volume:
                volume["configMap"] = fresh["configMap"]  # its name has the config's checksum
        rotator(self.manifest)["envFrom"] = rotator(template)["envFrom"]
        file.write_text(yaml.safe_dump_all([*maps, self._played()]))
        self.podman.play(file)

    def stop_and_remove(self) -> None:
        """As by the deletion of the pod: the volume stays."""
        grace = self.manifest["spec"]["terminationGracePeriodSeconds"]
        self.podman("pod", "stop", f"--time={grace}", self.name, timeout=grace + 30)
        self.podman.end(self.name)

    def again(self) -> None:
        """Another pod in its place, as it is now."""
        self.podman.end(self.name)
        self.play()

    def rotator(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """As `kubectl exec deploy/rotator -- rotator ...`."""
        return self.podman("exec", self.container, "rotator", *arguments, check=check)

    def python(self, script: str, *, container: str = "rotator") -> Any:
        """Run a script in one of the containers. Returns the JSON that it printed."""
        return json.loads(
            self.podman("exec", f"{self.name}-{container}", "/opt/rotator/bin/python", "-c", script).stdout
        )

    def probe(self, kind: str) -> int:
        """Probe it as its manifest says. Returns the status, or 0 if nobody answers."""
        asked = rotator(self.manifest)[f"{kind}Probe"]["httpGet"]
        (port,) = (each for each in rotator(self.manifest)["ports"] if each["name"] == asked["port"])
        try:
            return httpx.get(f"http://127.0.0.1:{port['containerPort']}{asked['path']}", timeout=5).status_code
        except httpx.HTTPError:
            return 0

    def wait_until_ready(self) -> None:
        """Probe it until it is ready.

        Raises:
            TimeoutError: it never is.
        """
        until = time.monotonic() + patience()
        while self.probe("readiness") != 200:
            if time.monotonic() > until:
                raise TimeoutError(self.podman("logs", self.container, check=False).stderr[-3000:])
            time.sleep(0.1)

    def ended(self) -> int:
        """Wait for the end of rotator's container. Returns its exit code."""
        return int(self.podman("wait", self.container, timeout=patience()).stdout)

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = yaml.safe_load(self.made.configure())
        config["northflank"]["default"]["token"] = {"file": "/run/secrets/rotator/northflank-token"}
        config["store"] = {"url": "sqlite:////var/lib/rotator/data/rotator.db"}
        config["audit"] = {"file": "/var/lib/rotator/data/audit.jsonl"}
        config["health"] = {"listen": f"127.0.0.1:{self.port}"}
        return config

    def _volume(self, name: str) -> Manifest:
        found: Manifest
        (found,) = (each for each in self.manifest["spec"]["volumes"] if each["name"] == name)
        return found

    def _secret(self) -> Path:
        """Where the files are of the Secret that the install page's command makes, as a kubelet writes them."""
        token = f"--from-file=northflank-token={self.made.stage.token_file}"
        made = said("kubectl", "create", "secret", "generic", "rotator-secrets", token, "--dry-run=client", "-o=yaml")
        (secret,) = parsed(made)
        asked = self._volume("secrets")["secret"]
        assert secret["metadata"]["name"] == asked["secretName"]
        directory = self._directory / "secrets"
        directory.mkdir(exist_ok=True)
        for name, value in secret["data"].items():
            file = directory / name
            file.write_bytes(base64.b64decode(value))
            file.chmod(asked["defaultMode"])
            shutil.chown(file, 0, self.manifest["spec"]["securityContext"]["fsGroup"])
        return directory

    def _played(self) -> Manifest:
        template = copy.deepcopy(self.manifest)
        spec = template["spec"]
        identity = spec["volumes"].pop(0)
        assert set(identity) == {"name", "projected"}
        (secrets,) = (each for each in spec["volumes"] if "secret" in each)
        del secrets["secret"]
        secrets["hostPath"] = {"path": str(self._secret()), "type": "Directory"}
        rotator(template)["volumeMounts"] = [
            each for each in rotator(template)["volumeMounts"] if each["name"] != identity["name"]
        ]
        for key in ("ports", "startupProbe", "livenessProbe", "readinessProbe"):
            rotator(template).pop(key, None)  # podman would map ports, and probe with curl and systemd
        spec["hostNetwork"] = True
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**template["metadata"], "name": self.name},
            "spec": {"restartPolicy": "Never", **spec},
        }


def merged(name: str, **more: object) -> dict[str, Any]:
    """A ConfigMap of ours, with more in it."""
    return {"name": name, "namespace": "rotator", "behavior": "merge", **more}
