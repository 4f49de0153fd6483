"""The wheel in bare environments: each extra with each Python, and the demo with each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator import __version__
from rotator.providers.registry import BUILT_IN
from rotator.sandbox.scene import beside_aws
from rotator.sandbox.stage import Stage
from tests.release.building import Built
from tests.release.environments import Environment
from tests.release.interpreters import SUPPORTED, interpreters
from tests.support.desk import patient

pytestmark = [pytest.mark.machine, pytest.mark.timeout(900)]

PYTHONS = interpreters()
SDKS = {"aws": "boto3", "gcp": "google.cloud.iam_admin_v1", "azure": "azure.identity", "byok": "lightkube"}
"""What only the credentials of a cloud need."""

EXTRAS: dict[str | None, frozenset[str]] = {
    None: frozenset({"civo"}),
    **{extra: frozenset({extra, "civo"}) for extra in BUILT_IN},
    "all": frozenset(BUILT_IN),
}
"""Each extra, and the clouds whose credentials it can rotate."""

FOUND = """
from importlib.util import find_spec
def there(name):
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
print(*(name for name in {names!r} if there(name)))
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Stand-ins for all the clouds, in this process, for the commands to ask."""
    with Stage(tmp_path_factory.mktemp("stage"), scenes=beside_aws(), propagation=timedelta(0)) as stage:
        yield stage


def config(stage: Stage, directory: Path, clouds: frozenset[str]) -> Path:
    """The stage's, with the credentials of these clouds alone."""
    whole: dict[str, Any] = yaml.safe_load(patient(stage.config()))
    whole["credentials"] = [each for each in whole["credentials"] if each["provider"] in clouds]
    assert {each["provider"] for each in whole["credentials"]} == clouds
    file = directory / "rotator.yaml"
    file.write_text(yaml.safe_dump(whole))
    return file


def test_each_python_that_was_asked_for_is_tried() -> None:
    asked_for = os.environ.get("PYTHONS", "").split()
    assert len(PYTHONS) == len(asked_for or SUPPORTED), "name those that there are: PYTHONS='python3.11 ...'"


@pytest.mark.parametrize("extra", EXTRAS, ids=str)
@pytest.mark.parametrize("version", PYTHONS)
def test_an_extra_has_what_its_clouds_need_and_nothing_of_others(
    built: Built, stage: Stage, tmp_path: Path, version: str, extra: str | None
) -> None:
    clouds = EXTRAS[extra]
    environment = Environment(tmp_path / "venv", PYTHONS[version])
    environment.install(built.wheel, extra)
    assert environment.rotator("--version").stdout == f"{__version__}\n"
    environment.python("import pip._internal.cli.main as m, sys; sys.exit(m.main(['check']))")

    file = config(stage, tmp_path, clouds)
    checked = environment.rotator_in(stage.environment, "check", "--json", "--config", file)
    document = json.loads(checked.stdout)
    assert not [line for line in document["checks"] if line["result"] == "fail"], document
    named = {each["name"] for each in yaml.safe_load(file.read_text())["credentials"]}
    assert named <= {line["about"] for line in document["checks"]}, document
    assert checked.returncode == 0

    found = environment.python(FOUND.format(names=list(SDKS.values()))).split()
    assert set(found) == {SDKS[cloud] for cloud in clouds & SDKS.keys()}
    for cloud in sorted(SDKS.keys() - clouds):
        refused = environment.rotator_in(
            stage.environment, "run", "--config", config(stage, tmp_path, frozenset({cloud}))
        )
        assert (refused.returncode, refused.stdout) == (2, ""), refused
        assert refused.stderr.splitlines()[-1] == f"  -> pip install 'northflank-rotator[{cloud}]'"
    demo = environment.rotator("demo")
    assert (demo.returncode, demo.stderr.splitlines()[-1]) == (2, "  -> pip install 'northflank-rotator[sandbox]'")


@pytest.mark.parametrize("version", PYTHONS)
def test_the_demo_runs_from_the_wheel(built: Built, tmp_path: Path, version: str) -> None:
    environment = Environment(tmp_path / "venv", PYTHONS[version])
    environment.install(built.wheel, "sandbox")
    demo = environment.rotator("demo", TMPDIR=str(tmp_path))
    assert demo.returncode == 0, demo.stdout[-3000:] + demo.stderr[-3000:]
    assert ", failed: 0\n" in demo.stdout
