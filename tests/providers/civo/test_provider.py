"""The Civo provider over sockets, against the stand-in. Nothing is created there, so `ProviderContract` doesn't fit."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from rotator.clock import Clock
from rotator.errors import CallFailed, RotatorError, Verdict
from rotator.material import Material
from rotator.model import Key, Proof
from rotator.providers.base import Draft, OpenProvider, Rights
from rotator.providers.civo.place import key_id_of
from rotator.providers.civo.provider import CivoApiKey, open_provider
from rotator.providers.civo.rights import rights
from rotator.providers.civo.settings import CivoSection, CivoSettings
from rotator.sandbox.civo.stand_in import CivoAccount, CivoStandIn
from rotator.sandbox.wire.rules import Canned, Cut, Drip, Fault, Reset, Rule
from rotator.settings.secret import SecretRef
from tests.providers.contract import CANARY, HTML, UNSURE, everything_in
from tests.support.given import tools
from tests.support.patience import patience
from tests.support.stepped import Stepped

EMAIL = "ops@example.com"
PATIENT = timedelta(seconds=patience(20))
SHORT = timedelta(seconds=patience(5))
"""Where no answer is the right one anyway: the pause before a repetition grows with the deadline."""
IMPATIENT = timedelta(seconds=patience(1))

opens: OpenProvider[CivoSettings] = open_provider  # for the type checker
tells: Rights[CivoSettings] = rights


@dataclass(frozen=True, slots=True)
class World:
    civo: CivoStandIn
    account: CivoAccount
    file: Path

    def open(self, *, deadline: timedelta = PATIENT, clock: Clock | None = None, **section: object) -> CivoApiKey:
        usual = {"api_key": {"file": str(self.file)}, "account": EMAIL, "api_url": self.civo.server.url}
        settings = CivoSettings.model_validate({"civo": {**usual, **section}})
        return open_provider(settings, tools(deadline, clock=clock))

    def put(self, account: CivoAccount | None = None) -> str:
        """Put the account's present key into the place. Returns its id."""
        value = self.civo.key(account or self.account).value
        self.file.write_text(f"{value.get_secret_value()}\n")
        return key_id_of(value)

    def regenerate(self) -> str:
        """Press the button and put the new key into the place. Returns its id."""
        self.civo.regenerate(self.account)
        return self.put()

    def asked(self) -> int:
        return len(self.civo.faults.requests())

    def spoil(self, fault: Fault) -> None:
        self.civo.faults.put(Rule(times=None, fault=fault))

    def stop(self) -> None:
        self.civo.server.__exit__(None, None, None)


