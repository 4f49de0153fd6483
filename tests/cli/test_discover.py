"""`rotator discover` and `rotator init` before Northflank's stand-in: all integrations, and a config that fits them."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator.config.kinds import tag_of
from rotator.config.load import load
from rotator.model import Phase, State
from rotator.providers.gcp.settings import GcpKeylessSettings, GcpSettings
from rotator.sandbox.northflank.account import ApiToken, Grant, HeldIntegration
from rotator.sandbox.stage import CREDENTIAL, Stage
from rotator.sandbox.wire.rules import Canned, Delay, Rule
from tests.support.desk import ROTATOR, Desk, patient
from tests.support.patience import patience

pytestmark = pytest.mark.realtime

ADDRESS = "northflank@my-project.iam.gserviceaccount.com"
KEY_FILE = json.dumps({"project_id": "my-project", "client_email": ADDRESS, "private_key": "a-private-key"})
ROLE = {"roleArn": "arn:aws:iam::123456789012:role/nf", "externalId": "an-external-id"}
TODAY = datetime.now(UTC)
TWO_DAYS_AGO = (TODAY - timedelta(days=2)).date()

OTHERS = (
    HeldIntegration("by-role", "By role", "aws", credentials=ROLE),
    HeldIntegration("gcp-key", "GCP", "gcp", credentials={"keyfileJson": KEY_FILE}),
    HeldIntegration("gcp-key-too", "GCP, again", "gcp", credentials={"keyfileJson": KEY_FILE}),
    HeldIntegration("gcp-keyless", "Keyless", "gcp", service_account=ADDRESS),
    HeldIntegration("Azure_1", "Azure", "azure", description=f"Ours [rotator 7f3a g4 5f..9c {TWO_DAYS_AGO}]"),
    HeldIntegration("oci", "OCI", "oci"),
    HeldIntegration("civo", "Civo \x1b[31m#1", "civo"),
    HeldIntegration("byok", "Own cluster", "byok"),
    HeldIntegration("cdn", "Our CDN", "cloudflare"),
    HeldIntegration("2026", "Of the future", "hypercloud"),
)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("discover")) as stage:
        for integration in OTHERS:
            stage.account.put(integration)
        yield stage


@pytest.fixture
def desk(stage: Stage, tmp_path: Path) -> Desk:
    """With the stage's config, which names one of its integrations, and a store of its own."""
    config = yaml.safe_load(patient(stage.config()))
    config["store"]["url"] = f"sqlite:///{tmp_path / 'data' / 'rotator.db'}"
    own = {"ROTATOR_CONFIG": str(tmp_path / "rotator.yaml")}
    return Desk(tmp_path, yaml.safe_dump(config), {**stage.environment, **own})


@pytest.fixture
def newcomer(stage: Stage, tmp_path: Path) -> Desk:
    """A person with a token and nothing else."""
    desk = Desk(tmp_path, environment={"NF_API_TOKEN": stage.token_file.read_text(), "NF_API_HOST": stage.server.url})
    del desk.environment["ROTATOR_CONFIG"]
    return desk


def discovered(desk: Desk, *arguments: str) -> dict[str, Any]:
    done = desk.rotator("discover", "--json", *arguments)
    assert (done.code, done.stderr) == (0, "")
    return {one["id"]: one for one in done.json()["integrations"]}


