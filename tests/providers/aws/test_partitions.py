"""GovCloud, China, the European Sovereign Cloud: what is asked goes to the partition that is meant, or nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from importlib.resources import files
from typing import Any

import pytest
from pydantic import ValidationError

from rotator.config.kinds import CLASSES
from rotator.errors import RotatorError
from rotator.providers.aws import provider as of_user
from rotator.providers.aws import role as of_role
from rotator.providers.aws.partitions import of_region
from rotator.providers.aws.rights import rights
from rotator.providers.aws.settings import AwsRoleSettings, AwsUserSettings
from rotator.providers.base import Right
from rotator.sandbox.aws.stand_in import AwsStandIn
from tests.support.given import tools
from tests.support.patience import patience

TABLE = json.loads(files("botocore").joinpath("data/partitions.json").read_text())["partitions"]
REGIONS = [(region, partition["id"]) for partition in TABLE for region in partition["regions"]]
GOV, CHINA = "arn:aws-us-gov:iam::123456789012:role/nf", "arn:aws-cn:iam::123456789012:role/nf"
COMMERCIAL, EUSC = "arn:aws:iam::123456789012:role/nf", "arn:aws-eusc:iam::123456789012:role/nf"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsStandIn]:
    with AwsStandIn() as stand_in:
        stand_in.add_user("nf")
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_CONFIG_FILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
        for name, value in stand_in.environment.items():
            monkeypatch.setenv(name, value)
        for name in ("IAM", "STS"):
            monkeypatch.delenv(f"AWS_ENDPOINT_URL_{name}", raising=False)
        monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
        yield stand_in


def user(**section: object) -> of_user.AwsUser:
    settings = AwsUserSettings.model_validate({"user": "nf", "aws": section})
    return of_user.open_provider(settings, tools(timedelta(seconds=patience(10))))


def role(arn: str, **section: object) -> of_role.AwsRole:
    settings = AwsRoleSettings.model_validate({"role_arn": arn, "aws": section})
    return of_role.open_provider(settings, tools(timedelta(seconds=patience(10))))


def lines(aws: AwsStandIn, one: str, **section: object) -> Mapping[str, Right]:
    """Of the check of a user, for whom one of the two services is where the region says."""
    settled = {f"{other}_endpoint": aws.server.url for other in ("iam", "sts") if other != one}
    return {right.name: right for right in user(**settled, **section).check()}


@pytest.mark.parametrize(("region", "partition"), REGIONS)
def test_a_regions_partition_is_that_of_botocores_table(region: str, partition: str) -> None:
    assert of_region(region) == partition


@pytest.mark.parametrize(
    ("variables", "region", "address"),
    [
        ({}, "us-gov-west-1", "https://sts.us-gov-west-1.amazonaws.com"),
        ({}, "cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn"),
        ({}, "eusc-de-east-1", "https://sts.eusc-de-east-1.amazonaws.eu"),
        ({}, "us-iso-east-1", "https://sts.us-iso-east-1.c2s.ic.gov"),
        ({"AWS_DEFAULT_REGION": "us-gov-east-1"}, None, "https://sts.us-gov-east-1.amazonaws.com"),
        ({"AWS_REGION": "cn-northwest-1"}, None, "https://sts.cn-northwest-1.amazonaws.com.cn"),
        ({"AWS_REGION": "cn-northwest-1"}, "us-gov-west-1", "https://sts.us-gov-west-1.amazonaws.com"),
    ],
)
def test_sts_is_the_named_regions(
    aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], region: str | None, address: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert f"STS at {address}, from the region or the AWS profile" in lines(aws, "sts", region=region)


@pytest.mark.parametrize(
    ("region", "address"),
    [
        ("us-gov-east-1", "https://iam.us-gov.amazonaws.com"),
        ("cn-northwest-1", "https://iam.cn-north-1.amazonaws.com.cn"),
        ("eusc-de-east-1", "https://iam.eusc-de-east-1.amazonaws.eu"),
    ],
)
def test_iam_is_the_partitions(aws: AwsStandIn, region: str, address: str) -> None:
    assert f"IAM at {address}, from the region or the AWS profile" in lines(aws, "iam", region=region)


def test_without_any_region_the_check_says_that_the_commercial_partition_is_meant(aws: AwsStandIn) -> None:
    said = "no region is named, so rotator goes to AWS's commercial partition, by way of us-east-1"
    everything = {"iam_endpoint": aws.server.url, "sts_endpoint": aws.server.url}
    rights = {right.name: right for right in user(**everything).check()}
    assert rights[said].holds is None
    assert "Set `aws.region`" in rights[said].remedy
    assert said not in {right.name for right in user(**everything, region="us-east-1").check()}


@pytest.mark.parametrize(
    ("arn", "variables", "said"),
    [
        (GOV, {}, "is in the partition aws-us-gov, and no region is set"),
        (CHINA, {}, "is in the partition aws-cn, and no region is set"),
        (GOV, {"AWS_DEFAULT_REGION": "eu-west-1"}, "aws-us-gov, and the region eu-west-1 is in aws"),
        (GOV, {"AWS_REGION": "cn-north-1"}, "aws-us-gov, and the region cn-north-1 is in aws-cn"),
        (COMMERCIAL, {"AWS_REGION": "us-gov-west-1"}, "partition aws, and the region us-gov-west-1 is in aws-us-gov"),
        ("arn:aws-moon:iam::123456789012:role/nf", {}, "aws-moon, which is no partition of AWS"),
    ],
)
@pytest.mark.parametrize("assumed", [True, False])
def test_a_role_of_another_partition_than_the_sdks_region_is_not_asked_for(
    aws: AwsStandIn,
    monkeypatch: pytest.MonkeyPatch,
    arn: str,
    variables: dict[str, str],
    said: str,
    *,
    assumed: bool,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RotatorError) as caught:
        user(assume_role=arn) if assumed else role(arn)
    assert said in caught.value.message
    assert ("`aws.assume_role`" if assumed else "`role_arn`") in caught.value.message
    assert caught.value.remedy
    assert aws.faults.requests() == []


@pytest.mark.parametrize("region", ["us-gov-west-1", "aws-us-gov-global"])
def test_a_role_of_the_named_partition_is_opened(aws: AwsStandIn, region: str) -> None:
    del aws
    assert role(GOV, region=region).identity == "aws:role/nf@123456789012"
    assert user(assume_role=GOV, region=region).identity == "aws:user/nf@123456789012"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"role_arn": GOV, "aws": {"region": "eu-west-1"}},
            "`role_arn` is in the partition aws-us-gov, and the region",
        ),
        ({"role_arn": COMMERCIAL, "aws": {"region": "us-isob-east-1"}}, "us-isob-east-1 is in aws-iso-b"),
        ({"role_arn": GOV, "aws": {"assume_role": CHINA}}, "aws-us-gov, and aws.assume_role in aws-cn"),
        ({"user": "nf", "aws": {"region": "cn-north-1", "assume_role": EUSC}}, "`assume_role` is in the partition"),
    ],
)
def test_what_the_config_itself_contradicts_is_refused_at_load(settings: dict[str, Any], said: str) -> None:
    kind = AwsRoleSettings if "role_arn" in settings else AwsUserSettings
    with pytest.raises(ValidationError) as caught:
        kind.model_validate(settings)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("tag", "settings", "provider"),
    [
        ("aws", {"user": "nf", "aws": {"region": "eusc-de-east-1"}}, "aws-eusc"),
        ("aws", {"user": "nf", "aws": {"region": "us-gov-west-1"}}, "aws"),
        ("aws", {"user": "nf"}, "aws"),
        ("aws crossAccountRole", {"role_arn": EUSC, "mode": "crossAccountRole"}, "aws-eusc"),
    ],
)
def test_northflanks_provider_for_it(tag: str, settings: dict[str, Any], provider: str) -> None:
    common = {"name": "n", "provider": "aws", "integrations": ["i"]}
    assert CLASSES[tag].model_validate({**common, **settings}).northflank_provider == provider


@pytest.mark.parametrize(("region", "partition"), [("us-iso-east-1", "aws-iso"), ("eu-isoe-west-1", "aws-iso-e")])
def test_the_policy_names_the_partition(region: str, partition: str) -> None:
    text = rights(AwsUserSettings.model_validate({"user": "nf", "aws": {"region": region}}))
    assert f"arn:{partition}:iam::ACCOUNT:user/nf" in text