@pytest.fixture
def world(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[World]:
    caplog.set_level(logging.DEBUG)
    with CivoStandIn() as civo:
        world = World(civo, civo.add_account(EMAIL), tmp_path / "civo-key")
        world.put()
        yield world
    logged = "\n".join(str(vars(record)) + record.getMessage() for record in caplog.records)
    assert not [secret for secret in (*civo.secrets, CANARY) if secret in logged]


def failure_of(call: Callable[[], object]) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        call()
    return caught.value


def asks(world: World, provider: CivoApiKey) -> list[Callable[[], object]]:
    """Each kind of call that asks Civo: the last one about a key that was regenerated."""
    old = provider.draft("7f3a", 1)
    assert old.material is not None
    assert old.mark is not None
    world.regenerate()
    material, key_id = old.material, old.mark
    return [provider.list_keys, lambda: provider.prove(material), lambda: provider.delete(key_id)]


class TestListing:
    def test_the_key_in_the_place_is_the_only_one(self, world: World) -> None:
        clock, there = Stepped(), datetime(2026, 11, 23, 11, 59, 58, tzinfo=UTC)
        world.civo.server.clock = lambda: there
        listing = world.open(clock=clock).list_keys()
        key_id = key_id_of(world.civo.key(world.account).value)
        assert listing.keys == (Key(key_id, clock.now(), mark=key_id),)
        assert listing.cloud_time is not None
        assert (listing.cloud_time, listing.cloud_time.tzinfo) == (there, UTC)

    def test_a_key_is_as_old_as_this_process_knows_it(self, world: World) -> None:
        clock = Stepped()
        provider, began = world.open(clock=clock), clock.now()
        provider.list_keys()
        clock.step(hours=5)
        assert [key.created_at for key in provider.list_keys().keys] == [began]
        world.regenerate()
        assert [key.created_at for key in provider.list_keys().keys] == [clock.now()]

    def test_many_threads_see_one_key(self, world: World) -> None:
        provider = world.open()
        with ThreadPoolExecutor(8) as pool:
            listings = list(pool.map(lambda _: provider.list_keys().keys, range(16)))
        assert len(set(listings)) == 1

    def test_an_id_is_the_same_in_every_version_and_tells_nothing(self, world: World) -> None:
        assert key_id_of(SecretStr("not-a-key-of-anybody")) == "civo-3562bbd4a0a0a4e8"
        shown = repr(world.open().list_keys()) + repr(world.open().draft("7f3a", 1))
        assert not [secret for secret in world.civo.secrets if secret in shown]

    @pytest.mark.parametrize("code", ["database_account_not_found", "authentication_invalid_key"])
    def test_a_key_that_was_regenerated_and_not_brought(self, world: World, code: str) -> None:
        world.spoil(Canned(status=404, body=f'{{"code": "{code}", "reason": "No"}}'))
        failure = failure_of(world.open().list_keys)
        assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, code, True)
        assert "the key was regenerated, and the new key is not there yet" in failure.message
        assert failure.remedy == f"Put the new key into {world.file}. rotator looks again by itself."

    def test_the_new_key_is_seen_without_a_restart(self, world: World) -> None:
        provider = world.open()
        provider.list_keys()
        world.civo.regenerate(world.account)
        assert failure_of(provider.list_keys).code == "database_account_not_found"
        key_id = world.put()
        assert [key.key_id for key in provider.list_keys().keys] == [key_id]

    @pytest.mark.parametrize("text", ["", " \n", "two\nlines", "ümlaut", None])
    def test_a_place_without_a_key(self, world: World, text: str | None) -> None:
        world.file.unlink() if text is None else world.file.write_text(text)
        provider = world.open()
        for call in (provider.list_keys, lambda: provider.draft("7f3a", 1)):
            failure = failure_of(call)
            assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, "NoKey", True)
            assert str(world.file) in failure.message
            assert failure.remedy.endswith("rotator looks again by itself.")
            assert not text or text not in everything_in(failure)
        assert world.asked() == 0


class TestAccount:
    @pytest.fixture
    def other(self, world: World) -> CivoAccount:
        return world.civo.add_account("other@example.com")

    def test_a_key_of_another_account_than_the_named_one(self, world: World, other: CivoAccount) -> None:
        provider, material = world.open(), self.material(world, other)
        for call in (provider.list_keys, lambda: provider.prove(material)):
            failure = failure_of(call)
            assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, "WrongAccount", True)
            assert f"belongs to other@example.com ({other.quota_id}), not to {EMAIL}" in failure.message
            assert str(world.file) in failure.remedy
        world.put()
        assert len(provider.list_keys().keys) == 1

    def test_a_key_of_another_account_than_before(self, world: World, other: CivoAccount) -> None:
        provider = world.open(account=None)
        provider.list_keys()
        material = self.material(world, other)
        assert failure_of(provider.list_keys).code == "WrongAccount"
        assert failure_of(lambda: provider.prove(material)).code == "WrongAccount"
        world.regenerate()
        assert len(provider.list_keys().keys) == 1

    def test_an_account_is_called_by_its_address_in_any_case_or_by_its_id(self, world: World) -> None:
        for name in ("OPS@Example.com", world.account.quota_id, world.account.quota_id.upper(), None):
            assert len(world.open(account=name).list_keys().keys) == 1

    def test_of_two_accounts_with_one_address_the_id_tells(self, world: World) -> None:
        twin = world.civo.add_account(EMAIL)
        world.put(twin)
        assert failure_of(world.open(account=world.account.quota_id).list_keys).code == "WrongAccount"

    def test_the_identity_is_the_accounts_or_the_places(self, world: World) -> None:
        assert world.open(account="Ops@Example.com").identity == "civo:account/ops@example.com"
        assert world.open(account=None).identity == f"civo:{world.file}"

    def material(self, world: World, account: CivoAccount) -> Material:
        world.put(account)
        return Material(secret={"apiKey": world.civo.key(account).value})


