"""The install page of pip and the README's set-up, word for word: from a bare Debian to the first rotation's end."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.sandbox.aws.scene import USER
from rotator.sandbox.consumer import Consumer
from rotator.sandbox.stage import INTEGRATION, Stage
from tests.release.building import ROOT, Built
from tests.release.debian import Debian, lacking

pytestmark = [pytest.mark.machine, pytest.mark.timeout(900)]

PAGE = ROOT / "docs/install/python.md"
README = ROOT / "README.md"
TYPED = re.compile(r"^```(sh|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)

SHORT = {
    "ROTATOR_POLICY__GRACE": "3s",
    "ROTATOR_POLICY__QUIET_FOR": "1s",
    "ROTATOR_POLICY__MAX_GRACE": "60s",
    "ROTATOR_POLICY__QUARANTINE": "2s",
    "ROTATOR_POLICY__WATCH": "1s",
    "ROTATOR_POLICY__WINDOW": "null",
    "ROTATOR_NORTHFLANK__DEFAULT__TIMEOUT": "5s",
    "ROTATOR_NORTHFLANK__DEFAULT__SETTLE": "10s",
}
"""The waits of days cut to seconds."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    (tmp_path / "stage").mkdir()
    with Stage(tmp_path / "stage", propagation=timedelta(seconds=1)) as stage:
        yield stage


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Debian]:
    if lack := lacking():
        pytest.fail(lack)
    yield Debian(tmp_path / "debian")
    shutil.rmtree(tmp_path / "debian")


def test_the_readmes_set_up_leads_to_the_first_rotation(
    machine: Debian, stage: Stage, built: Built, tmp_path: Path
) -> None:
    page = README.read_text().partition("\n## First set-up\n")[2].partition("\n## ")[0]
    machine.root("apt-get", "update")
    machine.root("apt-get", "install", "-y", "python3-venv")
    shutil.copy(built.wheel, machine.tree / "root")
    script = tmp_path / "readme.sh"
    script.write_text("set -x\n" + "".join(map(_typed, TYPED.findall(page))))
    with Consumer(stage.server.url, stage.scenes[0]) as consumer:
        done = machine.root_shell(script, f"{stage.first_key}\n", _variables(stage))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    (key,) = stage.aws.keys(USER)
    assert key.key_id != stage.first_key
    assert stage.account.held(INTEGRATION)["accessKey"] == key.key_id
    assert not consumer.tally.failed, consumer.tally


def _typed(block: tuple[str, str]) -> str:
    """A block of commands as it is; a config goes into the file that the step names."""
    language, text = block
    return text if language == "sh" else f"cat >/etc/rotator/rotator.yaml <<'END'\n{text}END\n"


def _variables(stage: Stage) -> dict[str, str]:
    return {
        **{name: value for name, value in stage.environment.items() if name.startswith("AWS_")},
        "AWS_ENDPOINT_URL": stage.aws.server.url,
        "NORTHFLANK_API_TOKEN": stage.token_file.read_text(),
        "ROTATOR_NORTHFLANK__DEFAULT__API_URL": stage.server.url,
        **SHORT,
    }


def test_the_page_leads_from_nothing_to_the_first_rotation(
    machine: Debian, stage: Stage, built: Built, tmp_path: Path
) -> None:
    as_root, *blocks = BLOCK.findall(PAGE.read_text())
    for line in as_root.splitlines():
        machine.root(*line.split())
    shutil.copy(built.wheel, machine.home)
    script = tmp_path / "page.sh"
    script.write_text("set -x\n" + "".join(blocks))
    with Consumer(stage.server.url, stage.scenes[0]) as consumer:
        done = machine.user(script, f"{stage.first_key}\n", _variables(stage))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]

    (key,) = stage.aws.keys(USER)
    assert key.key_id != stage.first_key
    assert stage.account.held(INTEGRATION)["accessKey"] == key.key_id
    assert consumer.tally.calls
    assert not consumer.tally.failed, consumer.tally
    written = [machine.home / ".local/state/rotator", machine.home / ".config/rotator"]
    assert {path.stat().st_mode & 0o777 for path in written} == {0o700}
    assert {path.stat().st_mode & 0o077 for place in written for path in place.iterdir()} <= {0, 0o044}
    backup = machine.home / "rotator-backup.db"
    assert backup.stat().st_mode & 0o777 == 0o600
    assert backup.stat().st_size
    for secret in (*stage.aws.secrets, stage.token_file.read_text()):
        assert not [path for path in (*written[0].iterdir(), backup) if secret.encode() in path.read_bytes()]
