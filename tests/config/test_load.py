"""A config is read as it was meant, or refused with everything that is wrong with it, each with its place."""

import os
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.config.credential import IntegrationSection
from rotator.config.load import load
from rotator.errors import ConfigError, ExitCode
from rotator.model import Stamp
from rotator.northflank import stamp
from rotator.policy import Policy
from rotator.providers.aws.settings import AwsSection, AwsUserSettings
from rotator.providers.registry import BUILT_IN
from rotator.settings.secret import SecretRef
from tests.config.fine import FINE, Load, Problems

SECTIONS = "northflank, store, audit, log, health, policy, in_hand, workers, plugins, credentials"
NO_CONNECTION = FINE.replace("  default: {token: {file: /run/secrets/northflank-token}}", "  {}")
CANARY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYCANARYKEY"


def test_everything_but_store_token_and_credentials_has_a_default(config: Load) -> None:
    fine = config()
    [credential] = fine.credentials
    [integration] = credential.integrations

    assert fine.connection_of(integration).token == SecretRef(file="/run/secrets/northflank-token")
    assert fine.connection_of(integration).api_url == "https://api.northflank.com"
    assert fine.policy_of(credential) == Policy()
    assert fine.audit.require == ("file",)
    assert str(fine.store.path) == "/var/lib/rotator/rotator.db"


def test_a_credential_is_its_providers_own_settings(config: Load) -> None:
    credential: object = config().credentials[0]

    assert isinstance(credential, AwsUserSettings)
    assert (credential.user, credential.aws) == ("northflank-byoc", AwsSection())


def test_one_credential_overrides_the_policy_key_by_key(config: Load) -> None:
    fine = config(
        """\
  - name: other
    provider: aws
    user: other
    integrations: [{id: other, connection: slow}, another]
    policy: {every: 20d, window: null, backoff: {first: 2m}, proving: {successes: 5}}
policy: {every: 40d, window: "Mon-Fri 08:00-16:00 UTC", backoff: {max: 1h}, proving: {timeout: 5m}}
""",
        text=FINE.replace("store:", "  slow: {token: {env: NF}, timeout: 40s, settle: 2m}\nstore:"),
    )
    first, other = (fine.policy_of(credential) for credential in fine.credentials)

    assert (first.every, first.window) == (timedelta(days=40), "Mon-Fri 08:00-16:00 UTC")
    assert (first.backoff_first, first.backoff_max) == (timedelta(minutes=1), timedelta(hours=1))
    assert first.settle == timedelta(seconds=60)
    assert (other.every, other.window) == (timedelta(days=20), None)
    assert (other.backoff_first, other.backoff_max) == (timedelta(minutes=2), timedelta(hours=1))
    assert (other.proving_successes, other.proving_timeout) == (5, timedelta(minutes=5))
    assert other.settle == timedelta(minutes=2)


