"""Everything at once, for less than a minute; `make soak` does it for ten."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.soak import Soak

pytestmark = [pytest.mark.realtime, pytest.mark.soak]


def test_no_promise_is_broken_by_everything_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    report = Soak(tmp_path, seed=1).run(0.6, print)
    assert report.sound, report
    assert report.kills > 1
    assert report.events["integration.push done"]
