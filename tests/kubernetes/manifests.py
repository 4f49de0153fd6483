"""Manifests as kubectl and helm make them, and their parts that matter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from os.path import relpath
from pathlib import Path
from typing import Any

import yaml

from tests.kubernetes.tools import CHART, KUBERNETES, ran, said

Manifest = dict[str, Any]

SHAPES = ("deployment", "cronjob", "sidecar", "native-sidecar")
IDENTITIES = ("aws", "gcp", "azure", "byok")
VERSIONS = ("1.30", "1.37")
"""The oldest Kubernetes that is looked at, and the newest that the judge knows."""


def parsed(text: str) -> list[Manifest]:
    return [each for each in yaml.safe_load_all(text) if each]


def overlay(directory: Path, shape: str, *, identities: Sequence[str] = (), **more: object) -> str:
    """What `kubectl kustomize` makes of a directory that takes a shape from ours, as the install page has it."""
    directory.mkdir(parents=True, exist_ok=True)

    def ours(name: str) -> str:
        return relpath(KUBERNETES / name, directory)

    kustomization = {
        "resources": [ours(shape)],
        "components": [ours(f"identity/{identity}") for identity in identities],
        **more,
    }
    (directory / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return said("kubectl", "kustomize", directory)


def chart(values: Mapping[str, object], directory: Path, *, source: Path = CHART, release: str = "rotator") -> str:
    """What `helm template` makes of these values, in the namespace of the plain manifests."""
    file = directory / "values.yaml"
    file.write_text(yaml.safe_dump(dict(values)))
    return said("helm", "template", release, source, "--namespace", "rotator", "--values", file)


def judged(texts: Mapping[str, str], directory: Path) -> str:
    """What the judge has against these manifests, under their names, in any version of Kubernetes; mostly nothing."""
    files = []
    for name, text in texts.items():
        files.append(directory / f"judged-{name}.yaml")
        files[-1].write_text(text)
    against = ""
    for version in VERSIONS:
        done = ran("kubernetes-validate", "--strict", "-k", version, *files)
        passed = [
            line
            for line in done.stdout.splitlines()
            if line.startswith("INFO ") and f"against version {version}" in line
        ]
        assert len(passed) == sum(len(parsed(text)) for text in texts.values()) or done.returncode, done
        against += "".join(f"{line}\n" for line in (done.stdout + done.stderr).splitlines() if line not in passed)
    return against


def pods(manifests: Sequence[Manifest]) -> Iterator[Manifest]:
    """The pod templates of all workloads."""
    for each in manifests:
        match each["kind"]:
            case "Deployment":
                yield each["spec"]["template"]
            case "CronJob":
                yield each["spec"]["jobTemplate"]["spec"]["template"]
            case _:
                pass


def containers(pod: Manifest) -> list[Manifest]:
    """All of a pod's containers."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def rotator(pod: Manifest) -> Manifest:
    """The container that is ours."""
    (found,) = (each for each in containers(pod) if each["name"] == "rotator")
    return found


def only(manifests: Sequence[Manifest], kind: str, start: str = "") -> Manifest:
    """The one manifest of its kind, with a name that begins so."""
    found = [each for each in manifests if each["kind"] == kind and each["metadata"]["name"].startswith(start)]
    assert len(found) == 1, [(each["kind"], each["metadata"]["name"]) for each in manifests]
    return found[0]
