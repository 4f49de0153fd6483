from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from rotator.errors import CallFailed, Verdict
from rotator.material import Material
from rotator.model import IntegrationView, Stamp
from rotator.northflank.dependents import worse
from rotator.sandbox.northflank.account import ApiToken, Behaviour, Cluster, Echo, Grant, HeldIntegration
from rotator.sandbox.wire.rules import Canned, Cut, Delay, Drip, Reset, Rule
from tests.northflank.conftest import NEW, OLD, SHORT, STAMPED, TOKEN, Cloud
from tests.support.stepped import Stepped

pytestmark = pytest.mark.realtime

STAMP = Stamp("7f3a", 42, "AKIA..NEW0")
LIST = "/integrations$"
ONE = "/integrations/"


def stamp(cloud: Cloud, integration: str = "prod-aws") -> None:
    cloud.account.put(HeldIntegration(integration, "Production", "aws", description=STAMPED, credentials=NEW))


def test_a_fresh_read_shows_what_is_there(cloud: Cloud) -> None:
    integration = cloud.integration()
    first = integration.read(fresh=True)
    assert first == IntegrationView("prod-aws", "Production", at=first.at)
    assert first.at is not None, "the answer has a Date"
    stamp(cloud)
    second = integration.read(fresh=True)
    assert second == IntegrationView("prod-aws", STAMPED, STAMP, at=second.at)
    assert cloud.reads(ONE) == 2


def test_without_a_stamp_none_is_read(cloud: Cloud) -> None:
    stamp(cloud)
    integration = cloud.integration(stamped=False)
    assert integration.read(fresh=True).stamp is None
    assert integration.read(fresh=False).description == STAMPED
    assert cloud.reads(ONE) == 2, "the list could say nothing new"


@pytest.mark.parametrize(("echo", "shown"), [(Echo.RAW, OLD["accessKey"]), (Echo.MASKED, None), (Echo.NOTHING, None)])
def test_an_echoed_key_id_is_taken_and_nothing_else(cloud: Cloud, echo: Echo, shown: str | None) -> None:
    cloud.account.behaviour = Behaviour(echo=echo)
    view = cloud.integration().read(fresh=True)
    assert view.echoed_key == shown
    assert OLD["secretKey"] not in repr(view)


@pytest.mark.parametrize(
    ("body", "verdict", "permanent"),
    [
        ({"data": {"id": "other-aws", "provider": "aws"}}, Verdict.UNKNOWN, False),
        ({"data": {"id": "prod-aws", "provider": "gcp"}}, Verdict.REFUSED, True),
        ({"data": {"id": "prod-aws"}}, Verdict.UNKNOWN, False),
        ({"data": {"id": ["prod-aws"], "provider": {}}}, Verdict.UNKNOWN, False),
        ({"integrations": []}, Verdict.UNKNOWN, False),
        ([], Verdict.UNKNOWN, False),
    ],
)
def test_an_answer_about_something_else_is_never_taken_for_it(
    cloud: Cloud, body: object, verdict: Verdict, permanent: bool
) -> None:
    cloud.spoil(Canned(status=200, body=json.dumps(body)))
    with pytest.raises(CallFailed) as caught:
        cloud.integration().read(fresh=True)
    assert (caught.value.verdict, caught.value.permanent) == (verdict, permanent)
    assert "prod-aws" in caught.value.message


def test_a_provider_other_than_the_configs_names_both(cloud: Cloud) -> None:
    with pytest.raises(CallFailed, match="has the provider aws, not azure"):
        cloud.integration(provider="azure").read(fresh=True)
    with pytest.raises(CallFailed, match="has the provider aws, not azure"):
        cloud.integration(provider="azure").read(fresh=False)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_read_is_permanent(cloud: Cloud, status: int) -> None:
    if status == 404:
        cloud.account.remove("prod-aws")
    cloud.account.put_token(TOKEN, ApiToken(rights=frozenset({Grant.UPDATE} if status == 403 else Grant)))
    if status == 401:
        cloud.account.put_token(TOKEN, ApiToken(expires_at=datetime(2020, 1, 1, tzinfo=UTC)))
    with pytest.raises(CallFailed) as caught:
        cloud.integration().read(fresh=True)
    assert (caught.value.verdict, caught.value.permanent, caught.value.code) == (Verdict.REFUSED, True, str(status))
    assert caught.value.remedy


@pytest.mark.parametrize(
    "fault",
    [
        Canned(status=404, body="<html>", content_type="text/html"),
        Canned(status=401, body="denied", content_type="text/plain"),
        Canned(status=302, headers={"Location": "http://127.0.0.1:1/"}),
        Canned(status=503),
        Reset(),
        Cut(keep=20),
        Drip(pause=0.05),
    ],
)
def test_an_outage_or_a_proxy_is_not_permanent(cloud: Cloud, fault: Canned | Reset | Cut | Drip) -> None:
    cloud.spoil(fault)
    with pytest.raises(CallFailed) as caught:
        cloud.integration(cloud.connection(deadline=SHORT)).read(fresh=True)
    assert (caught.value.verdict, caught.value.permanent) == (Verdict.UNKNOWN, False)


