"""`rotator check` before accounts that are as they should be, and before some that aren't. It changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import yaml

from rotator.clock import SystemClock
from rotator.sandbox.aws.scene import USER
from rotator.sandbox.northflank.account import ApiToken
from rotator.sandbox.stage import CREDENTIAL, INTEGRATION, Stage
from rotator.sandbox.wire.rules import Canned, Rule
from tests.support.desk import Desk, Done, patient

pytestmark = pytest.mark.realtime


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as stage:
        stage.aws.grant("iam:GetUser", "iam:SimulatePrincipalPolicy")
        yield stage


@pytest.fixture
def desk(stage: Stage) -> Desk:
    return Desk(stage.directory, patient(stage.config()), stage.environment)


def lines(done: Done, result: str) -> dict[str, str]:
    """What has this result, and its remedy."""
    return {line["check"]: line["remedy"] for line in done.json()["checks"] if line["result"] == result}


def test_what_is_sound_is_ok_and_nothing_is_changed(stage: Stage, desk: Desk) -> None:
    before = (stage.aws.keys(USER), stage.account.integration(INTEGRATION))
    checked = desk.rotator("check", "--json")
    assert checked.code == 0, checked
    assert checked.json()["ok"] is True
    assert lines(checked, "fail") == {}
    good = "\n".join(lines(checked, "ok"))
    for told in ("the service creates ", "the token is valid and has no expiry date", "iam:CreateAccessKey"):
        assert told in good
    assert "from iam_endpoint" in good, "an endpoint that is not AWS's own is named, and where it is set"
    assert (stage.aws.keys(USER), stage.account.integration(INTEGRATION)) == before
    assert not desk.data.exists()


def test_it_goes_by_the_list_of_integrations(stage: Stage, desk: Desk) -> None:
    """A call for each would cost a large fleet the hour's limit."""
    assert desk.rotator("check").code == 0
    asked = [seen.path for seen in stage.faults.requests()]
    assert sum(path.endswith("/cloud-providers/integrations") for path in asked) == 1
    assert not any(path.endswith(f"/{INTEGRATION}") for path in asked)


def test_each_thing_that_is_wrong_is_a_line_with_what_to_do(stage: Stage, desk: Desk) -> None:
    secret = stage.token_file.read_text()
    stage.aws.denied.add("iam:ListAccessKeys")
    stage.account.put_token(secret, ApiToken(expires_at=SystemClock().now() + timedelta(days=3)))
    denied = desk.rotator("check", "--json")
    assert denied.code == 1
    (remedy,) = lines(denied, "fail").values()
    assert '"iam:CreateAccessKey"' in remedy, "the policy that is needed"
    assert any("the token is valid until" in told for told in lines(denied, "warn"))
    stage.aws.denied.clear()

    for token in (None, ApiToken(expires_at=SystemClock().now() - timedelta(days=1))):
        if token is None:
            stage.token_file.write_text("another")
        else:
            stage.token_file.write_text(secret)
            stage.account.put_token(secret, token)
        unauthorised = desk.rotator("check")
        assert unauthorised.code == 1
        assert "FAIL" in unauthorised.stdout.upper()
        assert "401" in unauthorised.stdout
        assert secret not in unauthorised.stdout
    stage.account.put_token(secret, ApiToken())

    stage.account.remove(INTEGRATION)
    stage.aws.delete_user(USER)
    gone = desk.rotator("check", "--json")
    assert gone.code == 1
    failed = lines(gone, "fail")
    assert any(INTEGRATION in told for told in failed)
    assert any("NoSuchEntity" in remedy for remedy in failed.values())
    assert all(failed.values()), "each has a remedy"


def test_a_proxy_is_shown_without_its_password(desk: Desk) -> None:
    checked = desk.rotator("check", HTTPS_PROXY="http://ada:hunter2@proxy.example:3128", NO_PROXY="127.0.0.1")
    assert "https goes through http://proxy.example:3128" in checked.stdout
    assert "hunter2" not in checked.stdout + checked.stderr


