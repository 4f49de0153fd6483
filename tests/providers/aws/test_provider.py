"""The AWS provider with the real SDK over sockets, against the stand-in."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rotator.errors import CallFailed, RotatorError, Verdict
from rotator.material import Material
from rotator.model import Key, Proof
from rotator.providers.aws.provider import PROOFS, AwsUser, open_provider
from rotator.providers.aws.settings import AwsUserSettings
from rotator.providers.base import OpenProvider, Provider, Tools
from rotator.sandbox.aws.stand_in import AwsStandIn
from rotator.sandbox.wire.rules import Canned, Rule
from rotator.sandbox.wire.serving import utc_now
from tests.providers.contract import Harness, ProviderContract, everything_in
from tests.support.given import tools
from tests.support.patience import patience

USER = "northflank-byoc"
REGION = "eu-west-1"
PATIENT = timedelta(seconds=patience(20))
IMPATIENT = timedelta(seconds=patience(1))
POLICY_ACTIONS = {
    f"iam:{action}"
    for action in ("CreateAccessKey", "ListAccessKeys", "UpdateAccessKey", "DeleteAccessKey", "GetAccessKeyLastUsed")
}

opens: OpenProvider[AwsUserSettings] = open_provider  # for the type checker

KNOWN, ACTIVE = "<AccessKeyId>AKIAODD</AccessKeyId>", "<Status>Active</Status>"


def xml(code: str, message: str = "", *, request_id: str = "0a1b-2c3d") -> str:
    return (
        '<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )


def says(status: int, code: str, message: str = "") -> Canned:
    return Canned(status=status, body=xml(code, message), content_type="text/xml")


@dataclass(frozen=True, slots=True)
class World:
    aws: AwsStandIn
    open: Callable[..., AwsUser]
    stop: Callable[[], None]
    provider: AwsUser

    def mint(self) -> tuple[Key, Material]:
        minted = self.provider.mint(self.provider.draft("7f3a", 1))
        return minted.key, minted.material

    def spoil(self, action: str, fault: Canned) -> None:
        self.aws.faults.put(Rule(action=action, times=None, fault=fault))

    def count(self, action: str) -> int:
        return len(self.aws.faults.requests(action=action))


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in tuple(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with AwsStandIn() as aws:
        aws.add_user(USER, path="/teams/byoc/")
        for name, value in aws.environment.items():
            monkeypatch.setenv(name, value)

        def opened(
            deadline: timedelta = PATIENT, *, user: str = USER, process: Tools | None = None, **section: object
        ) -> AwsUser:
            said = {"user": user, "aws": {"region": REGION, **aws.endpoints, **section}}
            return open_provider(AwsUserSettings.model_validate(said), process or tools(deadline))

        yield World(aws, opened, lambda: aws.server.__exit__(None, None, None), opened())


class TestContract(ProviderContract):
    @pytest.fixture
    def harness(self, world: World) -> Harness:
        aws = world.aws
        return Harness(
            provider=world.provider,
            faults=aws.faults,
            impatient=lambda: world.open(deadline=IMPATIENT),
            create={"action": "CreateAccessKey"},
            disable={"action": "UpdateAccessKey"},
            delete={"action": "DeleteAccessKey"},
            read={"action": "ListAccessKeys"},
            prove={"action": "GetCallerIdentity"},
            listed=lambda: aws.keys(USER),
            works=aws.works,
            foreign_key=lambda: aws.create_key(USER).public["accessKey"],
            delete_identity=lambda: aws.delete_user(USER),
            secrets=aws.secrets,
            down=world.stop,
        )


class TestRefusals:
    """What AWS's own complete errors mean, on each of the changes."""

    @pytest.mark.parametrize(
        ("why", "named"),
        [
            ("with an explicit deny in a service control policy", "Let the service control policy allow"),
            ("because no resource control policy allows the action", "Let the resource control policy allow"),
            ("because no permissions boundary allows the action", "Let the permissions boundary allow"),
            ("because no identity-based policy allows the action", "`rotator "),
        ],
    )
    def test_a_policy_that_overrides_rotators_own_is_named(self, world: World, why: str, named: str) -> None:
        who = "User: arn:aws:sts::123456789012:assumed-role/rotator/rotator is not authorized to perform: "
        said = f"{who}iam:CreateAccessKey on resource: user {'x' * 400} {why}"
        world.spoil("CreateAccessKey", says(403, "AccessDenied", said))
        with pytest.raises(CallFailed) as caught:
            world.mint()
        assert (caught.value.verdict, caught.value.permanent) == (Verdict.REFUSED, True)
        assert named in caught.value.remedy

    @pytest.mark.parametrize(
        ("status", "code", "message", "permanent"),
        [
            (403, "AccessDenied", "User: x is not authorized", True),
            (404, "NoSuchEntity", "The user with name x cannot be found.", False),
            (403, "InvalidClientTokenId", "The security token included in the request is invalid.", True),
            (403, "SignatureDoesNotMatch", "The request signature we calculated does not match", True),
            (400, "ValidationError", "1 validation error detected", True),
            (409, "EntityTemporarilyUnmodifiable", "Try later", False),
            (403, "ExpiredToken", "The security token included in the request is expired", False),
            (403, "SignatureDoesNotMatch", "Signature expired: 20261123T100000Z is now earlier than", False),
            (403, "SignatureDoesNotMatch", "Signature not yet current: 20261123T100000Z is still later", False),
            (400, "RequestExpired", "Request has expired.", False),
        ],
    )
    def test_of_a_mint(self, world: World, status: int, code: str, message: str, permanent: bool) -> None:
        world.spoil("CreateAccessKey", says(status, code, message))
        with pytest.raises(CallFailed) as caught:
            world.mint()
        failure = caught.value
        assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, code, permanent)
        assert failure.request_id == "0a1b-2c3d"
        assert message in failure.message
        assert world.count("CreateAccessKey") == 1

    @pytest.mark.parametrize("status", [400, 429])
    def test_throttling_is_not_applied(self, world: World, status: int) -> None:
        world.spoil("CreateAccessKey", says(status, "Throttling", "Rate exceeded"))
        with pytest.raises(CallFailed) as caught:
            world.mint()
        assert caught.value.verdict is Verdict.NOT_APPLIED
        assert world.count("CreateAccessKey") == 1

    @pytest.mark.parametrize(
        "answer",
        [
            says(500, "InternalFailure"),
            says(503, "ServiceUnavailable"),
            says(503, "Throttling"),
            says(408, "RequestTimeout"),
            Canned(status=403, body=xml("AccessDenied", request_id=""), content_type="text/xml"),
            Canned(status=403, body=xml("AccessDenied")[:-1], content_type="text/xml"),
            Canned(status=403, body=xml("<b>AccessDenied</b>"), content_type="text/xml"),
            Canned(status=404, body="<ErrorResponse/>", content_type="text/xml"),
            Canned(status=403, body="\x00" * 20, content_type="text/xml"),
            Canned(status=200, body="<r><CreateAccessKeyResult/></r>", content_type="text/xml"),
        ],
        ids=lambda answer: f"{answer.status} {answer.body[-60:]!r}",
    )
    def test_what_is_not_a_complete_refusal_is_unknown(self, world: World, answer: Canned) -> None:
        world.spoil("CreateAccessKey", answer)
        with pytest.raises(CallFailed) as caught:
            world.mint()
        assert caught.value.verdict is Verdict.UNKNOWN
        assert world.count("CreateAccessKey") == 1

    def test_a_minted_key_without_a_secret_is_unknown(self, world: World) -> None:
        body = (
            "<CreateAccessKeyResponse><CreateAccessKeyResult><AccessKey><UserName>u</UserName>"
            "<AccessKeyId>AKIAAAAAAAAAAAAAAAAA</AccessKeyId><Status>Active</Status><SecretAccessKey/>"
            "<CreateDate>2026-11-23T10:00:00Z</CreateDate></AccessKey></CreateAccessKeyResult>"
            "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></CreateAccessKeyResponse>"
        )
        world.spoil("CreateAccessKey", Canned(status=200, body=body, content_type="text/xml"))
        with pytest.raises(CallFailed) as caught:
            world.mint()
        assert caught.value.verdict is Verdict.UNKNOWN

    @pytest.mark.parametrize("variable", ["AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"])
    def test_the_environment_cannot_switch_repetitions_on(
        self, world: World, monkeypatch: pytest.MonkeyPatch, variable: str
    ) -> None:
        monkeypatch.setenv(variable, "5" if variable == "AWS_MAX_ATTEMPTS" else "adaptive")
        provider = world.open(deadline=timedelta(seconds=19))
        world.spoil("CreateAccessKey", says(500, "InternalFailure"))
        with pytest.raises(CallFailed):
            provider.mint(provider.draft("7f3a", 1))
        assert world.count("CreateAccessKey") == 1

    @pytest.mark.parametrize("action", sorted(POLICY_ACTIONS))
    def test_a_missing_right_is_permanent_and_named(self, world: World, action: str) -> None:
        key_id = world.aws.create_key(USER).public["accessKey"]
        world.aws.denied.add(action)
        calls: dict[str, Callable[[], object]] = {
            "iam:CreateAccessKey": world.mint,
            "iam:ListAccessKeys": world.provider.list_keys,
            "iam:UpdateAccessKey": lambda: world.provider.disable(key_id),
            "iam:DeleteAccessKey": lambda: world.provider.delete(key_id),
            "iam:GetAccessKeyLastUsed": lambda: world.provider.last_used(key_id),
        }
        with pytest.raises(CallFailed, match=action) as caught:
            calls[action]()
        failure = caught.value
        assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, "AccessDenied", True)
        assert "rotator policy NAME" in failure.remedy
        assert [key.key_id for key in world.aws.keys(USER)] == [key_id]

    def test_only_the_first_line_of_a_message_is_told(self, world: World) -> None:
        said = "It does not match.\n\nThe Canonical String should have been\nx-amz-security-token:TOKEN"
        world.spoil("CreateAccessKey", says(403, "SignatureDoesNotMatch", said))
        with pytest.raises(CallFailed) as caught:
            world.mint()
        assert "TOKEN" not in everything_in(caught.value)
        assert "It does not match." in caught.value.message


