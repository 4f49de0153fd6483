from __future__ import annotations

import json
import time
from datetime import timedelta

import pytest
from pydantic import SecretStr

from rotator.errors import CallFailed, RotatorError, Verdict
from rotator.material import Material
from rotator.northflank.integration import Integration
from rotator.sandbox.northflank.account import ApiToken, Behaviour, Echo, Grant
from rotator.sandbox.wire.rules import Canned, Cut, Delay, Drip, Late, Reset, Rule
from tests.northflank.conftest import NEW, OLD, SHORT, STAMPED, TOKEN, Cloud, Method
from tests.support.patience import patience

pytestmark = pytest.mark.realtime


def briefly(value: object) -> str:
    return repr(value)[:90]


def refusal(status: int) -> Canned:
    return Canned(status=status, body=json.dumps({"error": {"status": status, "message": "No.", "id": "nf-no"}}))


def failed(integration: Integration, material: Material) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        integration.push(material, description=STAMPED)
    return caught.value


def test_one_request_carries_credentials_and_stamp(cloud: Cloud, material: Material) -> None:
    cloud.integration().push(material, description=STAMPED)
    held = cloud.account.integration("prod-aws")
    assert (dict(held.credentials), held.description) == (NEW, STAMPED)
    assert cloud.updates() == ["POST"]
    assert cloud.reads() == 0


def test_without_a_stamp_the_description_stays(cloud: Cloud, material: Material) -> None:
    cloud.integration(stamped=False).push(material, description=None)
    held = cloud.account.integration("prod-aws")
    assert (dict(held.credentials), held.description) == (NEW, "Production")


def test_the_team_is_in_the_path(cloud: Cloud, material: Material) -> None:
    cloud.integration(cloud.connection(team="sandbox-team")).push(material, description=STAMPED)
    assert cloud.account.held("prod-aws") == NEW
    (seen,) = cloud.faults.requests()
    assert seen.path == "/v1/teams/sandbox-team/cloud-providers/integrations/prod-aws"


def test_an_odd_id_reaches_no_other_path(cloud: Cloud, material: Material) -> None:
    assert failed(cloud.integration(integration="../../auth?x=#"), material).verdict is Verdict.REFUSED
    assert {seen.query for seen in cloud.faults.requests()} == {""}
    assert all("/cloud-providers/integrations/" in seen.path for seen in cloud.faults.requests())


@pytest.mark.parametrize("status", [400, 401, 403, 409, 422])
def test_northflanks_refusal_is_definite(cloud: Cloud, material: Material, status: int) -> None:
    cloud.spoil(refusal(status))
    failure = failed(cloud.integration(), material)
    assert (failure.verdict, failure.code) == (Verdict.REFUSED, str(status))
    assert failure.permanent is (status != 409)
    assert cloud.updates() == ["POST"]


class TestTheReasonOfARefusal:
    PEM = "-----BEGIN PRIVATE KEY-----\\nMIIEvCANARYkeyOfATenancy0123456789\\n-----END PRIVATE KEY-----"

    @pytest.fixture
    def material(self) -> Material:
        public = {
            "region": "eu-frankfurt-1",
            "userId": "ocid1.user.oc1..aaaa",
            "fingerprint": "0f:1e:2d:3c:4b:5a:69:78",
        }
        return Material(public=public, secret={"privateKey": SecretStr(self.PEM)})

    def reason(self, cloud: Cloud, material: Material, message: str) -> str:
        error = {"status": 400, "message": message, "id": "nf-invalid-request-body"}
        cloud.spoil(Canned(status=400, body=json.dumps({"error": error})))
        failure = failed(cloud.integration(), material)
        assert failure.verdict is Verdict.REFUSED
        return failure.message

    @pytest.mark.parametrize(
        "message",
        ["region: eu-frankfurt-1 is not supported", "0f:1e:2d:3c:4b:5a:69:78 of ocid1.user.oc1..aaaa is expired"],
    )
    def test_what_repeats_only_public_fields_is_shown(self, cloud: Cloud, material: Material, message: str) -> None:
        assert message in self.reason(cloud, material, message)

    @pytest.mark.parametrize("quoted", [PEM, "MIIEvCANARYkey", "BEGIN PRIVATE KEY"])
    def test_what_repeats_a_part_of_the_secret_is_withheld(self, cloud: Cloud, material: Material, quoted: str) -> None:
        reason = self.reason(cloud, material, f"region: eu-frankfurt-1 is not supported, with {quoted}")
        assert "withheld" in reason
        assert "eu-frankfurt-1" not in reason

    def test_what_repeats_the_token_is_withheld(self, cloud: Cloud, material: Material) -> None:
        assert "withheld" in self.reason(cloud, material, f"region: eu-frankfurt-1 is not allowed to {TOKEN}")


