"""Providers by others: the example of docs/ as it is built and installed, and what a plugin can't do."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator.model import State
from rotator.northflank.stamp import parse
from rotator.providers.registry import BUILT_IN
from rotator.sandbox.northflank.account import HeldIntegration
from rotator.sandbox.stage import Stage
from rotator.sandbox.wire.serving import Server
from tests.cli.acme import ROBOT, Acme
from tests.support.desk import NAME, Desk, patient
from tests.support.patience import patience

pytestmark = pytest.mark.realtime

EXAMPLE = Path(__file__).parents[2] / "docs/examples/rotator-acme"
ACME = "prod-acme"
BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for PYTHONPATH into which the example's wheel is installed."""
    directory = tmp_path_factory.mktemp("acme")
    source, target = directory / "source", directory / "site"
    shutil.copytree(EXAMPLE, source)
    python(BUILD, str(directory), cwd=source)
    (wheel,) = directory.glob("*.whl")
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run([sys.executable, *install], check=True, timeout=patience())  # noqa: S603  # our own program
    return target


def python(program: str, *arguments: str, cwd: Path) -> None:
    subprocess.run([sys.executable, "-c", program, *arguments], cwd=cwd, check=True, timeout=patience())  # noqa: S603  # ours


@dataclass
class World:
    stage: Stage
    acme: Acme
    desk: Desk
    config: Mapping[str, Any]

    def write(self, **parts: object) -> None:
        """Put parts over the config."""
        self.desk.config_file.write_text(yaml.safe_dump({**self.config, **parts}))


@pytest.fixture
def world(tmp_path: Path, site: Path) -> Iterator[World]:
    """An integration that holds a key of Acme's, and a config that has no other credential."""
    acme = Acme()
    slow = {"every": "12h", "grace": "1h", "max_grace": "2h"}  # the grace is seen, however slow the machine is
    with Stage(tmp_path, policy=slow, propagation=timedelta(0)) as stage, Server(acme) as server:
        token = tmp_path / "acme-token"
        token.write_text(acme.admin)
        held = {"apiKey": acme.old.secret}
        stage.account.put(HeldIntegration(ACME, "Prod Acme", "coreweave", description="Robots", credentials=held))
        credential = {
            "name": ACME,
            "provider": "acme",
            "integration_provider": "coreweave",
            "current_key": acme.old.id,
            "integrations": [ACME],
            "settings": {"robot": ROBOT, "api_url": server.url, "token": {"file": str(token)}},
        }
        config = yaml.safe_load(patient(stage.config())) | {"plugins": ["acme"], "credentials": [credential]}
        config["policy"]["grace"] = "60s"  # a command takes seconds on a busy machine
        desk = Desk(tmp_path, yaml.safe_dump(config), {**stage.environment, "PYTHONPATH": str(site)})
        yield World(stage, acme, desk, config)


def test_the_example_rotates_from_mint_to_confirm(world: World) -> None:
    acme, desk = world.acme, world.desk
    checked = desk.rotator("check", "--json")
    assert checked.code == 0, checked
    told = {line["check"]: line["result"] for line in checked.json()["checks"]}
    assert (told["acme: keys can be listed"], told["acme: keys can be created"]) == ("ok", "warn")

    first, second = desk.rotator("run", "--once"), desk.rotator("run", "--once")
    assert (first.code, second.code) == (0, 0), (first, second)
    held = world.stage.account.integration(ACME)
    new = acme.holder(held.credentials["apiKey"])
    assert new is not None
    assert new.id != acme.old.id
    assert (new.label or "").startswith("rotator-")
    stamp = parse(held.description)
    assert stamp is not None
    assert (stamp.generation, stamp.hint) == (1, new.id)
    (standing,) = desk.rotator("status", "--json").json()["credentials"]
    assert (standing["current_key"], standing["phase"]) == (new.id, "grace")
    assert acme.old.enabled, "its grace has not ended"

    told_at_all = "".join(done.stdout + done.stderr for done in (checked, first, second))
    assert not [secret for secret in (acme.admin, acme.old.secret, new.secret) if secret in told_at_all]


def test_the_example_says_what_rights_it_needs(world: World) -> None:
    assert world.desk.rotator("policy", ACME).stdout == (
        f"allow rotator to list, create, update, delete keys of robot {ROBOT}\n"
    )


