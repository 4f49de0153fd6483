"""rotator's own Google credentials, wrong on this machine: told as that, by file; nothing is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.errors import CallFailed, RotatorError, Verdict
from rotator.providers.gated import Gated
from rotator.providers.gcp.provider import open_provider
from rotator.providers.gcp.settings import GcpSettings
from rotator.sandbox.gcp.stand_in import GcpStandIn
from tests.support.given import tools
from tests.support.patience import patience

pytestmark = pytest.mark.realtime

FEDERATED = {
    "type": "external_account",
    "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    "token_url": "http://127.0.0.1:9/token",
}


@pytest.fixture
def gcp() -> Iterator[GcpStandIn]:
    with GcpStandIn() as stand_in:
        yield stand_in


def opened(gcp: GcpStandIn, file: Path) -> Gated:
    section = {**gcp.settings, "credentials": {"file": str(file)}}
    said = {"service_account": gcp.add_account("northflank-byoc"), "gcp": section}
    settings, given = GcpSettings.model_validate(said), tools(timedelta(seconds=patience(10)))
    return Gated(lambda: open_provider(settings, given), given.http.gate)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file or directory"),
        ("hello", "it is no JSON from line 1 on"),
        ('{\n"type": "service_account",\n}', "it is no JSON from line 3 on"),
        ("[]", "it is no JSON object"),
        ('\ufeff{"type": "service_account"}', "it begins with a byte order mark"),
        ("{}", "does not have a valid type"),
    ],
)
def test_a_file_that_is_none(gcp: GcpStandIn, tmp_path: Path, content: str | None, said: str) -> None:
    file = tmp_path / "own.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(RotatorError) as caught:
        opened(gcp, file)
    assert str(file) in caught.value.message
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            {"file": "/nowhere/token"},
            "nothing was sent: rotator's own token in /nowhere/token can't be read: No such file",
        ),
        ({"executable": {"command": "/bin/false"}}, "Executables need to be explicitly allowed"),
    ],
)
def test_a_federation_whose_token_is_not_there(
    gcp: GcpStandIn, tmp_path: Path, source: Mapping[str, object], said: str
) -> None:
    file = tmp_path / "own.json"
    file.write_text(json.dumps({**FEDERATED, "credential_source": source}))
    with pytest.raises(CallFailed) as caught:
        opened(gcp, file).list_keys()
    assert caught.value.verdict is Verdict.NOT_APPLIED
    assert said in caught.value.message
    assert gcp.faults.requests() == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("/nowhere/program", "/nowhere/program: No such file"),
        ("/bin/sh -c 'echo secret-token-of-it; exit 3'", "Executable exited with non-zero return code 3"),
        ("/bin/echo secret-token-of-it", "the program that should print rotator's own token printed no JSON"),
        ("/bin/echo '{}'", "the version field"),
        (
            """/bin/echo '{"version": 1, "success": false, "code": "E1", "message": "the vault is sealed"}'""",
            "the vault is sealed",
        ),
    ],
)
def test_a_federation_whose_program_fails(
    gcp: GcpStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, said: str
) -> None:
    monkeypatch.setenv("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1")
    file = tmp_path / "own.json"
    source = {"executable": {"command": command, "timeout_millis": 5000}}
    file.write_text(json.dumps({**FEDERATED, "credential_source": source}))
    with pytest.raises(CallFailed) as caught:
        opened(gcp, file).list_keys()
    assert caught.value.verdict is Verdict.NOT_APPLIED
    assert caught.value.message.startswith("nothing was sent: ")
    assert said in caught.value.message
    assert "secret-token" not in str(caught.value)
    assert gcp.faults.requests() == []


@pytest.mark.parametrize(
    ("key", "said"),
    [(None, "private_key"), ("-----BEGIN PRIVATE KEY-----\nnone\n-----END PRIVATE KEY-----", "key")],
)
def test_a_service_accounts_file_that_is_half_there(
    gcp: GcpStandIn, tmp_path: Path, key: str | None, said: str
) -> None:
    file = tmp_path / "own.json"
    content = {"type": "service_account", "client_email": "a@b", "token_uri": "http://127.0.0.1:9", "private_key": key}
    file.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))
    with pytest.raises(RotatorError) as caught:
        opened(gcp, file)
    assert str(file) in caught.value.message
    assert said in caught.value.message.partition(str(file))[2]