@pytest.mark.parametrize(
    "fault",
    [
        refusal(408),
        refusal(425),
        refusal(499),
        refusal(500),
        refusal(503),
        *(Canned(status=status, body="<html>Forbidden</html>", content_type="text/html") for status in (200, 400, 401)),
        *(Canned(status=status, body="<html>", content_type="text/html") for status in (403, 404, 405, 429, 502)),
        Canned(status=403, body='{"message": "some gateway"}'),
        Canned(status=401, body='{"error": {"status": 403, "message": "of another request"}}'),
        Canned(status=302, headers={"Location": "/v1/auth"}),
        Canned(status=308, headers={"Location": "/v1/cloud-providers/integrations/prod-aws"}),
        Canned(status=201, body='{"data": {"id": "prod-aws", "provider": "aws"}}'),
        Canned(status=204),
        Canned(status=200, body=""),
        Canned(status=200, body="{}"),
        Canned(status=200, body='{"data": {}}'),
        Canned(status=200, body='{"data": {"id": "other-aws", "provider": "aws"}}'),
        Canned(status=200, body='{"data": {"id": "prod-aws", "provider": "aw'),
        Canned(status=200, body="[" * 200_000),
        Canned(status=200, body=" " * 1_100_000),
        Canned(status=500, when="after"),
        Reset(when="before"),
        Reset(when="after"),
        Cut(keep=0),
        Cut(keep=30),
        Late(),
    ],
    ids=briefly,
)
def test_all_else_is_unknown_and_is_sent_once(cloud: Cloud, material: Material, fault: Canned | Reset | Cut) -> None:
    cloud.spoil(fault)
    failure = failed(cloud.integration(), material)
    assert failure.verdict is Verdict.UNKNOWN
    assert not failure.permanent
    assert cloud.updates() == ["POST"]
    assert cloud.reads() == 0


@pytest.mark.parametrize(
    "fault",
    [Drip(pause=0.05), Delay(when="before", seconds=None), Delay(when="after", seconds=None), Reset(hold=None)],
    ids=briefly,
)
def test_what_takes_longer_than_the_deadline_is_unknown(cloud: Cloud, material: Material, fault: Drip | Delay) -> None:
    cloud.spoil(fault)
    started = time.monotonic()
    failure = failed(cloud.integration(cloud.connection(deadline=SHORT)), material)
    assert time.monotonic() - started < patience(10)
    assert failure.verdict is Verdict.UNKNOWN
    assert cloud.updates() == ["POST"]
    cloud.faults.release()


def test_a_server_that_is_down_was_sent_nothing(cloud: Cloud, material: Material) -> None:
    integration = cloud.integration(cloud.connection(url="http://127.0.0.1:1"))
    failure = failed(integration, material)
    assert failure.verdict is Verdict.NOT_APPLIED
    assert "Connection refused" in failure.message
    assert failure.remedy


def test_what_the_api_itself_refuses(cloud: Cloud, material: Material) -> None:
    with pytest.raises(CallFailed) as caught:
        cloud.integration().push(material, description="not allowed: #")
    assert (caught.value.verdict, caught.value.permanent) == (Verdict.REFUSED, True)
    assert "nf-invalid-request-body" in caught.value.message
    assert "description" in caught.value.message
    assert dict(cloud.account.held("prod-aws")) == OLD


def test_a_token_without_the_right(cloud: Cloud, material: Material) -> None:
    cloud.account.put_token(TOKEN, ApiToken(rights=frozenset({Grant.READ})))
    failure = failed(cloud.integration(), material)
    assert (failure.verdict, failure.permanent, failure.code) == (Verdict.REFUSED, True, "403")
    assert "Integrations > Read, Update" in failure.remedy


def test_an_integration_that_is_gone(cloud: Cloud, material: Material) -> None:
    cloud.account.remove("prod-aws")
    failure = failed(cloud.integration(), material)
    assert (failure.verdict, failure.permanent, failure.code) == (Verdict.REFUSED, True, "404")
    assert cloud.updates() == ["POST"], "a GET found nothing, so the other method isn't tried"


