"""What goes wrong outside: each time a clear error, a record in the audit log, nothing lost and nothing revoked."""

from __future__ import annotations

import resource
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.attention import HoldReason
from rotator.errors import StoreError
from rotator.model import Phase
from rotator.providers.base import Draft, Minted, Provider
from rotator.sandbox.stage import INTEGRATION
from rotator.sandbox.wire.rules import Canned, Cut, Delay, Drip, Fault, Reset
from tests.support.fixtures import MakeRig
from tests.support.patience import deadlines
from tests.support.rig import Rig

pytestmark = pytest.mark.realtime

HTML = "<html><body>Bad Gateway</body></html>"
OTHERS = '{"data": {"id": "somebody-elses", "name": "x", "provider": "aws", "description": "x"}}'
DAYS = timedelta(days=5)


def unread(rig: Rig, *words: str) -> None:
    """The journal and the audit log say why the outside can't be read, and days later nothing has changed."""
    before = rig.listed()
    for _ in range(3):
        rig.tick()
        rig.wait(DAYS)
    said = rig.state.unread or ""
    assert all(word in said for word in words), said
    assert rig.events("read.failed")[-1]["reason"] == said
    assert rig.listed() == before
    assert rig.state.hold is None


def goes_on(rig: Rig) -> None:
    """Once it is mended, the rotation ends as if nothing had been."""
    rig.heal()
    if rig.state.hold is not None:
        assert rig.ask("resume").accepted
    rig.finish()
    assert rig.state.unread is None
    assert rig.listed() == {rig.held(): True}
    assert rig.held() != rig.first_key


class TestNorthflank:
    @pytest.mark.parametrize("phase", [Phase.GRACE, Phase.QUARANTINE])
    def test_a_wrong_token(self, rig: Rig, phase: Phase) -> None:
        rig.begin()
        rig.to(phase)
        rig.stage.token_file.write_text("nonsense")
        unread(rig, "401", "Unauthorized", "token")
        rig.renew_token()
        goes_on(rig)

    def test_a_wrong_token_at_first_contact(self, rig: Rig) -> None:
        rig.stage.token_file.write_text("nonsense")
        unread(rig, "401")
        assert rig.state.phase is Phase.NEW

    @pytest.mark.parametrize("text", ["", "two\nlines"])
    def test_a_token_file_without_a_token(self, rig: Rig, text: str) -> None:
        rig.begin()
        rig.to(Phase.GRACE)
        rig.stage.token_file.write_text(text)
        unread(rig, "token")
        rig.renew_token()
        goes_on(rig)

    @pytest.mark.parametrize("phase", [Phase.GRACE, Phase.QUARANTINE])
    def test_an_integration_that_is_gone(self, rig: Rig, phase: Phase) -> None:
        rig.begin()
        rig.to(phase)
        integration = rig.account.integration(INTEGRATION)
        rig.account.remove(INTEGRATION)
        unread(rig, INTEGRATION, "404", "Not found")
        rig.account.put(integration)
        goes_on(rig)

    def test_an_integration_that_goes_right_before_the_push(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.PROVING)
        gone = Canned(status=404, body='{"error": {"status": 404, "message": "Not found"}}')
        rig.spoil(gone, northflank="POST")
        rig.spoil(gone, northflank="GET", skip=1)
        assert INTEGRATION in rig.hold(HoldReason.PUSH_REFUSED).detail
        goes_on(rig)

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_an_answer_about_another_integration(self, rig: Rig, method: str) -> None:
        rig.begin()
        rig.to(Phase.PROVING)
        rig.spoil(Canned(status=200, body=OTHERS), northflank=method, times=3)
        rig.run(lambda state: "somebody-elses" in f"{state.unread} {state.error}")
        assert rig.listed()[rig.first_key]
        goes_on(rig)

    def test_an_integration_of_another_provider(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.GRACE)
        of_gcp = OTHERS.replace("aws", "gcp").replace("somebody-elses", INTEGRATION)
        rig.spoil(Canned(status=200, body=of_gcp), northflank="GET", path=INTEGRATION, times=None)
        rig.wait(timedelta(days=1))
        unread(rig, "has the provider gcp, not aws")
        goes_on(rig)

    def test_429_for_an_hour_is_waited_out_without_a_call(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.PROVING)
        limit = Canned(status=429, headers={"Retry-After": "3600"}, body='{"error": {"status": 429, "message": "x"}}')
        rig.spoil(limit, northflank="POST")
        rig.run(lambda state: state.error is not None)
        asked = len(rig.faults.requests())
        for _ in range(11):
            rig.wait(timedelta(minutes=5))
            rig.tick()
        assert len(rig.faults.requests()) == asked
        assert "rate limit" in (rig.state.error or "")
        assert [event["outcome"] for event in rig.events("integration.push")][:2] == ["intent", "not_applied"]
        goes_on(rig)

    def test_429_on_reads_is_waited_out_too(self, make_rig: MakeRig) -> None:
        rig = make_rig({"watch": "2h"})
        rig.begin()
        rig.to(Phase.GRACE)
        rig.spoil(Canned(status=429, headers={"Retry-After": "3600"}, body="{}"), northflank="GET")
        rig.run(lambda state: state.unread is not None)
        asked = len(rig.faults.requests())
        rig.wait(timedelta(minutes=50))
        rig.tick()
        assert len(rig.faults.requests()) == asked
        goes_on(rig)