def test_every_problem_is_listed_at_once_with_its_line(problems: Problems) -> None:
    text = """\
northflank:
  default:
    token: {file: /run/token}
    timeout: 40s
    stamp: yes
  two: {token: {env: NF}, timeout: 40s}
stor: {url: "sqlite:////var/lib/rotator/rotator.db"}
policy:
  every: 30
  every: 5d
  max_attempts: "3"
credentials:
  - name: Prod
    provider: aws
    integrations: []
  - name: Strange
    provider: gpc
    user: a
  - {name: a, provider: aws, user: a, integrations: [x, y]}
  - {name: a, provider: aws, user: b, integrations: [{id: x, connection: tow}, y]}
"""

    assert problems(text=text, environ={"ROTATOR_LOG__LEVEL": "loud"}) == [
        "rotator.yaml:1: store: missing; it has no default",
        "rotator.yaml:5: northflank.default.stamp: found 'yes'; allowed is true or false",
        "rotator.yaml:6: northflank.two.settle: settle is 1m; allowed is at least 2 × timeout 40s",
        f"rotator.yaml:7: stor: no such key; did you mean store? allowed: {SECTIONS}",
        "rotator.yaml:9: policy.every: found 30; a duration is written like 500ms, 90s, 15m, 12h, 30d or 1d12h",
        "rotator.yaml:10: policy.every: written twice, on line 9 too; allowed is once",
        "rotator.yaml:11: policy.max_attempts: found '3'; allowed is a whole number, without quotes",
        (
            "rotator.yaml:13: credentials[0].name: found 'Prod'; allowed is a name: small letters, digits and hyphens, "
            "at most 63, the first no hyphen, like prod-aws"
        ),
        "rotator.yaml:13: credentials[0].user: missing; it has no default",
        "rotator.yaml:15: credentials[0].integrations: found an empty list; allowed is at least 1 entry",
        (
            "rotator.yaml:17: credentials[1].provider: found 'gpc'; did you mean gcp? "
            f"allowed: {', '.join(BUILT_IN)}, or one of `plugins`"
        ),
        "rotator.yaml:20: credentials[3].integrations[0]: there is no connection tow; the config has default, two",
        "rotator.yaml:20: credentials[3].integrations[1]: y is fed by a already; allowed is once in a connection",
        "rotator.yaml:20: credentials[3].name: a is the name of two credentials; allowed is one",
        "ROTATOR_LOG__LEVEL: log.level: found 'loud'; allowed is debug, info, warning or error",
    ]


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("audit.file", "relative.jsonl", "a path begins with /"),
        ("audit.require", "[mail]", "allowed is file or stdout"),
        ("audit.stdout", "on", "found 'on'; allowed is true or false"),
        ("policy.watch", "0s", "allowed is a duration longer than 0s"),
        ("policy.every", "null", "found nothing; a duration"),
        ("policy.grace", "true", "found true; a duration"),
        ("policy.window", "Mon-Fri 08:00-16:00 Mars/Phobos", "'Mars/Phobos' is no IANA time zone"),
        ("policy.on_unattributed", "delete", "allowed is disable or hold"),
        ("policy.max_attempts", "0", "allowed is 1 or more"),
        ("policy.proving.successes", "1.5", "found 1.5; allowed is a whole number"),
        ("policy.backoff", "1m", "allowed is a mapping"),
        ("policy", "[]", "found an empty list; allowed is a mapping"),
        ("store.url", "sqlite:///relative.db", "sqlite:////var/lib/rotator/rotator.db"),
        ("store.url", "'sqlite://'", "sqlite:////var/lib/rotator/rotator.db"),
        ("northflank.default.team", "a/b", "allowed is an id: letters, digits"),
        ("northflank.default.team", "12", "found 12; allowed is text, in quotes where it looks like a number"),
        ("northflank.default.method", "put", "allowed is auto, post or patch"),
        ("northflank.default.token", "{file: null}", "exactly one of file, env and credential"),
        ("northflank.default.token", "{file: /a, env: B}", "exactly one of file, env and credential"),
        ("northflank.default.token", "{file: a}", "a path begins with /"),
        ("northflank.default.token", "{credential: ../a}", "allowed is the name of a systemd credential"),
        ("northflank.default.api_url", "http://api.northflank.com", "an endpoint is https"),
        ("northflank.default.api_url", "http://localhost.example.com", "an endpoint is https"),
        ("northflank.default.api_url", "ftp://127.0.0.1", "an endpoint is https"),
        ("northflank.default.api_url", "https://u:p@api.northflank.com", "no user, password, query or fragment"),
        ("northflank.default.api_url", "https://api.northflank.com/?a=b", "no user, password, query or fragment"),
        ("northflank.default.api_url", "https://api.northflank.com:port", "an endpoint is written like"),
        ("northflank.default.api_url", "api.northflank.com", "an endpoint is written like"),
        ("credentials", "[]", "allowed is at least 1"),
        ("northflank", "{}", "allowed is at least 1"),
    ],
)
def test_values_that_make_no_sense(problems: Problems, key: str, value: str, says: str) -> None:
    variable = "ROTATOR_" + key.upper().replace(".", "__")

    [problem] = problems(environ={variable: value}) if key != "northflank" else problems(text=NO_CONNECTION)

    assert key in problem
    assert says in problem
    assert "u:p" not in problem


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("user", "arn:aws:iam::123456789012:user/x"),
        ("current_key", CANARY),
        ("integrations", "[../../x]"),
        ("integrations", "[{id: x, description: 'a@b'}]"),
        ("integrations", "[{id: x, description: ''}]"),
        ("integrations", f"[{{id: x, description: {'long ' * 41}}}]"),
        ("integrations", "[{id: x, dependents: [pods]}]"),
        ("aws", "{sts_endpoint: http://sts.amazonaws.com}"),
        ("aws", "{assume_role: admin}"),
        ("aws", f"{{secret_key: {CANARY}}}"),
        ("token", f"{{file: /x, {CANARY}: }}"),
    ],
)
def test_credentials_that_make_no_sense(problems: Problems, key: str, value: str) -> None:
    entry = {"name": "x", "provider": "aws", "user": "u", "integrations": "[x]"} | {key: value}
    text = (
        FINE[: FINE.index("  - {name")] + "  - {" + ", ".join(f"{name}: {said}" for name, said in entry.items()) + "}\n"
    )

    [problem] = problems(text=text)

    assert problem.startswith("rotator.yaml:5: credentials[0]")
    assert CANARY not in problem