class TestPolling:
    """One list serves all integrations of a connection."""

    def test_a_call_for_100_of_them(self, cloud: Cloud) -> None:
        for number in range(250):
            stamp(cloud, f"aws-{number:03}")
        connection = cloud.connection()
        views = [cloud.integration(connection, f"aws-{number:03}").read(fresh=False) for number in range(250)]
        assert {view.stamp for view in views} == {STAMP}
        assert [view.integration for view in views] == [f"aws-{number:03}" for number in range(250)]
        assert (cloud.reads(LIST), cloud.reads(ONE)) == (3, 0)

    def test_pages_by_number_where_there_is_no_cursor(self, cloud: Cloud) -> None:
        def listed(*ids: str, more: bool) -> Canned:
            items = [{"id": each, "provider": "aws", "name": each} for each in ids]
            return Canned(
                status=200, body=json.dumps({"data": {"integrations": items}, "pagination": {"hasNextPage": more}})
            )

        pages = (listed("a", "b", more=True), listed("c", more=True), listed("d", more=False))
        cloud.faults.put(*(Rule(fault=page) for page in pages))
        assert [item.id for item in cloud.connection().list_integrations()] == ["a", "b", "c", "d"]
        assert [seen.query for seen in cloud.faults.requests()] == [
            "per_page=100",
            "per_page=100&page=2",
            "per_page=100&page=3",
        ]

    @pytest.mark.parametrize(("cursor", "calls"), [("same", 2), (None, 200)])
    def test_a_list_without_an_end_is_given_up(self, cloud: Cloud, cursor: str | None, calls: int) -> None:
        body = {"data": {"integrations": []}, "pagination": {"hasNextPage": True, "cursor": cursor}}
        cloud.spoil(Canned(status=200, body=json.dumps(body)))
        with pytest.raises(CallFailed, match="does not end"):
            cloud.connection().list_integrations()
        assert len(cloud.faults.requests()) == calls

    def test_an_item_that_is_none_is_passed_over(self, cloud: Cloud) -> None:
        body = {"data": {"integrations": [None, 7, {}, {"id": "x"}, {"id": "y", "provider": "new"}]}}
        cloud.spoil(Canned(status=200, body=json.dumps(body)))
        assert [item.id for item in cloud.connection().list_integrations()] == ["y"]

    def test_where_the_list_carries_no_descriptions_each_is_read(self, cloud: Cloud) -> None:
        stamp(cloud)
        cloud.account.behaviour = Behaviour(listed_descriptions=False)
        integration = cloud.integration()
        assert integration.read(fresh=False).stamp == STAMP
        assert (cloud.reads(LIST), cloud.reads(ONE)) == (1, 1)

    def test_an_integration_that_the_list_lacks_is_asked_for(self, cloud: Cloud) -> None:
        with pytest.raises(CallFailed) as caught:
            cloud.integration(integration="gone").read(fresh=False)
        assert (caught.value.code, caught.value.permanent) == ("404", True)

    def test_the_list_is_at_most_watch_old(self, cloud: Cloud) -> None:
        clock = Stepped()
        connection = cloud.connection(clock=clock)
        often = cloud.integration(connection, watch=timedelta(minutes=1))
        seldom = cloud.integration(connection, watch=timedelta(minutes=10))
        often.read(fresh=False)
        clock.step(minutes=1)
        often.read(fresh=False)
        assert cloud.reads(LIST) == 1
        clock.step(seconds=1)
        assert seldom.read(fresh=False).stamp is None
        assert cloud.reads(LIST) == 1
        stamp(cloud)
        assert often.read(fresh=False).stamp == STAMP
        assert seldom.read(fresh=False).stamp == STAMP, "what one has asked for serves the others"
        assert cloud.reads(LIST) == 2

    def test_a_list_never_shows_the_time_before_an_own_push(self, cloud: Cloud, material: Material) -> None:
        clock = Stepped()
        connection = cloud.connection(clock=clock)
        integration, other = cloud.integration(connection), cloud.integration(connection)
        other.read(fresh=False)
        clock.step(seconds=1)
        integration.push(material, description=STAMPED)
        assert integration.read(fresh=False).stamp == STAMP
        assert cloud.reads(LIST) == 2

    def test_nor_the_time_before_an_own_look(self, cloud: Cloud) -> None:
        clock = Stepped()
        connection = cloud.connection(clock=clock)
        integration = cloud.integration(connection)
        integration.read(fresh=False)
        clock.step(seconds=1)
        stamp(cloud)
        assert integration.read(fresh=True).stamp == STAMP
        assert integration.read(fresh=False).stamp == STAMP

    def test_those_who_ask_at_once_share_one_list(self, cloud: Cloud) -> None:
        stamp(cloud)
        cloud.spoil(Delay(seconds=None), path=LIST)
        connection = cloud.connection()
        integrations = [cloud.integration(connection) for _ in range(6)]
        views: list[IntegrationView] = []
        threads = [
            threading.Thread(target=lambda each=each: views.append(each.read(fresh=False))) for each in integrations
        ]
        for thread in threads:
            thread.start()
        cloud.faults.wait_for(1, path=LIST)
        cloud.faults.put()
        cloud.faults.release()
        for thread in threads:
            thread.join()
        assert [view.stamp for view in views] == [STAMP] * 6
        assert cloud.reads(LIST) == 1

    def test_a_list_that_failed_is_asked_for_again(self, cloud: Cloud) -> None:
        cloud.faults.put(Rule(fault=Canned(status=500)))
        integration = cloud.integration()
        with pytest.raises(CallFailed):
            integration.read(fresh=False)
        assert integration.read(fresh=False).description == "Production"