class TestMethod:
    """Which method the API takes is found out without doing anything."""

    def test_auto_falls_back_on_405_and_remembers(self, cloud: Cloud, material: Material) -> None:
        cloud.account.behaviour = Behaviour(update=frozenset({"PATCH"}))
        connection = cloud.connection()
        cloud.integration(connection).push(material, description=STAMPED)
        cloud.integration(connection).push(material, description=STAMPED)
        assert cloud.account.held("prod-aws") == NEW
        assert cloud.updates() == ["POST", "PATCH", "PATCH"]
        assert cloud.reads() == 0

    def test_auto_falls_back_on_404_where_a_get_finds_it(self, cloud: Cloud, material: Material) -> None:
        cloud.spoil(refusal(404), method="POST")
        connection = cloud.connection()
        cloud.integration(connection).push(material, description=STAMPED)
        cloud.integration(connection).push(material, description=STAMPED)
        assert cloud.updates() == ["POST", "PATCH", "PATCH"]
        assert cloud.reads() == 1

    def test_it_comes_back_to_post_where_patch_goes_away(self, cloud: Cloud, material: Material) -> None:
        cloud.account.behaviour = Behaviour(update=frozenset({"PATCH"}))
        integration = cloud.integration()
        integration.push(material, description=STAMPED)
        cloud.account.behaviour = Behaviour(update=frozenset({"POST"}))
        integration.push(material, description=STAMPED)
        integration.push(material, description=STAMPED)
        assert cloud.updates() == ["POST", "PATCH", "PATCH", "POST", "POST"]

    @pytest.mark.parametrize(("method", "sent"), [("post", ["POST"]), ("patch", ["PATCH"])])
    def test_a_method_that_was_asked_for_is_the_only_one(
        self, cloud: Cloud, material: Material, method: Method, sent: list[str]
    ) -> None:
        cloud.account.behaviour = Behaviour(update=frozenset({"POST", "PATCH"}) - set(sent))
        failure = failed(cloud.integration(cloud.connection(method=method)), material)
        assert (failure.verdict, failure.permanent, failure.code) == (Verdict.REFUSED, True, "405")
        assert cloud.updates() == sent
        cloud.account.behaviour = Behaviour(update=frozenset(sent))
        cloud.integration(cloud.connection(method=method)).push(material, description=STAMPED)
        assert cloud.account.held("prod-aws") == NEW

    def test_an_api_that_takes_neither(self, cloud: Cloud, material: Material) -> None:
        cloud.account.behaviour = Behaviour(update=frozenset())
        integration = cloud.integration()
        assert failed(integration, material).verdict is Verdict.REFUSED
        assert failed(integration, material).code == "405"
        assert cloud.updates() == ["POST", "PATCH"] * 2

    @pytest.mark.parametrize(
        ("read", "verdict"),
        [
            (Canned(status=500), Verdict.NOT_APPLIED),
            (Reset(), Verdict.NOT_APPLIED),
            (Canned(status=200, body='{"data": {"id": "other", "provider": "aws"}}'), Verdict.NOT_APPLIED),
            (Canned(status=429, body="Too many", content_type="text/plain"), Verdict.NOT_APPLIED),
            (refusal(403), Verdict.REFUSED),
        ],
        ids=briefly,
    )
    def test_a_404_that_no_get_explains_did_nothing(
        self, cloud: Cloud, material: Material, read: Canned | Reset, verdict: Verdict
    ) -> None:
        cloud.faults.put(Rule(method="POST", fault=refusal(404)), Rule(method="GET", fault=read))
        assert failed(cloud.integration(), material).verdict is verdict
        assert cloud.updates() == ["POST"]

    def test_the_second_method_has_the_same_deadline(self, cloud: Cloud, material: Material) -> None:
        cloud.account.behaviour = Behaviour(update=frozenset({"PATCH"}))
        cloud.spoil(Delay(seconds=None), method="PATCH")
        started = time.monotonic()
        failure = failed(cloud.integration(cloud.connection(deadline=SHORT)), material)
        assert time.monotonic() - started < patience(10)
        assert failure.verdict is Verdict.UNKNOWN
        cloud.faults.release()