class TestProof:
    """What AWS says of a candidate, and what that means."""

    def test_a_key_that_needs_twenty_tries(self, world: World) -> None:
        start = utc_now()
        world.aws.propagation = timedelta(seconds=20)
        proofs = []
        world.aws.server.clock = lambda: start
        _, material = world.mint()
        for second in range(22):
            world.aws.server.clock = lambda second=second: start + timedelta(seconds=second)  # type: ignore[misc]  # mypy infers no type for a lambda with a default
            proofs.append(world.provider.prove(material))
        assert proofs == [Proof.NOT_YET] * 20 + [Proof.ALIVE] * 2

    def test_a_key_that_never_comes_alive(self, world: World) -> None:
        world.aws.propagation = timedelta(days=365)
        _, material = world.mint()
        assert [world.provider.prove(material) for _ in range(3)] == [Proof.NOT_YET] * 3
        assert not world.aws.works(material)

    def test_a_disabled_or_deleted_key_is_not_alive(self, world: World) -> None:
        key, material = world.mint()
        world.provider.disable(key.key_id)
        assert world.provider.prove(material) is Proof.NOT_YET
        world.provider.delete(key.key_id)
        assert world.provider.prove(material) is Proof.NOT_YET

    def test_a_wrong_secret_is_given_up_no_sooner_than_a_key_that_is_late(self, world: World) -> None:
        other = world.aws.create_key(USER).secret["secretKey"]
        mixed = Material(public=world.aws.admin.public, secret={"secretKey": other})
        assert world.provider.prove(mixed) is Proof.NOT_YET

    @pytest.mark.parametrize(("code", "proof"), PROOFS.items())
    def test_each_code_means_what_the_page_says(self, world: World, code: str, proof: Proof) -> None:
        _, material = world.mint()
        world.spoil("GetCallerIdentity", says(403, code, "no"))
        assert world.provider.prove(material) is proof

    @pytest.mark.parametrize("code", ["OptInRequired", "IncompleteSignature", "RegionDisabledException"])
    def test_any_other_code_is_no_verdict(self, world: World, code: str) -> None:
        _, material = world.mint()
        world.spoil("GetCallerIdentity", says(403, code, "no"))
        with pytest.raises(CallFailed, match=code):
            world.provider.prove(material)

    @pytest.mark.parametrize("days", [-1, 1])
    def test_a_clock_that_is_off_says_nothing_about_the_key(self, world: World, days: int) -> None:
        _, material = world.mint()
        world.aws.server.clock = lambda: utc_now() + timedelta(days=days)
        assert world.provider.prove(material) is Proof.CLOCK
        with pytest.raises(CallFailed, match="Signature") as caught:
            world.provider.list_keys()
        assert "clock" in caught.value.remedy

    def test_access_denied_means_that_the_key_works(self, world: World) -> None:
        _, material = world.mint()
        assert world.provider.prove(material) is Proof.ALIVE
        world.aws.denied.add("sts:GetCallerIdentity")
        assert world.provider.prove(material) is Proof.ALIVE

    @pytest.mark.parametrize("denied", [False, True])
    def test_a_key_of_somebody_else_is_never_alive(self, world: World, denied: bool) -> None:
        world.aws.add_user("somebody")
        material = world.aws.create_key("somebody")
        _, own = world.mint()
        assert world.provider.prove(own) is Proof.ALIVE
        if denied:
            world.aws.denied.add("sts:GetCallerIdentity")
        with pytest.raises(CallFailed, match="user/somebody") as caught:
            world.provider.prove(material)
        failure = caught.value
        assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, "WrongPrincipal", True)

    def test_a_user_of_this_name_in_another_account_is_somebody_else(self, world: World) -> None:
        _, material = world.mint()
        body = (
            f"<r><GetCallerIdentityResult><Arn>arn:aws:iam::000000000000:user/{USER}</Arn></GetCallerIdentityResult>"
            "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></r>"
        )
        answer = Canned(status=200, body=body, content_type="text/xml")
        world.aws.faults.put(Rule(action="GetCallerIdentity", times=1, fault=answer))
        with pytest.raises(CallFailed) as caught:
            world.provider.prove(material)
        assert caught.value.code == "WrongPrincipal"

    def test_throttling_is_no_proof(self, world: World) -> None:
        _, material = world.mint()
        world.spoil("GetCallerIdentity", says(400, "Throttling"))
        with pytest.raises(CallFailed) as caught:
            world.provider.prove(material)
        assert caught.value.verdict is Verdict.NOT_APPLIED

    def test_it_uses_the_configured_region(self, world: World) -> None:
        key, material = world.mint()
        world.provider.prove(material)
        use = world.provider.last_used(key.key_id)
        assert use is not None
        assert (use.service, use.region) == ("sts", REGION)


