"""rotator's own AWS credentials, wrong on this machine: told as that, with the remedy; nothing is sent or asked."""

from __future__ import annotations

import os
import pty
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rotator.errors import CallFailed, RotatorError, Verdict
from rotator.providers.aws.provider import open_provider
from rotator.providers.aws.settings import AwsUserSettings
from rotator.providers.gated import Gated
from rotator.sandbox.aws.stand_in import AwsStandIn
from tests.support.given import tools
from tests.support.patience import patience

pytestmark = pytest.mark.realtime

ROLE = "role_arn = arn:aws:iam::123456789012:role/x\n"
KEY = "aws_access_key_id = AKIAAAAAAAAAAAAAAAAA\naws_secret_access_key = none-of-it-is-real\n"
SSO = "sso_account_id = 123456789012\nsso_role_name = R\n"
PORTAL = "sso_region = eu-west-1\nsso_start_url = https://example.awsapps.com/start\n"
MFA = f"[profile a]\n{ROLE}source_profile = b\nmfa_serial = arn:aws:iam::123456789012:mfa/me\n[profile b]\n{KEY}"

LATE: Mapping[str, tuple[str, Mapping[str, str], str, str]] = {
    "MFA": (MFA, {}, "mfa_serial", "without mfa_serial"),
    "SSO": (
        f"[profile a]\nsso_session = s\n{SSO}[sso-session s]\n{PORTAL}",
        {},
        "Token for s does not",
        "`aws sso login`",
    ),
    "SSO, the older form": (f"[profile a]\n{SSO}{PORTAL}", {}, "Token for https", "`aws sso login`"),
    "IRSA": (
        "[profile a]\n",
        {"AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere/token", "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/x"},
        "/nowhere/token (AWS_WEB_IDENTITY_TOKEN_FILE) can't be read: No such file",
        "the user that rotator runs as",
    ),
    "a web identity of the profile": (
        f"[profile a]\n{ROLE}web_identity_token_file = /nowhere/token\n",
        {},
        "/nowhere/token can't be read: No such file",
        "the user that rotator runs as",
    ),
}
"""Found out at the first call: the profile, the environment, what is said, and what the remedy says."""

AT_ONCE: Mapping[str, tuple[str, Mapping[str, str], str, str]] = {
    "a process that isn't there": (
        "[profile a]\ncredential_process = /nowhere/program\n",
        {},
        "/nowhere/program can't be run: No such file",
        "Run the profile's `credential_process`",
    ),
    "one that fails": (
        "[profile a]\ncredential_process = /bin/sh -c 'echo the vault is sealed >&2; exit 3'\n",
        {},
        "the vault is sealed",
        "Run the profile's `credential_process`",
    ),
    "one that asks": (
        "[profile a]\ncredential_process = /bin/sh -c 'read answer </dev/tty && echo {}'\n",
        {},
        "/dev/tty",
        "without a question",
    ),
    "one that reads": (
        "[profile a]\ncredential_process = /bin/sh -c 'read answer || echo no input >&2; exit 1'\n",
        {},
        "no input",
        "without a question",
    ),
    "one that prints a list": (
        "[profile a]\ncredential_process = /bin/echo []\n",
        {},
        "printed no JSON object",
        "Run the profile's `credential_process`",
    ),
    "a profile that isn't there": ("[profile b]\n", {}, "profile (a) could not be found", "`aws.profile`"),
    "a source that isn't there": (f"[profile a]\n{ROLE}source_profile = b\n", {}, '"b"', "`aws` section"),
    "half a key": (f"[profile a]\n{KEY.splitlines()[0]}\n", {}, "missing: aws_secret_access_key", "both halves"),
    "a pod identity's token": (
        "[profile a]\n",
        {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/x",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/nowhere/token",
        },
        "/nowhere/token (AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE) can't be read: No such file",
        "the user that rotator runs as",
    ),
    "nothing at all": ("[profile a]\n", {}, "Unable to locate credentials", "a role of the instance"),
    "a line before any profile": (KEY, {}, "line 1 stands before any [section]", "Correct that line"),
    "a doubled key": (
        f"[profile a]\nregion = x\nregion = y\n{KEY}",
        {},
        "line 3 says region of [profile a] a second",
        "",
    ),
    "no key and value": (f"[profile a]\n{KEY}hello\n", {}, "line 4 is neither", ""),
    "a byte order mark": (f"\ufeff[profile a]\n{KEY}", {}, "a byte order mark", ""),
}
"""Found out when the provider is opened."""


@pytest.fixture
def aws() -> Iterator[AwsStandIn]:
    with AwsStandIn() as stand_in:
        yield stand_in


def opened(aws: AwsStandIn, directory: Path, environ: Mapping[str, str], config: str) -> Gated:
    (directory / "config").write_text(config, encoding="utf-8")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {
        "HOME": str(directory),
        "AWS_CONFIG_FILE": str(directory / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(directory / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        **environ,
    }
    aws.add_user("northflank-byoc")
    said: dict[str, Any] = {
        "user": "northflank-byoc",
        "aws": {"profile": "a", "iam_endpoint": aws.server.url, "sts_endpoint": aws.server.url, "region": "eu-west-1"},
    }
    if "AWS_WEB_IDENTITY_TOKEN_FILE" in environ:
        said["aws"].pop("profile")  # with one, the SDK doesn't look at the variables
    settings = AwsUserSettings.model_validate(said)
    given = tools(timedelta(seconds=patience(10)))
    return Gated(lambda: open_provider(settings, given), given.http.gate)


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.parametrize("case", AT_ONCE)
def test_what_is_wrong_when_it_is_opened(aws: AwsStandIn, tmp_path: Path, case: str) -> None:
    config, environ, said, remedy = AT_ONCE[case]
    with pytest.raises(RotatorError) as caught:
        opened(aws, tmp_path, environ, config)
    assert said in caught.value.message
    assert remedy in caught.value.remedy
    assert "none-of-it" not in str(caught.value)
    assert aws.faults.requests() == []


@pytest.mark.parametrize("case", LATE)
def test_what_is_wrong_at_the_first_call(aws: AwsStandIn, tmp_path: Path, case: str) -> None:
    config, environ, said, remedy = LATE[case]
    with pytest.raises(CallFailed) as caught:
        opened(aws, tmp_path, environ, config).list_keys()
    assert caught.value.verdict is Verdict.NOT_APPLIED
    assert said in caught.value.message
    assert remedy in caught.value.remedy
    assert aws.faults.requests() == []


def test_a_profile_with_mfa_is_named_each_time(aws: AwsStandIn, tmp_path: Path) -> None:
    provider = opened(aws, tmp_path, {}, MFA)
    for _ in range(3):
        with pytest.raises(CallFailed, match=r"MFA|mfa") as caught:
            provider.list_keys()
        assert "without mfa_serial" in caught.value.remedy
    assert aws.faults.requests() == []


def test_nothing_is_asked_of_a_terminal(aws: AwsStandIn, tmp_path: Path) -> None:
    """A process with a terminal of its own; what would be asked there stays unasked."""
    child, terminal = pty.fork()
    if child == 0:
        try:
            opened(aws, tmp_path, {}, MFA).list_keys()
        except CallFailed as failure:
            os.write(1, failure.message.encode())
        finally:
            os._exit(0)
    shown = b""
    try:
        while data := os.read(terminal, 1024):
            shown += data
    except OSError:  # the end of a terminal
        pass
    os.waitpid(child, 0)
    assert b"Enter MFA" not in shown
    assert b"a service can't type one" in shown