class TestMint:
    def test_what_is_minted_is_what_is_listed_and_nobody_is_asked(self, world: World) -> None:
        provider = world.open()
        key_id = world.regenerate()
        draft = provider.draft("7f3a", 7)
        minted = provider.mint(draft)
        assert world.asked() == 0
        assert draft.mark == minted.key.key_id == minted.key.mark == key_id
        assert minted.hint is None
        assert minted.material == draft.material
        assert world.civo.works(minted.material)
        assert provider.list_keys().keys == (minted.key,)
        assert not [secret for secret in world.civo.secrets if secret in f"{minted!r} {draft!r}"]

    def test_a_restart_finds_the_same_key_in_its_place(self, world: World) -> None:
        before, after = (world.open().draft("7f3a", generation) for generation in (1, 2))
        assert before == after

    def test_a_key_that_was_replaced_meanwhile(self, world: World) -> None:
        provider = world.open()
        draft = provider.draft("7f3a", 1)
        key_id = world.regenerate()
        failure = failure_of(lambda: provider.mint(draft))
        assert (failure.verdict, failure.code) == (Verdict.NOT_APPLIED, "KeyReplaced")
        assert key_id in failure.message
        assert provider.mint(provider.draft("7f3a", 2)).key.key_id == key_id

    def test_a_key_that_was_taken_away_meanwhile(self, world: World) -> None:
        provider = world.open()
        draft = provider.draft("7f3a", 1)
        world.file.write_text("")
        failure = failure_of(lambda: provider.mint(draft))
        assert (failure.verdict, failure.code, failure.permanent) == (Verdict.NOT_APPLIED, "NoKey", False)

    def test_a_draft_of_nothing_mints_nothing(self, world: World) -> None:
        assert failure_of(lambda: world.open().mint(Draft())).verdict is Verdict.NOT_APPLIED


class TestProof:
    def test_alive_with_one_request_each(self, world: World) -> None:
        provider = world.open()
        material = provider.mint(provider.draft("7f3a", 1)).material
        assert [provider.prove(material) for _ in range(3)] == [Proof.ALIVE] * 3
        assert world.asked() == 3

    @pytest.mark.parametrize("code", ["database_account_not_found", "authentication_invalid_key"])
    @pytest.mark.parametrize("status", [401, 403, 404])
    def test_a_refused_key_is_not_given_up(self, world: World, status: int, code: str) -> None:
        provider = world.open()
        material = provider.mint(provider.draft("7f3a", 1)).material
        world.spoil(Canned(status=status, body=f'{{"code": "{code}", "reason": "No"}}'))
        assert [provider.prove(material) for _ in range(2)] == [Proof.NOT_YET] * 2
        world.civo.faults.put()
        assert provider.prove(material) is Proof.ALIVE

    def test_a_candidate_whose_successor_was_brought_is_given_up(self, world: World) -> None:
        provider = world.open()
        material = provider.mint(provider.draft("7f3a", 1)).material
        world.regenerate()
        assert provider.prove(material) is Proof.DEAD

    @pytest.mark.parametrize("date", ["", "soon", "Mon, 23 Nov 2026 12:00:00"])
    def test_a_list_without_a_readable_date_has_no_time(self, world: World, date: str) -> None:
        body = f'{{"default_user_email_address": "{EMAIL}"}}'
        world.spoil(Canned(status=200, body=body, headers={"Date": date}))
        assert world.open().list_keys().cloud_time is None