class TestEvidence:
    def test_a_key_never_used(self, world: World) -> None:
        key, _ = world.mint()
        assert world.provider.last_used(key.key_id) is None

    def test_the_last_use_of_several_is_told_late(self, world: World) -> None:
        noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
        key_id = world.aws.create_key(USER).public["accessKey"]
        body = (
            "<GetAccessKeyLastUsedResponse><GetAccessKeyLastUsedResult><UserName>u</UserName><AccessKeyLastUsed>"
            f"<LastUsedDate>{noon.isoformat()}</LastUsedDate><ServiceName>s3\u202e</ServiceName><Region>N/A</Region>"
            "</AccessKeyLastUsed></GetAccessKeyLastUsedResult>"
            "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetAccessKeyLastUsedResponse>"
        )
        world.spoil("GetAccessKeyLastUsed", Canned(status=200, body=body, content_type="text/xml"))
        use = world.provider.last_used(key_id)
        assert use is not None
        assert (use.at, use.service, use.region) == (noon, "s3", "")
        assert use.at.tzinfo is UTC

    @pytest.mark.parametrize("date", ["yesterday", ""])
    def test_an_unreadable_date_is_not_never(self, world: World, date: str) -> None:
        body = (
            "<r><GetAccessKeyLastUsedResult><AccessKeyLastUsed><ServiceName>s3</ServiceName><Region>eu</Region>"
            f"<LastUsedDate>{date}</LastUsedDate></AccessKeyLastUsed></GetAccessKeyLastUsedResult>"
            "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></r>"
        )
        world.spoil("GetAccessKeyLastUsed", Canned(status=200, body=body, content_type="text/xml"))
        with pytest.raises(CallFailed) as caught:
            world.provider.last_used("AKIAAAAAAAAAAAAAAAAA")
        assert caught.value.verdict is Verdict.UNKNOWN