def test_settings_that_it_can_not_use_are_told_without_their_values(world: World) -> None:
    (credential,) = world.config["credentials"]
    secret = "a-token-that-should-be-in-a-file"
    world.write(credentials=[credential | {"settings": {"robot": ROBOT, "api_url": "ftp://x", "token": secret}}])
    wrong = world.desk.rotator("run", "--once")
    assert wrong.code == 2
    lines = world.desk.config_file.read_text().splitlines()
    for value, field, why in (("ftp://x", "api_url", "an endpoint is"), (secret, "token", "a secret is never written")):
        (line,) = [number for number, text in enumerate(lines, 1) if value in text]
        place = f"{world.desk.config_file}:{line}: credentials[0].settings.{field}"
        assert f"{place}: found something that may be a secret, so it isn't shown; {why}" in wrong.stderr
    assert secret not in wrong.stderr + wrong.stdout


def test_a_setting_that_the_plugin_does_not_know_is_named_with_those_that_it_does(world: World) -> None:
    (credential,) = world.config["credentials"]
    settings = {name: value for name, value in credential["settings"].items() if name != "robot"}
    world.write(credentials=[credential | {"settings": {**settings, "robbot": ROBOT}}])
    wrong = world.desk.rotator("status")
    assert wrong.code == 2
    assert "settings.robot: missing; it has no default" in wrong.stderr
    assert "settings.robbot: no such key; did you mean robot? allowed: robot, api_url, token" in wrong.stderr


def test_a_plugin_that_the_config_does_not_name_is_not_loaded(world: World) -> None:
    world.write(plugins=[])
    refused = world.desk.rotator("run", "--once")
    assert refused.code == 2
    assert f"found 'acme'; allowed: {', '.join(BUILT_IN)}, or one of `plugins`" in refused.stderr

    world.desk.config_file.write_text(patient(world.stage.config()))
    ran = world.desk.python("-X", "importtime", "-m", "rotator", "run", "--once")
    assert ran.code == 0
    assert "rotator.providers.aws.access" in ran.stderr
    assert "rotator_acme" not in ran.stderr


def test_the_rights_are_told_without_what_the_provider_needs(world: World) -> None:
    told = world.desk.python("-X", "importtime", "-m", "rotator", "policy", ACME)
    assert "allow rotator" in told.stdout
    assert "rotator_acme.settings" in told.stderr
    assert "rotator_acme.api" not in told.stderr


def test_what_is_no_plugin_is_refused(world: World, tmp_path: Path) -> None:
    install(tmp_path / "old", "acme", "old_acme:open_provider", "def open_provider(settings, tools): pass\n")
    wrong = world.desk.rotator("check", PYTHONPATH=str(tmp_path / "old"))
    assert wrong.code in {1, 2}
    assert "the plugin acme can't be used: old_acme:open_provider is no rotator.providers.base.Plugin" in (
        wrong.stdout + wrong.stderr
    )


def install(site: Path, name: str, value: str, module: str) -> None:
    """A distribution whose one module is the plugin."""
    metadata = site / f"{name}-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(f"[rotator.providers]\n{name} = {value}\n")
    (site / f"{value.partition(':')[0]}.py").write_text(module)


IMPOSTOR = """
from rotator.providers.base import Plugin
from rotator.settings.section import Section

def loaded(*_):
    raise SystemExit("the impostor is loaded")

plugin = Plugin(settings=Section, open=loaded, rights=loaded)
"""


@pytest.mark.parametrize("plugins", [[], ["aws"]])
def test_no_plugin_takes_the_place_of_a_provider_of_rotators_own(
    desk: Desk, tmp_path: Path, plugins: list[str]
) -> None:
    install(tmp_path / "site", "aws", "impostor:plugin", IMPOSTOR)
    desk.config_file.write_text(desk.config(plugins=plugins))
    desk.arrange({NAME: State()})
    for command, told in ((("plan",), "GetCallerIdentity was not sent"), (("policy", NAME), "iam:CreateAccessKey")):
        done = desk.rotator(*command, PYTHONPATH=str(tmp_path / "site"), TOKEN="t")
        assert "impostor" not in done.stdout + done.stderr
        assert told in done.stdout
