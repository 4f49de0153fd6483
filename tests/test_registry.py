"""What follows from the registry, in the tree and in what is written about it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest

from rotator.config.kinds import CLASSES, PLUGIN
from rotator.providers.registry import BUILT_IN, REGISTERED, Registered
from tests.support.derived import PYPROJECT, README, ROOT, providers, pyproject, readme, table

EXTRAS = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"]
ROTATED = [line for line in REGISTERED if not line.settings.keyless]
RENEW = "make schema"


def path_of(module: str) -> str:
    return f"{module.replace('.', '/')}.py"


def test_no_two_lines_are_one() -> None:
    assert CLASSES.keys() == {*(line.tag for line in REGISTERED), PLUGIN}
    assert len(REGISTERED) == len(CLASSES) - 1


@pytest.mark.parametrize("line", ROTATED, ids=lambda line: line.tag)
def test_a_line_has_its_modules(line: Registered) -> None:
    assert (ROOT / path_of(line.module)).exists()
    assert line.scene is not None
    assert (ROOT / path_of(line.scene)).exists()


@pytest.mark.parametrize("provider", BUILT_IN)
def test_a_provider_has_its_page_tests_extra_and_lock(provider: str) -> None:
    for path in (f"docs/providers/{provider}.md", f"tests/providers/{provider}", f"requirements/image-{provider}.lock"):
        assert (ROOT / path).exists()
    assert provider in EXTRAS


def test_there_is_no_folder_of_no_provider() -> None:
    for room in ("providers", "sandbox"):
        folders = {path.parent.name for path in (ROOT / "rotator" / room).glob("*/settings.py")}
        assert folders - set(BUILT_IN) == set(), room


def test_the_extras_are_the_providers() -> None:
    assert set(EXTRAS) == {*BUILT_IN, "all", "sandbox"}
    assert pyproject(PYPROJECT.read_text()) == PYPROJECT.read_text(), RENEW
    [every] = EXTRAS["all"]
    assert set(re.findall(r"[a-z]+(?=[,\]])", every)) == set(providers())


def test_the_readmes_table_is_the_registrys() -> None:
    assert table() in README.read_text(), RENEW
    assert readme(README.read_text()) == README.read_text(), RENEW


RIGHTS = """
import sys, yaml
from rotator.providers.registry import REGISTERED
for line in REGISTERED:
    if not line.settings.keyless:
        drafted = line.settings.draft.format(name="x", number=1, service_account="x@y.iam.gserviceaccount.com")
        print(line.tag, len(line.rights(line.settings.model_validate(yaml.safe_load(drafted)))) > 20, sep=": ")
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
SDKS = {"boto3", "botocore", "cryptography", "google", "grpc", "azure", "msal", "lightkube", "oci", "kubernetes"}


def test_every_provider_tells_its_rights_without_an_sdk() -> None:
    """Of the settings that `init` writes for it."""
    told = subprocess.run([sys.executable, "-c", RIGHTS], cwd=ROOT, check=True, capture_output=True, text=True).stdout  # noqa: S603  # ours
    *rights, loaded = told.splitlines()
    assert rights == [f"{line.tag}: True" for line in ROTATED]
    assert not SDKS & set(loaded.split())


def test_a_sandbox_of_aws_loads_no_other_stand_in() -> None:
    program = "import sys, rotator.sandbox.command; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    loaded = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout  # noqa: S603  # ours
    stand_ins = {name.split(".")[2] for name in loaded.split() if re.match(r"rotator\.sandbox\.\w+\.stand_in", name)}
    assert stand_ins == {"aws", "northflank"}
    assert not {"grpc", "lightkube", "azure"} & {name.partition(".")[0] for name in loaded.split()}


def test_the_config_is_read_without_http() -> None:
    """Commands that ask nobody read it too, and httpx costs them 0.15 s."""
    command = [sys.executable, "-c", "import sys, rotator.config.load; print('httpx' in sys.modules)"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603  # ours
    assert done.stdout == "False\n"