class TestLimit:
    """The rate limit is waited for by nobody here: the caller is told how long to wait."""

    def test_a_429_says_how_long_and_the_next_push_is_not_even_sent(self, cloud: Cloud, material: Material) -> None:
        cloud.account.behaviour = Behaviour(rate_limit=0)
        failure = failed(cloud.integration(), material)
        assert failure.verdict is Verdict.NOT_APPLIED
        assert failure.retry_after is not None
        assert timedelta(minutes=59) < failure.retry_after <= timedelta(hours=1)
        again = failed(cloud.integration(), material)
        assert (again.verdict, again.code) == (Verdict.NOT_APPLIED, "rate-limit")
        assert again.retry_after is not None
        assert cloud.updates() == ["POST"]

    def test_other_tokens_have_limits_of_their_own(self, cloud: Cloud, material: Material) -> None:
        cloud.account.put_token("another", ApiToken())
        cloud.account.behaviour = Behaviour(rate_limit=0)
        failed(cloud.integration(), material)
        other = cloud.connection(token=lambda: SecretStr("another"))
        assert failed(cloud.integration(other), material).code == "429"
        assert cloud.updates() == ["POST", "POST"]

    @pytest.mark.parametrize("listed", [True, False])
    def test_pushes_and_confirms_go_before_polls(self, cloud: Cloud, material: Material, listed: bool) -> None:
        # A reserve of 2 is kept, also from polls that each need a read of their own.
        cloud.account.behaviour = Behaviour(rate_limit=40, listed_descriptions=listed)
        connection = cloud.connection()
        polling = cloud.integration(connection, watch=timedelta(0))
        for _ in range(38 if listed else 19):
            polling.read(fresh=False)
        with pytest.raises(CallFailed) as refused:
            polling.read(fresh=False)
        assert (refused.value.verdict, refused.value.code) == (Verdict.NOT_APPLIED, "rate-limit")
        assert refused.value.retry_after is not None
        polling.push(material, description=STAMPED)
        assert polling.read(fresh=True, urgent=True).description == STAMPED
        assert failed(polling, material).code == "rate-limit"
        assert cloud.account.held("prod-aws") == NEW


class TestToken:
    """The token is read at each request, and shown by none."""

    def test_a_new_token_is_used_at_once(self, cloud: Cloud, material: Material) -> None:
        tokens = iter(["revoked", TOKEN])
        integration = cloud.integration(cloud.connection(token=lambda: SecretStr(next(tokens))))
        assert failed(integration, material).code == "401"
        integration.push(material, description=STAMPED)
        assert cloud.account.held("prod-aws") == NEW

    def test_white_space_around_it_is_not_part_of_it(self, cloud: Cloud, material: Material) -> None:
        integration = cloud.integration(cloud.connection(token=lambda: SecretStr(f" {TOKEN}\r\n")))
        integration.push(material, description=STAMPED)
        assert cloud.updates() == ["POST"]

    @pytest.mark.parametrize("token", ["", " \n", f"{TOKEN}\nx-other: header", f"{TOKEN}\x7f", f"{TOKEN}é"])
    def test_what_cannot_be_a_token_is_not_sent(self, cloud: Cloud, material: Material, token: str) -> None:
        failure = failed(cloud.integration(cloud.connection(token=lambda: SecretStr(token))), material)
        assert (failure.verdict, failure.code) == (Verdict.NOT_APPLIED, "token")
        assert TOKEN not in str(failure)
        assert cloud.faults.requests() == []

    def test_a_token_that_cannot_be_read_sends_nothing(self, cloud: Cloud, material: Material) -> None:
        def missing() -> SecretStr:
            raise RotatorError("The secret in /run/token can't be read.", remedy="Put it there.")

        failure = failed(cloud.integration(cloud.connection(token=missing)), material)
        assert (failure.verdict, failure.code, failure.remedy) == (Verdict.NOT_APPLIED, "token", "Put it there.")
        assert "/run/token" in failure.message
        assert cloud.faults.requests() == []


@pytest.mark.parametrize("echo", list(Echo))
def test_an_echo_changes_nothing_for_a_push(cloud: Cloud, material: Material, echo: Echo) -> None:
    cloud.account.behaviour = Behaviour(echo=echo)
    cloud.integration().push(material, description=STAMPED)
    assert cloud.account.held("prod-aws") == NEW