class TestDelete:
    def test_the_key_in_the_place_is_let_go_of(self, world: World) -> None:
        provider = world.open()
        minted = provider.mint(provider.draft("7f3a", 1))
        provider.delete(minted.key.key_id)
        assert world.asked() == 0
        assert world.civo.works(minted.material)

    def test_the_old_key_is_proved_dead_once(self, world: World) -> None:
        provider = world.open()
        (old,) = provider.list_keys().keys
        world.regenerate()
        provider.list_keys()
        before = world.asked()
        for _ in range(3):
            provider.delete(old.key_id)
        assert world.asked() - before == 1

    def test_an_old_key_that_still_works(self, world: World) -> None:
        """Two accounts of an organisation: Regenerate was pressed for one, and the other's key was in the place."""
        provider = world.open()
        twin = world.civo.add_account(EMAIL)
        world.put(twin)
        (old,) = provider.list_keys().keys
        world.regenerate()
        failure = failure_of(lambda: provider.delete(old.key_id))
        assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, "StillAlive", True)
        assert f"{old.key_id} still works for {EMAIL} ({twin.quota_id})" in failure.message
        assert "Press Regenerate" in failure.remedy
        world.civo.regenerate(twin)
        provider.delete(old.key_id)

    def test_the_death_of_a_key_that_this_process_never_read_is_not_proved(self, world: World) -> None:
        (old,) = world.open().list_keys().keys
        world.regenerate()
        before = world.asked()
        world.open().delete(old.key_id)
        assert world.asked() == before

    def test_without_a_key_in_the_place_nothing_is_judged(self, world: World) -> None:
        provider = world.open()
        (old,) = provider.list_keys().keys
        world.file.unlink()
        assert failure_of(lambda: provider.delete(old.key_id)).verdict is Verdict.NOT_APPLIED


ERROR = '{"code": "database_account_not_found", "reason": "No"}'
FOREIGN: dict[str, Fault] = {name: fault for name, (fault, _) in UNSURE.items()} | {
    "a page with 404": Canned(status=404, body=HTML, content_type="text/html"),
    "Civo's own page with 404": Canned(status=404, body="404 page not found", content_type="text/plain"),
    "nothing with 404": Canned(status=404),
    "an error with 500": Canned(status=500, body=ERROR),
    "an error with 408": Canned(status=408, body=ERROR),
    "an error with 200": Canned(status=200, body=ERROR),
    "an error that is cut": Canned(status=404, body=ERROR[:-1]),
    "an error without a reason": Canned(status=404, body='{"code": "database_account_not_found"}'),
    "an error whose code is none": Canned(status=404, body='{"code": ["database_account_not_found"], "reason": "No"}'),
    "an error of somebody else": Canned(status=403, body='{"code": "Forbidden!", "reason": "No"}'),
    "a list": Canned(status=404, body=f"[{ERROR}]"),
    "a deep list": Canned(status=404, body="[" * 100_000),
    "no JSON": Canned(status=404, body="\x00" * 20),
    "a quota without an address": Canned(status=200, body='{"id": "1"}'),
    "a quota whose address is none": Canned(status=200, body='{"default_user_email_address": null}'),
    "a quota without end": Canned(
        status=200, body=f'{{"default_user_email_address": "{EMAIL}", "x": "{"x" * 2_000_000}"}}'
    ),
}
FOREIGN["cut in the middle of an error"] = Cut(keep=30)


