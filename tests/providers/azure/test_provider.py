"""The Azure provider, with azure-identity and httpx over sockets, against the stand-in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from rotator.errors import CallFailed, Verdict
from rotator.material import Material
from rotator.model import Proof
from rotator.providers.azure.proof import PROOFS
from rotator.providers.azure.provider import open_provider
from rotator.providers.azure.settings import AzureSettings
from rotator.providers.base import AGES_AGO, OpenProvider
from rotator.sandbox.azure.directory import AppPolicy
from rotator.sandbox.wire.rules import Canned, Delay, Rule
from rotator.sandbox.wire.serving import utc_now
from tests.providers.azure.world import (
    CREATE,
    DELETE,
    IMPATIENT,
    READ,
    SUBSCRIPTION,
    TOKEN,
    World,
    forget_this_machine,
    says,
    world_in,
)
from tests.providers.contract import HTML, Harness, ProviderContract
from tests.support.given import LIFETIME

GOOD = "2026-01-01T00:00:00Z"

opens: OpenProvider[AzureSettings] = open_provider  # for the type checker


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_this_machine(monkeypatch)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_in(tmp_path) as world:
        yield world


class TestContract(ProviderContract):
    @pytest.fixture
    def harness(self, world: World) -> Harness:
        azure = world.azure
        return Harness(
            provider=world.provider,
            faults=azure.faults,
            impatient=lambda: world.open(deadline=IMPATIENT),
            create=CREATE,
            disable=None,
            delete=DELETE,
            read=READ,
            prove=TOKEN,
            listed=lambda: azure.keys(world.app),
            works=azure.works,
            foreign_key=lambda: azure.create_secret(world.app)[0].key_id,
            delete_identity=lambda: azure.delete_app(world.app),
            secrets=azure.secrets,
            down=world.stop,
        )


class TestKeys:
    def test_a_secret_ends_with_the_credentials_lifetime(self, world: World) -> None:
        before = utc_now().replace(microsecond=0)
        minted = world.mint()
        assert minted.key.expires_at is not None
        assert before <= minted.key.expires_at - LIFETIME <= utc_now()

    def test_the_material_is_complete(self, world: World) -> None:
        material = world.mint().material.reveal()
        assert material.keys() == {"tenantId", "clientId", "objectId", "subscriptionId", "secret"}
        assert material["objectId"] == world.app.principal_id

    def test_no_two_drafts_are_alike_and_each_names_store_and_generation(self, world: World) -> None:
        marks = {world.provider.draft("7f3a", 4).mark for _ in range(20)}
        assert len(marks) == 20
        assert all(mark and mark.startswith("rotator 7f3a g4 ") for mark in marks)

    def test_what_other_programs_made_is_listed_too(self, world: World) -> None:
        body = (
            f'{{"appId": "{world.app.app_id}", "passwordCredentials": [{{"keyId": "k", "displayName": null, '
            '"startDateTime": null, "endDateTime": "2299-12-31T00:00:00Z"}]}'
        )
        world.spoil(READ, Canned(status=200, body=body))
        (key,) = world.provider.list_keys().keys
        assert (key.key_id, key.mark, key.created_at) == ("k", None, AGES_AGO)

    @pytest.mark.parametrize(
        ("entry", "odd"),
        [
            ({}, "the time of creation"),
            ({"startDateTime": "yesterday"}, "the time of creation"),
            ({"startDateTime": 7}, "the time of creation"),
            ({"startDateTime": "2026-01-01T00:00:00"}, "the time of creation"),
            ({"startDateTime": "9999-12-31T23:59:59-23:59"}, "the time of creation"),
            ({"startDateTime": GOOD, "endDateTime": "never"}, "the end"),
            ({"startDateTime": GOOD, "displayName": ["x"]}, "the name"),
            ({"startDateTime": GOOD, "displayName": None, "endDateTime": None}, None),
        ],
    )
    def test_an_odd_secret_costs_only_itself(self, world: World, entry: dict[str, object], odd: str | None) -> None:
        good = {"keyId": "good", "startDateTime": GOOD}
        body = {"appId": world.app.app_id, "passwordCredentials": [{"keyId": "strange", **entry}, good]}
        world.spoil(READ, Canned(status=200, body=json.dumps(body)))
        [strange, known] = world.provider.list_keys().keys
        assert (strange.key_id, strange.enabled, strange.odd) == ("strange", True, odd)
        assert (known.key_id, known.odd) == ("good", None)

    @pytest.mark.parametrize("entry", [None, 1, "k", [], {}, {"keyId": None}, {"keyId": 1}, {"keyId": ""}])
    def test_an_entry_without_an_id_is_left_out(self, world: World, entry: object) -> None:
        good = {"keyId": "good", "startDateTime": GOOD}
        body = {"appId": world.app.app_id, "passwordCredentials": [entry, good]}
        world.spoil(READ, Canned(status=200, body=json.dumps(body)))
        assert [key.key_id for key in world.provider.list_keys().keys] == ["good"]

    @pytest.mark.parametrize("date", ["", "soon", "Mon, 23 Nov 2026 12:00:00"])
    def test_a_list_without_a_readable_date_has_no_time(self, world: World, date: str) -> None:
        body = f'{{"appId": "{world.app.app_id}", "passwordCredentials": []}}'
        world.spoil(READ, Canned(status=200, body=body, headers={"Date": date}))
        assert world.provider.list_keys().cloud_time is None

    @pytest.mark.parametrize(
        "body",
        [
            '{"appId": "somebody-else", "passwordCredentials": []}',
            '{"appId": "APP"}',
            '{"appId": "APP", "passwordCredentials": null}',
            '{"appId": "APP", "passwordCredentials": {}',
        ],
    )
    def test_a_list_that_cannot_be_read_is_none(self, world: World, body: str) -> None:
        world.spoil(READ, Canned(status=200, body=body.replace("APP", world.app.app_id)))
        with pytest.raises(CallFailed) as caught:
            world.provider.list_keys()
        assert caught.value.verdict is Verdict.UNKNOWN

    def test_a_removal_that_is_refused_while_the_list_still_shows_the_secret_is_tried_later(self, world: World) -> None:
        key_id = world.mint().key.key_id
        world.spoil(DELETE, says(400, "Request_BadRequest", "No password credential found with keyId"))
        with pytest.raises(CallFailed) as caught:
            world.provider.delete(key_id)
        assert caught.value.verdict is Verdict.NOT_APPLIED

    def test_a_gateways_204_removes_nothing(self, world: World) -> None:
        key_id = world.mint().key.key_id
        world.spoil(DELETE, Canned(status=204))
        with pytest.raises(CallFailed) as caught:
            world.provider.delete(key_id)
        assert caught.value.verdict is Verdict.UNKNOWN
        assert [key.key_id for key in world.azure.keys(world.app)] == [key_id]


class TestRefusals:
    """What Graph's own complete errors mean of a mint."""

    @pytest.mark.parametrize(
        ("status", "code", "permanent", "remedy"),
        [
            (403, "Authorization_RequestDenied", True, "rotator policy"),
            (404, "Request_ResourceNotFound", False, "client_id"),
            (400, "Request_BadRequest", True, "rotator policy NAME"),
            (401, "InvalidAuthenticationToken", False, ""),
            (409, "Conflict", False, ""),
        ],
    )
    def test_by_code(self, world: World, status: int, code: str, permanent: bool, remedy: str) -> None:
        world.spoil(CREATE, says(status, code, "It is so."))
        with pytest.raises(CallFailed, match=r"It is so\.") as caught:
            world.mint()
        failure = caught.value
        assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, code, permanent)
        assert failure.request_id == "r-1"
        assert remedy in failure.remedy
        assert world.count(CREATE) == 1

    @pytest.mark.parametrize("status", [409, 503])
    def test_of_changes_at_once_it_was_not_applied(self, world: World, status: int) -> None:
        world.spoil(CREATE, says(status, "Directory_ConcurrencyViolation", "Please wait briefly and retry."))
        with pytest.raises(CallFailed) as caught:
            world.mint()
        assert caught.value.verdict is Verdict.NOT_APPLIED
        assert caught.value.retry_after is not None
        assert world.count(CREATE) == 1

    def test_throttling_was_not_applied_and_says_when(self, world: World) -> None:
        world.spoil(CREATE, says(429, "TooManyRequests", retry_after="17"))
        with pytest.raises(CallFailed) as caught:
            world.mint()
        assert (caught.value.verdict, caught.value.retry_after) == (Verdict.NOT_APPLIED, timedelta(seconds=17))

    def test_a_throttled_read_is_not_repeated_at_once(self, world: World) -> None:
        world.spoil(READ, says(429, "TooManyRequests", retry_after="17"))
        with pytest.raises(CallFailed):
            world.provider.list_keys()
        assert world.count(READ) == 1

    @pytest.mark.parametrize(
        "answer",
        [
            says(403, "Authorization_RequestDenied", request_id=""),
            says(500, "InternalServerError"),
            says(503, "ServiceUnavailable"),
            says(408, "RequestTimeout"),
            Canned(status=403, body='{"error": "denied"}', headers={"request-id": "r"}),
            Canned(status=403, body='{"error": {"code": 403}}', headers={"request-id": "r"}),
            Canned(
                status=200, body='{"keyId": "k", "displayName": "x", "secretText": ""}', headers={"request-id": "r"}
            ),
        ],
        ids=lambda answer: f"{answer.status} {answer.body[-40:]}",
    )
    def test_what_is_not_a_complete_answer_is_unknown(self, world: World, answer: Canned) -> None:
        world.spoil(CREATE, answer)
        with pytest.raises(CallFailed) as caught:
            world.mint()
        assert caught.value.verdict is Verdict.UNKNOWN
        assert world.count(CREATE) == 1

    @pytest.mark.parametrize(
        ("rule", "code", "remedy"),
        [
            (AppPolicy("no-secrets", forbids_secrets=True), "CredentialTypeNotAllowedAsPerAppPolicy", "no-secrets"),
            (AppPolicy("short", max_lifetime=timedelta(days=30)), "CredentialInvalidLifetimeAsPerAppPolicy", "max_age"),
        ],
    )
    def test_a_policy_is_named(self, world: World, rule: AppPolicy, code: str, remedy: str) -> None:
        world.azure.tenant.policy = rule
        with pytest.raises(CallFailed, match=rule.name) as caught:
            world.mint()
        failure = caught.value
        assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, code, True)
        assert remedy in failure.remedy
        assert rule.name in failure.remedy