class TestDiscover:
    def test_shows_every_integration_of_a_connection_and_which_credential_names_it(self, desk: Desk) -> None:
        found = discovered(desk)
        assert found.keys() == {CREDENTIAL, *(each.id for each in OTHERS)}
        modes = {name: one["mode"] for name, one in found.items() if one["mode"]}
        assert modes == {
            CREDENTIAL: "accessKey",
            "by-role": "crossAccountRole",
            "gcp-key": "accessKey",
            "gcp-key-too": "accessKey",
            "gcp-keyless": "crossAccountRole",
        }
        assert [name for name, one in found.items() if one["managed"]] == [CREDENTIAL]
        assert found[CREDENTIAL]["credential"] == CREDENTIAL
        assert (found["2026"]["provider"], found["2026"]["credential"]) == ("hypercloud", None)

        table = desk.rotator("discover")
        assert table.code == 0
        assert re.search(
            r"^prod-aws +prod-aws +aws +accessKey +unknown +prod-aws +default$", table.stdout, re.MULTILINE
        )
        assert re.search(r"^cdn +Our CDN +cloudflare +unknown +unknown +- +default$", table.stdout, re.MULTILINE)
        assert "\x1b" not in table.stdout
        assert "10 of 11 are not managed" in table.stdout

    def test_tells_the_age_of_the_key_by_the_journal_else_by_the_stamp(self, desk: Desk) -> None:
        since = TODAY - timedelta(days=40)
        state = State(phase=Phase.IDLE, current="AKIA", current_since=since, confirmed_in=frozenset({CREDENTIAL}))
        desk.arrange({CREDENTIAL: state})
        ages = {name: one["age_seconds"] for name, one in discovered(desk).items() if one["age_seconds"] is not None}
        day = timedelta(days=1).total_seconds()
        assert ages.keys() == {CREDENTIAL, "Azure_1"}
        assert 40 * day <= ages[CREDENTIAL] < 40.1 * day
        assert 2 * day <= ages["Azure_1"] < 3.1 * day

    def test_needs_no_config_but_a_token(self, newcomer: Desk) -> None:
        found = discovered(newcomer)
        assert len(found) == len(OTHERS) + 1
        assert not any(one["managed"] for one in found.values())
        assert {one["connection"] for one in found.values()} == {"default"}
        assert discovered(newcomer, "--team", "sandbox-team").keys() == found.keys()

        other = newcomer.rotator("discover", "--team", "other-team", "--json")
        assert other.code == 1
        assert (other.json()["integrations"], list(other.json()["unread"])) == ([], ["default"])
        del newcomer.environment["NF_API_TOKEN"]
        nobody = newcomer.rotator("discover")
        assert nobody.code == 2
        assert "NORTHFLANK_API_TOKEN or NF_API_TOKEN" in nobody.stderr
        insecure = newcomer.rotator("discover", NF_API_TOKEN="t", NORTHFLANK_API_BASE_URL="http://example.com")
        assert insecure.code == 2
        assert "can't be used" in insecure.stderr

    def test_a_team_beside_a_config_is_refused(self, desk: Desk) -> None:
        refused = desk.rotator("discover", "--team", "sandbox-team")
        assert refused.code == 2
        assert "the config says which team" in refused.stderr

    def test_reads_all_pages_and_what_it_can_where_one_connection_fails(self, stage: Stage, desk: Desk) -> None:
        many = [HeldIntegration(f"many-{number}", f"Many {number}", "aws") for number in range(230)]
        config = yaml.safe_load(desk.config_file.read_text())
        config["northflank"]["elsewhere"] = {"api_url": stage.server.url, "token": {"env": "WRONG"}}
        desk.config_file.write_text(yaml.safe_dump(config))
        for each in many:
            stage.account.put(each)
        try:
            done = desk.rotator("discover", "--json", WRONG="a-wrong-token")
        finally:
            for each in many:
                stage.account.remove(each.id)
        assert done.code == 1
        assert len(done.json()["integrations"]) == len(OTHERS) + 1 + 230
        assert list(done.json()["unread"]) == ["elsewhere"]
        assert "401" in done.json()["unread"]["elsewhere"]
        assert "a-wrong-token" not in done.stdout

    def test_says_what_it_waits_for_once_that_takes_long(self, stage: Stage, desk: Desk) -> None:
        """To a terminal; nobody else is watching."""
        stage.faults.put(Rule(path=re.compile("/integrations"), fault=Delay(seconds=None)))
        ours, terminal = pty.openpty()
        command = [sys.executable, *ROTATOR, "discover"]
        try:
            with subprocess.Popen(command, env=desk.environment, stdout=subprocess.PIPE, stderr=terminal) as waiting:  # noqa: S603  # our own program
                told = os.read(ours, 1000).decode()
                stage.faults.release()
                waiting.communicate(timeout=patience())
        finally:
            stage.faults.put()
            os.close(ours)
            os.close(terminal)
        assert told == "asking Northflank for the integrations of default ...\r\n"
        assert waiting.returncode == 0