class TestAws:
    @pytest.mark.parametrize(
        ("action", "reason"),
        [
            ("CreateAccessKey", HoldReason.MINT_REFUSED),
            ("UpdateAccessKey", HoldReason.REVOKE_REFUSED),
            ("DeleteAccessKey", HoldReason.REVOKE_REFUSED),
        ],
    )
    def test_no_right_to_change(self, rig: Rig, action: str, reason: HoldReason) -> None:
        rig.aws.denied.add(f"iam:{action}")
        rig.begin()
        detail = rig.hold(reason).detail
        assert all(word in detail for word in ("AccessDenied", action, "not authorized"))
        assert rig.events("rotation.held")[-1]["reason"] == detail
        before = rig.listed()
        rig.wait(DAYS)
        rig.tick()
        assert rig.listed() == before
        assert rig.asked(action) == 1
        rig.aws.denied.clear()
        goes_on(rig)

    @pytest.mark.parametrize("action", ["ListAccessKeys", "GetAccessKeyLastUsed"])
    def test_no_right_to_look(self, rig: Rig, action: str) -> None:
        rig.begin()
        rig.to(Phase.GRACE)
        rig.wait(timedelta(days=1))
        rig.aws.denied.add(f"iam:{action}")
        unread(rig, "AccessDenied", action, "rotator policy NAME")
        rig.aws.denied.clear()
        goes_on(rig)

    def test_a_user_that_is_gone(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.GRACE)
        rig.locked_out = True
        rig.delete_user()
        for _ in range(3):
            rig.tick()
            rig.wait(DAYS)
        assert "NoSuchEntity" in (rig.state.unread or "")
        assert rig.events("read.failed")[-1]["code"] == "NoSuchEntity"
        assert rig.state.phase is Phase.GRACE
        assert rig.asked("UpdateAccessKey") == 0

    def test_own_credentials_that_aws_does_not_know(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.GRACE)
        rig.spoil(
            Canned(
                status=403,
                content_type="text/xml",
                body="<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>invalid</Message></Error>"
                "<RequestId>r</RequestId></ErrorResponse>",
            ),
            times=None,
            aws="ListAccessKeys",
        )
        unread(rig, "InvalidClientTokenId", "rotator's own credentials")
        goes_on(rig)