@pytest.mark.parametrize(
    "endpoint", ["https://iam.example.com/path", "http://127.0.0.1:4566", "http://[::1]:4566", "http://localhost:4566/"]
)
def test_endpoints_are_https_or_loopback(config: Load, endpoint: str) -> None:
    fine = config(environ={"ROTATOR_NORTHFLANK__DEFAULT__API_URL": endpoint})

    assert fine.northflank["default"].api_url == endpoint.rstrip("/")


@pytest.mark.parametrize(
    "token",
    [CANARY, f"{{value: {CANARY}}}", f"{{env: {CANARY}}}", f"{{{CANARY}}}", f"[{CANARY}]", f"{{file: {CANARY}}}"],
)
def test_a_secret_that_stands_in_the_config_is_refused_and_not_shown(problems: Problems, token: str) -> None:
    in_file = problems(text=FINE.replace("{file: /run/secrets/northflank-token}", token))
    in_variable = problems(environ={"ROTATOR_NORTHFLANK__DEFAULT__TOKEN": token})

    assert all(line.startswith("rotator.yaml:2: northflank.default.token") for line in in_file)
    assert in_variable
    assert CANARY not in "\n".join(in_file + in_variable)


@pytest.mark.parametrize(
    "text", [f"a: [{CANARY}", f"a: '{CANARY}", f"{CANARY}: {CANARY}: b", f"a: @{CANARY}", f"- {CANARY}"]
)
def test_what_is_no_yaml_is_not_shown_either(problems: Problems, text: str) -> None:
    [problem] = problems(text=text)

    assert problem.startswith("rotator.yaml:")
    assert CANARY not in problem


def test_variables_win_over_the_file(config: Load) -> None:
    fine = config(
        "policy: {every: 30d, grace: 2d}\nlog: {level: error}\n",
        environ={
            "ROTATOR_POLICY__EVERY": "14d",
            "ROTATOR_POLICY__PROVING__SUCCESSES": "5",
            "ROTATOR_NORTHFLANK__DEFAULT__TOKEN__FILE": "/elsewhere",
            "ROTATOR_NORTHFLANK__DEFAULT__STAMP": "false",
            "ROTATOR_AUDIT": "{require: [stdout], file: null}",
            "ROTATOR_LOG__LEVEL": "",
        },
    )

    assert (fine.policy.every, fine.policy.grace) == (timedelta(days=14), timedelta(days=2))
    assert fine.policy.proving.successes == 5
    assert fine.northflank["default"].token.file == "/elsewhere"
    assert fine.northflank["default"].stamp is False
    assert (fine.audit.require, fine.audit.file, fine.audit.stdout) == (("stdout",), None, True)
    assert fine.log.level == "error"  # an empty variable says nothing


