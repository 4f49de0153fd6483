"""From a config to credentials that are wired: what they share, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from rotator.config.models import Config
from rotator.config.plugin import PluginCredential
from rotator.errors import CallFailed, RotatorError, StoreError, UsageError, Verdict
from rotator.model import Phase
from rotator.providers.aws.settings import AwsUserSettings
from rotator.sandbox.aws.scene import USER
from rotator.sandbox.northflank.account import Behaviour
from rotator.sandbox.stage import CREDENTIAL, INTEGRATION
from rotator.service.fleet import assemble, refuse_removal_in_flight, register
from tests.support.fixtures import MakeRig, http, make_rig, prepare, rig
from tests.support.rig import Rig

__all__ = ("http", "make_rig", "prepare", "rig")  # the fixtures

OTHER = {"name": "other", "user": "other", "integrations": ["other"], "current_key": None}


def rewritten(config: Config, **first: Any) -> Config:
    """The config with other values in its first credential, past all that its loading proves."""
    section, *others = config.credentials
    return config.model_copy(update={"credentials": (section.model_copy(update=first), *others)})


class TestWiring:
    def test_asks_nothing_of_the_outside(self, rig: Rig) -> None:
        assemble(rig.config, rig.clock, rig.http)
        assert rig.requests() == 0

    def test_takes_over_what_the_config_says(self, make_rig: MakeRig) -> None:
        integrations = [INTEGRATION, {"id": "prod-aws-eu", "description": "Europe"}]
        rig = make_rig({"grace": "36h"}, credentials=[{"integrations": integrations, "policy": {"every": "60d"}}])
        managed = rig.managed()
        assert managed.provider.identity == f"aws:user/{USER}"
        assert [target.id for target in managed.targets] == [INTEGRATION, "prod-aws-eu"]
        assert managed.texts == {"prod-aws-eu": "Europe"}
        assert managed.named_key == rig.first_key
        assert (managed.policy.grace, managed.policy.every) == (timedelta(hours=36), timedelta(days=60))
        assert managed.policy.settle == timedelta(seconds=60)

    def test_settle_is_the_longest_of_the_connections_concerned(self, make_rig: MakeRig) -> None:
        slow = {"api_url": "https://127.0.0.1:9", "token": {"env": "TOKEN"}, "settle": "5m"}
        integrations = [INTEGRATION, {"id": "elsewhere", "connection": "slow"}]
        rig = make_rig(northflank={"slow": slow}, credentials=[{"integrations": integrations}, OTHER])
        assert rig.managed().policy.settle == timedelta(minutes=5)
        assert rig.managed("other").policy.settle == timedelta(seconds=60)

    def test_the_rate_limit_is_one_for_all_that_share_a_token(self, rig: Rig) -> None:
        """Two connections, one token: what one has used up, the other doesn't try."""
        rig.account.behaviour = Behaviour(rate_limit=1)
        rig.configure(
            {
                "northflank": {
                    "second": {"api_url": rig.stage.server.url, "token": {"file": str(rig.stage.token_file)}}
                },
                "credentials": [{}, {**OTHER, "integrations": [{"id": "other", "connection": "second"}]}],
            }
        )
        rig.restart()
        [first], [second] = rig.managed().targets, rig.managed("other").targets
        first.read(fresh=True)
        with pytest.raises(CallFailed) as caught:
            second.read(fresh=True)
        assert (caught.value.verdict, caught.value.code) == (Verdict.NOT_APPLIED, "rate-limit")
        assert len(rig.faults.requests()) == 1


class TestWhatIsRefused:
    def test_a_provider_that_is_not_installed(self, rig: Rig) -> None:
        strange = PluginCredential.model_validate({"name": "a", "provider": "acme", "integrations": [INTEGRATION]})
        with pytest.raises(UsageError, match="the provider acme is not installed") as caught:
            assemble(rig.config.model_copy(update={"credentials": (strange,)}), rig.clock, rig.http)
        assert "rotator.providers" in caught.value.remedy

    def test_two_credentials_of_one_cloud_identity(self, make_rig: MakeRig) -> None:
        rig = make_rig(credentials=[{}, OTHER])
        with pytest.raises(UsageError, match=f"{CREDENTIAL} and other are the same cloud identity"):
            assemble(rewritten(rig.config, user="OTHER"), rig.clock, rig.http)

    def test_own_rights_that_are_not_there(self, rig: Rig) -> None:
        section: object = rig.config.credentials[0]
        assert isinstance(section, AwsUserSettings)
        nobody = section.aws.model_copy(update={"profile": "nobody"})
        with pytest.raises(RotatorError, match="nobody"):
            assemble(rewritten(rig.config, aws=nobody), rig.clock, rig.http)


class TestTheJournal:
    def test_knows_each_credential_once(self, rig: Rig) -> None:
        register(rig.fleet, rig.journal)
        assert [(row.name, row.identity) for row in rig.journal.credentials()] == [(CREDENTIAL, f"aws:user/{USER}")]

    def test_refuses_a_name_that_belongs_to_another_identity(self, rig: Rig) -> None:
        fleet = assemble(rewritten(rig.config, user="another"), rig.clock, rig.http)
        with pytest.raises(StoreError, match="aws:user/another"):
            register(fleet, rig.journal)
        assert [row.identity for row in rig.journal.credentials()] == [f"aws:user/{USER}"]

    def test_keeps_a_credential_in_the_config_while_it_is_in_flight(self, rig: Rig) -> None:
        fleet = assemble(rewritten(rig.config, name="other", user="other"), rig.clock, rig.http)
        rig.adopt()
        refuse_removal_in_flight(fleet, rig.journal)
        rig.begin()
        rig.to(Phase.GRACE)
        with pytest.raises(RotatorError, match=f"{CREDENTIAL} has a rotation in flight") as caught:
            refuse_removal_in_flight(fleet, rig.journal)
        assert "rotator abandon" in caught.value.remedy

    def test_lets_it_have_another_name_meanwhile(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.GRACE)
        refuse_removal_in_flight(assemble(rewritten(rig.config, name="renamed"), rig.clock, rig.http), rig.journal)