class TestProof:
    def test_a_secret_that_needs_twenty_tries(self, world: World) -> None:
        start = utc_now()
        world.azure.tenant.clock = lambda: start
        world.azure.tenant.propagation = timedelta(seconds=20)
        material = world.mint().material
        proofs = []
        for second in range(22):
            world.azure.tenant.clock = lambda second=second: start + timedelta(seconds=second)  # type: ignore[misc]  # mypy infers no type for a lambda with a default
            proofs.append(world.provider.prove(material))
        assert proofs == [Proof.NOT_YET] * 20 + [Proof.ALIVE] * 2

    def test_one_that_never_comes_alive(self, world: World) -> None:
        world.azure.tenant.propagation = timedelta(days=365)
        material = world.mint().material
        assert [world.provider.prove(material) for _ in range(3)] == [Proof.NOT_YET] * 3

    def test_one_that_was_removed_is_not_alive_whatever_tokens_there_were(self, world: World) -> None:
        minted = world.mint()
        assert world.provider.prove(minted.material) is Proof.ALIVE
        world.provider.delete(minted.key.key_id)
        assert world.provider.prove(minted.material) is Proof.NOT_YET

    def test_one_that_has_ended_is_given_up_no_sooner_than_one_that_is_late(self, world: World) -> None:
        """A replica that knows only former secrets, all of them ended, says the same of a fresh one."""
        material = world.mint().material
        world.azure.tenant.clock = lambda: utc_now() + LIFETIME + timedelta(days=1)
        assert world.provider.prove(material) is Proof.NOT_YET

    @pytest.mark.parametrize(("code", "proof"), PROOFS.items())
    def test_each_code_means_what_the_page_says(self, world: World, code: str, proof: Proof) -> None:
        error = code if code.islower() else "invalid_client"
        said = {"error": error, "error_description": "No." if code.islower() else f"{code}: No. Trace ID: 1"}
        world.spoil(TOKEN, Canned(status=401, body=json.dumps(said)))
        material = Material(secret={"secret": SecretStr("x")})
        assert world.provider.prove(material) is proof

    @pytest.mark.parametrize("code", ["AADSTS90002", "AADSTS53003", "AADSTS500011", "AADSTS700027"])
    def test_any_other_code_is_no_verdict(self, world: World, code: str) -> None:
        said = {"error": "invalid_client", "error_description": f"{code}: No. Trace ID: 1"}
        world.spoil(TOKEN, Canned(status=401, body=json.dumps(said)))
        with pytest.raises(CallFailed, match=code):
            world.provider.prove(Material(secret={"secret": SecretStr("x")}))

    def test_a_missing_role_is_no_fault_of_the_secret(self, world: World) -> None:
        world.app.reader = False
        assert world.provider.prove(world.mint().material) is Proof.ALIVE

    def test_nor_is_a_subscription_that_is_not_found(self, world: World) -> None:
        provider = world.open(subscription_id="00000000-0000-0000-0000-000000000001")
        assert provider.prove(world.mint().material) is Proof.ALIVE
        assert [seen.status for seen in world.azure.faults.requests(path="^/subscriptions/")] == [404]

    def test_a_disabled_application_is_a_persons_business(self, world: World) -> None:
        world.app.enabled = False
        with pytest.raises(CallFailed, match="disabled") as caught:
            world.provider.prove(world.mint().material)
        failure = caught.value
        assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, "AADSTS7000112", True)
        assert "Trace ID" not in failure.message

    def test_a_login_that_is_busy_proves_nothing(self, world: World) -> None:
        material = world.mint().material
        passing = '{"error": "temporarily_unavailable", "error_description": "AADSTS90033: A transient error."}'
        for answer in (Canned(status=429, headers={"Retry-After": "3"}), Canned(status=400, body=passing)):
            world.spoil(TOKEN, answer)
            with pytest.raises(CallFailed) as caught:
                world.provider.prove(material)
            assert caught.value.verdict is Verdict.NOT_APPLIED

    @pytest.mark.parametrize(
        ("answer", "verdict"),
        [
            (Canned(status=403, body=HTML, content_type="text/html"), Verdict.UNKNOWN),
            (Canned(status=200, body=HTML, content_type="text/html"), Verdict.UNKNOWN),
            (Canned(status=502), Verdict.UNKNOWN),
            (Canned(status=429), Verdict.NOT_APPLIED),
            (says(401, "InvalidAuthenticationTokenTenant", "wrong issuer"), Verdict.REFUSED),
        ],
    )
    def test_a_subscription_that_gives_no_answer_proves_nothing(
        self, world: World, answer: Canned, verdict: Verdict
    ) -> None:
        material = world.mint().material
        world.spoil(SUBSCRIPTION, answer)
        with pytest.raises(CallFailed) as caught:
            world.provider.prove(material)
        assert caught.value.verdict is verdict
        assert caught.value.permanent is (verdict is Verdict.REFUSED)
        assert world.count(SUBSCRIPTION) == 1


@pytest.mark.realtime
class TestTurns:
    def test_changes_of_one_tenant_never_meet(self, world: World) -> None:
        world.azure.tenant.change_seconds = 0.05
        providers = [world.open() for _ in range(6)]
        with ThreadPoolExecutor(6) as pool:
            minted = list(pool.map(lambda provider: provider.mint(provider.draft("7f3a", 1)), providers))
        assert len({each.key.key_id for each in minted}) == 6
        assert {seen.status for seen in world.azure.faults.requests(path="/addPassword$")} == {200}

    def test_one_that_waits_too_long_was_not_applied(self, world: World) -> None:
        world.provider.list_keys()
        world.azure.faults.put(Rule(method="POST", times=1, fault=Delay(seconds=None)))
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(world.mint)
            world.azure.faults.wait_for(1, method="POST", path="/addPassword$")
            with pytest.raises(CallFailed) as caught:
                world.open(deadline=IMPATIENT).delete("none")
            world.azure.faults.release()
            assert slow.result().key in world.azure.keys(world.app)
        assert (caught.value.verdict, caught.value.code) == (Verdict.NOT_APPLIED, "Busy")
        assert world.count(DELETE) == 0