@pytest.mark.realtime
class TestFailures:
    @pytest.mark.parametrize("name", FOREIGN)
    def test_what_is_not_civos_whole_answer_is_unknown(self, world: World, name: str) -> None:
        calls = asks(world, world.open(deadline=SHORT))
        world.spoil(FOREIGN[name])
        # Of these only the list may be asked for again.
        for call, requests in zip(calls, (2, 1, 1), strict=True):
            before = world.asked()
            failure = failure_of(call)
            assert (failure.verdict, failure.permanent) == (Verdict.UNKNOWN, False)
            assert world.asked() - before == requests
            told = everything_in(failure)
            assert not [secret for secret in (*world.civo.secrets, CANARY) if secret in told]
            assert "\n" not in failure.message

    def test_a_slow_drip_ends_within_the_deadline(self, world: World) -> None:
        for call in asks(world, world.open(deadline=IMPATIENT)):
            world.spoil(Drip(size=10, pause=3600))
            began = time.monotonic()
            failure = failure_of(call)
            took = time.monotonic() - began
            world.civo.faults.release()
            assert failure.verdict is Verdict.UNKNOWN
            assert took < patience(10)

    def test_without_a_server_nothing_was_asked(self, world: World) -> None:
        calls = asks(world, world.open())
        world.stop()
        for call in calls:
            failure = failure_of(call)
            assert failure.verdict is Verdict.NOT_APPLIED
            assert failure.remedy

    @pytest.mark.parametrize(("headers", "wait"), [({"Retry-After": "7"}, 7), ({}, 60)])
    def test_too_many_requests(self, world: World, headers: dict[str, str], wait: int) -> None:
        calls = asks(world, world.open())
        world.spoil(Canned(status=429, headers=headers))
        for call in calls:
            failure = failure_of(call)
            assert (failure.verdict, failure.retry_after) == (Verdict.NOT_APPLIED, timedelta(seconds=wait))

    def test_what_civo_itself_refuses_for_another_reason_says_nothing_about_the_key(self, world: World) -> None:
        calls = asks(world, world.open())
        secret = world.file.read_text().strip()
        body = f'{{"code": "authentication_access_denied", "reason": "Access denied to {secret}"}}'
        world.spoil(Canned(status=403, body=body))
        for call in calls:
            failure = failure_of(call)
            assert (failure.verdict, failure.permanent) == (Verdict.REFUSED, True)
            assert failure.code == "authentication_access_denied"
            assert "Access denied to" in failure.message
            assert failure.remedy

    def test_an_echoed_key_is_not_told(self, world: World) -> None:
        secret = world.file.read_text().strip()
        body = f'{{"code": "authentication_access_denied", "reason": "{"x" * 280}{secret}"}}'
        world.spoil(Canned(status=403, body=body))
        told = everything_in(failure_of(world.open().list_keys))
        assert secret[:12] not in told

    def test_a_key_in_two_words_is_no_key(self, world: World) -> None:
        world.file.write_text("two words")
        failure = failure_of(world.open().list_keys)
        assert (failure.verdict, failure.code) == (Verdict.REFUSED, "authentication_access_denied")

    def test_one_spoiled_read_is_repeated(self, world: World) -> None:
        world.civo.faults.put(Rule(times=1, fault=Reset()))
        assert len(world.open().list_keys().keys) == 1
        assert world.asked() == 2


class TestCheck:
    def test_all_is_well(self, world: World) -> None:
        rights = world.open().check()
        assert [right.holds for right in rights] == [True, True]
        assert key_id_of(world.civo.key(world.account).value) in rights[0].name
        assert f"{EMAIL} ({world.account.quota_id})" in rights[1].name

    def test_an_account_that_nobody_named_is_shown(self, world: World) -> None:
        _, ownership = world.open(account=None).check()
        assert ownership.holds is None
        assert f"`account: {EMAIL}`" in ownership.remedy

    def test_another_account(self, world: World) -> None:
        world.put(world.civo.add_account("other@example.com"))
        known, ownership = world.open().check()
        assert (known.holds, ownership.holds) == (True, False)
        assert str(world.file) in ownership.remedy

    def test_a_dead_key_an_empty_place_and_a_silent_cloud(self, world: World) -> None:
        provider = world.open()
        world.civo.regenerate(world.account)
        (dead,) = provider.check()
        world.file.write_text("")
        (empty,) = provider.check()
        world.put()
        world.stop()
        (silent,) = provider.check()
        assert [right.holds for right in (dead, empty, silent)] == [False, False, None]
        assert all(str(world.file) in right.remedy for right in (dead, empty))
        assert "was not sent" in silent.remedy


def test_what_civo_cannot_do_it_does_not_claim(world: World) -> None:
    provider = world.open()
    able = provider.abilities
    assert (able.slots, able.exact, able.disables, able.tells_use) == (None, True, None, None)
    assert (able.proves, able.supplied) == (provider, provider)
    assert world.asked() == 0


def test_a_ca_file_that_is_none(world: World) -> None:
    with pytest.raises(RotatorError, match="can't be used"):
        world.open(ca_file=str(world.file))


def test_the_policy_says_what_a_person_does() -> None:
    section = CivoSection(api_key=SecretRef(file="/run/secrets/civo-key"))
    told = rights(CivoSettings(civo=section))
    assert "no rights to grant" in told
    assert "/run/secrets/civo-key" in told
    assert EMAIL in rights(CivoSettings(civo=section.model_copy(update={"account": EMAIL})))
