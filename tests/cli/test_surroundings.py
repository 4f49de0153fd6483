"""What desktops, container engines and init scripts do to a process: each works, or says what is wrong."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Mapping

import pytest

from rotator.model import Phase, State
from tests.support.desk import NAME, Desk

pytestmark = pytest.mark.realtime

BUG = "This is a bug"


@pytest.fixture
def arranged(desk: Desk) -> Desk:
    desk.arrange({NAME: State(phase=Phase.IDLE, current="AKIACURRENT")})
    return desk


def shell(desk: Desk, redirections: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`rotator status` with these redirections."""
    command = ["/bin/sh", "-c", f'exec "$0" -m rotator status {redirections}', sys.executable]
    environ = {**desk.environment, **environment}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603  # ours


@pytest.mark.parametrize("redirections", [">&-", "<&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_bug(arranged: Desk, redirections: str) -> None:
    usual = shell(arranged, "").returncode
    closed = shell(arranged, redirections)
    assert closed.returncode == usual
    assert BUG not in closed.stderr


def test_no_file_takes_the_place_of_a_closed_stream(arranged: Desk) -> None:
    """Else what is printed would be written into the store."""
    code = "import sys, os; sys.argv[1:] = ['status']; sys.addaudithook(print_fd); from rotator.cli import main; main()"
    write = "os.write(9, os.readlink('/proc/self/fd/1').encode())"
    script = f"import os\ndef print_fd(event, _):\n    if event == 'sqlite3.connect': {write}\n{code}"
    command = ["/bin/sh", "-c", 'exec "$0" -c "$1" 9>&1 >&-', sys.executable, script]
    done = subprocess.run(command, env=arranged.environment, capture_output=True, text=True, check=False)  # noqa: S603  # ours
    assert set(done.stdout.split("/dev/null")) == {""}, done


def test_standard_output_without_room_is_said(arranged: Desk) -> None:
    full = shell(arranged, ">/dev/full")
    assert full.returncode == 1
    assert full.stderr.startswith("rotator: standard output can't be written: No space left on device.")


def test_a_word_that_an_encoding_lacks_is_escaped(arranged: Desk) -> None:
    paused = arranged.rotator("pause", NAME, "--why", "für Müller ☃", "--standalone")
    assert "accepted: paused" in paused.stdout, paused
    shown = arranged.rotator("show", NAME, PYTHONIOENCODING="ascii")
    assert shown.code == 0, shown
    assert "f\\xfcr M\\xfcller \\u2603" in shown.stdout


@pytest.mark.parametrize(
    ("environment", "code", "said"),
    [
        ({"NO_PROXY": "localhost,fd07:b51a:cc66:f0::/64"}, None, None),
        ({"HTTPS_PROXY": "socks9://:x"}, 2, "the environment variable HTTPS_PROXY is no address of a proxy."),
        ({"SSL_CERT_FILE": "/nowhere.pem"}, 2, "SSL_CERT_FILE=/nowhere.pem"),
    ],
)
def test_the_environment_is_judged(
    arranged: Desk, environment: Mapping[str, str], code: int | None, said: str | None
) -> None:
    ran = arranged.rotator("run", "--once", **environment)
    assert BUG not in ran.stderr
    assert code is None or ran.code == code
    assert said is None or said in ran.stderr


TABLES = """
import os
from rotator.cli.render import show_table
for width in range(30, 131):
    os.environ["COLUMNS"] = str(width)
    print("WIDTH", width)
    show_table(["ROTATION", "STARTED", "TOOK", "OUTCOME", "REASON"],
        [["01M8ADFDN01N7V6BNZJXW8SH1X", "2026-11-25T22:33:31Z", "10s", "done", "asked for by the operator"]])
    show_table(["TIME", "EVENT", "ABOUT", "REASON"],
        [["2026-11-25T22:37:13Z", "key.delete intent", "AKIAW6XDZYBGVENG5VYH", "AKIAW6XDZYBGVENG5VYH is held no more"],
         ["2026-11-25T22:37:13Z", "rotation.phase", "", "quarantine:\\nevery old key is disabled"]])
"""


def test_no_letter_of_a_table_is_lost_at_any_width() -> None:
    master, slave = pty.openpty()
    child = subprocess.Popen([sys.executable, "-c", TABLES], stdout=slave, env={**os.environ, "TERM": "dumb"})  # noqa: S603  # ours
    os.close(slave)
    said = b""
    while True:
        try:
            said += os.read(master, 65536)
        except OSError:  # the other end is closed
            break
    assert child.wait() == 0
    tables = said.decode().split("WIDTH ")[1:]
    letters = {"".join(sorted("".join(table.split()[1:]))) for table in tables}
    assert len(tables) == 101
    assert len(letters) == 1, "the same letters at each width"
