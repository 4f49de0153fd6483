"""The Civo stand-in, judged by what Civo's reference and its clients say: what it refuses is what Civo refuses."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest

from rotator.config.kinds import CLASSES
from rotator.providers.civo.place import key_id_of
from rotator.providers.civo.settings import CivoSettings
from rotator.sandbox.civo.scene import CivoScene
from rotator.sandbox.civo.stand_in import CivoAccount, CivoStandIn
from rotator.sandbox.scene import OpenScene, Regenerated, Scene
from rotator.sandbox.wire.rules import Canned, Rule
from rotator.sandbox.wire.serving import utc_now

DENIED = {
    "code": "authentication_access_denied",
    "reason": "Access denied, you don't have permission on this resource",
}
NOT_FOUND = {"code": "database_account_not_found", "reason": "Failed to find the account within the internal database"}

opens: OpenScene = CivoScene  # for the type checker: it fits the contract


@pytest.fixture
def civo() -> Iterator[CivoStandIn]:
    with CivoStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def account(civo: CivoStandIn) -> CivoAccount:
    return civo.add_account("ops@example.com")


def value(civo: CivoStandIn, account: CivoAccount) -> str:
    return civo.key(account).value.get_secret_value()


def quota(civo: CivoStandIn, authorization: str | None) -> httpx.Response:
    headers = {} if authorization is None else {"Authorization": authorization}
    return httpx.get(f"{civo.server.url}/v2/quota", headers=headers)


class TestQuota:
    @pytest.mark.parametrize("scheme", ["bearer", "Bearer"])
    def test_the_key_is_told_its_account(self, civo: CivoStandIn, account: CivoAccount, scheme: str) -> None:
        answer = quota(civo, f"{scheme} {value(civo, account)}")
        said = answer.json()
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert said["default_user_email_address"] == "ops@example.com"
        assert said["id"] == account.quota_id
        # What Civo's own client takes for numbers (civogo's quota.go).
        assert all(type(said[name]) is int for name in ("instance_count_limit", "cpu_core_usage", "ram_mb_limit"))

    def test_the_date_is_the_clouds(self, civo: CivoStandIn, account: CivoAccount) -> None:
        then = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        civo.server.clock = lambda: then
        assert parsedate_to_datetime(quota(civo, f"bearer {value(civo, account)}").headers["date"]) == then

    def test_an_unknown_key(self, civo: CivoStandIn, account: CivoAccount) -> None:  # noqa: ARG002  # another's key
        answer = quota(civo, "bearer " + "x" * 50)
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)

    def test_two_accounts_have_a_key_each(self, civo: CivoStandIn, account: CivoAccount) -> None:
        other = civo.add_account("other@example.com")
        said = [quota(civo, f"bearer {value(civo, each)}").json() for each in (account, other)]
        assert [each["default_user_email_address"] for each in said] == ["ops@example.com", "other@example.com"]
        assert said[0]["id"] != said[1]["id"]


class TestStrictness:
    @pytest.mark.parametrize(
        "authorization",
        [None, "", "bearer", "{}", "Basic {}", "bearer{}", "bearer  {}", "bearer {} {}", "token {}"],
    )
    def test_what_is_no_bearer_is_nothing(
        self, civo: CivoStandIn, account: CivoAccount, authorization: str | None
    ) -> None:
        key = value(civo, account)
        answer = quota(civo, None if authorization is None else authorization.replace("{}", key))
        assert (answer.status_code, answer.json()) == (403, DENIED)

    @pytest.mark.parametrize("spoil", [str.lower, str.upper, lambda key: key[:-1], lambda key: key + "x"])
    def test_a_key_is_compared_to_the_letter(self, civo: CivoStandIn, account: CivoAccount, spoil: object) -> None:
        assert callable(spoil)
        assert quota(civo, f"bearer {spoil(value(civo, account))}").json() == NOT_FOUND

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/"),
            ("GET", "/v2/quota/"),
            ("GET", "/v1/quota"),
            ("GET", "/v2/instances"),
            ("POST", "/v2/quota"),
            ("DELETE", "/v2/quota"),
        ],
    )
    def test_another_path_is_not_found_whoever_asks(
        self, civo: CivoStandIn, account: CivoAccount, method: str, path: str
    ) -> None:
        key = value(civo, account)
        for headers in ({}, {"Authorization": f"bearer {key}"}):
            answer = httpx.request(method, f"{civo.server.url}{path}", headers=headers)
            assert (answer.status_code, answer.text) == (404, "404 page not found")
            assert answer.headers["content-type"].startswith("text/plain")


class TestRegenerate:
    def test_the_old_key_is_dead_at_once_and_the_new_one_works(self, civo: CivoStandIn, account: CivoAccount) -> None:
        old = value(civo, account)
        new = civo.regenerate(account).value.get_secret_value()
        assert old != new == value(civo, account)
        assert quota(civo, f"bearer {old}").json() == NOT_FOUND
        assert quota(civo, f"bearer {new}").status_code == 200

    def test_every_key_is_a_secret(self, civo: CivoStandIn, account: CivoAccount) -> None:
        first = value(civo, account)
        keys = {first, *(civo.regenerate(account).value.get_secret_value() for _ in range(3))}
        assert civo.secrets == keys
        assert {len(key) for key in keys} == {50}

    def test_a_closed_account_has_no_key(self, civo: CivoStandIn, account: CivoAccount) -> None:
        key = value(civo, account)
        civo.delete_account(account)
        assert quota(civo, f"bearer {key}").json() == NOT_FOUND


def test_the_fault_plan_stands_before_it(civo: CivoStandIn, account: CivoAccount) -> None:
    civo.faults.put(Rule(path="/v2/quota", fault=Canned(status=502)))
    assert [quota(civo, f"bearer {value(civo, account)}").status_code for _ in range(2)] == [502, 200]
    assert len(civo.faults.requests(path="/v2/quota")) == 2
    assert value(civo, account) not in json.dumps([str(seen) for seen in civo.faults.requests()])


def test_it_is_down_after_its_with_block() -> None:
    with CivoStandIn() as civo:
        port = civo.server.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


class TestScene:
    @pytest.fixture
    def scene(self, tmp_path: Path) -> Iterator[CivoScene]:
        with CivoScene(tmp_path, clock=utc_now, propagation=timedelta(seconds=1)) as scene:
            yield scene

    def test_its_settings_are_a_credential_of_the_config(self, scene: CivoScene) -> None:
        section: object = CLASSES["civo"].model_validate(
            {"name": scene.name, "integrations": [scene.name], **scene.settings}, strict=False
        )
        assert isinstance(section, CivoSettings)
        assert section.civo.api_key.read() == scene.held.secret["apiKey"]
        assert section.current_key == key_id_of(scene.held.secret["apiKey"])

    def test_a_workload_fails_between_regenerate_and_push_and_that_is_foreseen(self, scene: CivoScene) -> None:
        listed: Scene = scene
        assert isinstance(listed, Regenerated)
        old = scene.held.reveal()
        assert (scene.use(old), scene.awaiting(old)) == ("", False)
        scene.regenerate()
        new = {"apiKey": scene.key_file.read_text()}
        assert scene.use(old) == f"{key_id_of(scene.held.secret['apiKey'])}: 404"
        assert (scene.awaiting(old), scene.awaiting(new)) == (True, False)
        assert scene.use(new) == ""
        assert scene.regenerated == 1

    def test_a_key_that_is_nobodys_is_no_foreseen_failure(self, scene: CivoScene) -> None:
        wrong = {"apiKey": "x" * 50}
        assert scene.use(wrong)
        assert not scene.awaiting(wrong)

    def test_the_file_is_private_and_follows_the_dashboard(self, scene: CivoScene) -> None:
        (before,) = scene.keys()
        scene.regenerate()
        (after,) = scene.keys()
        assert before.key_id != after.key_id
        assert scene.key_file.read_text() == value(scene.civo, scene.account)
        assert scene.key_file.stat().st_mode & 0o777 == 0o600

    def test_what_use_says_holds_no_secret(self, scene: CivoScene) -> None:
        scene.regenerate()
        said = scene.use(scene.held.reveal())
        assert not [secret for secret in scene.civo.secrets if secret in said]