def test_a_config_that_cannot_be_used_has_a_line_for_each_problem_and_no_secret(desk: Desk) -> None:
    config = yaml.safe_load(desk.config_file.read_text())
    config["northflank"]["default"]["token"] = "nf-a-real-secret"
    config["credentials"][0]["colour"] = "blue"
    desk.config_file.write_text(yaml.safe_dump(config))
    wrong = desk.rotator("check")
    assert wrong.code == 1
    assert "colour" in wrong.stdout
    assert "a secret is never written here" in wrong.stdout
    assert "nf-a-real-secret" not in wrong.stdout + wrong.stderr
    for command in (("status", "--json"), ("rotate", CREDENTIAL, "--json")):
        refused = desk.rotator(*command)
        assert refused.code == 2
        assert "colour" in refused.json()["error"]


def test_a_credential_that_cannot_be_opened_hides_nothing_about_the_others(stage: Stage, desk: Desk) -> None:
    config = yaml.safe_load(stage.config_file.read_text())
    broken = {**config["credentials"][0], "name": "broken", "user": "other", "integrations": ["other"]}
    broken["aws"] = {**broken["aws"], "profile": "nobody"}
    desk.config_file.write_text(yaml.safe_dump({**config, "credentials": [broken, *config["credentials"]]}))
    checked = desk.rotator("check", "--json")
    assert checked.code == 1
    lines = {(line["about"], line["result"]) for line in checked.json()["checks"]}
    assert ("broken", "fail") in lines
    assert (CREDENTIAL, "ok") in lines
    ran = desk.rotator("run", "--once")
    assert ran.code == 1
    assert "broken: " in ran.stderr
    assert "nobody" in ran.stderr


def test_a_place_that_can_not_be_looked_at_is_a_line_like_any_other(desk: Desk) -> None:
    # Root may look everywhere; a name that is too long is as far out of reach as another user's directory.
    beyond = Path("/", "x" * 300)
    config = yaml.safe_load(desk.config_file.read_text())
    config |= {"store": {"url": f"sqlite:///{beyond}/rotator.db"}, "audit": {"file": f"{beyond}/audit.jsonl"}}
    desk.config_file.write_text(yaml.safe_dump(config))
    checked = desk.rotator("check", "--json")
    assert checked.code == 1
    told = lines(checked, "fail")
    assert any("this user can't access " in each and "File name too long" in each for each in told), told
    assert "unforeseen" not in checked.stderr


LISTED = (
    "<r><ListAccessKeysResult><IsTruncated>false</IsTruncated><AccessKeyMetadata/></ListAccessKeysResult>"
    "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></r>"
)


def undated(body: str, content_type: str) -> Canned:
    return Canned(status=200, body=body, content_type=content_type, headers={"Date": ""})


def test_whose_clock_decides_is_a_line_where_the_cloud_dates_nothing(stage: Stage, desk: Desk) -> None:
    stage.aws.faults.put(Rule(action="ListAccessKeys", times=None, fault=undated(LISTED, "text/xml")))
    done = desk.rotator("check", "--json")
    [(found, remedy)] = [pair for pair in lines(done, "warn").items() if "date" in pair[0]]
    assert found == "the cloud's answers have no date that rotator can read; Northflank's date stands in"
    assert remedy == "check what stands between rotator and the cloud."

    one = httpx.get(
        f"{stage.server.url}/v1/cloud-providers/integrations/{INTEGRATION}",
        headers={"Authorization": f"Bearer {stage.token_file.read_text()}"},
    )
    rule = Rule(method="GET", path=f"{INTEGRATION}$", times=None, fault=undated(one.text, "application/json"))
    stage.faults.put(rule)
    [(found, remedy)] = [pair for pair in lines(desk.rotator("check", "--json"), "warn").items() if "date" in pair[0]]
    assert "this machine's clock decides" in found
    assert "NTP" in remedy