def test_a_list_is_one_variable(config: Load) -> None:
    listed = "[{name: one, provider: aws, user: u, integrations: [a]}]"

    fine = config(environ={"ROTATOR_CREDENTIALS": listed})

    assert [credential.name for credential in fine.credentials] == ["one"]


def test_what_replaces_a_part_of_the_file_is_to_blame_for_it(problems: Problems) -> None:
    [problem] = problems(environ={"ROTATOR_CREDENTIALS": "[{name: one, provider: aws, user: 5, integrations: [a]}]"})

    assert problem.startswith("ROTATOR_CREDENTIALS: credentials[0].user: found 5;")


def test_only_our_variables_are_read(config: Load, problems: Problems) -> None:
    others = {"ROTATOR_CONFIG": "x", "ROTATOR_PORT_80_TCP": "x: [", "XROTATOR_POLICY__EVERY": "x", "POLICY__EVERY": "x"}

    assert config(environ=others) == config()
    assert problems(
        environ={"ROTATOR_POLCY__EVERY": "1d", "ROTATOR_LOG__LEVL": "info", "ROTATOR_STORE__URL__X": "1"}
    ) == [
        "ROTATOR_LOG__LEVL: log.levl: no such key; did you mean level? allowed: level",
        f"ROTATOR_POLCY__EVERY: polcy.every: no such section; allowed are {SECTIONS}",
        "ROTATOR_STORE__URL__X: store.url: found a mapping; allowed is text, in quotes where it looks like a number",
    ]


@pytest.mark.parametrize("value", ["{", "a: b: c", "*x", "{a: 1, a: 2}"])
def test_a_variable_that_is_no_yaml_is_named(problems: Problems, value: str) -> None:
    [problem] = problems(environ={"ROTATOR_AUDIT": value})

    assert problem.startswith("ROTATOR_AUDIT: audit: ")


def test_files_that_are_no_config(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_text("# comment\n" * 120_000)
    (tmp_path / "binary").write_bytes(b"\x7fELF\0\0")
    (tmp_path / "latin").write_bytes("a: b\nname: é".encode("latin-1"))
    (tmp_path / "forbidden").write_text(FINE)
    (tmp_path / "loop").symlink_to("loop")
    reasons = {
        "none": "No such file or directory",
        "pipe": "it is not a regular file",
        "large": "it is larger than 1024 KiB",
        "binary": "it is not text but binary",
        "latin": "line 2 is not UTF-8",
        "loop": "Too many levels of symbolic links",
        ".": "Is a directory",
    }
    if os.geteuid() != 0:
        (tmp_path / "forbidden").chmod(0)
        reasons["forbidden"] = "Permission denied"
    for name, reason in reasons.items():
        with pytest.raises(ConfigError) as caught:
            load(tmp_path / name, {})
        assert caught.value.problems == (f"{tmp_path / name}: the config can't be read: {reason}",)
        assert caught.value.exit_code is ExitCode.USAGE


def test_a_byte_order_mark_and_crlf_are_no_problem(tmp_path: Path, config: Load) -> None:
    path = tmp_path / "windows.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + FINE.replace("\n", "\r\n").encode())

    assert load(path, {}) == config()


@given(st.from_regex(r"""[a-zA-Z0-9.,?\t \\/'"()\[\];`%^&*_:!-]{1,150}""", fullmatch=True).map(str.strip).filter(bool))
def test_a_description_is_what_northflank_takes_beside_a_stamp(text: str) -> None:
    description = IntegrationSection(id="x", description=text).description

    composed = stamp.compose(str(description), Stamp("7f3a", 1), date(2026, 11, 23))

    assert composed.startswith(stamp.strip(text))
