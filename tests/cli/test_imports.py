"""What is loaded, and what is said where something isn't installed: each SDK only where a credential needs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from rotator.cli.app import app
from rotator.providers.registry import BUILT_IN
from tests.support.desk import Desk, Done

EXAMPLE = yaml.safe_load((Path(__file__).parents[2] / "config/rotator.example.yaml").read_text())
ROTATED = {
    section["name"]: section
    for section in EXAMPLE["credentials"]
    if section["provider"] in BUILT_IN and section["name"] not in {"keyless-gcp", "other-team-aws"}
}
"""One credential for each provider."""

SDKS = {"boto3", "botocore", "google", "grpc", "azure", "msal", "lightkube", "oci", "kubernetes"}
# What each provider can't do without, and nothing else of rotator needs.
NEEDS = {"aws": "botocore", "gcp": "google.auth", "azure": "azure.identity", "oci": "cryptography", "byok": "lightkube"}

# Whose keys, and the least of what rotator does to them.
RIGHTS = {
    "prod-aws": ("user/northflank-byoc", "iam:CreateAccessKey", "iam:DeleteAccessKey"),
    "aws-by-role": ("arn:aws:iam::123456789012:role/northflank", "iam:UpdateAssumeRolePolicy"),
    "prod-gcp": ("northflank@my-project.iam.gserviceaccount.com", "iam.serviceAccountKeys.delete"),
    "prod-azure": ("22222222-2222-2222-2222-222222222222", "Application.ReadWrite.OwnedBy"),
    "prod-oci": ("ocid1.user.oc1..aaaaexample", "USER_APIKEY_ADD"),
    "prod-civo": ("/run/secrets/civo-key", "GET /v2/quota"),
    "own-cluster": ("kind: Role", "serviceaccounts/token"),
}

RUN = """
import sys
for name in {blocked!r}:
    sys.modules[name] = None
sys.argv = ["rotator", *{arguments!r}]
from rotator.cli import main
try:
    main()
finally:
    print(*{{name.partition(".")[0] for name, module in sys.modules.items() if module}}, file=sys.stderr)
