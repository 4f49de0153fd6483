"""P4: material is never written anywhere.

Every test in this directory ends with a search of the store, its WAL and the audit file (`books.check_secrets`). Here
the vendors' answers are full of secrets, whatever can log does so at DEBUG, and what was printed is searched too.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from rotator.model import Phase
from rotator.sandbox.northflank.account import Echo
from rotator.sandbox.stage import INTEGRATION
from rotator.sandbox.wire.rules import Canned, Cut, Fault, Reset
from tests.support.books import leaked
from tests.support.fixtures import MakeRig
from tests.support.rig import Rig

# The secret stands in the first 700 bytes of CreateAccessKey's answer, and in the first 250 of an echoing update's.
SPOILED: dict[str, tuple[Fault, Fault]] = {
    "cut behind the secret": (Cut(keep=700), Cut(keep=250)),
    "reset": (Reset(when="after"), Reset(when="after")),
    "not what it should be": (
        Canned(status=200, body="<a>", content_type="text/xml", when="after"),
        Canned(status=200, body="{", when="after"),
    ),
}


@pytest.fixture
def printed(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that is logged, from before rotator's start."""
    caplog.set_level(logging.DEBUG)
    for name in ("botocore", "boto3", "urllib3", "httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


@pytest.fixture
def rig(printed: pytest.LogCaptureFixture, make_rig: MakeRig) -> Rig:  # noqa: ARG001  # to be first
    rig = make_rig()
    rig.account.behaviour = replace(rig.account.behaviour, echo=Echo.RAW)
    return rig


class TestWhatIsPrinted:
    def test_a_whole_rotation_prints_none(
        self, rig: Rig, printed: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        rig.rotate()
        assert "/v1/cloud-providers/" in printed.text, "nothing was logged at all"
        assert not leaked(rig, *(text.encode() for text in (printed.text, *capfd.readouterr())))

    @pytest.mark.parametrize(("mint", "push"), SPOILED.values(), ids=SPOILED)
    def test_nor_does_one_whose_answers_break(
        self, rig: Rig, mint: Fault, push: Fault, printed: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        rig.spoil(mint, aws="CreateAccessKey")
        rig.spoil(push, northflank="POST")
        rig.rotate()
        assert rig.asked("CreateAccessKey") == 2
        assert rig.pushes() == 2
        assert not leaked(rig, *(text.encode() for text in (printed.text, *capfd.readouterr())))

    def test_nor_does_one_whose_answers_are_foreign_and_full_of_secrets(
        self, rig: Rig, printed: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        rig.begin()
        secret = rig.account.held(INTEGRATION)["secretKey"]
        page = f"<html>{secret}</html>"
        rig.spoil(Canned(status=200, body=f'{{"data": "{secret}"}}'), northflank="GET")
        rig.spoil(Canned(status=502, body=page, content_type="text/html"), northflank="POST")
        rig.spoil(Canned(status=200, body=f'{{"error": "{secret}"}}'), northflank="POST")
        for action in ("ListAccessKeys", "CreateAccessKey", "UpdateAccessKey"):
            rig.spoil(Canned(status=200, body=page, content_type="text/html"), aws=action)
        rig.run(lambda state: state.generation > 0 and state.phase is Phase.IDLE and not state.suspects)
        assert rig.listed() == {rig.held(): True}
        assert not leaked(rig, *(text.encode() for text in (printed.text, *capfd.readouterr())))


class TestWhatIsKept:
    def test_the_state_of_every_phase_prints_without_it(self, rig: Rig) -> None:
        rig.begin()
        for phase in (Phase.PROVING, Phase.GRACE, Phase.QUARANTINE):
            assert not leaked(rig, repr((rig.to(phase), rig.fleet, vars(rig.engine))).encode())

    def test_the_token_is_read_from_its_file_again_and_kept_nowhere(self, rig: Rig) -> None:
        rig.adopt()
        rig.renew_token()
        rig.rotate()
        assert rig.listed() == {rig.held(): True}
