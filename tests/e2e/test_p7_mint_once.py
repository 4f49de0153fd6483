"""P7: a mint is never retried blindly. Whatever becomes of its answer, the next one comes after `settle` and a look."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rotator.model import Phase
from rotator.sandbox.wire.rules import Canned, Cut, Delay, Drip, Fault, Late, Reset
from tests.support.fixtures import MakeRig
from tests.support.patience import deadlines
from tests.support.rig import Rig

pytestmark = pytest.mark.realtime

HTML = "<html><body>Bad Gateway</body></html>"

UNANSWERED: dict[str, Fault] = {
    "reset before": Reset(when="before"),
    "reset after": Reset(when="after"),
    "cut": Cut(keep=30),
    "late": Late(),
    "500 before": Canned(status=500, body=""),
    "500 after": Canned(status=500, body="", when="after"),
    "a proxy's 502": Canned(status=502, body=HTML, content_type="text/html", when="after"),
    "a proxy's 200": Canned(status=200, body=HTML, content_type="text/html", when="after"),
    "a proxy's 403": Canned(status=403, body=HTML, content_type="text/html", when="after"),
    "another XML": Canned(status=200, body="<a><b/></a>", content_type="text/xml", when="after"),
    "408": Canned(status=408, body="", when="after"),
}


@pytest.mark.parametrize("fault", UNANSWERED.values(), ids=UNANSWERED)
def test_one_request_until_settle_has_passed_and_aws_was_looked_at(rig: Rig, fault: Fault) -> None:
    rig.spoil(fault, aws="CreateAccessKey", times=None)
    rig.begin()
    rig.run(lambda state: state.mint is not None)
    for _ in range(5):
        rig.tick()
        assert rig.state.mint is not None, "judged before settle was over"
        rig.wait(timedelta(seconds=5))
    assert rig.asked("CreateAccessKey") == 1
    looked = rig.asked("ListAccessKeys")
    rig.heal()
    rig.wait(timedelta(seconds=60))
    rig.run(lambda state: state.mint is None)
    assert rig.asked("ListAccessKeys") > looked
    assert rig.asked("CreateAccessKey") <= 2


@pytest.mark.parametrize("fault", [Delay(seconds=None), Drip(pause=0.05)], ids=["silence", "a slow drip"])
def test_silence_and_a_drip_end_at_the_deadline_with_one_request(make_rig: MakeRig, fault: Fault) -> None:
    rig = make_rig(northflank={"default": deadlines(0.5)})
    rig.spoil(fault, aws="CreateAccessKey")
    rig.begin()
    rig.run(lambda state: state.mint is not None)
    rig.aws.faults.release()
    rig.finish()
    rig.run(lambda state: state.phase is Phase.IDLE and not state.suspects)
    assert rig.asked("CreateAccessKey") == 2
    assert rig.listed() == {rig.held(): True}


@pytest.mark.parametrize(
    ("status", "code"), [(400, "Throttling"), (409, "EntityTemporarilyUnmodifiable"), (503, "ServiceUnavailable")]
)
def test_an_answer_that_is_certain_is_retried_after_a_backoff_only(rig: Rig, status: int, code: str) -> None:
    body = (
        f"<ErrorResponse><Error><Code>{code}</Code><Message>m</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    )
    rig.spoil(Canned(status=status, body=body, content_type="text/xml"), aws="CreateAccessKey")
    rig.begin()
    rig.tick()
    rig.tick()
    assert rig.asked("CreateAccessKey") == 1
    assert rig.state.not_before is not None
    rig.finish()
    assert rig.asked("CreateAccessKey") == 2
    assert rig.listed() == {rig.held(): True}