"""


def ran(desk: Desk, *arguments: str, blocked: tuple[str, ...] = ()) -> tuple[Done, set[str]]:
    """Run a command with some modules not installed. Tells what it did, and which packages it had loaded at its end."""
    done = desk.python("-c", RUN.format(blocked=blocked, arguments=arguments))
    *_, loaded = done.stderr.splitlines()
    return done, set(loaded.split())


def test_a_policy_is_told_without_any_sdk(desk: Desk) -> None:
    desk.config_file.write_text(desk.config(credentials=list(ROTATED.values())))
    for name in ROTATED:
        told, loaded = ran(desk, "policy", name)
        assert told.code == 0, told
        assert [right for right in RIGHTS.get(name, ()) if right not in told.stdout] == []
        assert not loaded & SDKS, name


def test_a_policy_can_be_piped_and_what_a_person_must_know_stands_beside_it(desk: Desk) -> None:
    told = desk.rotator("policy", "prod-aws")
    document = json.loads(told.stdout)
    assert document["Version"] == "2012-10-17"
    assert "Attach this policy" in told.stderr
    as_json = desk.rotator("policy", "prod-aws", "--json").json()
    assert json.loads(as_json["policy"]) == document
    assert any("Attach this policy" in note for note in as_json["notes"])


def test_a_policy_that_is_not_there_is_a_clear_line(desk: Desk) -> None:
    desk.config_file.write_text(
        desk.config(plugins=["acme"], credentials=[{"name": "a", "provider": "acme", "integrations": ["a"]}])
    )
    told = desk.rotator("policy", "a", "--json")
    assert told.code == 2
    assert told.json()["error"] == "a: the provider acme has no text about the rights that it needs."
    nobody = desk.rotator("policy", "nobody")
    assert nobody.code == 2
    assert "there is no credential nobody" in nobody.stderr


@pytest.mark.parametrize("provider", NEEDS)
def test_a_missing_extra_is_a_line_with_the_pip_command(desk: Desk, provider: str) -> None:
    section = next(one for one in ROTATED.values() if one["provider"] == provider)
    desk.config_file.write_text(desk.config(credentials=[section]))
    told, _ = ran(desk, "run", blocked=(NEEDS[provider],))
    assert told.code == 2
    assert told.stderr.splitlines()[:-1] == [
        f"rotator: {section['name']}: the provider {provider} is not installed.",
        f"  -> pip install 'northflank-rotator[{provider}]'",
    ]


@pytest.mark.parametrize(
    ("built_with", "extras"),
    [("aws", "aws,gcp"), ("aws,byok", "aws,byok,gcp"), ("", "gcp"), ("gcp", "gcp")],
)
def test_in_the_image_a_missing_extra_is_a_line_with_the_build_argument(
    desk: Desk, built_with: str, extras: str
) -> None:
    section = next(one for one in ROTATED.values() if one["provider"] == "gcp")
    desk.config_file.write_text(desk.config(credentials=[section]))
    desk.environment["ROTATOR_IMAGE_EXTRAS"] = built_with
    told, _ = ran(desk, "run", blocked=(NEEDS["gcp"],))
    assert told.code == 2
    assert told.stderr.splitlines()[:-1] == [
        f"rotator: {section['name']}: the provider gcp is not installed.",
        f"  -> rebuild the image with `--build-arg EXTRAS={extras}`.",
    ]


def test_the_stand_ins_are_an_extra_as_well(desk: Desk) -> None:
    told, _ = ran(desk, "demo", blocked=("moto",))
    assert (told.code, told.stderr.splitlines()[1]) == (2, "  -> pip install 'northflank-rotator[sandbox]'")
    desk.environment["ROTATOR_IMAGE_EXTRAS"] = "all"
    told, _ = ran(desk, "sandbox", "--dir", str(desk.directory), blocked=("moto",))
    remedy = "  -> rebuild the image with `--build-arg EXTRAS=all,sandbox`."
    assert (told.code, told.stderr.splitlines()[1]) == (2, remedy)


ASSEMBLE = """
import sys, httpx
from pathlib import Path
from rotator.cli.session import CLOCK
from rotator.config.load import load
from rotator.service.fleet import assemble
fleet = assemble(load(Path(sys.argv[1]), {}), CLOCK, httpx.Client())
print(*fleet.managed)
print(*{name.partition(".")[0] for name in sys.modules})
"""


def test_one_credential_of_aws_loads_no_other_cloud(desk: Desk) -> None:
    wired = desk.python("-c", ASSEMBLE, str(desk.config_file))
    managed, loaded = wired.stdout.splitlines()
    assert managed == "prod-aws"
    assert set(loaded.split()) & SDKS == {"boto3", "botocore"}
    assert "cryptography" not in loaded.split()


def test_the_list_of_commands_loads_none_of_them_and_a_look_at_the_service_no_client(desk: Desk) -> None:
    listed, loaded = ran(desk, "--help")
    assert listed.code == 0
    assert not loaded & {"pydantic", "sqlalchemy", "structlog", "httpx", "rich"}
    for look in ("health", "status"):
        _, loaded = ran(desk, look)
        assert "sqlalchemy" in loaded
        assert not loaded & {"httpx", "apscheduler", "cryptography", *SDKS}, look


def test_each_command_of_the_list_has_a_file_and_help() -> None:
    listed = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).stdout
    lines = listed.partition("Commands:")[2].split("Exit codes:")[0].splitlines()
    assert len(lines) > 20
    for line in filter(None, map(str.strip, lines)):
        name, _, meaning = line.partition("  ")
        shown = CliRunner().invoke(app, [name, "--help"])
        assert f" {name} [OPTIONS]" in shown.stdout, shown
        assert meaning.strip() in " ".join(shown.stdout.split())


SEARCHED = """
import importlib.metadata, sys
search = importlib.metadata.entry_points
def entry_points(**given):
    print(given, file=sys.stderr)
    return search(**given)
importlib.metadata.entry_points = entry_points
"""


def test_rotators_own_providers_are_found_without_any_metadata(desk: Desk) -> None:
    """So that a provider in the tree is there at once, and a start doesn't search through what is installed."""
    wired = desk.python("-c", SEARCHED + ASSEMBLE, str(desk.config_file))
    assert wired.stdout.splitlines()[0] == "prod-aws"
    assert "rotator.providers" not in wired.stderr
