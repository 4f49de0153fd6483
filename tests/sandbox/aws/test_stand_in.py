"""The AWS stand-in, judged by the real SDK: what it refuses must be what AWS refuses."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from pydantic import SecretStr

from rotator.material import Material
from rotator.sandbox.aws.stand_in import AwsStandIn
from rotator.sandbox.wire.serving import utc_now

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_sts import STSClient

USER = "deploy"
FORM = "application/x-www-form-urlencoded"
ONCE = Config(retries={"total_max_attempts": 1, "mode": "standard"})


@cache
def session() -> boto3.Session:
    return boto3.Session(region_name="eu-west-1")


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in tuple(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name))


@pytest.fixture
def aws() -> Iterator[AwsStandIn]:
    with AwsStandIn() as stand_in:
        stand_in.add_user(USER)
        yield stand_in


def changed(material: Material, **fields: str) -> Material:
    plain = {**material.reveal(), **fields}
    return Material(public={"accessKey": plain["accessKey"]}, secret={"secretKey": SecretStr(plain["secretKey"])})


def made(answer: Any) -> Material:
    return changed(Material(secret={}), accessKey=answer["AccessKeyId"], secretKey=answer["SecretAccessKey"])


def sts(aws: AwsStandIn, material: Material) -> STSClient:
    key = material.reveal()
    return session().client(
        "sts",
        endpoint_url=aws.server.url,
        config=ONCE,
        aws_access_key_id=key["accessKey"],
        aws_secret_access_key=key["secretKey"],
    )


def iam(aws: AwsStandIn, material: Material | None = None, *, token: str | None = None) -> IAMClient:
    key = (material or aws.admin).reveal()
    return session().client(
        "iam",
        endpoint_url=aws.server.url,
        config=ONCE,
        aws_access_key_id=key["accessKey"],
        aws_secret_access_key=key["secretKey"],
        aws_session_token=token,
    )


@contextmanager
def refused(code: str, status: int = 403, text: str | None = None) -> Iterator[None]:
    with pytest.raises(ClientError, match=text) as caught:
        yield
    answer: Any = caught.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    assert answer["ResponseMetadata"]["RequestId"]


class TestKeys:
    def test_who_a_key_belongs_to(self, aws: AwsStandIn) -> None:
        identity = sts(aws, aws.create_key(USER)).get_caller_identity()
        assert identity["Arn"] == f"arn:aws:iam::{aws.account}:user/{USER}"
        assert identity["Account"] == aws.account

    def test_an_unsigned_request(self, aws: AwsStandIn) -> None:
        answer = httpx.post(aws.server.url, data={"Action": "GetCallerIdentity", "Version": "2011-06-15"})
        assert answer.status_code == 403
        assert "<Code>MissingAuthenticationToken</Code>" in answer.text

    @pytest.mark.parametrize("header", ["Bearer x", "AWS4-HMAC-SHA256 Credential=a/b", "\xff"])
    def test_a_malformed_signature(self, aws: AwsStandIn, header: str) -> None:
        answer = httpx.post(
            aws.server.url, data={"Action": "GetCallerIdentity"}, headers={b"Authorization": header.encode("latin-1")}
        )
        assert answer.status_code == 400
        assert "<Code>IncompleteSignature</Code>" in answer.text

    def test_an_unknown_key(self, aws: AwsStandIn) -> None:
        client = sts(aws, changed(aws.admin, accessKey="AKIAAAAAAAAAAAAAAAAA"))
        with refused("InvalidClientTokenId"):
            client.get_caller_identity()

    def test_a_wrong_secret(self, aws: AwsStandIn) -> None:
        client = sts(aws, changed(aws.admin, secretKey="wrong"))
        with refused("SignatureDoesNotMatch", text="does not match the signature you provided"):
            client.get_caller_identity()

    @pytest.mark.parametrize(("minutes", "said"), [(-6, "not yet current"), (6, "Signature expired")])
    def test_a_clock_that_is_off(self, aws: AwsStandIn, minutes: int, said: str) -> None:
        aws.server.clock = lambda: utc_now() + timedelta(minutes=minutes)
        with refused("SignatureDoesNotMatch", text=said):
            sts(aws, aws.admin).get_caller_identity()

    def test_a_disabled_key_is_refused_until_it_is_enabled(self, aws: AwsStandIn) -> None:
        material = aws.create_key(USER)
        key_id = material.public["accessKey"]
        client = sts(aws, material)
        iam(aws).update_access_key(UserName=USER, AccessKeyId=key_id, Status="Inactive")
        with refused("InvalidClientTokenId"):
            client.get_caller_identity()
        assert not aws.works(material)
        iam(aws).update_access_key(UserName=USER, AccessKeyId=key_id, Status="Active")
        assert client.get_caller_identity()["Arn"].endswith(USER)
        assert aws.works(material)

    def test_a_deleted_key_is_refused(self, aws: AwsStandIn) -> None:
        material = aws.create_key(USER)
        iam(aws).delete_access_key(UserName=USER, AccessKeyId=material.public["accessKey"])
        with refused("InvalidClientTokenId"):
            sts(aws, material).get_caller_identity()

    def test_the_keys_of_a_deleted_user_are_refused(self, aws: AwsStandIn) -> None:
        material = aws.create_key(USER)
        aws.delete_user(USER)
        assert not aws.works(material)
        with refused("NoSuchEntity", 404, text=USER):
            iam(aws).list_access_keys(UserName=USER)

    def test_a_fresh_key_is_unknown_for_a_while_and_a_persons_works_at_once(self, aws: AwsStandIn) -> None:
        aws.propagation = timedelta(seconds=60)
        assert aws.works(aws.create_key(USER))
        fresh = made(iam(aws).create_access_key(UserName=USER)["AccessKey"])
        with refused("InvalidClientTokenId"):
            sts(aws, fresh).get_caller_identity()
        aws.server.clock = lambda: utc_now() + timedelta(seconds=61)
        assert sts(aws, fresh).get_caller_identity()["Arn"].endswith(USER)

    def test_two_keys_a_user_disabled_ones_included_whoever_comes_first(self, aws: AwsStandIn) -> None:
        client = iam(aws)
        first = client.create_access_key(UserName=USER)["AccessKey"]["AccessKeyId"]
        client.update_access_key(UserName=USER, AccessKeyId=first, Status="Inactive")

        def create(_: int) -> bool:
            try:
                client.create_access_key(UserName=USER)
            except client.exceptions.LimitExceededException:
                return False
            return True

        with ThreadPoolExecutor(6) as pool:
            assert sum(pool.map(create, range(6))) == 1
        with refused("LimitExceeded", 409):
            client.create_access_key(UserName=USER)
        assert len(aws.keys(USER)) == 2

    def test_times_are_whole_seconds_of_the_stand_ins_clock(self, aws: AwsStandIn) -> None:
        now = utc_now() + timedelta(minutes=2)
        aws.server.clock = lambda: now
        answer = iam(aws).create_access_key(UserName=USER)
        listed = iam(aws).list_access_keys(UserName=USER)["AccessKeyMetadata"]
        assert answer["AccessKey"]["CreateDate"] == listed[0]["CreateDate"] == now.replace(microsecond=0)
        assert parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]) == now.replace(microsecond=0)
        (key,) = aws.keys(USER)
        assert key.created_at == now.replace(microsecond=0)

    def test_every_secret_is_remembered(self, aws: AwsStandIn) -> None:
        answer = iam(aws).create_access_key(UserName=USER)
        assert aws.secrets == {answer["AccessKey"]["SecretAccessKey"], aws.admin.reveal()["secretKey"]}


class TestLastUse:
    def last_use(self, aws: AwsStandIn, material: Material) -> Any:
        return iam(aws).get_access_key_last_used(AccessKeyId=material.public["accessKey"])["AccessKeyLastUsed"]

    def test_it_names_service_and_region(self, aws: AwsStandIn) -> None:
        material = aws.create_key(USER)
        never = self.last_use(aws, material)
        assert (never["ServiceName"], never["Region"], never.get("LastUsedDate")) == ("N/A", "N/A", None)
        before = datetime.now(UTC).replace(microsecond=0)
        assert aws.works(material, region="eu-north-1")
        use = self.last_use(aws, material)
        assert (use["ServiceName"], use["Region"]) == ("sts", "eu-north-1")
        assert before <= use["LastUsedDate"] <= datetime.now(UTC)

    def test_it_is_told_late(self, aws: AwsStandIn) -> None:
        start = utc_now()
        aws.last_used_lag = timedelta(minutes=3)
        material = aws.create_key(USER)
        for minute in range(3):
            aws.server.clock = lambda minute=minute: start + timedelta(minutes=minute)  # type: ignore[misc]  # mypy infers no type for a lambda with a default
            assert aws.works(material)
        assert "LastUsedDate" not in self.last_use(aws, material)
        aws.server.clock = lambda: start + timedelta(minutes=4)
        assert self.last_use(aws, material)["LastUsedDate"] == start + timedelta(minutes=1)

    def test_a_refused_use_is_no_use(self, aws: AwsStandIn) -> None:
        material = aws.create_key(USER)
        with refused("SignatureDoesNotMatch"):
            sts(aws, changed(material, secretKey="wrong")).get_caller_identity()
        assert "LastUsedDate" not in self.last_use(aws, material)


class TestRights:
    def test_rotator_may_do_nothing_to_other_users(self, aws: AwsStandIn) -> None:
        with refused("AccessDenied", text="iam:CreateAccessKey on resource: arn:aws:iam::[0-9]+:user/rotator"):
            iam(aws).create_access_key(UserName="rotator")
        with refused("AccessDenied"):
            iam(aws).list_users()
        with refused("AccessDenied"):
            iam(aws).get_user(UserName=USER)

    def test_a_user_without_a_policy_may_only_ask_who_it_is(self, aws: AwsStandIn) -> None:
        material = aws.create_key(USER)
        assert sts(aws, material).get_caller_identity()
        with refused("AccessDenied"):
            iam(aws, material).list_access_keys(UserName=USER)

    def test_a_user_with_a_path(self, aws: AwsStandIn) -> None:
        aws.add_user("deep", path="/a/b/")
        assert iam(aws).list_access_keys(UserName="deep")["AccessKeyMetadata"] == []

    def test_an_action_can_be_denied_to_all(self, aws: AwsStandIn) -> None:
        aws.denied.add("iam:CreateAccessKey")
        with refused("AccessDenied"):
            iam(aws).create_access_key(UserName=USER)
        aws.denied.clear()
        assert iam(aws).create_access_key(UserName=USER)["AccessKey"]["Status"] == "Active"

    def test_rights_can_be_granted_and_taken(self, aws: AwsStandIn) -> None:
        aws.grant("iam:Get*")
        assert iam(aws).get_user(UserName=USER)["User"]["UserName"] == USER
        aws.revoke()
        with refused("AccessDenied"):
            iam(aws).get_user(UserName=USER)

    def test_the_policy_simulator(self, aws: AwsStandIn) -> None:
        aws.grant("iam:SimulatePrincipalPolicy")
        user = f"arn:aws:iam::{aws.account}:user"
        results = iam(aws).simulate_principal_policy(
            PolicySourceArn=f"{user}/rotator",
            ActionNames=["iam:CreateAccessKey", "iam:DeleteUser"],
            ResourceArns=[f"{user}/{USER}"],
        )["EvaluationResults"]
        assert {result["EvalActionName"]: result["EvalDecision"] for result in results} == {
            "iam:CreateAccessKey": "allowed",
            "iam:DeleteUser": "implicitDeny",
        }
        with refused("NoSuchEntity", 404):
            iam(aws).simulate_principal_policy(PolicySourceArn=f"{user}/none", ActionNames=["a:b"], ResourceArns=["*"])

    def test_an_unknown_action_and_another_service(self, aws: AwsStandIn) -> None:
        aws.grant("*")
        with refused("InvalidAction", 400):
            iam(aws).enable_organizations_root_sessions()
        body = b"Action=DescribeInstances&Version=2016-11-15"
        request = AWSRequest("POST", aws.server.url, headers={"Content-Type": FORM}, data=body)
        key = aws.admin.reveal()
        SigV4Auth(Credentials(key["accessKey"], key["secretKey"]), "ec2", "eu-west-1").add_auth(request)
        answer = httpx.post(aws.server.url, headers=dict(request.headers), content=body)
        assert (answer.status_code, "<Code>InvalidAction</Code>" in answer.text) == (400, True)


class TestRoles:
    def role(self, aws: AwsStandIn, *, principal: str, external_id: object = None) -> str:
        condition = {"Condition": {"StringEquals": {"sts:ExternalId": external_id}}} if external_id else {}
        trust = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole", **condition}
        allow = {"Effect": "Allow", "Action": "iam:ListAccessKeys", "Resource": "*"}
        return aws.add_role("keys", trust={"Statement": [trust]}, policy={"Statement": [allow]})

    def test_a_session_may_what_its_role_may(self, aws: AwsStandIn) -> None:
        role = self.role(aws, principal=f"arn:aws:iam::{aws.account}:user/rotator")
        role_session = sts(aws, aws.admin).assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
        whole = iam(aws, made(role_session), token=role_session["SessionToken"])
        assert whole.list_access_keys(UserName="rotator")["AccessKeyMetadata"]
        with refused("AccessDenied"):
            whole.create_access_key(UserName=USER)
        with refused("InvalidClientTokenId"):
            iam(aws, made(role_session)).list_access_keys(UserName=USER)

    @pytest.mark.parametrize("wanted", ["one", ["one", "two"]])
    def test_the_external_id_must_be_right_and_must_be_there(self, aws: AwsStandIn, wanted: object) -> None:
        role = self.role(aws, principal=f"arn:aws:iam::{aws.account}:user/rotator", external_id=wanted)
        client = sts(aws, aws.admin)
        assert client.assume_role(RoleArn=role, RoleSessionName="session", ExternalId="one")["Credentials"]
        with refused("AccessDenied"):
            client.assume_role(RoleArn=role, RoleSessionName="session", ExternalId="three")
        with refused("AccessDenied"):
            client.assume_role(RoleArn=role, RoleSessionName="session")

    def test_trust_in_the_account_leaves_it_to_the_users_policy(self, aws: AwsStandIn) -> None:
        role = self.role(aws, principal=f"arn:aws:iam::{aws.account}:root")
        client = sts(aws, aws.admin)
        with refused("AccessDenied"):
            client.assume_role(RoleArn=role, RoleSessionName="session")
        aws.grant("sts:AssumeRole", on=role)
        assert client.assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]

    def test_strangers_and_unknown_roles(self, aws: AwsStandIn) -> None:
        aws.grant("sts:AssumeRole")
        client = sts(aws, aws.admin)
        role = self.role(aws, principal="arn:aws:iam::000000000000:root")
        for arn in (role, role + "-none"):
            with refused("AccessDenied"):
                client.assume_role(RoleArn=arn, RoleSessionName="session")


class TestTrustPolicies:
    @pytest.fixture
    def role(self, aws: AwsStandIn) -> str:
        role = aws.add_role("nf", trust=self.trust(aws, "one"), policy={"Version": "2012-10-17", "Statement": []})
        aws.grant("iam:GetRole", "iam:UpdateAssumeRolePolicy", on=role)
        return role

    def trust(self, aws: AwsStandIn, *external_ids: str, **changes: object) -> dict[str, Any]:
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{aws.account}:user/rotator"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": list(external_ids)}},
            **changes,
        }
        return {"Version": "2012-10-17", "Statement": [statement]}

    def takes(self, aws: AwsStandIn, role: str, external_id: str, principal: Material | None = None) -> bool:
        client = sts(aws, principal or aws.admin)
        try:
            client.assume_role(RoleArn=role, RoleSessionName="session", ExternalId=external_id)
        except client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "AccessDenied":
                raise
            return False
        return True

    def write(self, aws: AwsStandIn, document: str) -> None:
        iam(aws).update_assume_role_policy(RoleName="nf", PolicyDocument=document)

    def test_a_policy_is_written_and_read_whole(self, aws: AwsStandIn, role: str) -> None:
        wanted = self.trust(aws, "one", "two+=,.@:/-_%41", Sid="caf\u00e9 &<>")
        self.write(aws, json.dumps(wanted, ensure_ascii=False))
        answer = iam(aws).get_role(RoleName="nf")["Role"]
        assert (answer["Arn"], answer["AssumeRolePolicyDocument"]) == (role, wanted)
        assert answer["CreateDate"] == aws.role_created(role)
        assert {"one", "two+=,.@:/-_%41"} <= aws.secrets

    @pytest.mark.parametrize(
        ("document", "code", "status"),
        [
            ("{", "MalformedPolicyDocument", 400),
            ('{"Version": "2012-10-17", "Statement": []}', "MalformedPolicyDocument", 400),
            (
                '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole"}]}',
                "MalformedPolicyDocument",
                400,
            ),
            ('{"Version": "\u4e2d"}', "ValidationError", 400),
        ],
    )
    def test_what_is_no_policy(self, aws: AwsStandIn, role: str, document: str, code: str, status: int) -> None:
        before = aws.trust(role)
        with refused(code, status):
            self.write(aws, document)
        assert aws.trust(role) == before

    @pytest.mark.usefixtures("role")
    def test_the_quota_counts_all_but_white_space(self, aws: AwsStandIn) -> None:
        length = len(json.dumps(self.trust(aws, "one", Sid=""), separators=(",", ":")))
        self.write(aws, json.dumps(self.trust(aws, "one", Sid="x" * (2048 - length)), indent=8))
        with refused("LimitExceeded", 409):
            self.write(aws, json.dumps(self.trust(aws, "one", Sid="x" * (2049 - length))))

    def test_a_change_takes_its_time_and_a_persons_none(self, aws: AwsStandIn, role: str) -> None:
        start = utc_now()
        aws.server.clock = lambda: start
        aws.signing_clock = utc_now
        aws.propagation = timedelta(seconds=10)
        self.write(aws, json.dumps(self.trust(aws, "two")))
        assert [self.takes(aws, role, each) for each in ("one", "two")] == [True, False]
        aws.server.clock = lambda: start + timedelta(seconds=4)
        self.write(aws, json.dumps(self.trust(aws, "three")))
        aws.server.clock = lambda: start + timedelta(seconds=10)
        assert [self.takes(aws, role, each) for each in ("one", "two", "three")] == [False, True, False]
        aws.server.clock = lambda: start + timedelta(seconds=14)
        assert [self.takes(aws, role, each) for each in ("one", "two", "three")] == [False, False, True]
        self.write(aws, json.dumps(self.trust(aws, "four")))
        aws.set_trust(role, self.trust(aws, "five"))
        assert [self.takes(aws, role, each) for each in ("three", "four", "five")] == [False, False, True]

    def test_another_account_is_let_in_by_its_name_alone(self, aws: AwsStandIn, role: str) -> None:
        account, principal = aws.add_outsider("northflank")
        assert not self.takes(aws, role, "one", principal)
        for name in (account, f"arn:aws:iam::{account}:root", f"arn:aws:iam::{account}:user/northflank"):
            aws.set_trust(role, self.trust(aws, "one", Principal={"AWS": [name]}))
            assert self.takes(aws, role, "one", principal)
            assert not self.takes(aws, role, "two", principal)
            assert not self.takes(aws, role, "one")
        with refused("AccessDenied"):
            iam(aws, principal).get_role(RoleName="nf")


def test_two_stand_ins_in_one_process_never_meet(aws: AwsStandIn) -> None:
    with AwsStandIn() as other:
        other.add_user(USER)
        assert other.account != aws.account
        material = other.create_key(USER)
        assert aws.keys(USER) == ()
        assert other.works(material)
        assert not aws.works(material)
        with refused("InvalidClientTokenId"):
            iam(aws, other.admin).list_access_keys(UserName=USER)


def test_the_environment_and_endpoints_suffice(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    client = boto3.Session(region_name="eu-west-1").client("sts", endpoint_url=aws.endpoints["sts_endpoint"])
    assert client.get_caller_identity()["Arn"].endswith("user/rotator")


def test_what_the_stand_in_is_asked_behind_the_wire_is_not_counted(aws: AwsStandIn) -> None:
    assert aws.works(aws.create_key(USER))
    assert aws.keys(USER)
    assert aws.faults.requests() == []
