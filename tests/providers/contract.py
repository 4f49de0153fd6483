"""What holds for a provider of any cloud, seen from the stand-in's side of the wire. A test module subclasses
`ProviderContract` and gives it a `harness` fixture."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any, ClassVar

import pytest

from rotator.errors import CallFailed, Verdict
from rotator.material import Material
from rotator.model import Key, Proof
from rotator.providers.base import Disables, Minted, Proves, Provider
from rotator.sandbox.wire.faults import Faults, SeenRequest
from rotator.sandbox.wire.rules import Canned, Cut, Drip, Fault, Reset, Rule

HTML = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><p>The proxy wants<br>a word</body></html>"
XHTML = "<html><head><title>Sign in</title></head><body><p>The proxy wants a word</p></body></html>"
CANARY = "canary+secret/Jalr6XUtnF"
WITH_CANARY = f"<CreateAccessKeyResponse><SecretAccessKey>{CANARY}</SecretAccessKey>"


@dataclass(frozen=True, slots=True)
class Harness:
    """A provider, and its cloud's stand-in as a person would see it.

    Args:
        impatient: opens the same provider with a deadline to run into.
        create, disable, delete, read, prove: select these requests in the fault plan; disable is None where the cloud
            can't.
        initial: the keys that exist before the test.
        request_ids: the cloud tells the ids of its requests.
        backdated: by how much a fresh key is older than its making, where its own certificate dates it; None where the
            cloud doesn't tell when it was made.
        secrets: all that the stand-in ever gave out.
        down: stops the stand-in.
        reconnected: where calls share a connection that a fault cuts, returns once there is a new one. Until the client
            has seen that the old one is gone, it sends into that.
    """

    provider: Provider
    faults: Faults
    impatient: Callable[[], Provider]
    create: Mapping[str, Any]
    disable: Mapping[str, Any] | None
    delete: Mapping[str, Any]
    read: Mapping[str, Any]
    prove: Mapping[str, Any]
    listed: Callable[[], tuple[Key, ...]]
    works: Callable[[Material], bool]
    foreign_key: Callable[[], str]
    delete_identity: Callable[[], None]
    secrets: set[str]
    down: Callable[[], None]
    initial: frozenset[str] = frozenset()
    request_ids: bool = True
    backdated: timedelta | None = timedelta(0)
    reconnected: Callable[[], object] = lambda: None

    def made(self) -> list[Key]:
        """The keys that came since the test began."""
        return [key for key in self.listed() if key.key_id not in self.initial]

    def mint(self) -> Minted:
        return self.provider.mint(self.provider.draft("7f3a", 1))

    def calls(self, provider: Provider, candidate: Minted) -> list[tuple[Callable[[], object], Mapping[str, Any]]]:
        """One of each kind of call, and what selects it."""
        calls: list[tuple[Callable[[], object], Mapping[str, Any]]] = [
            (lambda: provider.mint(provider.draft("7f3a", 2)), self.create),
            (provider.list_keys, self.read),
            (lambda: proves(provider).prove(candidate.material), self.prove),
        ]
        if self.disable is not None:
            calls.append((lambda: disables(provider).disable(candidate.key.key_id), self.disable))
        return calls

    def creates(self) -> list[SeenRequest]:
        return self.faults.requests(**self.create)


UNSURE: dict[str, tuple[Fault, int]] = {
    # How many keys there are afterwards, and nothing of it can be told from the answer.
    "500 before": (Canned(status=500, body="Internal error", content_type="text/plain"), 0),
    "500 after the commit": (Canned(when="after", status=500, body=""), 1),
    "502 of a proxy, after": (Canned(when="after", status=502, body=HTML, content_type="text/html"), 1),
    "504 of a proxy, before": (Canned(status=504, body=XHTML, content_type="text/html"), 0),
    "408": (Canned(status=408, body=XHTML, content_type="text/html"), 0),
    "reset before": (Reset(), 0),
    "reset after the commit": (Reset(when="after"), 1),
    "cut at once": (Cut(keep=0), 1),
    "cut in the middle": (Cut(keep=150), 1),
    "cut behind the secret": (Cut(keep=450), 1),
    "cut by one byte": (Cut(keep=100_000), 1),
    "HTML with 200": (Canned(status=200, body=HTML, content_type="text/html"), 0),
    "HTML with 200, after": (Canned(when="after", status=200, body=HTML, content_type="text/html"), 1),
    "XHTML with 200": (Canned(status=200, body=XHTML, content_type="text/html"), 0),
    "HTML with 403": (Canned(status=403, body=HTML, content_type="text/html"), 0),
    "XHTML with 403": (Canned(status=403, body=XHTML, content_type="text/html"), 0),
    "nothing with 200": (Canned(status=200), 0),
    "nothing with 204": (Canned(when="after", status=204), 1),
    "nothing with 403": (Canned(status=403), 0),
    "a redirect": (Canned(status=307, headers={"Location": "/elsewhere"}), 0),
    "malformed, with a secret": (Canned(when="after", status=200, body=WITH_CANARY, content_type="text/xml"), 1),
}


def proves(provider: Provider) -> Proves:
    """The provider's ability, which it must have."""
    able = provider.abilities.proves
    assert able is not None
    return able