class TestDependents:
    """Only what is configured is read, and only what belongs to this integration."""

    def test_nothing_is_asked_for_by_default(self, cloud: Cloud) -> None:
        assert cloud.integration().dependents() == ()
        assert cloud.faults.requests() == []

    def test_all_kinds(self, cloud: Cloud) -> None:
        cloud.account.put(Cluster("eu-1", "aws", "team/prod-aws", state="Running"))
        cloud.account.put(Cluster("eu-2", "aws", "prod-aws", state="error", reason="quota"))
        cloud.account.put(Cluster("us-1", "aws", "org/other-prod-aws"))
        integration = cloud.integration(dependents=("clusters", "registries", "workload_identity"))
        assert integration.dependents() == (
            ("prod-aws/cluster/eu-1", "running"),
            ("prod-aws/cluster/eu-2", "error"),
            ("prod-aws/registries", "healthy"),
            ("prod-aws/workload-identity", "missing-ids"),
        )

    def test_a_cluster_that_breaks_is_worse_and_one_that_heals_is_not(self, cloud: Cloud) -> None:
        cloud.account.put(Cluster("a", "aws", "prod-aws"))
        cloud.account.put(Cluster("b", "aws", "prod-aws", state="error"))
        integration = cloud.integration(dependents=("clusters",))
        before = integration.dependents()
        assert worse(before, integration.dependents()) == ()
        cloud.account.put(Cluster("a", "aws", "prod-aws", state="error"))
        cloud.account.put(Cluster("b", "aws", "prod-aws"))
        cloud.account.put(Cluster("c", "aws", "prod-aws", state="creating"))
        assert worse(before, integration.dependents()) == ("prod-aws/cluster/a: running before, error now",)

    def test_many_clusters_are_read_page_by_page(self, cloud: Cloud) -> None:
        for number in range(120):
            cloud.account.put(Cluster(f"c-{number:03}", "aws", "prod-aws"))
        assert len(cloud.integration(dependents=("clusters",)).dependents()) == 120

    def test_a_right_that_is_missing_is_named(self, cloud: Cloud) -> None:
        cloud.account.put_token(TOKEN, ApiToken(rights=frozenset({Grant.READ})))
        with pytest.raises(CallFailed) as caught:
            cloud.integration(dependents=("clusters",)).dependents()
        assert "Clusters > Read" in caught.value.remedy

    @pytest.mark.parametrize(
        ("before", "now", "found"),
        [
            ((("x", "healthy"),), (("x", "degraded"),), ("x: healthy before, degraded now",)),
            ((("x", "degraded"),), (("x", "degraded"),), ()),
            ((("x", "degraded"),), (("x", "healthy"),), ()),
            ((("x", "running"),), (), ("x: running before, gone now",)),
            ((), (("x", "error"),), ()),
            ((("x", "installed"),), (("x", "permission-denied"),), ("x: installed before, permission-denied now",)),
        ],
    )
    def test_worse(
        self, before: tuple[tuple[str, str], ...], now: tuple[tuple[str, str], ...], found: tuple[str, ...]
    ) -> None:
        assert worse(before, now) == found


def test_the_token_tells_until_when_it_is_good(cloud: Cloud) -> None:
    end = datetime(2099, 3, 1, tzinfo=UTC)
    cloud.account.put_token(TOKEN, ApiToken("ci", rights=frozenset({Grant.READ}), expires_at=end))
    assert cloud.connection(team="sandbox-team").introspect().expires_at == end
    assert cloud.faults.requests()[0].path == "/v1/auth"