class TestList:
    def page(self, key_id: str, *, marker: str = "", status: str = "Active") -> str:
        more = (
            f"<IsTruncated>true</IsTruncated><Marker>{marker}</Marker>"
            if marker
            else "<IsTruncated>false</IsTruncated>"
        )
        return (
            f"<r><ListAccessKeysResult>{more}<AccessKeyMetadata><member><AccessKeyId>{key_id}</AccessKeyId>"
            f"<Status>{status}</Status><CreateDate>2026-11-23T10:00:00Z</CreateDate></member></AccessKeyMetadata>"
            "</ListAccessKeysResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></r>"
        )

    def answer(self, body: str, **headers: str) -> Canned:
        return Canned(status=200, body=body, content_type="text/xml", headers=headers)

    def test_all_pages_are_read(self, world: World) -> None:
        world.aws.faults.put(
            Rule(action="ListAccessKeys", times=1, fault=self.answer(self.page("AKIA1", marker="more"))),
            Rule(action="ListAccessKeys", times=1, fault=self.answer(self.page("AKIA2", status="Inactive"))),
        )
        keys = world.provider.list_keys().keys
        assert [(key.key_id, key.enabled) for key in keys] == [("AKIA1", True), ("AKIA2", False)]
        assert {key.created_at for key in keys} == {datetime(2026, 11, 23, 10, tzinfo=UTC)}

    def test_a_list_without_an_end_is_unknown(self, world: World) -> None:
        world.spoil("ListAccessKeys", self.answer(self.page("AKIA1", marker="more")))
        with pytest.raises(CallFailed) as caught:
            world.provider.list_keys()
        assert caught.value.verdict is Verdict.UNKNOWN
        assert world.count("ListAccessKeys") < 5

    def test_the_clouds_time_is_its_date_header(self, world: World) -> None:
        noon = utc_now().replace(microsecond=0) + timedelta(minutes=3)
        world.aws.server.clock = lambda: noon
        assert world.provider.list_keys().cloud_time == noon

    @pytest.mark.parametrize("date", ["", "soon", "Mon, 23 Nov 2026 12:00:00"])
    def test_a_list_without_a_readable_date_has_no_time(self, world: World, date: str) -> None:
        world.spoil("ListAccessKeys", self.answer(self.page("AKIA1"), Date=date))
        listing = world.provider.list_keys()
        assert [key.key_id for key in listing.keys] == ["AKIA1"]
        assert listing.cloud_time is None

    @pytest.mark.parametrize(
        ("entry", "odd"),
        [
            (f"{KNOWN}{ACTIVE}", "the time of creation"),
            (f"{KNOWN}{ACTIVE}<CreateDate/>", "the time of creation"),
            (f"{KNOWN}{ACTIVE}<CreateDate>yesterday</CreateDate>", "the time of creation"),
            (f"{KNOWN}{ACTIVE}<CreateDate>9999-12-31T23:59:59-23:59</CreateDate>", "the time of creation"),
            (f"{KNOWN}{ACTIVE}<CreateDate>{'9' * 400}</CreateDate>", "the time of creation"),
            (f"{KNOWN}{ACTIVE}<CreateDate>1</CreateDate><CreateDate>2</CreateDate>", "the time of creation"),
            (f"{KNOWN}<CreateDate>2026-11-23T10:00:00Z</CreateDate>", "the status"),
            (f"{KNOWN}<Status>Resting</Status><CreateDate>2026-11-23T10:00:00Z</CreateDate>", "the status"),
            (KNOWN, "the time of creation and the status"),
        ],
    )
    def test_an_odd_key_costs_only_itself(self, world: World, entry: str, odd: str) -> None:
        body = self.page("AKIA1").replace("<AccessKeyMetadata>", f"<AccessKeyMetadata><member>{entry}</member>")
        world.spoil("ListAccessKeys", self.answer(body))
        [strange, good] = world.provider.list_keys().keys
        assert (strange.key_id, strange.enabled, strange.odd) == ("AKIAODD", True, odd)
        assert (good.key_id, good.odd) == ("AKIA1", None)

    @pytest.mark.parametrize(
        "entry",
        [
            "",
            "text",
            ACTIVE,
            "<AccessKeyId/>",
            "<AccessKeyId>1</AccessKeyId><AccessKeyId>2</AccessKeyId>",
            "<a><b/></a>",
        ],
    )
    def test_an_entry_without_an_id_is_left_out(self, world: World, entry: str) -> None:
        body = self.page("AKIA1").replace("<AccessKeyMetadata>", f"<AccessKeyMetadata><member>{entry}</member>")
        world.spoil("ListAccessKeys", self.answer(body))
        assert [key.key_id for key in world.provider.list_keys().keys] == ["AKIA1"]


