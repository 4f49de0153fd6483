"""A config that can't be kept is refused at load, with the numbers."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.config.kinds import CLASSES
from rotator.config.policy import PolicySection
from rotator.config.satisfiable import violations, warnings
from rotator.settings.durations import parse_duration
from tests.config.fine import Load, Problems

SHAPE = 'policy: {window: "Mon-Fri 08:00-16:00 Europe/London"}\n'
BUSY = "jitter 1h + max_grace 7d + quarantine 1d = 8d1h"
TRIAL = """\
policy: {every: 2s, max_age: 6s, jitter: 0s, grace: 0s, quiet_for: 0s, max_grace: 1s, quarantine: 500ms, watch: 1s,
         backoff: {first: 100ms, max: 1s}, proving: {successes: 2, every: 100ms, timeout: 2s}}
"""


def test_the_defaults_can_be_kept_with_the_window_of_the_example(config: Load) -> None:
    assert config(SHAPE).policy.max_age == timedelta(days=90)
    # 30 days + 1 hour + 3 × 65 hours + 10 minutes + 7 days + 1 day
    tightest = SHAPE.replace("{", "{max_age: 46d4h10m, ")
    assert config(tightest).policy.max_age == timedelta(days=46, hours=4, minutes=10)


def test_every_wait_can_be_cut_to_seconds_for_a_trial(config: Load) -> None:
    short = {"ROTATOR_NORTHFLANK__DEFAULT__TIMEOUT": "500ms", "ROTATOR_NORTHFLANK__DEFAULT__SETTLE": "1s"}

    assert config(TRIAL, environ=short).policy.every == timedelta(seconds=2)


def test_a_key_that_would_outlive_max_age_is_refused(problems: Problems) -> None:
    [problem] = problems(SHAPE.replace("{", "{max_age: 46d4h9m, "))

    assert problem == (
        "rotator.yaml:6: policy: every 30d + jitter 1h + 3 × longest closed window 2d17h + proving.timeout 10m + "
        "max_grace 7d + quarantine 1d = 46d4h10m; allowed is at most max_age 46d4h9m"
    )


def test_a_rotation_that_would_meet_the_next_one_is_refused(problems: Problems) -> None:
    [problem] = problems("policy: {every: 8d1h}\n")

    assert problem == (f"rotator.yaml:6: policy: {BUSY}; allowed is less than every 8d1h: so long are both slots taken")


def test_all_contradictions_of_all_credentials_are_listed(problems: Problems) -> None:
    more = """\
  - {name: b, provider: aws, user: b, integrations: [b], policy: {max_grace: 1h}}
  - {name: c, provider: aws, user: c, integrations: [c], policy: {every: 1d}}
  - {name: d, provider: aws, user: d, integrations: [d]}