EVERY_CALL = ("ListAccessKeys", "CreateAccessKey", "GetCallerIdentity", "GetAccessKeyLastUsed", "UpdateAccessKey")
SPOILED: dict[str, Fault] = {
    "reset before": Reset(),
    "reset after": Reset(when="after"),
    "cut": Cut(keep=40),
    "nothing": Canned(status=200, body="", when="after"),
    "HTML": Canned(status=200, body=HTML, content_type="text/html", when="after"),
    "a proxy's error": Canned(status=502, body=HTML, content_type="text/html"),
    "its own error": Canned(status=500, body='{"error": {"status": 500}}', when="after"),
    "malformed": Canned(status=200, body='{"data": [<a>', when="after"),
    "another shape": Canned(status=200, body='{"data": {"id": 7}}', when="after"),
    "another XML": Canned(status=200, body="<a><RequestId>1</RequestId></a>", content_type="text/xml", when="after"),
}


class TestEveryCallOnce:
    """Each kind of call of a rotation suffers the fault at its first time, and the rotation ends all the same."""

    @pytest.mark.parametrize("fault", SPOILED.values(), ids=SPOILED)
    def test_the_end_is_the_same(self, rig: Rig, fault: Fault) -> None:
        rig.adopt()
        for action in (*EVERY_CALL, "DeleteAccessKey"):
            rig.spoil(fault, aws=action)
        rig.spoil(fault, northflank="POST")
        rig.spoil(fault, northflank="GET", path=f"/{INTEGRATION}$")
        rig.spoil(fault, northflank="GET", path="/integrations$")
        rig.wait(timedelta(days=30))
        rig.run(lambda state: state.generation > 0 and state.phase is Phase.IDLE and not state.suspects)
        assert rig.listed() == {rig.held(): True}
        assert rig.held() != rig.first_key

    @pytest.mark.parametrize("fault", [Delay(seconds=None), Drip(pause=0.1)], ids=["silence", "a slow drip"])
    @pytest.mark.parametrize("phase", [Phase.IDLE, Phase.PROVING])
    def test_the_deadline_ends_what_does_not_end(self, make_rig: MakeRig, fault: Fault, phase: Phase) -> None:
        rig = make_rig(northflank={"default": deadlines(0.3)})
        rig.begin()
        rig.to(phase)
        rig.spoil(fault, aws="ListAccessKeys")
        rig.spoil(fault, northflank="POST")
        rig.spoil(fault, northflank="GET")
        rig.until_asked("ListAccessKeys")
        rig.aws.faults.release()  # given up by now: what is decided next waits for the end of it
        rig.finish()
        rig.run(lambda state: state.phase is Phase.IDLE)
        assert rig.listed() == {rig.held(): True}
        assert rig.held() != rig.first_key


class Slow:
    """A provider, as a plugin may be, whose mint comes back long after its deadline, and without an answer."""

    def __init__(self, inner: Provider) -> None:
        self._inner = inner
        self.identity, self.abilities = inner.identity, inner.abilities
        self.list_keys, self.draft, self.delete, self.check = (
            inner.list_keys,
            inner.draft,
            inner.delete,
            inner.check,
        )
        self.ended = threading.Event()

    def mint(self, draft: Draft) -> Minted:
        minted = self._inner.mint(draft)
        self.ended.wait()
        return minted


class TestACallThatOutlivesItsDeadline:
    def test_settle_is_counted_from_its_end(self, make_rig: MakeRig) -> None:
        rig = make_rig(northflank={"default": deadlines(0.3)})
        slow = Slow(rig.managed().provider)
        usual = rig.fleet
        rig.fleet = replace(usual, managed={rig.name: replace(rig.managed(), provider=slow)})
        rig.begin()
        rig.run(lambda state: state.mint is not None)
        for _ in range(3):
            rig.wait(timedelta(hours=1))
            rig.tick()
        assert rig.state.mint is not None, "the call's thread still runs: nothing is judged"
        slow.ended.set()
        rig.fleet = usual
        ended = rig.clock.now()
        rig.run(lambda state: state.mint is None)
        assert rig.clock.now() - ended >= rig.managed().policy.settle >= timedelta(seconds=0.6)
        rig.run(lambda state: state.phase is Phase.IDLE and not state.suspects)
        assert rig.listed() == {rig.held(): True}