class TestDelete:
    def test_a_key_that_is_listed_though_it_is_said_to_be_gone(self, world: World) -> None:
        key, _ = world.mint()
        world.spoil("DeleteAccessKey", says(404, "NoSuchEntity", "The Access Key cannot be found."))
        with pytest.raises(CallFailed) as caught:
            world.provider.delete(key.key_id)
        assert caught.value.verdict is Verdict.NOT_APPLIED

    def test_when_the_list_that_should_tell_fails_nothing_is_claimed(self, world: World) -> None:
        key, _ = world.mint()
        world.provider.delete(key.key_id)
        world.spoil("ListAccessKeys", says(500, "InternalFailure"))
        with pytest.raises(CallFailed) as caught:
            world.provider.delete(key.key_id)
        assert caught.value.verdict is Verdict.UNKNOWN


class TestCheck:
    def rights(self, provider: Provider) -> dict[str, bool | None]:
        return {right.name: right.holds for right in provider.check()}

    def test_with_the_least_rights(self, world: World) -> None:
        world.aws.create_key(USER)
        rights = self.rights(world.provider)
        assert {name: holds for name, holds in rights.items() if name.startswith("iam:")} == {
            "iam:ListAccessKeys": True,
            "iam:GetAccessKeyLastUsed": True,
            "iam:CreateAccessKey": None,
            "iam:UpdateAccessKey": None,
            "iam:DeleteAccessKey": None,
        }
        assert rights["AWS knows rotator's own credentials"] is True
        assert rights["rotator's own identity is another one"] is True
        assert not any(world.count(action) for action in ("CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey"))

    def test_what_cannot_be_tried_comes_with_the_policy(self, world: World) -> None:
        remedy = next(right.remedy for right in world.provider.check() if right.name == "iam:CreateAccessKey")
        (statement,) = json.loads(remedy[remedy.index("{") :])["Statement"]
        assert set(statement["Action"]) == POLICY_ACTIONS
        assert statement["Resource"] == f"arn:aws:iam::{world.aws.account}:user/{USER}"

    def test_where_the_simulator_is_allowed_it_is_asked(self, world: World) -> None:
        world.aws.grant("iam:GetUser", "iam:SimulatePrincipalPolicy")
        assert all(self.rights(world.provider).values())
        world.aws.add_user("ungranted")
        world.aws.revoke()
        world.aws.grant("iam:GetUser", "iam:SimulatePrincipalPolicy", "iam:ListAccessKeys")
        rights = self.rights(world.provider)
        assert rights["iam:ListAccessKeys"] is True
        assert rights["iam:CreateAccessKey"] is False

    @pytest.mark.parametrize("action", ["iam:ListAccessKeys", "iam:GetAccessKeyLastUsed"])
    def test_a_right_that_is_missing_shows(self, world: World, action: str) -> None:
        world.aws.create_key(USER)
        world.aws.denied.add(action)
        right = next(right for right in world.provider.check() if right.name == action)
        assert right.holds is False
        assert action in right.remedy

    def test_a_network_that_is_down_tells_nothing(self, world: World) -> None:
        world.stop()
        *_, last = world.provider.check()
        assert last.holds is None
        assert last.remedy

    def test_unknown_credentials_show(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAAAAAAAAAAAAAAAAA")
        *_, last = world.open(deadline=timedelta(seconds=18)).check()
        assert (last.name, last.holds) == ("AWS knows rotator's own credentials", False)

    def test_rotating_rotators_own_user_is_refused(self, world: World) -> None:
        provider = world.open(user="Rotator")
        assert self.rights(provider)["rotator's own identity is another one"] is False
        self.refuses_to_look(provider)

    def test_rotating_the_user_behind_the_assumed_role_is_refused(self, world: World) -> None:
        trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{world.aws.account}:user/rotator"}}
        allow = {"Effect": "Allow", "Action": "iam:*", "Resource": "*"}
        role = world.aws.add_role("keys", trust={"Statement": [trust]}, policy={"Statement": [allow]})
        provider = world.open(user="rotator", assume_role=role)
        assert self.rights(provider)["rotator's own identity is another one"] is False
        self.refuses_to_look(provider)
        assert self.rights(world.open(assume_role=role))["rotator's own identity is another one"] is True

    def refuses_to_look(self, provider: AwsUser) -> None:
        with pytest.raises(CallFailed, match="rotator's own identity") as caught:
            provider.list_keys()
        assert (caught.value.verdict, caught.value.permanent) == (Verdict.REFUSED, True)


class TestAssumedRole:
    @pytest.fixture
    def role(self, world: World) -> str:
        trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{world.aws.account}:user/rotator"}}
        allow = {"Effect": "Allow", "Action": "iam:*AccessKey*", "Resource": "*"}
        return world.aws.add_role("keys", trust={"Statement": trust}, policy={"Statement": allow})

    def test_changes_are_made_by_the_role(self, world: World, role: str) -> None:
        world.aws.revoke()
        with pytest.raises(CallFailed, match="AccessDenied"):
            world.mint()
        provider = world.open(assume_role=role)
        minted = provider.mint(provider.draft("7f3a", 1))
        assert provider.prove(minted.material) is Proof.ALIVE
        assert [key.key_id for key in provider.list_keys().keys] == [minted.key.key_id]
        assert world.count("AssumeRole") == 1

    @pytest.mark.parametrize(
        ("fault", "verdict"),
        [
            (says(500, "InternalFailure"), Verdict.NOT_APPLIED),
            (says(403, "AccessDenied", "not allowed to assume"), Verdict.REFUSED),
            (Canned(status=200, body="<html/>"), Verdict.NOT_APPLIED),
        ],
        ids=["500", "denied", "html"],
    )
    def test_without_the_role_nothing_was_applied(
        self, world: World, role: str, fault: Canned, verdict: Verdict
    ) -> None:
        provider = world.open(assume_role=role)
        world.spoil("AssumeRole", fault)
        with pytest.raises(CallFailed) as caught:
            provider.mint(provider.draft("7f3a", 1))
        assert caught.value.verdict is verdict
        assert world.count("CreateAccessKey") == 0


class TestOpening:
    def test_clients_are_shared_by_those_who_come_the_same_way(self, world: World) -> None:
        process = tools(PATIENT)
        with ThreadPoolExecutor(8) as pool:
            providers = list(pool.map(lambda _: world.open(process=process), range(16)))
            list(pool.map(lambda provider: provider.list_keys(), providers))
        _, material = world.mint()
        for provider in providers:
            assert provider.prove(material) is Proof.ALIVE
        # One each, and one for all: who rotator itself is.
        assert world.count("GetCallerIdentity") == len(providers) + 1

    def test_no_call_is_made(self, world: World) -> None:
        world.open(assume_role="arn:aws:iam::123456789012:role/keys")
        assert world.aws.faults.requests() == []

    def test_the_identity_tells_whose_user_it_is_where_the_settings_do(self, world: World) -> None:
        assert world.open().identity == f"aws:user/{USER}"
        assert world.open(user=USER.upper()).identity == world.open().identity
        role = "arn:aws:iam::123456789012:role/keys"
        assert world.open(assume_role=role).identity == f"aws:user/{USER}@123456789012"

    def test_a_profile(self, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        environment = world.aws.environment
        (tmp_path / "AWS_CONFIG_FILE").write_text(
            "[profile prod]\nregion = eu-north-1\n"
            f"aws_access_key_id = {environment['AWS_ACCESS_KEY_ID']}\n"
            f"aws_secret_access_key = {environment['AWS_SECRET_ACCESS_KEY']}\n"
        )
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        provider = world.open(profile="prod", region=None)
        minted = provider.mint(provider.draft("7f3a", 1))
        provider.prove(minted.material)
        use = provider.last_used(minted.key.key_id)
        assert use is not None
        assert use.region == "eu-north-1"
        assert provider.identity == f"aws:user/{USER}@profile:prod"

    def test_without_credentials(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        with pytest.raises(RotatorError, match=r"[Cc]redentials") as caught:
            world.open(deadline=timedelta(seconds=17))
        assert caught.value.remedy

    def test_an_unknown_profile(self, world: World) -> None:
        with pytest.raises(RotatorError, match="nobody"):
            world.open(profile="nobody")

    @pytest.mark.parametrize(
        ("variable", "named"),
        [
            ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL,"),
            ("AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL_IAM,"),
            ("AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_STS,"),
        ],
    )
    def test_plain_http_is_for_loopback_wherever_it_was_set(
        self, world: World, monkeypatch: pytest.MonkeyPatch, variable: str, named: str
    ) -> None:
        monkeypatch.setenv(variable, "http://192.0.2.1:8080")
        with pytest.raises(RotatorError, match=r"not https") as caught:
            world.open(iam_endpoint=None, sts_endpoint=None)
        assert named in str(caught.value)

    def test_plain_http_in_the_profile_is_refused_too(self, world: World, tmp_path: Path) -> None:
        (tmp_path / "AWS_CONFIG_FILE").write_text(
            "[profile prod]\naws_access_key_id = A\naws_secret_access_key = B\nservices = local\n"
            "[services local]\nsts =\n  endpoint_url = http://192.0.2.1:8080\n"
        )
        with pytest.raises(RotatorError, match="AWS profile"):
            world.open(profile="prod", sts_endpoint=None)

    @pytest.mark.parametrize(
        ("variable", "section", "hours"),
        [
            ("http://127.0.0.1:9", {}, 0),
            ("", {"iam_endpoint": "http://127.0.0.1:9"}, 0),
            ("", {"iam_endpoint": "https://amazonaws.com.example"}, 0),
            ("", {}, 4),
            ("", {"region": "cn-north-1"}, 4),
            ("", {"region": "us-gov-west-1"}, 4),
            ("", {"iam_endpoint": "https://vpce-0a1b.iam.eu-north-1.vpce.amazonaws.com"}, 4),
            ("", {"iam_endpoint": "https://IAM.amazonaws.com."}, 4),
        ],
    )
    def test_aws_shows_a_use_late_wherever_its_address_was_set(
        self, world: World, monkeypatch: pytest.MonkeyPatch, variable: str, section: dict[str, str], hours: int
    ) -> None:
        monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
        if variable:
            monkeypatch.setenv("AWS_ENDPOINT_URL_IAM", variable)
        provider = world.open(**{"iam_endpoint": None, "sts_endpoint": None, **section})
        assert provider.use_lag == timedelta(hours=hours)

    def test_overrides_show_in_the_check(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", world.aws.server.url)
        names = [right.name for right in world.open(sts_endpoint=None).check()]
        assert f"IAM at {world.aws.server.url}, from iam_endpoint" in names
        assert f"STS at {world.aws.server.url}, from AWS_ENDPOINT_URL_STS" in names

    @pytest.fixture
    def dead_proxy(self, monkeypatch: pytest.MonkeyPatch) -> str:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            address = f"127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setenv("HTTPS_PROXY", f"http://someone:pa55word@{address}")
        return address

    def test_a_proxy_shows_in_the_check_without_its_password(self, world: World, dead_proxy: str) -> None:
        rights = world.open(iam_endpoint="https://iam.invalid").check()
        assert rights[0].name == f"IAM at https://iam.invalid, from iam_endpoint, through the proxy {dead_proxy}"
        assert "pa55word" not in str(rights)

    @pytest.mark.usefixtures("dead_proxy")
    def test_a_mint_through_a_proxy_that_is_down_was_not_sent(self, world: World) -> None:
        provider = world.open(iam_endpoint="https://iam.invalid")
        with pytest.raises(CallFailed) as caught:
            provider.mint(provider.draft("7f3a", 1))
        assert caught.value.verdict is Verdict.NOT_APPLIED
        assert "pa55word" not in everything_in(caught.value)

    def test_loopback_is_no_proxys_business(
        self, world: World, monkeypatch: pytest.MonkeyPatch, dead_proxy: str
    ) -> None:
        for name in ("HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{dead_proxy}")
        provider = world.open()
        provider.mint(provider.draft("7f3a", 1))
        assert len(world.aws.keys(USER)) == 1

    @pytest.mark.usefixtures("dead_proxy")
    def test_sts_is_regional_whatever_the_environment_says(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy")
        names = [right.name for right in world.open(sts_endpoint=None).check()]
        assert names[1].startswith(f"STS at https://sts.{REGION}.amazonaws.com, from the region or the AWS profile")

    def test_a_level_set_before_does_not_undo_the_cap(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        logging.getLogger("botocore").setLevel(logging.DEBUG)
        provider = world.open(deadline=timedelta(seconds=16))
        provider.mint(provider.draft("7f3a", 1))
        assert not [secret for secret in world.aws.secrets if secret in caplog.text]