policy: {backoff: {first: 7h}, proving: {successes: 4, every: 5m}}
audit: {file: null, stdout: false, require: [file, stdout]}
"""
    listed = [line.partition(" ")[2] for line in problems(more)]
    every_policy = [
        "(proving.successes - 1) × proving.every is 15m; allowed is at most proving.timeout 10m",
        "backoff.first is 7h; allowed is at most backoff.max 6h",
    ]

    assert listed == [
        *(f"credentials[1].policy: {text}" for text in every_policy),
        "credentials[1].policy: grace is 1d; allowed is at most max_grace 1h",
        "credentials[1].policy: quiet_for is 12h; allowed is at most max_grace 1h",
        *(f"credentials[2].policy: {text}" for text in every_policy),
        f"credentials[2].policy: {BUSY}; allowed is less than every 1d: so long are both slots taken",
        *(f"policy: {text}" for text in every_policy),  # once, whatever the number of credentials
        "audit.require: file is required, but audit.file is null",
        "audit.require: stdout is required, but audit.stdout is false",
    ]


OCI = (
    "provider: oci, oci: {tenancy: ocid1.tenancy.oc1..a, user: ocid1.user.oc1..a, region: eu-frankfurt-1, "
    "compartment: ocid1.compartment.oc1..a}"
)
GCP = "provider: gcp, service_account: a@b.iam.gserviceaccount.com"
INSISTS = "  - {{name: x, integrations: [x], policy: {{confirm_use: always}}, {}}}\n"


@pytest.mark.parametrize("rest", ["provider: aws, user: x", GCP, f"{GCP}, gcp: {{evidence: true}}"])
def test_use_can_be_insisted_on_where_it_may_show(config: Load, rest: str) -> None:
    assert config(INSISTS.format(rest)).credentials[1].shows_use


@pytest.mark.parametrize(("rest", "cloud"), [(OCI, "oci"), (f"{GCP}, gcp: {{evidence: false}}", "gcp")])
def test_use_can_not_be_insisted_on_where_it_never_shows(problems: Problems, rest: str, cloud: str) -> None:
    [problem] = problems(INSISTS.format(rest))
    assert problem == (
        "rotator.yaml:6: credentials[1].policy: confirm_use is always; allowed for x is auto or never, since rotator "
        f"can't see when a key of this {cloud} credential is used"
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("user: u", "user: u", True),
        ("user: u", "user: U", True),  # IAM keeps user names apart without regard to case
        ("user: u", "user: v", False),
        ("user: u, aws: {profile: a}", "user: u, aws: {profile: b}", False),
        (
            "user: u, aws: {assume_role: 'arn:aws:iam::123456789012:role/a'}",
            "user: u, aws: {assume_role: 'arn:aws:iam::123456789012:role/b', profile: p}",
            True,
        ),
        (
            "user: u, aws: {assume_role: 'arn:aws:iam::123456789012:role/a'}",
            "user: u, aws: {assume_role: 'arn:aws:iam::210987654321:role/a'}",
            False,
        ),
    ],
)
def test_one_cloud_identity_is_in_one_credential(
    config: Load, problems: Problems, one: str, other: str, same: bool
) -> None:
    more = "".join(
        f"  - {{name: {name}, provider: aws, {identity}, integrations: [{name}]}}\n"
        for name, identity in (("a", one), ("b", other))
    )

    if same:
        assert problems(more) == [
            "rotator.yaml:7: credentials[2]: b is the same cloud identity as a; allowed is one credential for each"
        ]
    else:
        assert len(config(more).credentials) == 3


def test_an_integration_is_fed_once_in_a_connection(config: Load, problems: Problems) -> None:
    again = "  - {name: b, provider: aws, user: b, integrations: [x, {id: prod-aws, connection: CONNECTION}, x]}\n"
    second = {"ROTATOR_NORTHFLANK__SECOND__TOKEN__ENV": "NF"}

    listed = [
        line.partition("integrations")[2] for line in problems(again.replace("CONNECTION", "default"), environ=second)
    ]

    assert listed == [
        "[1]: prod-aws is fed by prod-aws already; allowed is once in a connection",
        "[2]: x is fed by b already; allowed is once in a connection",
    ]
    fine = config(again.replace("CONNECTION", "second").replace(", x]", "]"), environ=second)
    assert len(fine.credentials) == 2


def test_several_integrations_on_one_aws_user_are_warned_about(config: Load) -> None:
    fan_out = config("  - {name: b, provider: aws, user: b, integrations: [x, y]}\n")

    [warning] = warnings(fan_out)

    assert warning.startswith("b: its key goes to 2 integrations.")
    assert warnings(config()) == ()


durations = st.timedeltas(timedelta(seconds=1), timedelta(days=100)).map(
    lambda duration: timedelta(seconds=duration // timedelta(seconds=1))
)


@settings(max_examples=50)
@given(every=durations, max_age=durations, max_grace=durations, quarantine=durations)
def test_whatever_is_accepted_keeps_its_promises(
    every: timedelta, max_age: timedelta, max_grace: timedelta, quarantine: timedelta
) -> None:
    policy = PolicySection(
        every=every, max_age=max_age, max_grace=max_grace, quarantine=quarantine, grace="0s", quiet_for="0s"
    )
    credential = CLASSES["aws"].model_validate({"name": "a", "provider": "aws", "user": "a", "integrations": ["a"]})
    found = [text for _, text in violations({}, None, policy, {0: credential})]

    rotation = parse_duration("1h") + max_grace + quarantine
    outlives = every + rotation + parse_duration("10m") > max_age
    meets = rotation >= every
    assert [outlives, meets] == [any(word in text for text in found) for word in ("max_age", "both slots")]
