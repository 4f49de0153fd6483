"""The template for Northflank itself, as far as it can be judged without an account: by the types of its client.

Those are of the requests that the nodes become. How the nodes are strung together, and what `${...}` says, only
Northflank itself can judge.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator.config.load import load
from tests.kubernetes.tools import JS, ROOT, ran

pytestmark = pytest.mark.machine

TEMPLATE = ROOT / "config" / "northflank" / "rotator.json"
TYPES = {
    "Project": "CreateProjectData",
    "SecretGroup": "CreateSecretData",
    "Volume": "CreateVolumeData",
    "CombinedService": "CreateServiceCombinedData",
}
"""js-client's name for what a node of each kind creates."""

CHOICES = {"${args.REPOSITORY_TYPE}": "github"}
"""Where the type allows some words only, one of them stands for an argument."""

Json = dict[str, Any]


@pytest.fixture
def template() -> Json:
    return dict(json.loads(TEMPLATE.read_text()))


def nodes(node: Json) -> Iterator[Json]:
    """All but workflows, in the order in which they are run."""
    if node["kind"] != "Workflow":
        yield node
        return
    assert node["spec"]["type"] == "sequential"
    for step in node["spec"]["steps"]:
        yield from nodes(step)


def node(template: Json, kind: str) -> Json:
    (found,) = (each["spec"] for each in nodes(template["spec"]) if each["kind"] == kind)
    return dict(found)


def judged(template: Json, directory: Path) -> str:
    """What the compiler has against the template and its nodes; mostly nothing."""
    bodies = [("CreateTemplateData", template)]
    bodies += [(TYPES[each["kind"]], each["spec"]) for each in nodes(template["spec"])]
    names = ", ".join(sorted({name for name, _ in bodies}))
    lines = [f"import type {{ {names} }} from '@northflank/js-client';"]
    for number, (name, body) in enumerate(bodies):
        text = json.dumps(body, indent=2)
        for argument, choice in CHOICES.items():
            text = text.replace(argument, choice)
        lines.append(f"export const body{number}: {name} = {text};")
    (directory / "bodies.ts").write_text("\n".join(lines))
    (directory / "node_modules").symlink_to(JS / "node_modules")
    (directory / "tsconfig.json").write_text(
        json.dumps(
            {
                "compilerOptions": {
                    "strict": True,
                    "noEmit": True,
                    "skipLibCheck": True,
                    "module": "esnext",
                    "moduleResolution": "bundler",
                    "preserveSymlinks": True,
                    "paths": {
                        "@northflank/js-client": ["./node_modules/@northflank/js-client/dist/esm/api-client.d.ts"]
                    },
                    "types": [],
                },
                "files": ["bodies.ts"],
            }
        )
    )
    done = ran("node", JS / "node_modules" / "typescript" / "bin" / "tsc", "--project", directory)
    assert (done.returncode == 0) == (done.stdout == ""), done
    return done.stdout


def test_northflanks_client_would_send_it(template: Json, tmp_path: Path) -> None:
    assert judged(template, tmp_path) == ""


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Volume", ("mounts", 0, "containerMountPaths"), "/var/lib/rotator"),
        ("SecretGroup", ("secretType",), "runtime"),
        ("CombinedService", ("healthChecks", 0, "type"), "liveness"),
        ("CombinedService", ("deployment", "instance"), 1),
    ],
    ids=lambda each: each[-1] if isinstance(each, tuple) else str(each),
)
def test_its_types_refuse_what_it_does_not_know(
    kind: str, path: tuple[Any, ...], value: object, template: Json, tmp_path: Path
) -> None:
    wrong = copy.deepcopy(template)
    (place,) = (each["spec"] for each in nodes(wrong["spec"]) if each["kind"] == kind)
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    against = judged(wrong, tmp_path)
    assert str(path[-1]) in against or str(value) in against


def test_references_and_arguments_are_those_of_the_template(template: Json) -> None:
    """A reference must be to a node that has been run by then."""
    known: set[str] = set()
    for each in nodes(template["spec"]):
        asked = re.findall(r"refs\.(\w+)", json.dumps(each))
        assert set(asked) <= known
        known.add(each["ref"])
    arguments = set(re.findall(r"args\.(\w+)", json.dumps(template["spec"])))
    assert arguments == set(template["arguments"])


def test_no_secret_is_in_it(template: Json) -> None:
    empty = {name for name, value in template["arguments"].items() if value == ""}
    assert empty == {"NORTHFLANK_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert "argumentOverrides" not in template


def test_the_config_is_sound_and_fits_the_service(template: Json, tmp_path: Path) -> None:
    file = tmp_path / "rotator.yaml"
    file.write_text(template["arguments"]["CONFIG"])
    assert "${" not in file.read_text()  # Northflank would replace that
    variables = node(template, "SecretGroup")["secrets"]["variables"]
    config = load(file, {})
    token = config.northflank["default"].token
    assert token.env in variables
    (mount,) = node(template, "Volume")["mounts"]
    assert config.store.path.is_relative_to(f"{mount['containerMountPath']}/data")
    assert config.audit.file is not None
    assert Path(config.audit.file).is_relative_to(f"{mount['containerMountPath']}/data")
    service = node(template, "CombinedService")
    listen = yaml.safe_load(file.read_text())["health"]["listen"]
    checks = {each["type"]: (each["path"], each["port"]) for each in service["healthChecks"]}
    port = int(listen.rpartition(":")[2])
    assert checks == {
        "startupProbe": ("/healthz", port),
        "livenessProbe": ("/healthz", port),
        "readinessProbe": ("/readyz", port),
    }
    assert not service["ports"][0]["public"]


def test_there_is_one_instance_and_it_has_the_volume_from_the_start(template: Json) -> None:
    service = node(template, "CombinedService")
    assert service["deployment"]["instances"] == 1
    assert "autoscaling" not in service
    assert service["createOptions"]["volumesToAttach"] == ["${refs.volume.id}"]
    assert service["deployment"]["gracePeriodSeconds"] >= 15
