"""A worker that is stuck: the watchdog gets no more beats, a probe fails, and the log says where the worker is."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest
import yaml

from rotator.sandbox.northflank.account import HeldIntegration
from tests.chaos.process import RUN
from tests.chaos.trial import trial
from tests.support.patience import patience
from tests.support.ports import free_port
from tests.support.supervisor import Supervisor

pytestmark = pytest.mark.realtime

PLUGIN = '''
"""A provider whose own code blocks for ever, where no call of its cloud is to blame."""
import threading
from datetime import UTC, datetime
from rotator.model import Key
from rotator.providers.base import Abilities, Listing, Plugin
from rotator.settings.section import Section

def open_provider(settings, tools):
    return Stuck()

class Stuck:
    identity = "stuck:it"
    abilities = Abilities(slots=None, exact=True)

    def list_keys(self):
        now = datetime.now(UTC)
        return Listing((Key("k1", now, enabled=True),), now)

    def draft(self, store_id, generation):
        threading.Event().wait()

plugin = Plugin(settings=Section, open=open_provider)
'''
LIMIT = 31.0
"""Seconds: half of the stage's `settle`, and the slack."""

SOON = 60.0


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_stuck_worker_feeds_no_watchdog_and_the_others_go_on(tmp_path: Path) -> None:
    site = tmp_path / "site"
    info = site / "stuck-1.dist-info"
    info.mkdir(parents=True)
    (site / "stuck.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stuck\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[rotator.providers]\nstuck = stuck:plugin\n")
    listen = f"127.0.0.1:{free_port()}"
    stage = tmp_path / "stage"
    stage.mkdir()
    with trial(stage) as made, Supervisor(tmp_path) as systemd:
        made.stage.account.put(HeldIntegration("it", "it", "coreweave", description="It.", credentials={"apiKey": "k"}))
        config = yaml.safe_load(made.configure())
        config["plugins"] = ["stuck"]
        config["credentials"].append(
            {
                "name": "it",
                "provider": "stuck",
                "integration_provider": "coreweave",
                "current_key": "k1",
                "integrations": ["it"],
            }
        )
        made.stage.config_file.write_text(yaml.safe_dump(config))
        service = made.start(
            (
                "env",
                f"PYTHONPATH={site}",
                f"NOTIFY_SOCKET={systemd.address}",
                f"ROTATOR_HEALTH__LISTEN={listen}",
                *RUN,
            )
        )
        service.wait_for("key.adopted", where=lambda record: record["credential"] == "it")
        made.ask(now=True, credential="it")
        began = time.monotonic()
        service.wait_for("key.adopted", where=lambda record: record["credential"] == "prod-aws")
        made.ask(now=True)
        service.wait_for("rotation.done", where=lambda record: record["credential"] == "prod-aws")
        assert httpx.get(f"http://{listen}/healthz").json()["work"] == "ok", "a busy service isn't a stuck one"

        while httpx.get(f"http://{listen}/healthz").status_code == 200:
            assert time.monotonic() < began + LIMIT + patience(SOON)
            time.sleep(0.2)
        assert time.monotonic() - began > LIMIT - 5
        service.wait_to_say("the work is stuck")
        assert '"at": "it"' in service.said
        told = systemd.heard()
        assert told.count("WATCHDOG=1") > 20, "until then it was fed"
        until = time.monotonic() + 5
        while time.monotonic() < until:
            assert systemd.heard() == told, "and then no more"
            time.sleep(0.2)
        assert httpx.get(f"http://{listen}/healthz").json() == {
            "status": "failing",
            "process": "ok",
            "store": "ok",
            "audit": "ok",
            "work": "failing",
        }
        assert service.stop() == 0, "it can still be stopped"