class TestTheClock:
    """The wall clock of rotator's machine jumps by a day; the vendors' clocks and the monotonic one go on."""

    @pytest.mark.parametrize("phase", [Phase.GRACE, Phase.QUARANTINE])
    def test_forward_revokes_nothing(self, rig: Rig, phase: Phase) -> None:
        rig.begin()
        rig.to(phase)
        before = rig.listed()
        rig.clock.jump(timedelta(days=1, minutes=1))
        assert "2 minutes apart" in rig.hold(HoldReason.CLOCK).detail
        assert rig.listed() == before
        rig.clock.jump(-timedelta(days=1, minutes=1))
        goes_on(rig)

    @pytest.mark.parametrize("phase", [Phase.GRACE, Phase.QUARANTINE])
    def test_backward_only_delays(self, rig: Rig, phase: Phase) -> None:
        rig.begin()
        rig.to(phase)
        before = rig.listed()
        rig.clock.jump(-timedelta(days=1))
        for _ in range(3):
            rig.wait(timedelta(hours=7))
            rig.tick()
        assert rig.listed() == before
        rig.clock.jump(timedelta(days=1))
        goes_on(rig)

    @pytest.mark.parametrize("by", [timedelta(days=1), -timedelta(days=1)], ids=["forward", "backward"])
    def test_settle_is_not_cut_short(self, rig: Rig, by: timedelta) -> None:
        rig.spoil(Reset(), northflank="POST", times=None)
        rig.begin()
        candidate = rig.run(lambda state: state.pushes_sent == 1).candidate
        rig.heal()
        rig.clock.jump(by)
        asked = rig.pushes()
        for _ in range(5):
            rig.wait(timedelta(seconds=6))
            rig.tick()
        assert rig.state.candidate == candidate
        assert rig.state.phase in {Phase.PUSHING, Phase.CONFIRMING}
        assert rig.pushes() <= asked + 1
        rig.clock.jump(-by)
        goes_on(rig)

    def test_one_that_runs_a_little_fast_costs_no_watch_interval(self, rig: Rig) -> None:
        rig.spoil(Reset(when="after"), northflank="POST", times=None)
        rig.begin()
        rig.run(lambda state: state.pushes_sent == 1)
        sent = rig.clock.world()
        rig.heal()
        rig.clock.jump(timedelta(seconds=1))
        rig.to(Phase.GRACE)
        assert timedelta(seconds=59) < rig.clock.world() - sent < timedelta(minutes=5)


class TestTheStore:
    def test_a_full_disk_changes_nothing_outside(self, rig: Rig) -> None:
        rig.begin()
        with full_disk(rig), pytest.raises(StoreError, match="SQLITE_"):
            rig.tick()
        assert rig.asked("CreateAccessKey") == 0
        goes_on(rig)

    def test_of_a_newer_schema_is_not_opened(self, rig: Rig) -> None:
        rig.begin()
        rig.to(Phase.GRACE)
        rig.stop()
        before, asked = rig.listed(), rig.requests()
        with closing(sqlite3.connect(rig.stage.store_file)) as store, store:
            [version] = store.execute("SELECT version_num FROM alembic_version").fetchone()
            store.execute("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(StoreError, match="newer"):
            rig.start()
        assert (rig.listed(), rig.requests()) == (before, asked)
        with closing(sqlite3.connect(rig.stage.store_file)) as store, store:
            store.execute("UPDATE alembic_version SET version_num = ?", (version,))
        rig.start()
        goes_on(rig)

    def test_a_damaged_one_is_not_opened(self, rig: Rig) -> None:
        rig.adopt()
        rig.stop()
        sound = rig.stage.store_file.read_bytes()
        rig.stage.store_file.write_bytes(b"x" * len(sound))
        with pytest.raises(StoreError, match="no SQLite database"):
            rig.start()
        rig.stage.store_file.write_bytes(sound)
        rig.start()


@contextmanager
def full_disk(rig: Rig) -> Iterator[None]:
    """No file can grow beyond what the store's own WAL has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    wal = rig.stage.store_file.with_name("rotator.db-wal")
    resource.setrlimit(resource.RLIMIT_FSIZE, (wal.stat().st_size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