def failed(desk: Desk, **changes: object) -> str:
    """What fails once the credential has these values."""
    config = yaml.safe_load(desk.config_file.read_text())
    [credential] = config["credentials"]
    credential.update(changes)
    desk.config_file.write_text(yaml.safe_dump(config))
    checked = desk.rotator("check", "--json")
    assert checked.code == 1, checked
    return "\n".join(lines(checked, "fail"))


class TestIsAGate:
    """`rotator check && start`: what makes a rotation impossible fails."""

    def test_a_region_that_is_none(self, stage: Stage, desk: Desk) -> None:
        assert "eu-west1" in failed(desk, aws={**stage.aws.endpoints, "region": "eu-west1"})

    def test_a_cloud_that_can_not_be_reached(self, stage: Stage, desk: Desk) -> None:
        nowhere = dict.fromkeys(stage.aws.endpoints, "http://127.0.0.1:9")
        said = failed(desk, aws={**nowhere, "region": "eu-west-1"})
        assert "the keys can't be listed, so what depends on them was not looked at" in said
        assert "Connection refused" in said

    def test_a_key_in_use_that_the_cloud_does_not_list(self, stage: Stage, desk: Desk) -> None:
        said = failed(desk, current_key="AKIAOFANOTHERUSER000")
        assert f"AKIAOFANOTHERUSER000, and the cloud lists no such key; it lists {stage.first_key}" in said

    @pytest.mark.parametrize("value", ["todo-prod-aws"])
    def test_what_init_left_to_be_filled_in(self, desk: Desk, value: str) -> None:
        assert "`user` is todo-prod-aws, which `rotator init` left to be filled in" in failed(desk, user=value)


def test_no_unit_chart_or_image_makes_a_start_depend_on_it() -> None:
    """A service must come up while a cloud is down."""
    root = Path(__file__).parents[2]
    files = [root / "Dockerfile", *(root / "systemd").rglob("*"), *(root / "config").rglob("*.y*ml")]
    texts = [file.read_text() for file in files if file.is_file() and file.name != "rotator.example.yaml"]
    assert len(texts) > 20
    assert not [text for text in texts if re.search(r"Exec\w+=.*\bcheck\b|\[.*\bcheck\b.*\]|rotator check &&", text)]


def test_a_file_that_others_can_write_fails_with_what_to_run_and_keeps_the_service_from_starting(
    stage: Stage, desk: Desk
) -> None:
    credentials = Path(desk.environment["AWS_SHARED_CREDENTIALS_FILE"])
    credentials.touch(mode=0o600)
    for file in (desk.config_file, stage.token_file, credentials):
        mode = file.stat().st_mode
        file.chmod(mode | 0o002)
        checked = desk.rotator("check", "--json")
        assert checked.code == 1
        [(found, remedy)] = lines(checked, "fail").items()
        assert found.startswith(f"{file} can be written by every user of this machine")
        assert remedy == f"chmod o-w {file}."
        for command in (("run",), ("run", "--once"), ("rotate", CREDENTIAL, "--standalone")):
            refused = desk.rotator(*command)
            assert refused.code == 2
            assert f"chmod o-w {file}" in refused.stderr
        assert not desk.data.exists(), "nothing was made"
        file.chmod(mode)
    assert desk.rotator("check").code == 0


def test_the_audit_files_directory(desk: Desk) -> None:
    desk.data.mkdir(mode=0o700)
    elsewhere = desk.directory / "log"
    elsewhere.mkdir()
    desk.config_file.write_text(desk.config_file.read_text().replace(str(desk.data / "audit.jsonl"), f"{elsewhere}/a"))
    elsewhere.chmod(0o777)
    checked = desk.rotator("check", "--json")
    assert checked.code == 1
    assert (
        lines(checked, "fail")[
            f"{elsewhere} can be written by every user of this machine; `rotator run` refuses to start on it"
        ]
        == f"chmod o-w {elsewhere}."
    )
    assert desk.rotator("run", "--once").code == 2
    elsewhere.chmod(0o1777)
    checked = desk.rotator("check", "--json")
    assert checked.code == 0
    assert f"{elsewhere} can be written by every user of this machine" in lines(checked, "warn")