def disables(provider: Provider) -> Disables:
    """The provider's ability, which it must have."""
    able = provider.abilities.disables
    assert able is not None
    return able


def everything_in(error: BaseException) -> str:
    """All that a log or a debugger could print of it, suppressed contexts included."""
    parts: list[str] = []
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        parts += [str(each), repr(each), repr(each.args), repr(vars(each)), *traceback.format_exception(each)]
        waiting += [each.__cause__, each.__context__]
    return "\n".join(parts)


@pytest.mark.realtime
class ProviderContract:
    """Scenarios over the Protocol.

    Attributes:
        unsure: what leaves a call without a complete answer, and how many keys a mint then made.
    """

    unsure: ClassVar[Mapping[str, tuple[Fault, int]]] = UNSURE

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "without_answer" in metafunc.fixturenames:
            metafunc.parametrize("without_answer", list(self.unsure))

    @pytest.fixture(autouse=True)
    def no_secret_is_logged(self, harness: Harness, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
        caplog.set_level(logging.DEBUG)
        yield
        logged = "\n".join(
            str(vars(record)) + record.getMessage() for when in ("setup", "call") for record in caplog.get_records(when)
        )
        assert not [secret for secret in (*harness.secrets, CANARY) if secret in logged]

    def test_a_minted_key_works_is_listed_and_is_dated_by_the_cloud(self, harness: Harness) -> None:
        before = harness.provider.list_keys()
        minted = harness.mint()
        listing = harness.provider.list_keys()
        assert harness.works(minted.material)
        assert set(listing.keys) - set(before.keys) == {minted.key}
        assert before.cloud_time is not None
        assert listing.cloud_time is not None
        if harness.backdated is not None:
            assert before.cloud_time <= minted.key.created_at + harness.backdated <= listing.cloud_time
        assert minted.key.created_at.tzinfo is UTC
        assert listing.cloud_time.tzinfo is UTC
        assert minted.key.enabled
        assert minted.request_id or not harness.request_ids
        assert len(harness.creates()) == 1

    def test_a_hint_does_not_show_the_whole_id(self, harness: Harness) -> None:
        minted = harness.mint()
        assert minted.hint is None or minted.key.key_id not in minted.hint

    def test_nothing_of_a_minted_key_prints_its_secret(self, harness: Harness) -> None:
        minted = harness.mint()
        shown = f"{minted!r} {minted} {minted.material.public} {minted.material.secret}"
        assert not [secret for secret in harness.secrets if secret in shown]

    def test_a_call_without_a_complete_answer_is_unknown_and_never_repeated(
        self, harness: Harness, without_answer: str
    ) -> None:
        fault, made = self.unsure[without_answer]
        candidate = harness.mint()
        for call, selected in harness.calls(harness.provider, candidate):
            harness.faults.put()
            harness.reconnected()
            before = len(harness.faults.requests(**selected))
            harness.faults.put(Rule(**selected, times=None, fault=fault))
            with pytest.raises(CallFailed) as caught:
                call()
            assert caught.value.verdict is Verdict.UNKNOWN
            # Only reads may be tried again.
            assert len(harness.faults.requests(**selected)) - before == 1 or selected == harness.read
            told = everything_in(caught.value)
            assert not [secret for secret in (*harness.secrets, CANARY) if secret in told]
            assert "\n" not in caught.value.message
        assert len(harness.made()) == 1 + made

    def test_a_slow_drip_ends_within_the_deadline_as_unknown(self, harness: Harness) -> None:
        candidate = harness.mint()
        for call, selected in harness.calls(harness.impatient(), candidate):
            harness.faults.put(Rule(**selected, times=None, fault=Drip(size=40, pause=3600)))
            with pytest.raises(CallFailed) as caught:
                call()
            harness.faults.release()
            assert caught.value.verdict is Verdict.UNKNOWN
        assert len(harness.creates()) == 2

    def test_a_mint_that_found_no_server_was_not_applied(self, harness: Harness) -> None:
        harness.down()
        with pytest.raises(CallFailed) as caught:
            harness.mint()
        assert caught.value.verdict is Verdict.NOT_APPLIED
        assert not harness.made()

    def test_one_spoiled_read_is_repeated(self, harness: Harness) -> None:
        harness.faults.put(Rule(**harness.read, times=1, fault=Reset()))
        assert {key.key_id for key in harness.provider.list_keys().keys} == harness.initial

    def test_a_candidate_is_proved_alive(self, harness: Harness) -> None:
        assert proves(harness.provider).prove(harness.mint().material) is Proof.ALIVE

    def test_disable_and_enable_can_be_repeated(self, harness: Harness) -> None:
        if harness.disable is None:
            assert harness.provider.abilities.disables is None
            return
        able, minted = disables(harness.provider), harness.mint()
        for _ in range(2):
            assert able.disable(minted.key.key_id).request_id or not harness.request_ids
            assert not harness.works(minted.material)
            listed = harness.provider.list_keys().keys
            assert [key.enabled for key in listed if key.key_id == minted.key.key_id] == [False]
        for _ in range(2):
            assert able.enable(minted.key.key_id).request_id or not harness.request_ids
            assert harness.works(minted.material)

    def test_delete_takes_this_key_and_no_other_and_can_be_repeated(self, harness: Harness) -> None:
        minted, other = harness.mint(), harness.foreign_key()
        for _ in range(2):
            harness.provider.delete(minted.key.key_id)
            assert [key.key_id for key in harness.made()] == [other]
        assert not harness.works(minted.material)

    def test_a_delete_whose_reply_was_lost_succeeds_when_repeated(self, harness: Harness) -> None:
        minted = harness.mint()
        harness.faults.put(Rule(**harness.delete, times=1, fault=Reset(when="after")))
        with pytest.raises(CallFailed) as caught:
            harness.provider.delete(minted.key.key_id)
        assert caught.value.verdict is Verdict.UNKNOWN
        harness.reconnected()
        harness.provider.delete(minted.key.key_id)
        assert harness.made() == []

    def test_without_the_identity_everything_is_refused_and_the_list_permanently(self, harness: Harness) -> None:
        """A change may be refused by a replica that doesn't know the identity yet: it is for the list to say."""
        key_id = harness.foreign_key()
        harness.delete_identity()
        provider = harness.provider
        calls: list[Callable[[], object]] = [provider.list_keys, harness.mint, lambda: provider.delete(key_id)]
        if harness.disable is not None:
            able = disables(provider)
            calls += [lambda: able.disable(key_id), lambda: able.enable(key_id)]
        for call in calls:
            with pytest.raises(CallFailed) as caught:
                call()
            assert caught.value.verdict is Verdict.REFUSED
            assert caught.value.permanent or call != provider.list_keys
            assert caught.value.remedy

    def test_a_full_cloud_says_so(self, harness: Harness) -> None:
        slots = harness.provider.abilities.slots
        if slots is None:
            assert harness.mint().key.key_id in {key.key_id for key in harness.listed()}
            return
        for _ in range(slots - len(harness.initial)):
            harness.foreign_key()
        with pytest.raises(CallFailed) as caught:
            harness.mint()
        assert caught.value.verdict is Verdict.REFUSED
        assert caught.value.slots_full
        assert not caught.value.permanent
