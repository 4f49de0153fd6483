"""docs/install/container.md: each of its commands does what the page says, in the page's order."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator.sandbox.aws.scene import USER
from rotator.sandbox.stage import INTEGRATION
from tests.chaos.canary import leaks
from tests.chaos.trial import Trial
from tests.image.engine import Engine
from tests.image.place import UID, free_port, until

pytestmark = [pytest.mark.machine, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/install/container.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
CONTAINER, DRAFT, VOLUME = "rotator", "draft", "rotator-data"


class Reader:
    """A person who does what the page says, with the host's `/srv` elsewhere, and the stand-ins in AWS's place."""

    def __init__(self, engine: Engine, made: Trial, directory: Path) -> None:
        self.srv = directory / "srv"
        self.srv.mkdir(mode=0o755)
        self.said = ""
        self._made = made
        account = made.stage.environment
        self._environment = {
            **os.environ,
            "PATH": f"{engine.command.parent}:{os.environ['PATH']}",
            "NORTHFLANK_API_TOKEN": made.stage.token_file.read_text(),
            "NORTHFLANK_API_BASE_URL": made.stage.server.url,
            "AWS_ACCESS_KEY_ID": account["AWS_ACCESS_KEY_ID"],
            "AWS_SECRET_ACCESS_KEY": account["AWS_SECRET_ACCESS_KEY"],
        }

    def does(self, block: str) -> str:
        """Run one block in a shell of its own."""
        script = block.replace("/srv/", f"{self.srv}/").replace("AKIAIOSFODNN7EXAMPLE", self._made.stage.first_key)
        done = subprocess.run(  # noqa: S603  # the page's own commands
            ["bash", "-euo", "pipefail", "-c", script],  # noqa: S607  # the page's shell
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.returncode}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        self.said += done.stdout
        if "/rotator.yaml <<" in block:
            self._lead_to_the_stand_ins()
        return done.stdout + done.stderr

    def _lead_to_the_stand_ins(self) -> None:
        file = self.srv / "rotator/rotator.yaml"
        trial = yaml.safe_load(self._made.stage.config())
        # The stand-in's key in use is named by `adopt`, as the page has it.
        [there] = trial["credentials"]
        addresses = {
            "northflank": {
                "default": {key: trial["northflank"]["default"][key] for key in ("api_url", "timeout", "settle")}
            },
            "policy": trial["policy"],
            "health": {"listen": f"127.0.0.1:{free_port()}"},
        }
        config = laid_over(yaml.safe_load(file.read_text()), addresses)
        [credential] = config["credentials"]
        config["credentials"] = [laid_over(credential, {"aws": there["aws"]})]
        file.write_text(yaml.safe_dump(config))


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """One config over another, key by key."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = laid_over(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return merged


@pytest.fixture
def reader(engine: Engine, image: str, made: Trial, tmp_path: Path) -> Iterator[Reader]:  # noqa: ARG001  # built once
    for kind, name in (("container", CONTAINER), ("container", DRAFT), ("volume", VOLUME)):
        there = engine(kind, "inspect", name, check=False)
        assert there.returncode != 0, f"this test makes and removes a {kind} {name}, and there is one: is it in use?"
    try:
        yield Reader(engine, made, tmp_path)
    finally:
        engine.remove(CONTAINER)
        engine.remove(DRAFT)
        engine("volume", "rm", VOLUME, check=False)


def test_the_page_from_nothing_to_the_backup(reader: Reader, engine: Engine, made: Trial) -> None:
    assert len(BLOCKS) > 10
    said = []
    for block in BLOCKS:
        said.append(reader.does(block))
        if "--signal HUP" in block:
            until(lambda: '"config.reloaded"' in engine("logs", CONTAINER).stdout)

    [adopted] = [words for block, words in zip(BLOCKS, said, strict=True) if " adopt " in block]
    assert made.stage.first_key in adopted
    [key] = made.stage.aws.keys(USER)
    assert key.enabled
    assert key.key_id != made.stage.first_key
    assert made.stage.account.held(INTEGRATION)["accessKey"] == key.key_id
    assert not made.consumer.tally.failed
    assert engine("exec", CONTAINER, "rotator", "status").returncode == 0

    assert (
        INTEGRATION in yaml.safe_load((reader.srv / "rotator/draft.yaml").read_text())["credentials"][0]["integrations"]
    )
    secrets = [reader.srv / "rotator" / name for name in ("northflank-token", "aws-credentials")]
    assert {(file.stat().st_mode & 0o777, file.stat().st_uid) for file in secrets} == {(0o400, UID)}
    with sqlite3.connect(reader.srv / "rotator-backup/rotator.db") as backup:
        assert backup.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        [done] = backup.execute("SELECT count(*) FROM rotation WHERE outcome = 'done'").fetchone()
        assert done == 1
    words = reader.srv / "words"
    words.write_text(reader.said + "".join(said))
    volume = Path(engine("volume", "inspect", "--format", "{{.Mountpoint}}", VOLUME).stdout.strip())
    kept = [file for file in (*volume.iterdir(), words, reader.srv / "rotator-backup/rotator.db") if file.is_file()]
    assert leaks({*made.stage.aws.secrets, made.stage.token_file.read_text()}, kept) == []
