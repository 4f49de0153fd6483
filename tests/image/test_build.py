"""What is in the image, and what isn't."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rotator.providers.registry import REGISTERED
from tests.chaos.canary import leaks
from tests.image.conftest import LABELS
from tests.image.engine import Engine
from tests.image.surroundings import Moment

pytestmark = [pytest.mark.machine, pytest.mark.timeout(900)]

PAGE = Path(__file__).parents[2] / "docs/install/container.md"
SBOM = "/opt/rotator/sbom.cdx.json"
PYTHON = "--entrypoint=/opt/rotator/bin/python"

INSTALLED = """
import importlib.metadata, json, subprocess
python = [(each.metadata["Name"], each.version) for each in importlib.metadata.distributions()]
format = "${Package} ${Version}\\n"
told = subprocess.run(["dpkg-query", "--show", "--showformat", format], capture_output=True, text=True, check=True)
print(json.dumps({"python": sorted(python), "debian": sorted(line.split() for line in told.stdout.splitlines())}))
"""

NEEDLESS = """
import glob, json, shutil
names = ("pip", "pip3", "cc", "gcc", "git", "curl", "wget", "ssh", "cyclonedx-py", "hatchling")
found = [name for name in names if shutil.which(name)]
packages = "/opt/rotator/lib/python3*/site-packages/"
patterns = [packages + name for name in ("pip*", "setuptools*", "hatch*", "cyclonedx*", "moto*", "pytest*")]
patterns += ["/build", "/var/lib/apt/lists/*", "/var/cache/apt/*", "/root/.cache", "/opt/rotator/bin/[!pr]*"]
print(json.dumps(found + [path for pattern in patterns for path in glob.glob(pattern)]))
"""

VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
sys.exit(str(wrong) if wrong else 0)
"""

PROVIDERS = """
import importlib, json
from rotator.providers.registry import REGISTERED
for line in REGISTERED:
    if not line.settings.keyless:
        assert importlib.import_module(line.module).open_provider
print(json.dumps(sorted(line.tag for line in REGISTERED if not line.settings.keyless)))
"""


def test_the_labels_and_how_it_is_run(engine: Engine, image: str) -> None:
    config = engine.inspect("image", image)["Config"]
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config["Labels"].items()}
    assert {name: labels.get(name.lower()) for name in LABELS} == LABELS
    assert labels["title"] == "rotator"
    assert labels["licenses"] == "Apache-2.0"
    assert labels["description"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["/usr/bin/tini", "-s", "--", "/opt/rotator/bin/rotator"]
    assert config["Cmd"] == ["run"]
    assert list(config["Volumes"]) == ["/var/lib/rotator"]


def test_the_sbom_lists_what_is_installed_and_nothing_else(engine: Engine, image: str, tmp_path: Path) -> None:
    text = engine("run", "--rm", PYTHON, image, "-c", f"print(open({SBOM!r}).read())").stdout
    sbom = json.loads(text)
    installed = engine.python(("run", "--rm", PYTHON, image), INSTALLED)
    listed = {
        kind: sorted(
            [each["name"], each["version"]]
            for each in (sbom["metadata"]["component"], *sbom["components"])
            if each["purl"].startswith(prefix)
        )
        for kind, prefix in (("python", "pkg:pypi/"), ("debian", "pkg:deb/debian/"))
    }
    assert listed == installed
    assert ["northflank-rotator", LABELS["VERSION"]] in installed["python"]
    assert {"python3", "tini"} <= {name for name, _ in installed["debian"]}
    assert len({each["bom-ref"] for each in sbom["components"]}) == len(sbom["components"])
    file = tmp_path / "sbom.json"
    file.write_text(text)
    assert sbom["specVersion"] == "1.6"
    tools = Path(sys.prefix, "tools/bin/python")
    subprocess.run([tools, "-c", VALIDATE, file], check=True)  # noqa: S603  # the tools' own Python


def test_nothing_that_only_the_build_needs_is_left(engine: Engine, image: str) -> None:
    assert engine.python(("run", "--rm", PYTHON, image), NEEDLESS) == []


def test_nothing_of_the_machine_that_built_it_is_left(
    engine: Engine, image_of_all: str, surroundings: Moment, tmp_path: Path
) -> None:
    layers, words = tmp_path / "layers.tar", tmp_path / "words"
    engine("save", "--output", str(layers), image_of_all, timeout=300)
    history = engine("history", "--no-trunc", image_of_all).stdout
    words.write_text(history + json.dumps(engine.inspect("image", image_of_all)))
    assert "rotator" in words.read_text()
    assert b"rotator/service/daemon.py" in layers.read_bytes()
    assert leaks(surroundings.traces, [layers, words]) == []


def test_all_holds_every_provider_and_one_extra_only_its_own(engine: Engine, image: str, image_of_all: str) -> None:
    python = ("run", "--rm", PYTHON)
    providers = sorted(line.tag for line in REGISTERED if not line.settings.keyless)
    assert engine.python((*python, image_of_all), PROVIDERS) == providers
    names = {name.lower() for name, _ in engine.python((*python, image), INSTALLED)["python"]}
    assert "boto3" in names
    assert not names & {"grpcio", "cryptography", "azure-identity", "lightkube"}


def test_the_sizes_are_those_of_the_page(
    engine: Engine, image: str, image_of_all: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {
        extra: int(size) for extra, size in re.findall(r"^\| `([a-z]+)` \| (\d+) MB", PAGE.read_text(), re.MULTILINE)
    }
    for extra, tag in (("aws", image), ("all", image_of_all)):
        size = engine.inspect("image", tag)["Size"] / 1e6
        with capsys.disabled():
            print(f"\n{tag}: {size:.0f} MB", end="")  # noqa: T201  # `make test-image` shows it
        assert told[extra] == pytest.approx(size, rel=0.1), extra
