"""The policy analyzer's evidence of use with the real provider over sockets, against the stand-in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, timedelta
from functools import partial
from pathlib import Path

import pytest
from pydantic import ValidationError

from rotator.errors import Verdict
from rotator.providers.gcp.evidence import PERMISSION as ANALYSE
from rotator.providers.gcp.settings import GcpSettings
from rotator.sandbox.wire.rules import Canned
from rotator.sandbox.wire.serving import utc_now
from tests.providers.gcp.world import World, a_world, failure_of

NOON = (utc_now() + timedelta(days=1)).replace(hour=12, minute=0, second=0, microsecond=0)
FOREIGN = Canned(status=403, body="<html/>")
QUOTA = Canned(status=403, body='{"error": {"code": 403, "status": "RESOURCE_EXHAUSTED", "message": "No."}}')


class TestEvidence:
    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[World]:
        with a_world(tmp_path, evidence=True) as opened:
            opened.gcp.signing_clock = utc_now
            opened.gcp.allow_analysis()
            yield opened

    def test_the_day_of_the_last_use_told_late(self, world: World) -> None:
        minted = world.mint()
        assert world.provider.abilities.tells_use is world.provider
        assert world.provider.last_used(minted.key.key_id) is None
        used = utc_now()
        assert world.gcp.works(minted.material)
        assert world.provider.last_used(minted.key.key_id) is None
        world.gcp.clock = lambda: used + timedelta(days=3)
        use = world.provider.last_used(minted.key.key_id)
        assert use is not None
        assert used - timedelta(days=1) < use.at <= used
        assert use.at.tzinfo is UTC
        assert (use.at.hour, use.at.minute) == (8, 0)

    def test_a_key_in_steady_use_shows_the_last_day_that_is_over_for_so_long(self, world: World) -> None:
        minted = world.mint()
        world.gcp.activity.lag = timedelta(days=2)
        for day in range(6):
            world.gcp.clock = partial(NOON.__add__, timedelta(days=day))
            assert world.gcp.works(minted.material)
            use = world.provider.last_used(minted.key.key_id)
            assert (use and use.at) == (None if day < 3 else NOON.replace(hour=8) + timedelta(days=day - 3))

    def test_the_grain_and_the_lag_are_the_stand_ins_to_choose(self, world: World) -> None:
        minted = world.mint()
        world.gcp.activity.resolution, world.gcp.activity.lag = timedelta(minutes=1), timedelta(0)
        world.gcp.clock = lambda: NOON + timedelta(seconds=30)
        assert world.gcp.works(minted.material)
        assert world.provider.last_used(minted.key.key_id) is None
        world.gcp.clock = lambda: NOON + timedelta(seconds=60)
        use = world.provider.last_used(minted.key.key_id)
        assert use is not None
        assert use.at == NOON

    def test_without_the_right_it_says_which(self, world: World) -> None:
        world.gcp.denied.add("policyanalyzer.serviceAccountKeyLastAuthenticationActivities.query")
        failure = failure_of(lambda: world.provider.last_used("0" * 40))
        assert (failure.verdict, failure.permanent) == (Verdict.REFUSED, True)
        assert "evidence: false" in failure.remedy
        assert not failure.untold
        world.mint()
        assert [right.holds for right in world.provider.check() if right.name.startswith("policyanalyzer")] == [False]

    def test_with_auto_it_is_asked_where_the_right_is_there(self, world: World) -> None:
        provider = world.open(evidence="auto")
        key_id = world.mint().key.key_id
        assert provider.last_used(key_id) is None
        world.gcp.denied.add(ANALYSE)
        assert failure_of(lambda: provider.last_used(key_id)).untold
        [right] = [right for right in provider.check() if right.name == ANALYSE]
        assert right.holds is None
        assert ANALYSE in right.remedy
        assert "silence is all there is" in right.remedy

    def test_with_auto_an_api_that_is_not_enabled_is_a_missing_right(self, world: World) -> None:
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED"}
        error = {"code": 403, "message": "It is disabled.", "status": "PERMISSION_DENIED", "details": [info]}
        world.spoil("activities:query", Canned(status=403, body=json.dumps({"error": error})))
        failure = failure_of(lambda: world.open(evidence="auto").last_used("0" * 40))
        assert failure.untold
        assert "Enable the Policy Analyzer API" in failure.remedy

    @pytest.mark.parametrize("fault", [Canned(status=503), Canned(status=401), FOREIGN, QUOTA])
    def test_with_auto_only_a_missing_right_is_left_at_silence(self, world: World, fault: Canned) -> None:
        world.spoil("activities:query", fault)
        assert not failure_of(lambda: world.open(evidence="auto").last_used("0" * 40)).untold

    @pytest.mark.parametrize("body", ["<html/>", "[]", '{"activities": [{}]}', '{"activities": 5}'])
    def test_an_unreadable_answer_is_not_never(self, world: World, body: str) -> None:
        world.spoil("activities:query", Canned(status=200, body=body))
        assert failure_of(lambda: world.provider.last_used("0" * 40)).verdict is Verdict.UNKNOWN

    @pytest.mark.parametrize(("status", "verdict"), [(429, Verdict.NOT_APPLIED), (503, Verdict.UNKNOWN)])
    def test_an_analyzer_that_asks_to_wait_is_heard(self, world: World, status: int, verdict: Verdict) -> None:
        world.spoil("activities:query", Canned(status=status, body="<html/>", headers={"Retry-After": "17"}))
        failure = failure_of(lambda: world.provider.last_used("0" * 40))
        assert (failure.verdict, failure.retry_after) == (verdict, timedelta(seconds=17))

    @pytest.mark.parametrize(
        ("section", "asked"),
        [
            ({}, True),
            ({"evidence": False}, False),
            ({"evidence": True, "endpoint": "https://iam.internal"}, True),
            ({"endpoint": "https://iam.internal"}, False),
            ({"universe_domain": "sovereign.example"}, False),
            ({"endpoint": "https://iam.internal", "analyzer_url": "https://analyzer.internal"}, True),
        ],
    )
    def test_by_default_google_itself_is_asked_and_an_address_that_the_config_names(
        self, section: dict[str, object], asked: bool
    ) -> None:
        settings = GcpSettings.model_validate({"service_account": "a@b.iam.gserviceaccount.com", "gcp": section})
        assert settings.shows_use is asked

    @pytest.mark.parametrize("word", ["yes", 1, 0, "true", None])
    def test_no_other_word_is_taken_for_one(self, word: object) -> None:
        with pytest.raises(ValidationError):
            GcpSettings.model_validate({"service_account": "a@b.iam.gserviceaccount.com", "gcp": {"evidence": word}})