class TestInit:
    def test_writes_a_config_that_can_be_loaded_with_an_entry_for_each_that_can_be_rotated(
        self, stage: Stage, newcomer: Desk
    ) -> None:
        written = newcomer.rotator("init", "--output", str(newcomer.directory / "new.yaml"), "--team", "sandbox-team")
        assert (written.code, written.stderr) == (0, "")
        text = (newcomer.directory / "new.yaml").read_text()
        config = load(newcomer.directory / "new.yaml", {})
        entries = {section.name: section for section in config.credentials}
        assert {name: (tag_of(entry), entry.keyless) for name, entry in entries.items()} == {
            CREDENTIAL: ("aws", False),
            "by-role": ("aws crossAccountRole", False),
            "gcp-key": ("gcp", False),
            "gcp-keyless": ("gcp crossAccountRole", True),
            "azure-1": ("azure", False),
            "oci": ("oci", False),
            "civo": ("civo", False),
            "byok": ("byok", False),
        }
        assert [each.id for each in entries["gcp-key"].integrations] == ["gcp-key", "gcp-key-too"]
        for name in ("gcp-key", "gcp-keyless"):
            section: object = entries[name]
            assert isinstance(section, GcpSettings | GcpKeylessSettings)
            assert section.service_account == ADDRESS
        (connection,) = config.northflank.values()
        assert (connection.api_url, connection.team, connection.token.env) == (
            stage.server.url,
            "sandbox-team",
            "NF_API_TOKEN",
        )
        assert text.startswith((Path(__file__).parents[2] / "config/rotator.example.yaml").read_text().splitlines()[0])
        assert "#   cdn (Our CDN): cloudflare\n#   2026 (Of the future): hypercloud\n" in text
        assert "\x1b" not in text
        secrets = (stage.token_file.read_text(), "a-private-key", "an-external-id")
        assert not [secret for secret in secrets if secret in text + written.stdout]

    def test_replaces_a_file_only_by_force(self, newcomer: Desk) -> None:
        file = newcomer.directory / "mine.yaml"
        file.write_text("mine")
        kept = newcomer.rotator("init", "--output", str(file))
        assert (kept.code, file.read_text()) == (2, "mine")
        assert "--force" in kept.stderr
        assert newcomer.rotator("init", "--output", str(file), "--force").code == 0
        assert len(load(file, {}).credentials) == 8
        nowhere = newcomer.rotator("init", "--output", "/dev/null/x")
        assert nowhere.code == 2
        assert "can't be written" in nowhere.stderr

    def test_writes_nothing_where_northflank_does_not_answer_or_has_nothing_to_rotate(
        self, stage: Stage, newcomer: Desk
    ) -> None:
        token = stage.token_file.read_text()
        stage.account.put_token(token, ApiToken(rights=frozenset({Grant.UPDATE})))
        try:
            denied = newcomer.rotator("init", "--output", str(newcomer.directory / "new.yaml"))
        finally:
            stage.account.put_token(token, ApiToken())
        assert denied.code == 1
        assert "Account > Cloud > Integrations > Read" in denied.stderr
        only = json.dumps({"data": {"integrations": [{"id": "cdn", "name": "cdn", "provider": "cloudflare"}]}})
        stage.faults.put(Rule(path=re.compile("/integrations"), fault=Canned(status=200, body=only)))
        try:
            nothing = newcomer.rotator("init", "--output", str(newcomer.directory / "new.yaml"))
        finally:
            stage.faults.put()
        assert nothing.code == 2
        assert "nothing was written" in nothing.stderr
        assert not (newcomer.directory / "new.yaml").exists()
