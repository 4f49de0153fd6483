"""The AWS role provider with the real SDK over sockets, against the stand-in."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from pydantic import SecretStr

from rotator.errors import CallFailed, Verdict
from rotator.material import Material
from rotator.model import Key, Proof
from rotator.providers.aws import rights as user_rights
from rotator.providers.aws import role_rights
from rotator.providers.aws.role import AwsRole, open_provider
from rotator.providers.aws.settings import AwsRoleSettings, AwsUserSettings
from rotator.providers.aws.trust import key_id_of
from rotator.providers.base import Minted, OpenProvider
from rotator.sandbox.aws.role_scene import assume_role, keys_of, trust_policy
from rotator.sandbox.aws.stand_in import AwsStandIn
from rotator.sandbox.wire.rules import Canned, Delay, Reset, Rule
from tests.providers.contract import Harness, ProviderContract, everything_in
from tests.support.given import tools
from tests.support.patience import patience

OLD = "an-external-id-from-before"
REGION = "eu-west-1"
PATIENT = timedelta(seconds=patience(30))
IMPATIENT = timedelta(seconds=patience(12))
NO_POLICY = {"Version": "2012-10-17", "Statement": []}

opens: OpenProvider[AwsRoleSettings] = open_provider  # for the type checker


@dataclass(slots=True)
class Clock:
    """A clock that a test moves."""

    elapsed: float = 0

    def now(self) -> datetime:
        return datetime(2026, 11, 23, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.elapsed


def error(status: int, code: str, message: str = "") -> Canned:
    said = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    body = f'<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">{said}<RequestId>1</RequestId></ErrorResponse>'
    return Canned(status=status, body=body, content_type="text/xml")


@dataclass(frozen=True, slots=True)
class World:
    aws: AwsStandIn
    role: str
    northflank: str
    principal: Material
    clock: Clock
    http: httpx.Client

    def open(self, deadline: timedelta = PATIENT, *, role_arn: str | None = None, **section: object) -> AwsRole:
        reached = {"probe": True, "region": REGION, **self.aws.endpoints, **section}
        settings = AwsRoleSettings.model_validate({"role_arn": role_arn or self.role, "aws": reached})
        return open_provider(settings, tools(deadline, clock=self.clock, http=self.http))

    def listed(self) -> tuple[Key, ...]:
        return keys_of(self.aws, self.role)

    def ids(self) -> Any:
        return self.aws.trust(self.role)["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"]

    def works(self, material: Material) -> bool:
        return self.http.send(assume_role(self.aws.server.url, self.principal, material.reveal())).is_success

    def held(self, external_id: str) -> Material:
        return Material(public={"roleArn": self.role}, secret={"externalId": SecretStr(external_id)})

    def change(self, **changes: object) -> None:
        """As a person would: other members in the statement."""
        trust = copy.deepcopy(dict(self.aws.trust(self.role)))
        trust["Statement"][0].update(changes)
        self.aws.set_trust(self.role, trust)

    def allow(self, *external_ids: str) -> None:
        """As a person would: these external ids and no others."""
        self.change(Condition={"StringEquals": {"sts:ExternalId": list(external_ids)}})

    def count(self, action: str) -> int:
        return len(self.aws.faults.requests(action=action))

    def spoil(self, action: str, fault: Canned) -> None:
        self.aws.faults.put(Rule(action=action, times=None, fault=fault))


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in tuple(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name))


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=patience(), trust_env=False) as client:
        yield client


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, http: httpx.Client) -> Iterator[World]:
    with AwsStandIn() as aws:
        account, principal = aws.add_outsider("northflank")
        northflank = f"arn:aws:iam::{account}:root"
        trust = trust_policy(northflank, f"arn:aws:iam::{aws.account}:user/rotator", external_id=OLD)
        role = aws.add_role("northflank", trust=trust, policy=NO_POLICY, path="/teams/byoc/")
        aws.grant("iam:GetRole", "iam:UpdateAssumeRolePolicy", "sts:AssumeRole", on=role)
        for name, value in aws.environment.items():
            monkeypatch.setenv(name, value)
        yield World(aws, role, northflank, principal, Clock(), http)


@pytest.fixture
def provider(world: World) -> AwsRole:
    return world.open()


def mint(provider: AwsRole) -> Minted:
    return provider.mint(provider.draft("7f3a", 1))


class TestContract(ProviderContract):
    @pytest.fixture
    def harness(self, world: World, provider: AwsRole) -> Harness:
        def foreign_key() -> str:
            world.allow(*[external_id for external_id in (OLD, *_several(world.ids())) if external_id], "a-persons-id")
            return key_id_of("a-persons-id")

        return Harness(
            provider=provider,
            faults=world.aws.faults,
            impatient=lambda: world.open(deadline=IMPATIENT),
            create={"action": "UpdateAssumeRolePolicy"},
            disable=None,
            delete={"action": "UpdateAssumeRolePolicy"},
            read={"action": "GetRole"},
            prove={"action": "AssumeRole"},
            listed=world.listed,
            works=world.works,
            foreign_key=foreign_key,
            delete_identity=lambda: world.aws.delete_role(world.role),
            secrets=world.aws.secrets,
            down=lambda: world.aws.server.__exit__(None, None, None),
            initial=frozenset({key_id_of(OLD)}),
            backdated=None,
        )


def _several(one_or_more: Any) -> list[str]:
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


class TestMint:
    def test_the_old_one_stays_and_everything_else_is_to_the_letter(self, world: World, provider: AwsRole) -> None:
        other = {
            "Sid": "Ops",
            "Effect": "Allow",
            "Principal": {"AWS": [f"arn:aws:iam::{world.aws.account}:root"]},
            "Action": "sts:AssumeRole",
            "Condition": {
                "Bool": {"aws:MultiFactorAuthPresent": "true"},
                "IpAddress": {"aws:SourceIp": ["10.0.0.0/8"]},
            },
        }
        before = json.loads(json.dumps(world.aws.trust(world.role)))
        before["Id"] = "Caf\u00e9 \u4e2d"
        before["Statement"].append(other)
        world.aws.set_trust(world.role, before)
        minted = mint(provider)
        after = json.loads(json.dumps(world.aws.trust(world.role)))
        assert after["Statement"][0]["Condition"]["StringEquals"].pop("sts:ExternalId") == [
            OLD,
            minted.material.reveal()["externalId"],
        ]
        del before["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"]
        assert json.dumps(after) == json.dumps(before)
        assert world.works(world.held(OLD))

    def test_an_external_id_is_long_random_and_the_material_complete(self, world: World, provider: AwsRole) -> None:
        draft = provider.draft("7f3a", 1)
        assert draft.material is not None
        said = draft.material.reveal()
        assert re.fullmatch(r"[A-Za-z0-9]{40}", said["externalId"])
        assert said == {"roleArn": world.role, "externalId": said["externalId"]}
        assert draft.mark == key_id_of(said["externalId"])
        assert provider.draft("7f3a", 1).mark != draft.mark
        assert world.aws.faults.requests() == []

    def test_one_whose_reply_was_lost_is_found_by_its_mark(self, world: World, provider: AwsRole) -> None:
        world.aws.faults.put(Rule(action="UpdateAssumeRolePolicy", fault=Reset(when="after")))
        draft = provider.draft("7f3a", 1)
        with pytest.raises(CallFailed):
            provider.mint(draft)
        assert draft.material is not None
        listed = provider.list_keys().keys
        assert draft.mark in [key.mark for key in listed]
        assert provider.prove(draft.material) is Proof.ALIVE

    def test_the_last_thing_before_the_write_is_a_read(self, world: World, provider: AwsRole) -> None:
        provider.list_keys()
        before = len(world.aws.faults.requests())
        mint(provider)
        assert [seen.action for seen in world.aws.faults.requests()[before:]] == [
            "GetRole",
            "UpdateAssumeRolePolicy",
            "GetRole",
        ]

    def test_a_read_that_fails_before_the_write_leaves_nothing_in_doubt(self, world: World, provider: AwsRole) -> None:
        world.spoil("GetRole", error(500, "ServiceFailure"))
        with pytest.raises(CallFailed) as caught:
            mint(provider)
        assert caught.value.verdict is Verdict.NOT_APPLIED
        assert world.count("UpdateAssumeRolePolicy") == 0

    @pytest.mark.parametrize(
        "answer", [error(500, "ServiceFailure"), error(403, "AccessDenied"), error(400, "Throttling")]
    )
    def test_what_can_not_be_read_back_is_unknown(self, world: World, provider: AwsRole, answer: Canned) -> None:
        world.aws.faults.put(Rule(action="GetRole", skip=1, times=None, fault=answer))
        with pytest.raises(CallFailed, match="read the policy back") as caught:
            mint(provider)
        assert caught.value.verdict is Verdict.UNKNOWN
        assert not caught.value.permanent
        assert len(world.listed()) == 2

    def test_a_policy_without_room_has_no_slot(self, world: World, provider: AwsRole) -> None:
        world.change(Sid="x" * 1_750)
        before = world.aws.trust(world.role)
        with pytest.raises(CallFailed, match="2048") as caught:
            mint(provider)
        failure = caught.value
        assert (failure.verdict, failure.slots_full, failure.permanent) == (Verdict.REFUSED, True, False)
        assert "quota" in failure.remedy
        assert world.aws.trust(world.role) == before

    def test_a_policy_that_names_a_deleted_principal_is_for_a_person(self, world: World, provider: AwsRole) -> None:
        world.spoil(
            "UpdateAssumeRolePolicy", error(400, "MalformedPolicyDocument", 'Invalid principal in policy: "AWS":"AIDA"')
        )
        with pytest.raises(CallFailed, match="Invalid principal") as caught:
            mint(provider)
        assert (caught.value.verdict, caught.value.permanent) == (Verdict.REFUSED, True)
        assert "deleted" in caught.value.remedy


@pytest.mark.realtime
class TestSomebodyElseChangesThePolicy:
    """Between our write and its reading back."""

    @pytest.fixture
    def pool(self, world: World) -> Iterator[ThreadPoolExecutor]:
        with ThreadPoolExecutor(1) as pool:
            yield pool
            world.aws.faults.release()

    def between(
        self, world: World, pool: ThreadPoolExecutor, call: Callable[[], object], change: Callable[[], None]
    ) -> CallFailed:
        before = world.count("GetRole")
        world.aws.faults.put(Rule(action="GetRole", skip=1, fault=Delay(seconds=None)))
        called: Future[object] = pool.submit(call)
        world.aws.faults.wait_for(before + 2, action="GetRole")
        change()
        world.aws.faults.release()
        failure = called.exception(timeout=patience())
        assert isinstance(failure, CallFailed)
        assert failure.code == "TrustPolicyChanged"
        assert failure.remedy
        assert not [secret for secret in world.aws.secrets if secret in everything_in(failure)]
        return failure

    def test_a_mint_that_was_written_over_is_refused(
        self, world: World, provider: AwsRole, pool: ThreadPoolExecutor
    ) -> None:
        theirs = {"StringEquals": {"sts:ExternalId": OLD}}
        failure = self.between(world, pool, lambda: mint(provider), lambda: world.change(Sid="New", Condition=theirs))
        assert (failure.verdict, failure.permanent) == (Verdict.REFUSED, True)
        assert "its external ids and other parts of it differ" in failure.message
        assert [each.key_id for each in world.listed()] == [key_id_of(OLD)]

    def test_a_mint_that_stands_in_a_policy_changed_since_is_left_to_be_found(
        self, world: World, provider: AwsRole, pool: ThreadPoolExecutor
    ) -> None:
        draft = provider.draft("7f3a", 1)
        failure = self.between(world, pool, lambda: provider.mint(draft), lambda: world.change(Sid="New"))
        assert failure.verdict is Verdict.UNKNOWN
        assert "other parts of it differ" in failure.message
        listed = provider.list_keys().keys
        assert draft.mark in [key.mark for key in listed]

    def test_a_mint_that_is_not_seen_may_be_late(
        self, world: World, provider: AwsRole, pool: ThreadPoolExecutor
    ) -> None:
        before = world.aws.trust(world.role)
        failure = self.between(world, pool, lambda: mint(provider), lambda: world.aws.set_trust(world.role, before))
        assert failure.verdict is Verdict.UNKNOWN

    @pytest.mark.parametrize("back", [False, True])
    def test_a_deletion_is_held(self, world: World, provider: AwsRole, pool: ThreadPoolExecutor, back: bool) -> None:
        world.allow(OLD, "second", "third")
        theirs = (OLD, "second", "fourth") if back else ("second", "fourth")
        failure = self.between(world, pool, lambda: provider.delete(key_id_of(OLD)), lambda: world.allow(*theirs))
        assert (failure.verdict, failure.permanent) == (Verdict.REFUSED, True)
        assert f"{key_id_of(OLD)} {'is' if back else 'is not'} in the policy" in failure.message
        assert world.ids() == list(theirs)

    def test_a_deletion_that_is_not_seen_may_be_late(
        self, world: World, provider: AwsRole, pool: ThreadPoolExecutor
    ) -> None:
        world.allow(OLD, "second")
        before = world.aws.trust(world.role)
        failure = self.between(
            world, pool, lambda: provider.delete(key_id_of(OLD)), lambda: world.aws.set_trust(world.role, before)
        )
        assert failure.verdict is Verdict.UNKNOWN


class TestDelete:
    def test_the_last_one_is_never_taken(self, world: World, provider: AwsRole) -> None:
        before = world.aws.trust(world.role)
        with pytest.raises(CallFailed) as caught:
            provider.delete(key_id_of(OLD))
        failure = caught.value
        assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, "LastExternalId", True)
        assert world.aws.trust(world.role) == before
        assert world.count("UpdateAssumeRolePolicy") == 0

    def test_an_absent_one_is_not_written(self, world: World, provider: AwsRole) -> None:
        provider.delete(key_id_of("nobody-knows-it"))
        assert world.count("UpdateAssumeRolePolicy") == 0

    def test_of_several_the_others_stay_in_their_order(self, world: World, provider: AwsRole) -> None:
        world.allow("first", OLD, "second", "third")
        provider.delete(key_id_of(OLD))
        assert world.ids() == ["first", "second", "third"]

    def test_the_old_one_and_an_absent_one_are_proved_refused(self, world: World, provider: AwsRole) -> None:
        mint(provider)
        provider.delete(key_id_of(OLD))
        assert world.count("AssumeRole") == 2
        assert not world.works(world.held(OLD))

    def test_without_probe_the_role_is_never_assumed(self, world: World) -> None:
        provider = world.open(probe=False)
        assert provider.abilities.proves is None
        mint(provider)
        provider.delete(key_id_of(OLD))
        assert world.count("AssumeRole") == 0

    def test_as_long_as_sts_takes_it_it_is_asked_again_and_then_a_person(self, world: World, provider: AwsRole) -> None:
        mint(provider)
        world.aws.propagation = timedelta(days=1)
        told = []
        for minute in (0, 1, 9, 11):
            world.clock.elapsed = minute * 60
            with pytest.raises(CallFailed, match="STS still accepts") as caught:
                provider.delete(key_id_of(OLD))
            told.append((caught.value.verdict, caught.value.permanent, caught.value.retry_after is not None))
        assert told == [(Verdict.NOT_APPLIED, False, True)] * 3 + [(Verdict.REFUSED, True, False)]
        world.aws.server.clock = lambda: datetime.now(UTC) + timedelta(days=2)
        world.aws.signing_clock = lambda: datetime.now(UTC)
        provider.delete(key_id_of(OLD))
        assert world.count("UpdateAssumeRolePolicy") == 2

    def test_one_whose_reply_was_lost_is_proved_all_the_same(self, world: World, provider: AwsRole) -> None:
        mint(provider)
        world.aws.propagation = timedelta(days=1)
        world.aws.faults.put(Rule(action="UpdateAssumeRolePolicy", fault=Reset(when="after")))
        with pytest.raises(CallFailed) as caught:
            provider.delete(key_id_of(OLD))
        assert caught.value.verdict is Verdict.UNKNOWN
        with pytest.raises(CallFailed, match="STS still accepts"):
            provider.delete(key_id_of(OLD))

    def test_a_condition_that_protects_nothing_is_told_loudly(self, world: World, provider: AwsRole) -> None:
        mint(provider)
        trust = copy.deepcopy(dict(world.aws.trust(world.role)))
        open_door = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": trust["Statement"][0]["Principal"]}
        world.aws.set_trust(world.role, {**trust, "Statement": [*trust["Statement"], open_door]})
        with pytest.raises(CallFailed, match="THE EXTERNAL ID PROTECTS NOTHING") as caught:
            provider.delete(key_id_of(OLD))
        failure = caught.value
        assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, "ConditionNotEnforced", True)
        assert [each.key_id for each in world.listed()] != [key_id_of(OLD)]

    def test_when_sts_can_not_be_asked_nothing_is_claimed(self, world: World, provider: AwsRole) -> None:
        mint(provider)
        world.spoil("AssumeRole", error(500, "InternalFailure"))
        with pytest.raises(CallFailed, match="could not ask STS") as caught:
            provider.delete(key_id_of(OLD))
        assert caught.value.verdict is Verdict.UNKNOWN
        assert len(world.listed()) == 1


class TestProof:
    def test_one_that_needs_twenty_tries(self, world: World, provider: AwsRole) -> None:
        start = datetime.now(UTC)
        world.aws.propagation = timedelta(seconds=20)
        world.aws.signing_clock = lambda: datetime.now(UTC)
        world.aws.server.clock = lambda: start
        material = mint(provider).material
        proofs = []
        for second in range(22):
            world.aws.server.clock = lambda second=second: start + timedelta(seconds=second)  # type: ignore[misc]  # mypy infers no type for a lambda with a default
            proofs.append(provider.prove(material))
        assert proofs == [Proof.NOT_YET] * 20 + [Proof.ALIVE] * 2
        assert world.works(material)

    def test_one_that_is_not_in_the_policy(self, world: World, provider: AwsRole) -> None:
        assert provider.prove(world.held("nobody-knows-it")) is Proof.NOT_YET

    def test_a_clock_that_is_off_says_nothing(self, world: World, provider: AwsRole) -> None:
        material = mint(provider).material
        world.aws.server.clock = lambda: datetime.now(UTC) + timedelta(days=1)
        assert provider.prove(material) is Proof.CLOCK

    @pytest.mark.parametrize(
        ("answer", "verdict"),
        [
            (error(400, "Throttling"), Verdict.NOT_APPLIED),
            (error(403, "RegionDisabledException"), Verdict.REFUSED),
            (error(403, "InvalidClientTokenId"), Verdict.REFUSED),
        ],
    )
    def test_another_refusal_is_no_proof(
        self, world: World, provider: AwsRole, answer: Canned, verdict: Verdict
    ) -> None:
        material = mint(provider).material
        world.spoil("AssumeRole", answer)
        with pytest.raises(CallFailed) as caught:
            provider.prove(material)
        assert caught.value.verdict is verdict


class TestList:
    def test_every_external_id_is_as_old_as_the_role(self, world: World, provider: AwsRole) -> None:
        world.allow(OLD, "second")
        noon = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=3)
        world.aws.server.clock = lambda: noon
        listing = provider.list_keys()
        created_at = world.aws.role_created(world.role)
        assert listing.keys == tuple(
            Key(key_id_of(one), created_at, enabled=True, mark=key_id_of(one)) for one in (OLD, "second")
        )
        assert listing.cloud_time == noon

    def test_a_policy_that_can_not_be_changed_is_refused_before_anything_is_done(
        self, world: World, provider: AwsRole
    ) -> None:
        world.change(Condition={"StringLike": {"sts:ExternalId": "nf-*"}})
        calls: Mapping[str, Callable[[], object]] = {
            "list": provider.list_keys,
            "mint": lambda: mint(provider),
            "delete": lambda: provider.delete(key_id_of(OLD)),
        }
        for call in calls.values():
            with pytest.raises(CallFailed, match="StringLike") as caught:
                call()
            assert (caught.value.verdict, caught.value.permanent) == (Verdict.REFUSED, True)
            assert caught.value.remedy
        assert world.count("UpdateAssumeRolePolicy") == 0

    @pytest.mark.parametrize("changed", ["other-path", "other-account", "other-case"])
    def test_another_role_of_this_name_is_never_touched(self, world: World, changed: str) -> None:
        arn = {
            "other-path": world.role.replace("/teams/byoc/", "/"),
            "other-account": re.sub(r"\d{12}", "000000000000", world.role),
            "other-case": world.role.replace("/teams/", "/Teams/"),
        }[changed]
        provider = world.open(role_arn=arn)
        for call in (provider.list_keys, lambda: mint(provider), lambda: provider.delete(key_id_of(OLD))):
            with pytest.raises(CallFailed) as caught:
                call()
            assert (caught.value.code, caught.value.permanent) == ("WrongRole", True)
        assert world.count("UpdateAssumeRolePolicy") == 0

    def test_the_identity_is_the_role_in_its_account(self, world: World, provider: AwsRole) -> None:
        assert provider.identity == f"aws:role/northflank@{world.aws.account}"
        assert world.open(role_arn=world.role.replace("/teams/byoc/", "/")).identity == provider.identity
        assert world.aws.faults.requests() == []

    def test_nothing_can_be_disabled(self, provider: AwsRole) -> None:
        assert provider.abilities.disables is None


class TestOwnRole:
    @pytest.mark.parametrize("case", [str.lower, str.upper])
    def test_rotators_own_role_is_refused(self, world: World, case: Callable[[str], str]) -> None:
        trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{world.aws.account}:user/rotator"}}
        own = world.aws.add_role("keys", trust={"Statement": [trust]}, policy=NO_POLICY)
        provider = world.open(assume_role=own, role_arn=own.replace("keys", case("keys")))
        with pytest.raises(CallFailed) as caught:
            provider.list_keys()
        failure = caught.value
        assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, "OwnIdentity", True)
        rights = {right.name: right.holds for right in provider.check()}
        assert rights["rotator's own identity is another one"] is False

    def test_an_assumed_role_may_look_after_another_one(self, world: World) -> None:
        trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{world.aws.account}:user/rotator"}}
        may = {"Effect": "Allow", "Action": ["iam:GetRole", "iam:UpdateAssumeRolePolicy"], "Resource": world.role}
        own = world.aws.add_role("keys", trust={"Statement": [trust]}, policy={"Statement": [may]})
        world.aws.revoke()
        provider = world.open(assume_role=own, probe=False)
        minted = mint(provider)
        assert world.works(minted.material)


class TestCheck:
    def rights(self, provider: AwsRole) -> dict[str, bool | None]:
        return {right.name: right.holds for right in provider.check()}

    def test_with_the_least_rights(self, world: World, provider: AwsRole) -> None:
        rights = self.rights(provider)
        assert rights == {
            f"IAM at {world.aws.server.url}, from iam_endpoint": True,
            f"STS at {world.aws.server.url}, from sts_endpoint": True,
            "AWS knows rotator's own credentials": True,
            "rotator's own identity is another one": True,
            "iam:GetRole": True,
            "iam:UpdateAssumeRolePolicy": None,
            f"the trust policy lets in {world.northflank}, arn:aws:iam::{world.aws.account}:user/rotator with 1 "
            f"external id ({key_id_of(OLD)})": True,
            next(name for name in rights if "room for one more" in name): True,
            "sts:AssumeRole, for `probe`": True,
            "STS refuses a caller without an external id": True,
        }
        assert world.count("UpdateAssumeRolePolicy") == 0
        assert not [secret for secret in world.aws.secrets if secret in str(provider.check())]

    def test_the_simulator_is_asked_where_it_may_be(self, world: World, provider: AwsRole) -> None:
        world.aws.grant("iam:SimulatePrincipalPolicy")
        assert self.rights(provider)["iam:UpdateAssumeRolePolicy"] is True
        world.aws.revoke()
        world.aws.grant("iam:SimulatePrincipalPolicy", "iam:GetRole", "sts:AssumeRole")
        assert self.rights(provider)["iam:UpdateAssumeRolePolicy"] is False

    def test_what_can_not_be_tried_comes_with_the_policy(self, world: World, provider: AwsRole) -> None:
        remedy = next(right.remedy for right in provider.check() if right.name == "iam:UpdateAssumeRolePolicy")
        (statement,) = json.loads(remedy[remedy.index("{") :])["Statement"]
        assert statement["Resource"] == world.role
        assert set(statement["Action"]) == {"iam:GetRole", "iam:UpdateAssumeRolePolicy", "sts:AssumeRole"}

    @pytest.mark.parametrize("action", ["iam:GetRole", "sts:AssumeRole"])
    def test_a_right_that_is_missing_shows(self, world: World, provider: AwsRole, action: str) -> None:
        world.aws.denied.add(action)
        right = next(right for right in provider.check() if right.name.startswith(action))
        assert right.holds is False
        assert action in right.remedy

    def test_a_policy_that_can_not_be_changed_shows(self, world: World, provider: AwsRole) -> None:
        world.change(Condition={})
        *_, last = provider.check()
        assert (last.name, last.holds) == ("iam:GetRole", False)
        assert "sts:ExternalId" in last.remedy

    def test_a_condition_that_protects_nothing_shows(self, world: World, provider: AwsRole) -> None:
        trust = copy.deepcopy(dict(world.aws.trust(world.role)))
        open_door = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": trust["Statement"][0]["Principal"]}
        world.aws.set_trust(world.role, {**trust, "Statement": [*trust["Statement"], open_door]})
        assert self.rights(provider)["STS refuses a caller without an external id"] is False

    def test_everybody_as_the_principal_shows(self, world: World, provider: AwsRole) -> None:
        world.change(Principal={"AWS": "*"})
        right = next(right for right in provider.check() if right.name.startswith("the trust policy lets in *"))
        assert right.holds is False
        assert right.remedy

    def test_a_policy_without_room_shows(self, world: World, provider: AwsRole) -> None:
        world.change(Sid="x" * 1_750)
        right = next(right for right in provider.check() if "room for one more" in right.name)
        assert right.holds is None
        assert "2048" in right.remedy

    def test_without_probe_it_says_what_that_means(self, world: World) -> None:
        *_, last = world.open(probe=False).check()
        assert last.holds is None
        assert "`probe`" in last.remedy
        assert world.count("AssumeRole") == 0

    def test_a_network_that_is_down_tells_nothing(self, world: World, provider: AwsRole) -> None:
        world.aws.server.__exit__(None, None, None)
        *_, last = provider.check()
        assert last.holds is None


class TestPolicies:
    """The texts of `rotator policy`."""

    def pasted(self, text: str) -> dict[str, Any]:
        policy: dict[str, Any] = json.loads("\n".join(line for line in text.splitlines() if not line.startswith("#")))
        assert policy["Version"] == "2012-10-17"
        (statement,) = policy["Statement"]
        assert "*" not in json.dumps(statement)
        found: dict[str, Any] = statement
        return found

    def of_role(self, arn: str, **section: object) -> AwsRoleSettings:
        return AwsRoleSettings.model_validate({"role_arn": arn, "aws": section})

    def test_of_a_role_let_exactly_this(self, world: World) -> None:
        statement = self.pasted(role_rights.rights(self.of_role(world.role, probe=True)))
        world.aws.revoke()
        provider = world.open()
        with pytest.raises(CallFailed):
            mint(provider)
        world.aws.grant(*statement["Action"], on=statement["Resource"])
        assert provider.prove(mint(provider).material) is Proof.ALIVE
        provider.delete(key_id_of(OLD))

    def test_of_a_role_say_where_they_go(self) -> None:
        arn, own = "arn:aws-cn:iam::123456789012:role/nf", "arn:aws-cn:iam::123456789012:role/keys"
        text = role_rights.rights(self.of_role(arn, assume_role=own))
        assert self.pasted(text)["Action"] == ["iam:GetRole", "iam:UpdateAssumeRolePolicy"]
        assert own in text
        assert "probe" not in text

    @pytest.mark.parametrize(
        ("section", "resource"),
        [
            ({}, "arn:aws:iam::ACCOUNT:user/nf"),
            ({"region": "eu-west-1"}, "arn:aws:iam::ACCOUNT:user/nf"),
            ({"region": "cn-north-1"}, "arn:aws-cn:iam::ACCOUNT:user/nf"),
            ({"region": "us-gov-west-1"}, "arn:aws-us-gov:iam::ACCOUNT:user/nf"),
            (
                {"assume_role": "arn:aws-us-gov:iam::123456789012:role/a/keys"},
                "arn:aws-us-gov:iam::123456789012:user/nf",
            ),
        ],
    )
    def test_of_a_user_name_that_user_alone(self, section: dict[str, object], resource: str) -> None:
        text = user_rights.rights(AwsUserSettings.model_validate({"user": "nf", "aws": section}))
        statement = self.pasted(text)
        assert statement["Resource"] == resource
        assert len(statement["Action"]) == 5
        assert ("Replace ACCOUNT" in text) is ("ACCOUNT" in resource)


def test_a_role_without_a_readable_time_is_listed_and_says_so(world: World) -> None:
    policy = quote(json.dumps(world.aws.trust(world.role)))
    name = world.role.rpartition("/")[2]
    body = (
        f"<r><GetRoleResult><Role><Path>/</Path><RoleName>{name}</RoleName><RoleId>AROA1</RoleId><Arn>{world.role}</Arn>"
        f"<CreateDate>yesterday</CreateDate><AssumeRolePolicyDocument>{policy}</AssumeRolePolicyDocument></Role>"
        "</GetRoleResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></r>"
    )
    world.spoil("GetRole", Canned(status=200, body=body, content_type="text/xml"))
    [key] = world.open().list_keys().keys
    assert (key.enabled, key.odd) == (True, "the time of creation")
