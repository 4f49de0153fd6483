"""rotator's own identity in Azure, wrong on this machine: it is named, with the remedy, and nothing is sent."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from rotator.errors import CallFailed, Verdict
from rotator.providers.azure.settings import AzureAdmin
from tests.providers.azure.test_identity import certificate
from tests.providers.azure.world import World, forget_this_machine, world_in

CLIENT = "1a111111-1111-1111-1111-111111111111"
SECRET = "none-of-it-is-real"
IDS = {"AZURE_CLIENT_ID": CLIENT, "AZURE_TENANT_ID": CLIENT}

CASES: Mapping[str, tuple[Mapping[str, str], Mapping[str, object], str, str]] = {
    "a secret without its tenant": (
        {"AZURE_CLIENT_ID": CLIENT, "AZURE_CLIENT_SECRET": SECRET},
        {},
        "AZURE_CLIENT_SECRET is set, but AZURE_TENANT_ID is empty or not set",
        "Set AZURE_TENANT_ID beside AZURE_CLIENT_SECRET",
    ),
    "a secret alone": (
        {"AZURE_CLIENT_ID": "", "AZURE_CLIENT_SECRET": SECRET},
        {},
        "but AZURE_CLIENT_ID and AZURE_TENANT_ID are empty or not set",
        "remove AZURE_CLIENT_SECRET",
    ),
    "a certificate without its tenant": (
        {"AZURE_CLIENT_ID": CLIENT, "AZURE_CLIENT_CERTIFICATE_PATH": "/nowhere/c.pem"},
        {},
        "AZURE_CLIENT_CERTIFICATE_PATH is set, but AZURE_TENANT_ID",
        "Set AZURE_TENANT_ID",
    ),
    "a certificate that isn't there": (
        {**IDS, "AZURE_CLIENT_CERTIFICATE_PATH": "/nowhere/c.pem"},
        {},
        "/nowhere/c.pem (AZURE_CLIENT_CERTIFICATE_PATH), can't be read: No such file",
        "the user that rotator runs as",
    ),
    "a certificate that is none": (
        {**IDS, "AZURE_CLIENT_CERTIFICATE_PATH": "junk"},
        {},
        "AZURE_CLIENT_CERTIFICATE_PATH is no identity in Azure: Failed to deserialize",
        "Correct AZURE_CLIENT_CERTIFICATE_PATH",
    ),
    "a certificate of the config that is none": (
        {},
        {"client_id": CLIENT, "certificate": "junk"},
        "`admin.certificate` is no identity in Azure",
        "Correct `admin.certificate`",
    ),
    "a certificate of the config that isn't there": (
        {},
        {"client_id": CLIENT, "certificate": "/nowhere/c.pem"},
        "/nowhere/c.pem, can't be read: No such file",
        "the user that rotator runs as",
    ),
    "a variable without a secret": (
        {},
        {"client_id": CLIENT, "secret": {"env": "NOWHERE"}},
        "the environment variable NOWHERE holds no secret",
        "Put the secret there",
    ),
    "a tenant that is none": (
        {**IDS, "AZURE_TENANT_ID": "../x", "AZURE_CLIENT_SECRET": SECRET},
        {},
        "AZURE_CLIENT_SECRET is no identity in Azure: Invalid tenant",
        "what stands beside it",
    ),
    "a password without its name": (
        {"AZURE_CLIENT_ID": CLIENT, "AZURE_PASSWORD": SECRET},
        {},
        "AZURE_PASSWORD is set, but AZURE_USERNAME",
        "Set AZURE_USERNAME",
    ),
    "a workload's token that isn't there": (
        {"AZURE_CLIENT_ID": CLIENT, "AZURE_FEDERATED_TOKEN_FILE": "/nowhere/token"},
        {},
        "/nowhere/token (AZURE_FEDERATED_TOKEN_FILE) can't be read: No such file",
        "the user that rotator runs as",
    ),
    "of an application of the config": (
        {"AZURE_FEDERATED_TOKEN_FILE": "/nowhere/token"},
        {"client_id": CLIENT},
        "/nowhere/token (AZURE_FEDERATED_TOKEN_FILE) can't be read: No such file",
        "the user that rotator runs as",
    ),
    "a workload's token that is empty": (
        {"AZURE_CLIENT_ID": CLIENT, "AZURE_FEDERATED_TOKEN_FILE": "empty"},
        {},
        "(AZURE_FEDERATED_TOKEN_FILE) can't be read: it is empty",
        "",
    ),
    "a workload's token without a client": (
        {"AZURE_FEDERATED_TOKEN_FILE": "/nowhere/token"},
        {},
        "AZURE_FEDERATED_TOKEN_FILE is set, but AZURE_CLIENT_ID",
        "Set AZURE_CLIENT_ID",
    ),
    "nothing at all": (
        {"AZURE_CLIENT_SECRET": ""},
        {},
        "neither `admin` nor the environment has a secret, a certificate or a token file, and this machine's managed",
        "Check `admin`",
    ),
}
"""The environment, `admin` of the config, what is said, and what the remedy says. `junk` and `empty` are files."""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    forget_this_machine(monkeypatch)
    monkeypatch.chdir(tmp_path)
    Path("junk").write_text("no PEM")
    Path("empty").write_text("\n")
    with world_in(tmp_path) as world:
        yield world


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_named_and_nothing_is_sent(world: World, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    environ, admin, said, remedy = CASES[case]
    # No port of the machine's managed identity answers.
    for name, value in {"AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://127.0.0.1:9", **environ}.items():
        monkeypatch.setenv(name, value)
    own = {name: str(Path(value).resolve()) if value == "junk" else value for name, value in admin.items()}
    with pytest.raises(CallFailed) as caught:
        world.open(admin=AzureAdmin.model_validate(own)).list_keys()
    assert caught.value.verdict is Verdict.NOT_APPLIED
    assert said in caught.value.message
    assert remedy in caught.value.remedy
    assert SECRET not in str(caught.value)
    assert world.azure.faults.requests() == []


def test_it_is_read_anew_when_the_operator_has_corrected_it(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    monkeypatch.setenv("AZURE_CLIENT_ID", world.azure.admin.app_id)
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(token))
    world.azure.admin.federated.add("of-the-cluster")
    provider = world.open(admin=AzureAdmin())
    with pytest.raises(CallFailed):
        provider.list_keys()
    token.write_text("of-the-cluster\n")
    assert provider.list_keys().keys == ()


def test_a_certificate_of_the_environment(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file, public_key = certificate(tmp_path)
    world.azure.admin.certificates.append(public_key)
    monkeypatch.setenv("AZURE_CLIENT_CERTIFICATE_PATH", str(file))
    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID"):
        monkeypatch.setenv(name, world.azure.environment[name])
    assert world.open(admin=AzureAdmin()).list_keys().keys == ()


@pytest.mark.realtime
def test_a_token_file_that_never_opens_does_not_stop_rotator(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo("pipe")
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", "pipe")
    with pytest.raises(CallFailed, match="it is not a regular file"):
        world.open(admin=AzureAdmin()).list_keys()
